/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rings.c: sending and receiving, by typed and untyped calls: by copy, in place and in batches. */
#include "path.h"

#include <stdint.h>

/*
 * The calls whose names begin `prefix`, on messages of `type`, each in a function of its own. In
 * place one word is written, and read: what else a program does there is its own affair.
 */
#define CALLS(prefix, type)                                                                        \
    static ptrdiff_t try_send_##prefix(void *tx, void *message)                                    \
    {                                                                                              \
        return prefix##_try_send((prefix##_tx *)tx, message);                                      \
    }                                                                                              \
    static ptrdiff_t try_recv_##prefix(void *rx, void *message)                                    \
    {                                                                                              \
        return prefix##_try_recv((prefix##_rx *)rx, message);                                      \
    }                                                                                              \
    static ptrdiff_t send_##prefix(void *tx, void *message)                                        \
    {                                                                                              \
        return prefix##_send((prefix##_tx *)tx, message);                                          \
    }                                                                                              \
    static ptrdiff_t recv_##prefix(void *rx, void *message)                                        \
    {                                                                                              \
        return prefix##_recv((prefix##_rx *)rx, message);                                          \
    }                                                                                              \
    static ptrdiff_t claim_##prefix(void *tx, void *message)                                       \
    {                                                                                              \
        type *place;                                                                               \
        int err = prefix##_try_claim((prefix##_tx *)tx, &place);                                   \
        if (err < 0)                                                                               \
            return err;                                                                            \
        *(uint64_t *)(void *)place = *(uint64_t *)message;                                         \
        return prefix##_commit((prefix##_tx *)tx);                                                 \
    }                                                                                              \
    static ptrdiff_t peek_##prefix(void *rx, void *message)                                        \
    {                                                                                              \
        const type *shown;                                                                         \
        int err = prefix##_try_peek((prefix##_rx *)rx, &shown);                                    \
        if (err < 0)                                                                               \
            return err;                                                                            \
        *(uint64_t *)message = *(const uint64_t *)(const void *)shown;                             \
        return prefix##_release((prefix##_rx *)rx);                                                \
    }                                                                                              \
    static ptrdiff_t try_send_n_##prefix(void *tx, void *messages)                                 \
    {                                                                                              \
        return prefix##_try_send_n((prefix##_tx *)tx, messages, batch);                            \
    }                                                                                              \
    static ptrdiff_t try_recv_n_##prefix(void *rx, void *messages)                                 \
    {                                                                                              \
        return prefix##_try_recv_n((prefix##_rx *)rx, messages, batch);                            \
    }                                                                                              \
    static const struct pair prefix##_pairs[] = {                                                  \
        {{"try_send", try_send_##prefix, 0}, {"try_recv", try_recv_##prefix, 0}},                  \
        {{"send", send_##prefix, 0}, {"recv", recv_##prefix, 0}},                                  \
        {{"try_claim+commit", claim_##prefix, 0}, {"try_peek+release", peek_##prefix, 0}},         \
        {{"try_send_n", try_send_n_##prefix, batch}, {"try_recv_n", try_recv_n_##prefix, batch}},  \
    };

struct message8 {
    uint64_t word[1];
};
struct message24 {
    uint64_t word[3];
};
struct message56 {
    uint64_t word[7];
};
struct message64 {
    uint64_t word[8];
};
struct message248 {
    uint64_t word[31];
};

RBX_RING_TYPE(spsc8, struct message8, SPSC)
RBX_RING_TYPE(spsc24, struct message24, SPSC)
RBX_RING_TYPE(spsc56, struct message56, SPSC)
RBX_RING_TYPE(spsc64, struct message64, SPSC)
RBX_RING_TYPE(spsc248, struct message248, SPSC)
RBX_RING_TYPE(mpmc8, struct message8, MPMC)
RBX_RING_TYPE(mpmc24, struct message24, MPMC)
RBX_RING_TYPE(mpmc56, struct message56, MPMC)
RBX_RING_TYPE(locked8, struct message8, LOCKED)
RBX_RING_TYPE(locked24, struct message24, LOCKED)
RBX_RING_TYPE(locked56, struct message56, LOCKED)

CALLS(spsc8, struct message8)
CALLS(spsc24, struct message24)
CALLS(spsc56, struct message56)
CALLS(spsc64, struct message64)
CALLS(spsc248, struct message248)
CALLS(mpmc8, struct message8)
CALLS(mpmc24, struct message24)
CALLS(mpmc56, struct message56)
CALLS(locked8, struct message8)
CALLS(locked24, struct message24)
CALLS(locked56, struct message56)
CALLS(rbx, void)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATH(named, prefix, size, of, with)                                                        \
    {                                                                                              \
        {named, prefix##_pairs, COUNT(prefix##_pairs)},                                            \
        {                                                                                          \
            .kind = of, .flags = with, .message_size = size, .capacity = 256                       \
        }                                                                                          \
    }

const struct ring_path ring_paths[] = {
    PATH("spsc/8", spsc8, 8, RBX_SPSC, 0),
    PATH("spsc/24", spsc24, 24, RBX_SPSC, 0),
    PATH("spsc/56", spsc56, 56, RBX_SPSC, 0),
    PATH("spsc/64", spsc64, 64, RBX_SPSC, 0),
    PATH("spsc/248", spsc248, 248, RBX_SPSC, 0),
    PATH("spsc/untyped/8", rbx, 8, RBX_SPSC, 0),
    PATH("spsc/untyped/24", rbx, 24, RBX_SPSC, 0),
    PATH("spsc/untyped/56", rbx, 56, RBX_SPSC, 0),
    PATH("spsc/untyped/248", rbx, 248, RBX_SPSC, 0),
    PATH("mpmc/8", mpmc8, 8, RBX_MPMC, 0),
    PATH("mpmc/24", mpmc24, 24, RBX_MPMC, 0),
    PATH("mpmc/56", mpmc56, 56, RBX_MPMC, 0),
    PATH("mpmc/untyped/8", rbx, 8, RBX_MPMC, 0),
    PATH("mpmc/untyped/24", rbx, 24, RBX_MPMC, 0),
    PATH("mpmc/untyped/56", rbx, 56, RBX_MPMC, 0),
    PATH("strict/8", mpmc8, 8, RBX_MPMC, RBX_STRICT),
    PATH("strict/24", mpmc24, 24, RBX_MPMC, RBX_STRICT),
    PATH("strict/56", mpmc56, 56, RBX_MPMC, RBX_STRICT),
    PATH("locked/8", locked8, 8, RBX_LOCKED, 0),
    PATH("locked/24", locked24, 24, RBX_LOCKED, 0),
    PATH("locked/56", locked56, 56, RBX_LOCKED, 0),
    PATH("locked/untyped/24", rbx, 24, RBX_LOCKED, 0),
};
const size_t ring_path_count = COUNT(ring_paths);
