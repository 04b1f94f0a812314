/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frame numbers where integers end, and words that a peer has spoilt. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/chance.h"
#include "pair.h"

TestSuite(positions, .timeout = 120);

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    return next_random(&random_state) % limit;
}

struct tally {
    uint64_t sent, received;
};

static void send_somehow(struct pair *pair, struct tally *tally)
{
    static char messages[8 * 5000];
    size_t size = pair->shape.frame.message_size, n = random_below(8) + 1;
    void *place;
    ptrdiff_t sent = 0;
    for (size_t i = 0; i < n; i++)
        put_number(messages + i * size, size, tally->sent + i);
    switch (random_below(4)) {
    case 0:
        sent = rbx_try_send_n(&pair->tx, messages, n);
        break;
    case 1:
        sent = rbx_try_claim(&pair->tx, &place);
        if (sent == 0) {
            memcpy(place, messages, size);
            succeeds(rbx_commit(&pair->tx));
            sent = 1;
        }
        break;
    case 2:
        if (random_below(8) == 0) {
            rbx_try_claim(&pair->tx, &place);
            rbx_tx_close(&pair->tx);
            succeeds(rbx_tx_open(&pair->tx, pair->ring));
        }
        break;
    default:
        sent = rbx_try_send(&pair->tx, messages) == 0 ? 1 : -EAGAIN;
    }
    cr_assert(sent >= 0 || sent == -EAGAIN);
    tally->sent += sent > 0 ? (uint64_t)sent : 0;
}

static void recv_somehow(struct pair *pair, struct tally *tally)
{
    static char messages[8 * 5000];
    size_t size = pair->shape.frame.message_size, n = random_below(8) + 1;
    const char *at = messages;
    const void *shown;
    size_t stride = size;
    ptrdiff_t received = 0;
    switch (random_below(4)) {
    case 0:
        received = rbx_try_recv_n(&pair->rx, messages, n);
        break;
    case 1:
        received = rbx_try_peek_n(&pair->rx, &shown, n);
        at = shown;
        stride = rbx_stride(&pair->rx);
        break;
    case 2:
        if (random_below(8) == 0) {
            rbx_try_peek(&pair->rx, &shown);
            rbx_rx_close(&pair->rx);
            succeeds(rbx_rx_open(&pair->rx, pair->ring));
        }
        break;
    default:
        received = rbx_try_recv(&pair->rx, messages) == 0 ? 1 : -EAGAIN;
    }
    cr_assert(received >= 0 || received == -EAGAIN);
    for (ptrdiff_t i = 0; i < received; i++)
        cr_assert(has_number(at + (size_t)i * stride, size, tally->received++));
    if (at != messages && received > 0)
        succeeds(rbx_release(&pair->rx));
}

/* From `first_frame` until frame `last` is begun. */
static void cross(size_t size, size_t capacity, uint64_t first_frame, uint64_t last)
{
    struct pair pair;
    struct tally tally = {0};
    const rbx_ring_options options = {.message_size = size, .capacity = capacity};
    pair_open_at(&pair, &options, first_frame);
    while (pair.tx.spsc.at >> 8 < last) {
        send_somehow(&pair, &tally);
        recv_somehow(&pair, &tally);
        cr_assert_leq(tally.sent - tally.received, pair_most(&pair));
        rbx_ring_info info = described(pair.ring);
        cr_assert_eq(info.sent, tally.sent);
        cr_assert_eq(info.received, tally.received);
    }
    while (tally.received < tally.sent)
        recv_somehow(&pair, &tally);
    cr_assert_eq(rbx_try_recv(&pair.rx, (char[5000]){0}), -EAGAIN);
    pair_close(&pair);
}

Test(positions, frames_are_numbered_across_the_ends_of_integers)
{
    /* A position is a frame number times 256. */
    const unsigned borders[] = {23, 24, 31, 32, 55};
    const size_t sizes[] = {1, 8, 24, 56, 64, 5000};
    for (size_t border = 0; border < sizeof borders / sizeof *borders; border++)
        for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++)
            for (size_t capacity = 1; capacity <= 21; capacity += 4)
                for (uint64_t before = 0; before < 6; before++) {
                    uint64_t number = (uint64_t)1 << borders[border];
                    cross(sizes[size], capacity, number - before, number + 4);
                }
}

