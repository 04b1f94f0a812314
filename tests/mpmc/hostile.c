/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Words that a peer has spoilt. Whatever they say, each call returns and stays inside the memory,
 * which the allocator and the address sanitizer watch; all that may come of it is an error, or
 * garbage.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/chance.h"
#include "os/clock.h"
#include "puppet.h"

SUITES(hostile, 280);

#define MS UINT64_C(1000000)

/* A wait that has a time-out ends, whatever state the slot is said to be in. */
BOTH(hostile, no_state_of_a_slot_makes_a_wait_endless)
{
    for (uint64_t state = 0; state < 8; state++)
        for (int lap = -1; lap <= 1; lap++)
            for (int end = 0; end < 2; end++) {
                struct pair pair;
                uint64_t number = 0;
                pair_of(&pair, v, 8, 8);
                send_numbers(&pair.tx, 0, 3);
                recv_numbers(&pair.rx, 0, 3);
                uint64_t position = 3 + (uint64_t)(int64_t)lap * 8;
                rbx_store_relaxed(slot_of(&pair, 3), position << 8 | state);
                int err =
                    end ? rbx_recv_for(&pair.rx, &number, MS) : rbx_send_for(&pair.tx, &number, MS);
                cr_assert(err == 0 || err == -ETIMEDOUT || err == -EPROTO, "%d", err);
                pair_close(&pair);
            }
}

BOTH(hostile, no_low_bits_of_an_index_make_a_wait_endless)
{
    for (uint64_t bits = 0; bits < 256; bits++)
        for (int end = 0; end < 4; end++) {
            struct pair pair;
            uint64_t number = 0;
            pair_of(&pair, v, 8, 8);
            send_numbers(&pair.tx, 0, 3);
            struct rbx_mpmc *mpmc = mpmc_of(&pair);
            rbx_store_relaxed(end & 2 ? &mpmc->head : &mpmc->tail, bits | (end & 2 ? 0 : 3 << 8));
            int err = 0;
            for (int i = 0; i < 20 && err == 0; i++)
                err = end & 1 ? rbx_recv_for(&pair.rx, &number, MS)
                              : rbx_send_for(&pair.tx, &number, MS);
            cr_assert(err == 0 || err == -ETIMEDOUT || err == -EPROTO || err == -EPIPE, "%d", err);
            pair_close(&pair);
        }
}

/* Who moved tail on has seen another word there: so nothing will come, and no end either. */
BOTH(hostile, after_a_shutdown_a_slot_that_tail_has_passed_and_nobody_touched_is_damage)
{
    struct pair pair;
    uint64_t number;
    pair_of(&pair, v, 8, 8);
    succeeds(rbx_ring_shutdown(pair.ring));
    rbx_store_relaxed(&mpmc_of(&pair)->tail, UINT64_C(3) << 8 | RBX_TAIL_CLOSED);
    rbx_store_relaxed(slot_of(&pair, 0), (UINT64_C(0) - 8) << 8 | RBX_SLOT_FULL);
    rbx_any end = {.rx = &pair.rx};
    cr_assert_eq(rbx_wait_any(&end, 1, 0), 1, "one that polls is told, too");
    cr_assert_eq(rbx_rx_arm(&pair.rx), 1);
    cr_assert_eq(rbx_try_recv(&pair.rx, &number), -EPROTO);
    cr_assert_eq(rbx_recv(&pair.rx, &number), -EPROTO);
    pair_close(&pair);
}

/* As every other try would, a thousand times, where slots say to be at places far ahead. */
BOTH(hostile, no_words_of_slots_take_one_try_round_the_ring_again_and_again)
{
    enum { SLOTS = 64, ROUNDS = 4 };
    const uint64_t far = UINT64_C(1) << 40;
    for (uint64_t state = 0; state < 8; state++)
        for (uint64_t tail = 0; tail <= far; tail += far / 2 - SLOTS / 2) {
            struct pair pair;
            uint64_t number = 0;
            pair_of(&pair, v, 8, SLOTS);
            struct rbx_mpmc *mpmc = mpmc_of(&pair);
            for (uint64_t i = 0; i < SLOTS; i++)
                rbx_store_relaxed(slot_of(&pair, i), (far + i) << 8 | state);
            rbx_store_relaxed(&mpmc->tail, tail << 8);
            int err = rbx_try_send(&pair.tx, &number);
            cr_assert(err == 0 || err == -EAGAIN || err == -EPROTO, "%d", err);
            cr_assert_leq((rbx_load_relaxed(&mpmc->tail) >> 8) - tail, ROUNDS * SLOTS);
            cr_assert_leq(rbx_load_relaxed(&mpmc->head) >> 8, ROUNDS * SLOTS);
            pair_close(&pair);
        }
}

