/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ck.h"

#include <ck_ring.h>

#include <stdint.h>
#include <stdlib.h>

struct bench_ck {
    ck_ring_t ring;
    _Alignas(128) char slots[];
};

bench_ck *bench_ck_new(unsigned size, unsigned count)
{
    const size_t bytes = sizeof(bench_ck) + (size_t)size * count;
    bench_ck *ck = aligned_alloc(128, (bytes + 127) / 128 * 128);
    if (ck)
        ck_ring_init(&ck->ring, count);
    return ck;
}

void bench_ck_free(bench_ck *ck)
{
    free(ck);
}

/* The calls of a message size. What is sent is only read, though they take it without const. */
#define CALL(name, call, size)                                                                     \
    bool bench_ck_send_##name##size(bench_ck *ck, const void *message)                             \
    {                                                                                              \
        return ck_ring_enqueue_##call##_message##size(&ck->ring,                                   \
                                                      (struct message##size *)ck->slots,           \
                                                      (struct message##size *)(uintptr_t)message); \
    }                                                                                              \
    bool bench_ck_recv_##name##size(bench_ck *ck, void *message)                                   \
    {                                                                                              \
        return ck_ring_dequeue_##call##_message##size(&ck->ring,                                   \
                                                      (struct message##size *)ck->slots, message); \
    }
#define CALLS(size)                                                                                \
    struct message##size {                                                                         \
        uint64_t words[size / 8];                                                                  \
    };                                                                                             \
    CK_RING_PROTOTYPE(message##size, message##size)                                                \
    CALL(, spsc, size)                                                                             \
    CALL(many_, mpmc, size)

CALLS(8)
CALLS(24)
CALLS(56)
CALLS(64)
CALLS(120)
CALLS(248)
CALLS(1024)
CALLS(4096)