Test(positions, frames_are_numbered_nearly_as_far_as_a_position_can_say)
{
    const uint64_t largest = UINT64_MAX >> 8;
    const size_t sizes[] = {1, 8, 56, 5000};
    for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++)
        for (size_t capacity = 1; capacity <= 21; capacity += 4)
            cross(sizes[size], capacity, largest - 40, largest - 8); /* eight at a time */
}

/* --- Words that a peer can write --- */

/* Uses the ring for a while. What it answers hardly matters, as long as it does, and stays inside
   the memory, which the allocator and the address sanitizer watch. */
static void use(struct pair *pair)
{
    enum { ROUNDS = 3, A_RINGFUL = 60 };
    char message[256];
    void *place;
    const void *shown;
    ptrdiff_t answer = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < A_RINGFUL && answer >= 0; i++)
            answer = rbx_try_send(&pair->tx, message);
        cr_assert(answer == 0 || answer == -EAGAIN || answer == -EPROTO || answer == -EPIPE,
                  "send: %td", answer);
        answer = rbx_try_claim(&pair->tx, &place);
        if (answer == 0) {
            memset(place, 1, pair->shape.frame.message_size);
            answer = rbx_commit(&pair->tx);
        }
        cr_assert(answer == 0 || answer == -EAGAIN || answer == -EPROTO || answer == -EPIPE);
        answer = 0;
        for (int i = 0; i < A_RINGFUL && answer >= 0; i++)
            answer = rbx_try_recv(&pair->rx, message);
        cr_assert(answer == 0 || answer == -EAGAIN || answer == -EPROTO || answer == -EPIPE,
                  "recv: %td", answer);
        answer = rbx_try_peek_n(&pair->rx, &shown, 99);
        if (answer > 0) {
            char sum = 0;
            for (size_t i = 0; i < (size_t)answer * pair->shape.frame.stride; i++)
                sum = (char)(sum + ((const char *)shown)[i]);
            memset(message, sum, sizeof message);
            succeeds(rbx_release(&pair->rx));
        }
        answer = rbx_recv_for(&pair->rx, message, 1000);
        answer = rbx_send_for(&pair->tx, message, 1000);
        answer = 0;
        rbx_ring_info info = described(pair->ring);
        cr_assert_eq(info.capacity, pair->shape.capacity);
        if (round == 1) {
            rbx_tx_close(&pair->tx);
            rbx_rx_close(&pair->rx);
            int err = rbx_tx_open(&pair->tx, pair->ring);
            cr_assert(err == 0 || err == -EPROTO || err == -EPIPE);
            err = rbx_rx_open(&pair->rx, pair->ring);
            cr_assert(err == 0 || err == -EPROTO || err == -EPIPE);
            if (pair->tx.hold == RBX_HOLD_CLOSED || pair->rx.hold == RBX_HOLD_CLOSED)
                return;
        }
    }
}

/* A ring with `fill` messages waiting after as many as `passed` went through. */
static void ring_in_use(struct pair *pair, size_t size, int passed, int fill)
{
    char message[256] = {0};
    pair_open(pair, size, 9);
    for (int i = 0; i < passed; i++) {
        cr_assert_eq(rbx_try_send(&pair->tx, message), 0);
        cr_assert_eq(rbx_try_recv(&pair->rx, message), 0);
    }
    for (int i = 0; i < fill; i++)
        rbx_try_send(&pair->tx, message);
}

static rbx_atomic64 *word(struct pair *pair, size_t which)
{
    rbx_atomic64 *words[] = {&pair->spsc->freed, &pair->spsc->tx.at, &pair->spsc->rx.at,
                             &pair->spsc->tx.high_water};
    size_t count = sizeof words / sizeof *words;
    if (which < count)
        return words[which];
    which -= count;
    return which < pair->shape.frames ? (void *)((char *)pair->memory + RBX_RING_SEATS_AT +
                                                 which * pair->shape.frame.bytes)
                                      : NULL;
}

static const int64_t nonsense[] = {0,      1,     2,         3,          6,         7,
                                   8,      9,     56,        57,         255,       256,
                                   257,    263,   264,       512,        768,       1024,
                                   4096,   65536, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MAX - 255,
                                   1 << 30};