/* --- Every word --- */

/* What a call on a spoilt ring may answer. */
static bool is_allowed(ptrdiff_t answer)
{
    return answer >= 0 || answer == -EAGAIN || answer == -EPROTO || answer == -EPIPE ||
           answer == -ETIMEDOUT;
}

#define allowed(call)                                                                              \
    do {                                                                                           \
        ptrdiff_t answered = (call);                                                               \
        cr_assert(is_allowed(answered), "%s: %td", #call, answered);                               \
    } while (0)

/* Uses the ring in all ways; what it answers hardly matters. */
static void use(struct pair *pair, int rounds)
{
    char numbers[20 * 120] = {0};
    void *place;
    const void *shown;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 12; i++)
            allowed(rbx_try_send(&pair->tx, numbers));
        allowed(rbx_try_send_n(&pair->tx, numbers, 20));
        if (rbx_try_claim(&pair->tx, &place) == 0) {
            memset(place, 1, pair->shape.frame.message_size);
            if (round % 2 || rbx_commit(&pair->tx) < 0)
                rbx_abort(&pair->tx);
        }
        for (int i = 0; i < 12; i++)
            allowed(rbx_try_recv(&pair->rx, numbers));
        allowed(rbx_try_recv_n(&pair->rx, numbers, 20));
        ptrdiff_t n = rbx_try_peek_n(&pair->rx, &shown, 99);
        allowed(n);
        if (n > 0) {
            char sum = 0;
            for (size_t i = 0; i < (size_t)n * rbx_stride(&pair->rx) -
                                       (rbx_stride(&pair->rx) - pair->shape.frame.message_size);
                 i++)
                sum = (char)(sum + ((const char *)shown)[i]);
            memset(numbers, sum, sizeof numbers);
            rbx_release_n(&pair->rx, round % 2 ? 0 : (size_t)n);
        }
        allowed(rbx_recv_for(&pair->rx, numbers, 1000));
        allowed(rbx_send_for(&pair->tx, numbers, 1000));
        cr_assert_eq(described(pair->ring).capacity, pair->shape.capacity);
        if (round % 3 == 1) {
            rbx_tx_close(&pair->tx);
            rbx_rx_close(&pair->rx);
            allowed(rbx_tx_open(&pair->tx, pair->ring));
            allowed(rbx_rx_open(&pair->rx, pair->ring));
            if (pair->tx.hold == RBX_HOLD_CLOSED || pair->rx.hold == RBX_HOLD_CLOSED)
                return;
        }
    }
}

/* The words that peers write, but for the lock of a ring under one: NULL after the last. */
static rbx_atomic64 *word_of(const struct pair *pair, const struct variant *v, size_t which)
{
    struct rbx_mpmc *mpmc = mpmc_of(pair);
    rbx_atomic64 *counts = locked_counts(pair);
    rbx_atomic64 *many[] = {&mpmc->tail,
                            &mpmc->head,
                            &mpmc->orphans,
                            &mpmc->high_water,
                            &mpmc->mourning.last[0],
                            &mpmc->mourning.last[1],
                            &seat_of(pair, 0, 0)->at,
                            &seat_of(pair, 0, 0)->owed,
                            &seat_of(pair, 1, 0)->at};
    rbx_atomic64 *locked[] = {counts, counts + 1, counts + 2, counts + 3};
    size_t count = is_locked(v) ? 4 : sizeof many / sizeof *many;
    if (which < count)
        return is_locked(v) ? locked[which] : many[which];
    which -= count;
    return which < pair->shape.frames && !is_locked(v) ? slot_of(pair, which) : NULL;
}

