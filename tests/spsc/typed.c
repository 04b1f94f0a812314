/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rings of one type. */
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pair.h"

struct three {
    uint8_t bytes[3];
};

struct tick {
    uint64_t id;
    double price;
};

struct on16 {
    alignas(16) uint8_t bytes[16];
};

struct on32 {
    alignas(32) uint32_t word;
    uint8_t more[37];
};

struct on64 {
    alignas(64) uint8_t bytes[64];
};

struct large {
    uint16_t words[2501];
};

RBX_RING_TYPE(chars, char, SPSC)
RBX_RING_TYPE(threes, struct three, SPSC)
RBX_RING_TYPE(ticks, struct tick, SPSC)
RBX_RING_TYPE(on16s, struct on16, SPSC)
RBX_RING_TYPE(on32s, struct on32, SPSC)
RBX_RING_TYPE(on64s, struct on64, SPSC)
RBX_RING_TYPE(larges, struct large, SPSC)

TestSuite(typed, .timeout = 60);

/* Every call of one type of ring; message numbers count up. */
#define CALL_EVERYTHING(name, type)                                                                \
    do {                                                                                           \
        rbx_ring *ring;                                                                            \
        name##_tx tx;                                                                              \
        name##_rx rx;                                                                              \
        type out[4], in[4], *place;                                                                \
        const type *shown;                                                                         \
        const size_t size = sizeof(type);                                                          \
        const rbx_ring_options options = {.capacity = 9};                                          \
        succeeds(name##_open(&ring, NULL, &options));                                              \
        succeeds(name##_tx_open(&tx, ring));                                                       \
        succeeds(name##_rx_open(&rx, ring));                                                       \
        rbx_ring_info info = described(ring);                                                      \
        cr_assert_eq(info.message_size, size);                                                     \
        cr_assert_eq(info.alignment, alignof(type));                                               \
        cr_assert_eq(name##_try_recv(&rx, in), -EAGAIN);                                           \
        cr_assert_eq(name##_try_recv_n(&rx, in, 4), -EAGAIN);                                      \
        cr_assert_eq(name##_try_peek(&rx, &shown), -EAGAIN);                                       \
        cr_assert_eq(name##_recv_for(&rx, in, 0), -ETIMEDOUT);                                     \
        cr_assert_eq(name##_recv_n_for(&rx, in, 1, 0), -ETIMEDOUT);                                \
        cr_assert_eq(name##_peek_for(&rx, &shown, 0), -ETIMEDOUT);                                 \
        cr_assert_eq(name##_peek_n_for(&rx, &shown, 2, 0), -ETIMEDOUT);                            \
        for (uint64_t lap = 0, number = 0; lap < 200; lap++, number += 4) {                        \
            for (size_t i = 0; i < 4; i++)                                                         \
                put_number(&out[i], size, number + i);                                             \
            if (lap % 4 == 0) {                                                                    \
                cr_assert_eq(name##_try_send(&tx, out), 0);                                        \
                cr_assert_eq(name##_send(&tx, out + 1), 0);                                        \
                cr_assert_eq(name##_send_for(&tx, out + 2, 0), 0);                                 \
                cr_assert_eq(name##_send_n(&tx, out + 3, 1), 1);                                   \
            } else if (lap % 4 == 1) {                                                             \
                cr_assert_eq(name##_try_send_n(&tx, out, 4), 4);                                   \
            } else if (lap % 4 == 2) {                                                             \
                cr_assert_eq(name##_send_n_for(&tx, out, 2, 0), 2);                                \
                cr_assert_eq(name##_claim(&tx, &place), 0);                                        \
                *place = out[2];                                                                   \
                cr_assert_eq(name##_commit(&tx), 0);                                               \
                cr_assert_eq(name##_claim_for(&tx, &place, 0), 0);                                 \
                cr_assert_eq((uintptr_t)place % alignof(type), 0);                                 \
                *place = out[3];                                                                   \
                cr_assert_eq(name##_commit(&tx), 0);                                               \
            } else {                                                                               \
                for (size_t i = 0; i < 4; i++) {                                                   \
                    cr_assert_eq(name##_try_claim(&tx, &place), 0);                                \
                    cr_assert_eq(name##_abort(&tx), 0);                                            \
                    cr_assert_eq(name##_send(&tx, out + i), 0);                                    \
                }                                                                                  \
            }                                                                                      \
            if (lap % 3 == 0) {                                                                    \
                cr_assert_eq(name##_try_recv(&rx, in), 0);                                         \
                cr_assert_eq(name##_recv(&rx, in + 1), 0);                                         \
                cr_assert_eq(name##_recv_for(&rx, in + 2, 0), 0);                                  \
                cr_assert_eq(name##_recv_n(&rx, in + 3, 1), 1);                                    \
            } else if (lap % 3 == 1) {                                                             \
                cr_assert_eq(name##_try_recv_n(&rx, in, 4), 4);                                    \
            } else {                                                                               \
                cr_assert_eq(name##_try_peek(&rx, &shown), 0);                                     \
                cr_assert_eq((uintptr_t)shown % alignof(type), 0);                                 \
                in[0] = *shown;                                                                    \
                cr_assert_eq(name##_release(&rx), 0);                                              \
                cr_assert_eq(name##_peek(&rx, &shown), 0);                                         \
                in[1] = *shown;                                                                    \
                cr_assert_eq(name##_release_n(&rx, 1), 0);                                         \
                cr_assert_eq(name##_try_peek_n(&rx, &shown, 1), 1);                                \
                in[2] = *shown;                                                                    \
                cr_assert_eq(name##_release(&rx), 0);                                              \
                cr_assert_eq(name##_peek_n(&rx, &shown, 5), 1);                                    \
                in[3] = *shown;                                                                    \
                cr_assert_eq(name##_release(&rx), 0);                                              \
            }                                                                                      \
            for (size_t i = 0; i < 4; i++)                                                         \
                cr_assert(has_number(&in[i], size, number + i));                                   \
        }                                                                                          \
        name##_tx_close(&tx);                                                                      \
        cr_assert_eq(name##_try_send(&tx, out), -EINVAL);                                          \
        name##_rx_close(&rx);                                                                      \
        cr_assert_eq(name##_try_recv(&rx, in), -EINVAL);                                           \
        succeeds(rbx_ring_close(ring));                                                            \
    } while (0)

Test(typed, a_single_byte)
{
    CALL_EVERYTHING(chars, char);
}

Test(typed, three_bytes)
{
    CALL_EVERYTHING(threes, struct three);
}

Test(typed, sixteen_bytes)
{
    CALL_EVERYTHING(ticks, struct tick);
}

Test(typed, aligned_to_16_bytes)
{
    CALL_EVERYTHING(on16s, struct on16);
}

Test(typed, aligned_to_32_bytes)
{
    CALL_EVERYTHING(on32s, struct on32);
}

Test(typed, aligned_to_64_bytes)
{
    CALL_EVERYTHING(on64s, struct on64);
}

Test(typed, larger_than_a_page)
{
    CALL_EVERYTHING(larges, struct large);
}

Test(typed, endpoints_of_a_type_refuse_a_ring_of_another_size_or_alignment)
{
    const rbx_ring_options others[] = {{.message_size = 8, .capacity = 9},
                                       {.message_size = 17, .capacity = 9},
                                       {.message_size = 16, .alignment = 64, .capacity = 9}};
    for (size_t i = 0; i < 3; i++) {
        rbx_ring *ring;
        ticks_tx tx;
        ticks_rx rx;
        struct tick tick = {0};
        succeeds(rbx_ring_open(&ring, NULL, &others[i]));
        refuses(-EPROTO, "built for kind SPSC, 16 bytes", ticks_tx_open(&tx, ring));
        refuses(-EPROTO, "built for kind SPSC, 16 bytes", ticks_rx_open(&rx, ring));
        refuses(-EINVAL, "closed", ticks_try_send(&tx, &tick));
        refuses(-EINVAL, "closed", ticks_try_recv(&rx, &tick));
        succeeds(rbx_ring_close(ring));
    }
}

Test(typed, options_that_contradict_the_type_are_refused)
{
    rbx_ring *ring;
    const rbx_ring_options wrong[] = {{.kind = RBX_LOCKED, .capacity = 9},
                                      {.message_size = sizeof(struct tick) + 1, .capacity = 9},
                                      {.alignment = 64, .capacity = 9}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuses(-EINVAL, "leave them 0", ticks_open(&ring, NULL, &wrong[i]));
    const rbx_ring_options right = {
        .message_size = sizeof(struct tick), .alignment = alignof(struct tick), .capacity = 9};
    succeeds(ticks_open(&ring, NULL, &right));
    succeeds(rbx_ring_close(ring));
}

Test(typed, a_ring_that_was_made_without_the_type_will_do)
{
    const rbx_ring_options options = {.message_size = 16, .capacity = 9};
    rbx_ring *ring;
    ticks_tx tx;
    rbx_rx rx;
    struct tick in = {.id = 7, .price = 99.5}, out;
    succeeds(rbx_ring_open(&ring, NULL, &options));
    succeeds(ticks_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    cr_assert_eq(ticks_send(&tx, &in), 0);
    cr_assert_eq(rbx_recv(&rx, &out), 0);
    cr_assert(out.id == 7 && out.price == 99.5);
    ticks_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

Test(typed, opening_by_name_refuses_a_ring_of_another_type)
{
    const char *name = own_name("typed");
    const rbx_ring_options options = {.capacity = 9};
    rbx_ring *ring, *other = NULL;
    succeeds(ticks_open(&ring, name, &options));
    refuses(-EPROTO, "holds 16-byte messages; this program asked for 3",
            threes_open(&other, name, &options));
    cr_assert_null(other);
    char sentence[80];
    snprintf(sentence, sizeof sentence,
             "aligns its messages to %zu bytes; this program asked for 16", alignof(struct tick));
    refuses(-EPROTO, sentence, on16s_open(&other, name, &options));
    succeeds(ticks_open(&other, name, &options));
    succeeds(rbx_ring_close(other));
    refuses(-EPROTO, "holds 16-byte messages; this program asked for 3",
            threes_open(&other, name, NULL));
    succeeds(ticks_open(&other, name, NULL));
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(ring));
}
