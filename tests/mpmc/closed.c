/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Endpoints of rings of many that are not open, or not of this ring's type; and typed calls. */
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "many.h"

SUITES(closed, 60);
TestSuite(typed, .timeout = 60);

struct tick {
    uint64_t id;
    double price;
};

struct three {
    uint8_t bytes[3];
};

struct on64 {
    alignas(64) uint8_t bytes[64];
};

struct large {
    uint16_t words[2501];
};

RBX_RING_TYPE(ticks, struct tick, MPMC)
RBX_RING_TYPE(threes, struct three, MPMC)
RBX_RING_TYPE(on64s, struct on64, MPMC)
RBX_RING_TYPE(larges, struct large, MPMC)
RBX_RING_TYPE(locked_ticks, struct tick, LOCKED)
RBX_RING_TYPE(locked_threes, struct three, LOCKED)
RBX_RING_TYPE(locked_on64s, struct on64, LOCKED)
RBX_RING_TYPE(locked_larges, struct large, LOCKED)
RBX_RING_TYPE(spsc_ticks, struct tick, SPSC)

/* Every call of an endpoint that is not open: with the prefix `p`, of endpoints `tx` and `rx`. */
#define REFUSE_EVERYTHING(p, type, any, tx, rx)                                                    \
    do {                                                                                           \
        type message[2];                                                                           \
        any *place;                                                                                \
        const any *shown;                                                                          \
        const rbx_wait_options wait = {0};                                                         \
        refuses(-EINVAL, "sender is closed", p##_try_send(tx, message));                           \
        refuses(-EINVAL, "sender is closed", p##_send(tx, message));                               \
        refuses(-EINVAL, "sender is closed", p##_send_for(tx, message, 1));                        \
        refuses(-EINVAL, "sender is closed", (int)p##_try_send_n(tx, message, 2));                 \
        refuses(-EINVAL, "sender is closed", (int)p##_send_n(tx, message, 2));                     \
        refuses(-EINVAL, "sender is closed", (int)p##_send_n_for(tx, message, 2, 1));              \
        refuses(-EINVAL, "sender is closed", p##_try_claim(tx, &place));                           \
        refuses(-EINVAL, "sender is closed", p##_claim(tx, &place));                               \
        refuses(-EINVAL, "sender is closed", p##_claim_for(tx, &place, 1));                        \
        cr_assert_null(place);                                                                     \
        refuses(-EINVAL, "sender is closed", p##_commit(tx));                                      \
        refuses(-EINVAL, "sender is closed", p##_abort(tx));                                       \
        refuses(-EINVAL, "sender is closed", p##_tx_wait_by(tx, &wait));                           \
        p##_tx_close(tx);                                                                          \
        refuses(-EINVAL, "receiver is closed", p##_try_recv(rx, message));                         \
        refuses(-EINVAL, "receiver is closed", p##_recv(rx, message));                             \
        refuses(-EINVAL, "receiver is closed", p##_recv_for(rx, message, 1));                      \
        refuses(-EINVAL, "receiver is closed", (int)p##_try_recv_n(rx, message, 2));               \
        refuses(-EINVAL, "receiver is closed", (int)p##_recv_n(rx, message, 2));                   \
        refuses(-EINVAL, "receiver is closed", (int)p##_recv_n_for(rx, message, 2, 1));            \
        refuses(-EINVAL, "receiver is closed", p##_try_peek(rx, &shown));                          \
        refuses(-EINVAL, "receiver is closed", p##_peek(rx, &shown));                              \
        refuses(-EINVAL, "receiver is closed", p##_peek_for(rx, &shown, 1));                       \
        refuses(-EINVAL, "receiver is closed", (int)p##_try_peek_n(rx, &shown, 2));                \
        refuses(-EINVAL, "receiver is closed", (int)p##_peek_n(rx, &shown, 2));                    \
        refuses(-EINVAL, "receiver is closed", (int)p##_peek_n_for(rx, &shown, 2, 1));             \
        cr_assert_null(shown);                                                                     \
        refuses(-EINVAL, "receiver is closed", p##_release(rx));                                   \
        refuses(-EINVAL, "receiver is closed", p##_release_n(rx, 0));                              \
        refuses(-EINVAL, "receiver is closed", p##_release_n(rx, 1));                              \
        refuses(-EINVAL, "receiver is closed", p##_rx_wait_by(rx, &wait));                         \
        p##_rx_close(rx);                                                                          \
    } while (0)

static void refuse_untyped(rbx_tx *tx, rbx_rx *rx)
{
    REFUSE_EVERYTHING(rbx, uint64_t, void, tx, rx);
}

static void refuse_ticks(ticks_tx *tx, ticks_rx *rx)
{
    REFUSE_EVERYTHING(ticks, struct tick, struct tick, tx, rx);
}

static void refuse_locked_ticks(locked_ticks_tx *tx, locked_ticks_rx *rx)
{
    REFUSE_EVERYTHING(locked_ticks, struct tick, struct tick, tx, rx);
}

Test(typed, endpoints_that_were_never_opened_refuse_everything)
{
    static ticks_tx tx;
    static ticks_rx rx;
    static locked_ticks_tx locked_tx;
    static locked_ticks_rx locked_rx;
    refuse_ticks(&tx, &rx);
    refuse_locked_ticks(&locked_tx, &locked_rx);
}

EACH(closed, closed_endpoints_refuse_everything)
{
    for (int held = 0; held < 2; held++) {
        struct pair pair;
        void *place;
        const void *shown;
        pair_of(&pair, v, 8, 8);
        send_numbers(&pair.tx, 0, 5);
        recv_numbers(&pair.rx, 0, 2);
        if (held) {
            cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
            if (is_locked(v))
                rbx_tx_close(&pair.tx);
            cr_assert_eq(rbx_try_peek(&pair.rx, &shown), 0);
        }
        rbx_tx_close(&pair.tx);
        rbx_rx_close(&pair.rx);
        refuse_untyped(&pair.tx, &pair.rx);
        pair_close(&pair);
    }
}

Test(typed, closed_endpoints_refuse_everything_of_their_type)
{
    const struct tick tick = {.id = 1};
    struct tick got;
    rbx_ring *ring;
    ticks_tx tx;
    ticks_rx rx;
    locked_ticks_tx locked_tx;
    locked_ticks_rx locked_rx;
    succeeds(ticks_open(&ring, NULL, &(rbx_ring_options){.capacity = 4}));
    succeeds(ticks_tx_open(&tx, ring));
    succeeds(ticks_rx_open(&rx, ring));
    cr_assert_eq(ticks_send(&tx, &tick), 0);
    cr_assert_eq(ticks_recv(&rx, &got), 0);
    ticks_tx_close(&tx);
    ticks_rx_close(&rx);
    refuse_ticks(&tx, &rx);
    succeeds(rbx_ring_close(ring));
    succeeds(locked_ticks_open(&ring, NULL, &(rbx_ring_options){.capacity = 4}));
    succeeds(locked_ticks_tx_open(&locked_tx, ring));
    succeeds(locked_ticks_rx_open(&locked_rx, ring));
    cr_assert_eq(locked_ticks_send(&locked_tx, &tick), 0);
    cr_assert_eq(locked_ticks_recv(&locked_rx, &got), 0);
    locked_ticks_tx_close(&locked_tx);
    locked_ticks_rx_close(&locked_rx);
    refuse_locked_ticks(&locked_tx, &locked_rx);
    succeeds(rbx_ring_close(ring));
}

EACH(closed, an_endpoint_that_could_not_be_opened_is_closed)
{
    rbx_ring_options options = options_for(v, 8, 4);
    options.senders = options.receivers = 1;
    struct pair pair;
    rbx_tx tx;
    rbx_rx rx;
    memset(&tx, 0xff, sizeof tx);
    memset(&rx, 0xff, sizeof rx);
    many_open_at(&pair, &options, 0);
    refuses(-EBUSY, "living sender", rbx_tx_open(&tx, pair.ring));
    refuses(-EBUSY, "living receiver", rbx_rx_open(&rx, pair.ring));
    refuse_untyped(&tx, &rx);
    send_numbers(&pair.tx, 0, 1);
    recv_numbers(&pair.rx, 0, 1);
    pair_close(&pair);
}

EACH(closed, a_ring_with_open_endpoints_is_not_closed)
{
    struct pair pair;
    rbx_tx other;
    pair_of(&pair, v, 8, 4);
    succeeds(rbx_tx_open(&other, pair.ring));
    refuses(-EBUSY, "open endpoint", rbx_ring_close(pair.ring));
    rbx_tx_close(&pair.tx);
    refuses(-EBUSY, "open endpoint", rbx_ring_close(pair.ring));
    rbx_rx_close(&pair.rx);
    refuses(-EBUSY, "open endpoint", rbx_ring_close(pair.ring));
    send_numbers(&other, 0, 1);
    rbx_tx_close(&other);
    pair_close(&pair);
}

/* --- Types --- */

Test(typed, endpoints_of_a_type_refuse_a_ring_of_another_kind_size_or_framing)
{
    const rbx_ring_options others[] = {
        {.kind = RBX_SPSC, .message_size = 16, .capacity = 9},
        {.kind = RBX_LOCKED, .message_size = 16, .capacity = 9},
        {.kind = RBX_MPMC, .message_size = 17, .capacity = 9},
        {.kind = RBX_MPMC, .message_size = 8, .capacity = 9},
        {.kind = RBX_MPMC, .message_size = 16, .alignment = 64, .capacity = 9}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        rbx_ring *ring;
        ticks_tx tx;
        ticks_rx rx;
        spsc_ticks_tx spsc_tx;
        locked_ticks_rx locked_rx;
        succeeds(rbx_ring_open(&ring, NULL, &others[i]));
        refuses(-EPROTO, "built for kind MPMC, 16 bytes", ticks_tx_open(&tx, ring));
        refuses(-EPROTO, "built for kind MPMC, 16 bytes", ticks_rx_open(&rx, ring));
        refuse_ticks(&tx, &rx);
        if (others[i].kind == RBX_MPMC) {
            refuses(-EPROTO, "built for kind SPSC", spsc_ticks_tx_open(&spsc_tx, ring));
            refuses(-EPROTO, "built for kind LOCKED", locked_ticks_rx_open(&locked_rx, ring));
        }
        succeeds(rbx_ring_close(ring));
    }
}

Test(typed, opening_by_name_refuses_a_ring_of_another_kind_or_type)
{
    const char *name = own_name("typed");
    const rbx_ring_options options = {.capacity = 9};
    rbx_ring *ring, *other = NULL;
    succeeds(ticks_open(&ring, name, &options));
    refuses(-EPROTO, "is of kind MPMC; this program asked for kind SPSC",
            spsc_ticks_open(&other, name, &options));
    refuses(-EPROTO, "is of kind MPMC; this program asked for kind LOCKED",
            locked_ticks_open(&other, name, NULL));
    refuses(-EPROTO, "holds 16-byte messages; this program asked for 3",
            threes_open(&other, name, NULL));
    cr_assert_null(other);
    succeeds(ticks_open(&other, name, NULL));
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(ring));
}

/* Every call of one type of ring; message numbers count up. */
#define CALL_EVERYTHING(p, type, more_flags)                                                       \
    do {                                                                                           \
        rbx_ring *ring;                                                                            \
        p##_tx tx;                                                                                 \
        p##_rx rx;                                                                                 \
        type out[4], in[4], *place;                                                                \
        const type *shown;                                                                         \
        const size_t size = sizeof(type);                                                          \
        const rbx_ring_options options = {.capacity = 9, .flags = more_flags};                     \
        succeeds(p##_open(&ring, NULL, &options));                                                 \
        succeeds(p##_tx_open(&tx, ring));                                                          \
        succeeds(p##_rx_open(&rx, ring));                                                          \
        cr_assert_eq(described(ring).message_size, size);                                          \
        cr_assert_eq(described(ring).alignment, alignof(type));                                    \
        cr_assert_eq(p##_try_recv(&rx, in), -EAGAIN);                                              \
        cr_assert_eq(p##_recv_n_for(&rx, in, 1, 0), -ETIMEDOUT);                                   \
        for (uint64_t lap = 0, number = 0; lap < 200; lap++, number += 4) {                        \
            for (size_t i = 0; i < 4; i++)                                                         \
                put_number(&out[i], size, number + i);                                             \
            if (lap % 3 == 0) {                                                                    \
                cr_assert_eq(p##_try_send(&tx, out), 0);                                           \
                cr_assert_eq(p##_send(&tx, out + 1), 0);                                           \
                cr_assert_eq(p##_send_for(&tx, out + 2, 0), 0);                                    \
                cr_assert_eq(p##_send_n(&tx, out + 3, 1), 1);                                      \
            } else if (lap % 3 == 1) {                                                             \
                cr_assert_eq(p##_try_send_n(&tx, out, 4), 4);                                      \
            } else {                                                                               \
                cr_assert_eq(p##_send_n_for(&tx, out, 2, 0), 2);                                   \
                cr_assert_eq(p##_try_claim(&tx, &place), 0);                                       \
                cr_assert_eq(p##_abort(&tx), 0);                                                   \
                cr_assert_eq(p##_claim(&tx, &place), 0);                                           \
                *place = out[2];                                                                   \
                cr_assert_eq(p##_commit(&tx), 0);                                                  \
                cr_assert_eq(p##_claim_for(&tx, &place, 0), 0);                                    \
                cr_assert_eq((uintptr_t)place % alignof(type), 0);                                 \
                *place = out[3];                                                                   \
                cr_assert_eq(p##_commit(&tx), 0);                                                  \
            }                                                                                      \
            if (lap % 4 == 0) {                                                                    \
                cr_assert_eq(p##_try_recv(&rx, in), 0);                                            \
                cr_assert_eq(p##_recv(&rx, in + 1), 0);                                            \
                cr_assert_eq(p##_recv_for(&rx, in + 2, 0), 0);                                     \
                cr_assert_eq(p##_recv_n(&rx, in + 3, 1), 1);                                       \
            } else if (lap % 4 == 1) {                                                             \
                for (ptrdiff_t n = 0, more; n < 4; n += more) {                                    \
                    more = p##_try_recv_n(&rx, in + n, 4);                                         \
                    cr_assert(more >= 1 && more <= 4 - n, "%td", more);                            \
                }                                                                                  \
            } else {                                                                               \
                cr_assert_eq(p##_try_peek(&rx, &shown), 0);                                        \
                cr_assert_eq((uintptr_t)shown % alignof(type), 0);                                 \
                cr_assert_eq(p##_release_n(&rx, 0), 0);                                            \
                for (int i = 0; i < 4; i++) {                                                      \
                    cr_assert_eq(i == 0   ? p##_peek(&rx, &shown)                                  \
                                 : i == 1 ? p##_peek_for(&rx, &shown, 0)                           \
                                 : i == 2 ? (int)p##_try_peek_n(&rx, &shown, 1) - 1                \
                                          : (int)p##_peek_n(&rx, &shown, 1) - 1,                   \
                                 0);                                                               \
                    in[i] = *shown;                                                                \
                    cr_assert_eq(i % 2 ? p##_release(&rx) : p##_release_n(&rx, 1), 0);             \
                }                                                                                  \
            }                                                                                      \
            for (size_t i = 0; i < 4; i++)                                                         \
                cr_assert(has_number(&in[i], size, number + i));                                   \
        }                                                                                          \
        p##_tx_close(&tx);                                                                         \
        p##_rx_close(&rx);                                                                         \
        succeeds(rbx_ring_close(ring));                                                            \
    } while (0)

Test(typed, every_call_of_a_ring_of_many)
{
    for (unsigned flags = 0; flags <= (RBX_STRICT | RBX_DROP); flags++) {
        CALL_EVERYTHING(ticks, struct tick, flags);
        CALL_EVERYTHING(threes, struct three, flags);
        CALL_EVERYTHING(on64s, struct on64, flags);
        CALL_EVERYTHING(larges, struct large, flags);
    }
}

Test(typed, every_call_of_a_ring_under_a_lock)
{
    CALL_EVERYTHING(locked_ticks, struct tick, 0);
    CALL_EVERYTHING(locked_threes, struct three, 0);
    CALL_EVERYTHING(locked_on64s, struct on64, 0);
    CALL_EVERYTHING(locked_larges, struct large, 0);
}