static const int64_t nonsense[] = {
    0,   1,   2,   3,    4,    5,    7,     127,       128,        255,       256,       257,
    258, 260, 512, 2048, 2049, 4096, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MIN, 1 << 30};

static uint64_t spoilt(uint64_t was, size_t how)
{
    uint64_t value = (uint64_t)nonsense[how / 4];
    return how % 4 == 0 ? value : how % 4 == 1 ? ~value : how % 4 == 2 ? was + value : was - value;
}

EACH(hostile, no_word_of_a_peer_leads_out_of_the_memory)
{
    const size_t sizes[] = {1, 8, 120};
    const uint64_t fills[][2] = {{0, 0}, {0, 3}, {5, 8}, {20, 6}};
    for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++)
        for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
            if (v->flags & RBX_STRICT && (size != 1 || f % 2 == 0))
                continue; /* its loops are bounded, and long */
            for (size_t which = 0, last = 0; !last; which++)
                for (size_t i = 0; !last && i < 4 * sizeof nonsense / sizeof *nonsense; i++) {
                    struct pair pair;
                    char message[160] = {0};
                    pair_of(&pair, v, sizes[size], 8);
                    for (uint64_t n = 0; n < fills[f][0]; n++) {
                        cr_assert_eq(rbx_try_send(&pair.tx, message), 0);
                        cr_assert_eq(rbx_try_recv(&pair.rx, message), 0);
                    }
                    for (uint64_t n = 0; n < fills[f][1]; n++)
                        cr_assert_eq(rbx_try_send(&pair.tx, message), 0);
                    rbx_atomic64 *word = word_of(&pair, v, which);
                    last = word == NULL;
                    if (word) {
                        rbx_store_relaxed(word, spoilt(rbx_load_relaxed(word), i));
                        use(&pair, 3);
                        pair_close(&pair);
                    } else {
                        pair_close(&pair);
                    }
                }
        }
}

/* --- While it is being used --- */

struct vandal {
    struct pair *pair;
    const struct variant *v;
    atomic_bool over;
    bool closes; /* and may say that the ring is closed */
};

static void *spoil(void *arg)
{
    struct vandal *vandal = arg;
    uint64_t state = 1;
    while (!atomic_load(&vandal->over)) {
        uint64_t random = next_random(&state);
        rbx_atomic64 *word = word_of(vandal->pair, vandal->v, random % 20);
        if (!word)
            continue;
        uint64_t value = spoilt(rbx_load_relaxed(word),
                                (random >> 8) % (4 * sizeof nonsense / sizeof *nonsense));
        if (!vandal->closes && word == &mpmc_of(vandal->pair)->tail)
            value &= ~RBX_TAIL_CLOSED;
        if (!vandal->closes && is_locked(vandal->v) && word == locked_counts(vandal->pair) + 3)
            continue;
        rbx_store_relaxed(word, value);
        if (random >> 60 == 0)
            rbx_clock_pause(1000);
    }
    return NULL;
}

