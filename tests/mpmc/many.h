/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* many.h: the rings of many senders and receivers, and tests that hold for each of them. */
#ifndef RBX_TESTS_MPMC_MANY_H
#define RBX_TESTS_MPMC_MANY_H

#include <stdint.h>

#include "../spsc/pair.h"
#include "os/mutex.h"

struct variant {
    rbx_ring_kind kind;
    unsigned flags;
};

static const struct variant variants[] = {{RBX_MPMC, 0}, {RBX_MPMC, RBX_STRICT}, {RBX_LOCKED, 0}};
enum { DEFAULT, STRICT, LOCKED, VARIANTS };

/*
 * EACH(suite, sentence) { ... } is a test of each variant, in suites of their own, and BOTH one of
 * the ring of many without and with RBX_STRICT. The body finds which in `v`.
 */
#define SUITES(suite, seconds)                                                                     \
    TestSuite(mpmc_##suite, .timeout = (seconds));                                                 \
    TestSuite(strict_##suite, .timeout = (seconds));                                               \
    TestSuite(locked_##suite, .timeout = (seconds))
#define BOTH(suite, sentence)                                                                      \
    static void sentence(const struct variant *v);                                                 \
    Test(mpmc_##suite, sentence)                                                                   \
    {                                                                                              \
        sentence(&variants[DEFAULT]);                                                              \
    }                                                                                              \
    Test(strict_##suite, sentence)                                                                 \
    {                                                                                              \
        sentence(&variants[STRICT]);                                                               \
    }                                                                                              \
    static void sentence(const struct variant *v)
#define EACH(suite, sentence)                                                                      \
    static void sentence(const struct variant *v);                                                 \
    Test(locked_##suite, sentence)                                                                 \
    {                                                                                              \
        sentence(&variants[LOCKED]);                                                               \
    }                                                                                              \
    BOTH(suite, sentence)

static inline bool is_locked(const struct variant *v)
{
    return v->kind == RBX_LOCKED;
}

static inline rbx_ring_options options_for(const struct variant *v, size_t size, size_t capacity)
{
    return (rbx_ring_options){
        .kind = v->kind, .flags = v->flags, .message_size = size, .capacity = capacity};
}

/* How many messages such a ring holds. */
static inline uint64_t slots_for(const struct variant *v, size_t capacity)
{
    uint64_t slots = 1;
    while (slots < capacity)
        slots *= 2;
    return is_locked(v) ? capacity : slots;
}

static inline rbx_ring *ring_for(const struct variant *v, const char *name, size_t capacity)
{
    const rbx_ring_options options = options_for(v, 8, capacity);
    rbx_ring *ring;
    succeeds(rbx_ring_open(&ring, name, &options));
    return ring;
}

/* As pair_open_at, for rings whose size is no multiple of 64. */
static inline void many_open_at(struct pair *pair, const rbx_ring_options *options,
                                uint64_t first_frame)
{
    succeeds(rbx_ring_plan(&pair->shape, options));
    pair->shape.first_frame = first_frame;
    pair->size = rbx_ring_size(&pair->shape);
    cr_assert_eq(posix_memalign(&pair->memory, 64, pair->size), 0);
    memset(pair->memory, 0, pair->size);
    succeeds(rbx_ring_format(pair->memory, &pair->shape));
    succeeds(rbx_ring_attach(&pair->ring, pair->memory, pair->size, options));
    succeeds(rbx_tx_open(&pair->tx, pair->ring));
    succeeds(rbx_rx_open(&pair->rx, pair->ring));
}

static inline void pair_of(struct pair *pair, const struct variant *v, size_t size, size_t capacity)
{
    const rbx_ring_options options = options_for(v, size, capacity);
    many_open_at(pair, &options, 0);
}

/* --- What is shared --- */

static inline struct rbx_mpmc *mpmc_of(const struct pair *pair)
{
    return (struct rbx_mpmc *)(void *)((char *)pair->memory + RBX_RING_SHARED_AT);
}

static inline rbx_atomic64 *slot_of(const struct pair *pair, uint64_t position)
{
    return (rbx_atomic64 *)(void *)((char *)pair->memory + rbx_ring_frames_at(&pair->shape) +
                                    position % pair->shape.frames * pair->shape.frame.bytes);
}

static inline struct rbx_seat *seat_of(const struct pair *pair, unsigned end, unsigned index)
{
    return (struct rbx_seat *)(void *)((char *)pair->memory + RBX_RING_SEATS_AT) +
           end * pair->shape.seats[0] + index;
}

/* The counts `sent` and `received` of a ring under a lock, which come first after its mutex. */
static inline rbx_atomic64 *locked_counts(const struct pair *pair)
{
    return (rbx_atomic64 *)(void *)((char *)pair->memory + RBX_RING_SHARED_AT +
                                    sizeof(struct rbx_os_mutex));
}

/* --- Messages that are numbers --- */

static inline void send_numbers(rbx_tx *tx, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        int err = rbx_try_send(tx, &i);
        cr_assert_eq(err, 0, "number %llu: %d", (unsigned long long)i, err);
    }
}

static inline void recv_numbers(rbx_rx *rx, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        uint64_t got = ~i;
        int err = rbx_try_recv(rx, &got);
        cr_assert_eq(err, 0, "number %llu: %d", (unsigned long long)i, err);
        cr_assert_eq(got, i, "%llu, not %llu", (unsigned long long)got, (unsigned long long)i);
    }
}

static inline void check_empty(rbx_rx *rx)
{
    uint64_t got;
    cr_assert_eq(rbx_try_recv(rx, &got), -EAGAIN);
}

/* Fills the ring, with numbers from 0 on; how many that took. */
static inline uint64_t fill(rbx_tx *tx)
{
    uint64_t count = 0;
    while (rbx_try_send(tx, &count) == 0)
        count++;
    return count;
}

#endif