Test(positions, no_word_of_a_peer_leads_out_of_the_memory)
{
    const size_t sizes[] = {1, 8, 24, 56, 120};
    const int fills[][2] = {{0, 0}, {0, 3}, {5, 99}, {20, 6}, {113, 8}};
    struct pair pair;
    for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++)
        for (size_t fill = 0; fill < sizeof fills / sizeof *fills; fill++)
            for (size_t which = 0, last = 0; !last; which++)
                for (size_t i = 0; !last && i < 4 * sizeof nonsense / sizeof *nonsense; i++) {
                    ring_in_use(&pair, sizes[size], fills[fill][0], fills[fill][1]);
                    rbx_atomic64 *at = word(&pair, which);
                    uint64_t value = (uint64_t)nonsense[i / 4], was = at ? rbx_load_relaxed(at) : 0;
                    last = at == NULL;
                    if (at)
                        rbx_store_relaxed(at, i % 4 == 0   ? value
                                              : i % 4 == 1 ? ~value
                                              : i % 4 == 2 ? was + value
                                                           : was - value);
                    use(&pair);
                    pair_close(&pair);
                }
}

Test(positions, no_bits_of_a_bell_do_harm)
{
    struct pair pair;
    for (uint32_t bits = 0; bits < 128; bits++)
        for (int both = 0; both < 4; both++) {
            ring_in_use(&pair, 8, 5, both * 7);
            uint32_t value = bits & 64 ? ~bits : bits;
            if (both != 1)
                rbx_store_relaxed(&pair.spsc->message.bits, value);
            if (both != 2)
                rbx_store_relaxed(&pair.spsc->room.bits, value);
            use(&pair);
            pair_close(&pair);
        }
}

Test(positions, a_receiver_says_what_is_damaged)
{
    struct pair pair;
    uint64_t got;
    pair_open(&pair, 8, 9);
    rbx_atomic64 *header = word(&pair, 4);
    const uint64_t wrong[] = {8, 255, 256, 257, (uint64_t)1 << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rbx_store_relaxed(header, wrong[i]);
        refuses(-EPROTO, "shared state", rbx_try_recv(&pair.rx, &got));
        refuses(-EPROTO, "shared state", rbx_recv(&pair.rx, &got));
    }
    rbx_store_relaxed(header, 7);
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), 0);
    rbx_rx_close(&pair.rx);
    const uint64_t nowhere[] = {8, 255, (uint64_t)5 << 8, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        rbx_store_relaxed(&pair.spsc->rx.at, nowhere[i]);
        refuses(-EPROTO, "shared state", rbx_rx_open(&pair.rx, pair.ring));
    }
    rbx_store_relaxed(&pair.spsc->rx.at, 1);
    succeeds(rbx_rx_open(&pair.rx, pair.ring));
    pair_close(&pair);
}

Test(positions, a_sender_says_what_is_damaged)
{
    struct pair pair;
    uint64_t number = 0;
    pair_open(&pair, 8, 9);
    while (rbx_try_send(&pair.tx, &number) == 0)
        ;
    const uint64_t wrong[] = {4, 1000, (uint64_t)1 << 56, UINT64_MAX, UINT64_MAX - 3};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rbx_store_relaxed(&pair.spsc->freed, wrong[i]);
        refuses(-EPROTO, "shared state", rbx_try_send(&pair.tx, &number));
        refuses(-EPROTO, "shared state", rbx_send(&pair.tx, &number));
    }
    rbx_store_relaxed(&pair.spsc->freed, 0);
    cr_assert_eq(rbx_try_send(&pair.tx, &number), -EAGAIN);
    rbx_tx_close(&pair.tx);
    const uint64_t nowhere[] = {(uint64_t)3 << 8, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        rbx_store_relaxed(&pair.spsc->tx.at, nowhere[i]);
        refuses(-EPROTO, "shared state", rbx_tx_open(&pair.tx, pair.ring));
    }
    rbx_store_relaxed(&pair.spsc->tx.at, 2 << 8);
    rbx_store_relaxed(word(&pair, 6), 2 << 8 | 8);
    refuses(-EPROTO, "shared state", rbx_tx_open(&pair.tx, pair.ring));
    rbx_store_relaxed(word(&pair, 6), 2 << 8 | 7);
    succeeds(rbx_tx_open(&pair.tx, pair.ring));
    cr_assert_eq(rbx_try_send(&pair.tx, &number), -EAGAIN);
    pair_close(&pair);
}