/* Afterwards everything is put in order again; who was not told that the ring is closed goes on. */
EACH(hostile, one_that_writes_nonsense_all_the_time_does_no_more_harm_than_that)
{
    for (int round = 0; round < 10; round++) {
        static struct vandal vandal;
        struct pair pair;
        pthread_t thread;
        pair_of(&pair, v, 8, 8);
        char *whole = malloc(pair.size);
        memcpy(whole, pair.memory, pair.size);
        vandal = (struct vandal){.pair = &pair, .v = v, .closes = round % 2};
        cr_assert_eq(pthread_create(&thread, NULL, spoil, &vandal), 0);
        for (int i = 0; i < 60; i++) {
            use(&pair, 3);
            if ((pair.tx.hold == RBX_HOLD_CLOSED && rbx_tx_open(&pair.tx, pair.ring) < 0) ||
                (pair.rx.hold == RBX_HOLD_CLOSED && rbx_rx_open(&pair.rx, pair.ring) < 0))
                break;
        }
        atomic_store(&vandal.over, true);
        pthread_join(thread, NULL);
        if (!vandal.closes) {
            cr_assert_neq(pair.tx.hold, RBX_HOLD_ENDED, "nobody had closed it");
            cr_assert_neq(pair.rx.hold, RBX_HOLD_ENDED);
        }
        if (!vandal.closes && pair.tx.hold == RBX_HOLD_NONE && pair.rx.hold == RBX_HOLD_NONE) {
            memcpy((char *)pair.memory + RBX_RING_SHARED_AT, whole + RBX_RING_SHARED_AT,
                   pair.size - RBX_RING_SHARED_AT);
            uint64_t number = 7;
            int err = 0;
            for (int i = 0; i < 40 && err == 0; i++)
                if ((err = rbx_try_send(&pair.tx, &number)) == 0)
                    err = rbx_try_recv(&pair.rx, &number);
            cr_assert_eq(err, 0, "round %d: %d", round, err);
        }
        free(whole);
        pair_close(&pair);
    }
}

/* --- Bells --- */

EACH(hostile, no_bits_of_a_bell_do_harm_and_none_ends_the_stream_for_good)
{
    struct rbx_mpmc *mpmc;
    for (uint32_t bits = 0; bits < 128; bits++)
        for (int both = 0; both < (is_locked(v) ? 0 : 3); both++) {
            struct pair pair;
            uint64_t number = 0;
            uint32_t value = bits & 64 ? ~bits : bits;
            pair_of(&pair, v, 8, 8);
            mpmc = mpmc_of(&pair);
            if (both != 1)
                rbx_store_relaxed(&mpmc->message.bits, value);
            if (both != 2)
                rbx_store_relaxed(&mpmc->room.bits, value);
            allowed(rbx_try_recv(&pair.rx, &number));
            allowed(rbx_recv_for(&pair.rx, &number, 1000));
            for (uint64_t i = 0; i < 20; i++) {
                cr_assert_eq(rbx_send_for(&pair.tx, &i, MS), 0);
                cr_assert_eq(rbx_recv_for(&pair.rx, &number, MS), 0);
                cr_assert_eq(number, i);
            }
            cr_assert_eq(fill(&pair.tx), 8);
            allowed(rbx_send_for(&pair.tx, &number, 1000));
            recv_numbers(&pair.rx, 0, 8);
            pair_close(&pair);
        }
}

/* --- Notes of the dead --- */

/* Whatever its seat says that a dead one held, a repair ends, and the ring with it or not. */
EACH(hostile, no_note_of_a_dead_one_makes_a_repair_endless)
{
    const char *name = own_name("notes");
    for (size_t i = 0; i < 4 * sizeof nonsense / sizeof *nonsense; i++) {
        rbx_ring *ring = ring_for(v, name, 8);
        struct puppet dies = puppet_start(v, name);
        uint64_t number = 0;
        rbx_tx tx;
        rbx_rx rx;
        cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
        cr_assert_eq(puppet_does(&dies, sends, 0, 1), 0);
        cr_assert_eq(puppet_does(&dies, peeks, 0, 1), 0);
        puppet_kill(&dies);
        struct pair pair = {.memory = rbx_box_data(rbx_ring_box(ring)), .shape.seats = {32, 32}};
        for (unsigned end = 0; end < 2; end++) {
            struct rbx_seat *seat = seat_of(&pair, end, 0);
            rbx_store_relaxed(&seat->at, spoilt(rbx_load_relaxed(&seat->at), i));
            rbx_store_relaxed(&seat->owed, spoilt(rbx_load_relaxed(&seat->owed), i));
        }
        succeeds(rbx_ring_repair(ring, NULL));
        cr_assert_eq(described(ring).repaired.senders, 1);
        succeeds(rbx_tx_open(&tx, ring));
        succeeds(rbx_rx_open(&rx, ring));
        for (int n = 0; n < 20; n++) {
            allowed(rbx_try_send(&tx, &number));
            allowed(rbx_try_recv(&rx, &number));
        }
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        succeeds(rbx_ring_close(ring));
    }
}
