/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What each call answers, on a ring of many in memory. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "many.h"

SUITES(calls, 60);

#define MS UINT64_C(1000000)

/* --- Full and empty --- */

EACH(calls, an_empty_ring_says_again)
{
    struct pair pair;
    uint64_t got[2];
    const void *shown = got;
    pair_of(&pair, v, 8, 4);
    check_empty(&pair.rx);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 2), -EAGAIN);
    cr_assert_eq(rbx_try_peek(&pair.rx, &shown), -EAGAIN);
    cr_assert_null(shown);
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 2), -EAGAIN);
    pair_close(&pair);
}

EACH(calls, a_ring_is_full_at_exactly_as_many_messages_as_it_has_slots)
{
    for (size_t capacity = 1; capacity <= 40; capacity++) {
        struct pair pair;
        uint64_t slots = slots_for(v, capacity), number = 0;
        void *place = &pair;
        pair_of(&pair, v, 8, capacity);
        cr_assert_eq(pair.shape.frames, slots);
        for (uint64_t lap = 0; lap < 2 * slots + 1; lap++) {
            cr_assert_eq(fill(&pair.tx), slots, "capacity %zu", capacity);
            cr_assert_eq(rbx_try_send(&pair.tx, &number), -EAGAIN);
            cr_assert_eq(rbx_try_send_n(&pair.tx, &number, 1), -EAGAIN);
            cr_assert_eq(rbx_try_claim(&pair.tx, &place), -EAGAIN);
            cr_assert_null(place);
            recv_numbers(&pair.rx, 0, 1);
            number = slots;
            cr_assert_eq(rbx_try_send(&pair.tx, &number), 0, "one was taken");
            cr_assert_eq(rbx_try_send(&pair.tx, &number), -EAGAIN);
            recv_numbers(&pair.rx, 1, slots);
            check_empty(&pair.rx);
            send_numbers(&pair.tx, 0, 1); /* so that each lap begins elsewhere */
            recv_numbers(&pair.rx, 0, 1);
        }
        pair_close(&pair);
    }
}

/* ring.h: 'full' means that `capacity` messages are truly waiting, or are in somebody's hands. */
EACH(calls, places_that_were_given_up_do_not_make_a_ring_full)
{
    for (size_t capacity = 1; capacity <= 16; capacity *= 2)
        for (size_t aborts = 1; aborts <= 2 * capacity; aborts++) {
            struct pair pair;
            void *place;
            pair_of(&pair, v, 8, capacity);
            for (size_t i = 0; i < aborts; i++) {
                cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0, "%zu of %zu", i, capacity);
                cr_assert_eq(rbx_abort(&pair.tx), 0);
            }
            cr_assert_eq(fill(&pair.tx), capacity, "%zu aborts", aborts);
            recv_numbers(&pair.rx, 0, capacity);
            check_empty(&pair.rx);
            pair_close(&pair);
        }
}

EACH(calls, messages_come_out_in_the_order_in_which_they_went_in)
{
    struct pair pair;
    pair_of(&pair, v, 8, 16);
    for (uint64_t lap = 0; lap < 1000; lap++) {
        send_numbers(&pair.tx, lap * 13, 13);
        recv_numbers(&pair.rx, lap * 13, 13);
        check_empty(&pair.rx);
    }
    pair_close(&pair);
}

EACH(calls, one_place_is_enough_for_any_way_to_send_and_receive)
{
    struct pair pair;
    pair_of(&pair, v, 8, 1);
    for (uint64_t i = 0; i < 90; i++) {
        uint64_t numbers[3] = {i, ~i, ~i}, got[3] = {0};
        void *place;
        const void *shown;
        if (i % 3 == 0) {
            cr_assert_eq(rbx_try_send(&pair.tx, numbers), 0);
        } else if (i % 3 == 1) {
            cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, 3), 1);
        } else {
            cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
            memcpy(place, numbers, 8);
            cr_assert_eq(rbx_commit(&pair.tx), 0);
        }
        cr_assert_eq(rbx_try_send(&pair.tx, numbers), -EAGAIN);
        if (i / 3 % 3 == 0) {
            recv_numbers(&pair.rx, i, 1);
        } else if (i / 3 % 3 == 1) {
            cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 3), 1);
            cr_assert_eq(got[0], i);
        } else {
            cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 3), 1);
            cr_assert_eq(memcmp(shown, &i, 8), 0);
            cr_assert_eq(rbx_release(&pair.rx), 0);
        }
        check_empty(&pair.rx);
    }
    pair_close(&pair);
}

/* --- Time --- */

EACH(calls, calls_that_can_wait_do_not_wait_without_need)
{
    struct pair pair;
    uint64_t numbers[4] = {0, 1, 2, 3}, got[8] = {0};
    const void *shown;
    void *place;
    pair_of(&pair, v, 8, 16);
    cr_assert_eq(rbx_send(&pair.tx, &numbers[0]), 0);
    cr_assert_eq(rbx_send_for(&pair.tx, &numbers[1], 0), 0);
    cr_assert_eq(rbx_send_n(&pair.tx, numbers + 2, 2), 2);
    cr_assert_eq(rbx_send_n_for(&pair.tx, numbers, 3, 0), 3);
    cr_assert_eq(rbx_claim(&pair.tx, &place), 0);
    memcpy(place, &numbers[3], 8);
    cr_assert_eq(rbx_commit(&pair.tx), 0);
    cr_assert_eq(rbx_claim_for(&pair.tx, &place, 0), 0);
    cr_assert_eq(rbx_abort(&pair.tx), 0);

    cr_assert_eq(rbx_recv(&pair.rx, got), 0);
    cr_assert_eq(rbx_recv_for(&pair.rx, got + 1, 0), 0);
    cr_assert_eq(rbx_recv_n(&pair.rx, got + 2, 1), 1);
    cr_assert_eq(rbx_recv_n_for(&pair.rx, got + 3, 1, 0), 1);
    cr_assert_eq(memcmp(got, numbers, sizeof numbers), 0);
    cr_assert_eq(rbx_peek(&pair.rx, &shown), 0);
    cr_assert_eq(*(const uint64_t *)shown, 0);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_peek_for(&pair.rx, &shown, 0), 0);
    cr_assert_eq(*(const uint64_t *)shown, 1);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_peek_n(&pair.rx, &shown, 1), 1);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_peek_n_for(&pair.rx, &shown, 1, 0), 1);
    cr_assert_eq(*(const uint64_t *)shown, 3);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    check_empty(&pair.rx);
    pair_close(&pair);
}

EACH(calls, a_wait_without_time_is_over_at_once)
{
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++)
        for (uint64_t ns = 0; ns < 2; ns++) {
            const rbx_wait_options wait = {.how = (rbx_wait_how)how};
            struct pair pair;
            uint64_t got[2];
            const void *shown;
            void *place;
            pair_of(&pair, v, 8, 4);
            succeeds(rbx_tx_wait_by(&pair.tx, &wait));
            succeeds(rbx_rx_wait_by(&pair.rx, &wait));
            refuses(-ETIMEDOUT, "nothing came", rbx_recv_for(&pair.rx, got, ns));
            refuses(-ETIMEDOUT, "nothing came", (int)rbx_recv_n_for(&pair.rx, got, 2, ns));
            refuses(-ETIMEDOUT, "nothing came", rbx_peek_for(&pair.rx, &shown, ns));
            refuses(-ETIMEDOUT, "nothing came", (int)rbx_peek_n_for(&pair.rx, &shown, 2, ns));
            cr_assert_null(shown);
            fill(&pair.tx);
            refuses(-ETIMEDOUT, "was full", rbx_send_for(&pair.tx, got, ns));
            refuses(-ETIMEDOUT, "was full", (int)rbx_send_n_for(&pair.tx, got, 2, ns));
            refuses(-ETIMEDOUT, "was full", rbx_claim_for(&pair.tx, &place, ns));
            cr_assert_null(place);
            recv_numbers(&pair.rx, 0, 4);
            pair_close(&pair);
        }
}

/* --- Batches --- */

static uint64_t numbers[700], got[700];

static void count_up(uint64_t from)
{
    for (uint64_t i = 0; i < 700; i++)
        numbers[i] = from + i;
    memset(got, 0, sizeof got);
}

EACH(calls, batches_answer_how_many)
{
    struct pair pair;
    pair_of(&pair, v, 8, 16);
    count_up(0);
    cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, 0), 0);
    cr_assert_eq(rbx_send_n(&pair.tx, numbers, 0), 0);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 0), 0);
    cr_assert_eq(rbx_recv_n(&pair.rx, got, 0), 0);
    cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, 10), 10);
    cr_assert_eq(rbx_try_send_n(&pair.tx, numbers + 10, 54), 6, "shorter than asked");
    cr_assert_eq(rbx_try_send_n(&pair.tx, numbers + 10, 0), 0, "full or not");
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 3), 3);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got + 3, 61), 13, "shorter than asked");
    cr_assert_eq(memcmp(got, numbers, 16 * 8), 0);
    check_empty(&pair.rx);
    pair_close(&pair);
}

EACH(calls, batches_go_across_the_end_of_the_ring)
{
    struct pair pair;
    uint64_t number = 0;
    pair_of(&pair, v, 8, 16);
    for (size_t length = 1; length <= 16; length++)
        for (int lap = 0; lap < 16; lap++, number += length) {
            count_up(number);
            cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, length), (ptrdiff_t)length);
            cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 99), (ptrdiff_t)length);
            cr_assert_eq(memcmp(got, numbers, length * 8), 0);
            cr_assert_eq(got[length], 0, "and no more");
        }
    pair_close(&pair);
}

EACH(calls, a_batch_may_be_longer_than_the_ring)
{
    for (size_t capacity = 1; capacity <= 64; capacity *= 4) {
        struct pair pair;
        pair_of(&pair, v, 8, capacity);
        count_up(0);
        cr_assert_eq(rbx_send_n_for(&pair.tx, numbers, 700, MS), (ptrdiff_t)capacity);
        cr_assert_eq(rbx_send_n_for(&pair.tx, numbers, 700, MS), -ETIMEDOUT, "says why");
        cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 700), (ptrdiff_t)capacity);
        cr_assert_eq(memcmp(got, numbers, capacity * 8), 0);
        pair_close(&pair);
    }
}

/* An intent has eight bits for how many: a longer batch is taken in turns. */
EACH(calls, of_a_long_batch_all_is_sent_and_so_many_are_received_at_a_time)
{
    struct pair pair;
    pair_of(&pair, v, 8, 1024);
    const ptrdiff_t most = is_locked(v) ? 700 : RBX_RUN_MAX;
    cr_assert_leq(RBX_RUN_MAX, 255);
    for (uint64_t lap = 0; lap < 5; lap++) {
        count_up(lap * 700);
        cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, 700), 700);
        cr_assert_eq(described(pair.ring).sent, (lap + 1) * 700);
        for (ptrdiff_t n = 0; n < 700;) {
            ptrdiff_t more = rbx_try_recv_n(&pair.rx, got + n, 700);
            cr_assert_eq(more, 700 - n < most ? 700 - n : most, "%td after %td", more, n);
            n += more;
        }
        cr_assert_eq(memcmp(got, numbers, sizeof got), 0);
        check_empty(&pair.rx);
    }
    pair_close(&pair);
}

/* --- Claim --- */

EACH(calls, a_claimed_place_is_sent_by_commit_and_not_by_abort)
{
    struct pair pair;
    pair_of(&pair, v, 8, 4);
    for (uint64_t i = 0; i < 100; i++) {
        void *place;
        cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
        cr_assert_eq((uintptr_t)place % 8, 0);
        memset(place, 0xff, 8);
        if (!is_locked(v))
            check_empty(&pair.rx);
        cr_assert_eq(rbx_abort(&pair.tx), 0);
        check_empty(&pair.rx);
        cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
        memcpy(place, &i, 8);
        if (!is_locked(v))
            check_empty(&pair.rx);
        cr_assert_eq(rbx_commit(&pair.tx), 0);
        recv_numbers(&pair.rx, i, 1);
    }
    pair_close(&pair);
}

EACH(calls, between_claim_and_commit_the_sender_is_busy)
{
    struct pair pair;
    uint64_t number = 0;
    void *place, *other = &number;
    pair_of(&pair, v, 8, 4);
    refuses(-EINVAL, "claimed no place", rbx_commit(&pair.tx));
    refuses(-EINVAL, "claimed no place", rbx_abort(&pair.tx));
    for (int how = 0; how < 2; how++) {
        cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
        refuses(-EBUSY, "commit or abort", rbx_try_send(&pair.tx, &number));
        refuses(-EBUSY, "commit or abort", rbx_send(&pair.tx, &number));
        refuses(-EBUSY, "commit or abort", (int)rbx_try_send_n(&pair.tx, &number, 1));
        refuses(-EBUSY, "commit or abort", (int)rbx_send_n(&pair.tx, &number, 1));
        refuses(-EBUSY, "commit or abort", rbx_try_claim(&pair.tx, &other));
        refuses(-EBUSY, "commit or abort", rbx_claim(&pair.tx, &other));
        refuses(-EBUSY, "close it first", rbx_tx_open(&pair.tx, pair.ring));
        cr_assert_null(other);
        memcpy(place, &number, 8);
        cr_assert_eq(how ? rbx_abort(&pair.tx) : rbx_commit(&pair.tx), 0);
        refuses(-EINVAL, "claimed no place", rbx_commit(&pair.tx));
        refuses(-EINVAL, "claimed no place", rbx_abort(&pair.tx));
    }
    recv_numbers(&pair.rx, 0, 1);
    check_empty(&pair.rx);
    pair_close(&pair);
}

BOTH(calls, claims_are_received_in_the_order_in_which_they_were_made)
{
    struct pair pair;
    rbx_tx others[3];
    void *place;
    pair_of(&pair, v, 8, 8);
    for (unsigned order = 0; order < 6; order++) {
        const unsigned first = order % 3, second = (first + 1 + order / 3) % 3;
        const unsigned commits[] = {first, second, 3 - first - second};
        for (uint64_t i = 0; i < 3; i++) {
            succeeds(rbx_tx_open(&others[i], pair.ring));
            cr_assert_eq(rbx_try_claim(&others[i], &place), 0);
            memcpy(place, &i, 8);
        }
        for (int i = 0; i < 3; i++)
            cr_assert_eq(rbx_commit(&others[commits[i]]), 0);
        recv_numbers(&pair.rx, 0, 3);
        for (int i = 0; i < 3; i++)
            rbx_tx_close(&others[i]);
    }
    pair_close(&pair);
}

EACH(calls, a_claimed_place_is_given_up_when_the_sender_closes)
{
    struct pair pair;
    void *place;
    pair_of(&pair, v, 8, 4);
    for (uint64_t i = 0; i < 30; i++) {
        cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
        memset(place, 0xee, 8);
        rbx_tx_close(&pair.tx);
        check_empty(&pair.rx);
        succeeds(rbx_tx_open(&pair.tx, pair.ring));
        send_numbers(&pair.tx, i, 1);
        recv_numbers(&pair.rx, i, 1);
    }
    pair_close(&pair);
}

/* --- Peek --- */

EACH(calls, peek_shows_what_release_takes)
{
    struct pair pair;
    uint64_t message;
    const void *shown, *again;
    const uint64_t most = is_locked(v) ? 6 : 1;
    pair_of(&pair, v, 8, 16);
    send_numbers(&pair.tx, 0, 6);
    refuses(-EINVAL, "peeked at nothing", rbx_release(&pair.rx));
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 0), 0);
    cr_assert_null(shown);
    refuses(-EINVAL, "peeked at nothing", rbx_release_n(&pair.rx, 0));
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 100), (ptrdiff_t)most);
    for (uint64_t i = 0; i < most; i++)
        cr_assert_eq(memcmp((const char *)shown + i * rbx_stride(&pair.rx), &i, 8), 0);
    refuses(-EBUSY, "release first", rbx_try_recv(&pair.rx, &message));
    refuses(-EBUSY, "release first", rbx_recv(&pair.rx, &message));
    refuses(-EBUSY, "release first", (int)rbx_try_recv_n(&pair.rx, &message, 1));
    refuses(-EBUSY, "release first", (int)rbx_recv_n(&pair.rx, &message, 1));
    refuses(-EBUSY, "release first", rbx_try_peek(&pair.rx, &again));
    refuses(-EBUSY, "release first", (int)rbx_peek_n(&pair.rx, &again, 1));
    refuses(-EBUSY, "close it first", rbx_rx_open(&pair.rx, pair.ring));
    cr_assert_null(again);
    refuses(-EINVAL, "no more", rbx_release_n(&pair.rx, most + 1));
    refuses(-EINVAL, "no more", rbx_release_n(&pair.rx, SIZE_MAX));
    cr_assert_eq(rbx_release_n(&pair.rx, 1), 0);
    refuses(-EINVAL, "peeked at nothing", rbx_release_n(&pair.rx, 0));
    refuses(-EINVAL, "peeked at nothing", rbx_release(&pair.rx));
    recv_numbers(&pair.rx, 1, 5);
    check_empty(&pair.rx);
    pair_close(&pair);
}

EACH(calls, what_was_peeked_and_not_released_comes_again_and_next)
{
    for (int how = 0; how < 3; how++) { /* put back, closed, closed and received by another */
        struct pair pair;
        rbx_rx other;
        pair_of(&pair, v, 8, 4);
        succeeds(rbx_rx_open(&other, pair.ring));
        for (uint64_t i = 0; i < 20; i++) {
            const void *shown;
            send_numbers(&pair.tx, 3 * i, 3);
            cr_assert_eq(rbx_try_peek(&pair.rx, &shown), 0);
            cr_assert_eq(described(pair.ring).received, 3 * i, "it is not received");
            if (how == 0) {
                cr_assert_eq(rbx_release_n(&pair.rx, 0), 0);
            } else {
                rbx_rx_close(&pair.rx);
                succeeds(rbx_rx_open(&pair.rx, pair.ring));
            }
            cr_assert_eq(described(pair.ring).received, 3 * i);
            rbx_rx *next = how == 2 ? &other : &pair.rx;
            if (i % 2) {
                recv_numbers(next, 3 * i, 1);
            } else {
                cr_assert_eq(rbx_try_peek(next, &shown), 0);
                cr_assert_eq(*(const uint64_t *)shown, 3 * i);
                cr_assert_eq(rbx_release(next), 0);
            }
            recv_numbers(i % 3 ? next : &pair.rx, 3 * i + 1, 2);
            check_empty(&pair.rx);
            check_empty(&other);
            cr_assert_eq(described(pair.ring).received, 3 * i + 3);
        }
        rbx_rx_close(&other);
        pair_close(&pair);
    }
}

/* Even to one that has just found the ring empty, or is in the middle of a batch of calls. */
BOTH(calls, each_of_several_that_were_put_back_comes_again_once)
{
    struct pair pair;
    rbx_rx others[5];
    const void *shown;
    uint64_t seen = 0, message;
    pair_of(&pair, v, 8, 8);
    for (int lap = 0; lap < 40; lap++, seen = 0) {
        check_empty(&pair.rx);
        send_numbers(&pair.tx, 0, 8);
        for (uint64_t i = 0; i < 5; i++) {
            succeeds(rbx_rx_open(&others[i], pair.ring));
            cr_assert_eq(rbx_try_peek(&others[i], &shown), 0);
            cr_assert_eq(*(const uint64_t *)shown, i);
        }
        for (int i = 0; i < 5; i++)
            cr_assert_eq(rbx_release_n(&others[(i * 2 + lap) % 5], 0), 0);
        for (int i = 0; i < 8; i++) {
            int err = rbx_try_recv(i % 2 ? &pair.rx : &others[i / 2], &message);
            cr_assert_eq(err, 0, "%d: %d", i, err);
            cr_assert(message < 8 && !(seen & UINT64_C(1) << message), "twice");
            seen |= UINT64_C(1) << message;
        }
        for (int i = 0; i < 5; i++) {
            check_empty(&others[i]);
            rbx_rx_close(&others[i]);
        }
        check_empty(&pair.rx);
        cr_assert_eq(fill(&pair.tx), 8);
        recv_numbers(&pair.rx, 0, 8);
    }
    pair_close(&pair);
}

EACH(calls, there_are_three_ways_to_wait)
{
    struct pair pair;
    const rbx_wait_options odd = {.how = (rbx_wait_how)3};
    pair_of(&pair, v, 8, 4);
    for (int how = 0; how < 3; how++) {
        succeeds(rbx_tx_wait_by(&pair.tx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
        succeeds(rbx_rx_wait_by(&pair.rx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
    }
    refuses(-EINVAL, "number 3", rbx_tx_wait_by(&pair.tx, &odd));
    refuses(-EINVAL, "number 3", rbx_rx_wait_by(&pair.rx, &odd));
    pair_close(&pair);
}

/* --- What a ring says of itself --- */

EACH(calls, describe_counts_what_was_done)
{
    struct pair pair;
    pair_of(&pair, v, 8, 13);
    uint64_t count = fill(&pair.tx); /* and is refused once */
    rbx_ring_info info = described(pair.ring);
    cr_assert_eq(info.kind, v->kind);
    cr_assert_eq(info.flags, v->flags);
    cr_assert_eq(info.message_size, 8);
    cr_assert_eq(info.alignment, 8);
    cr_assert_eq(info.capacity, 13);
    cr_assert_eq(info.senders, RBX_SEATS);
    cr_assert_eq(info.receivers, RBX_SEATS);
    cr_assert_eq(info.sent, count);
    cr_assert_eq(info.received, 0);
    cr_assert_eq(info.high_water, count);
    cr_assert_eq(info.tx.missed, 1);
    cr_assert_eq(info.tx.opened, 1);
    cr_assert_eq(info.tx.state, RBX_END_ALIVE);
    cr_assert_eq(info.tx.pid, getpid());
    recv_numbers(&pair.rx, 0, count);
    check_empty(&pair.rx);
    check_empty(&pair.rx);
    rbx_rx_close(&pair.rx);
    info = described(pair.ring);
    cr_assert_eq(info.received, count);
    cr_assert_eq(info.rx.state, RBX_END_NONE);
    cr_assert_eq(info.rx.missed, 2);
    cr_assert_eq(info.rx.opened, 1);
    cr_assert_eq(info.rx.sleeps + info.rx.wakes + info.tx.sleeps + info.tx.wakes, 0);
    succeeds(rbx_rx_open(&pair.rx, pair.ring));
    cr_assert_eq(described(pair.ring).rx.opened, 2);
    send_numbers(&pair.tx, 0, 3);
    info = described(pair.ring);
    cr_assert_eq(info.sent, count + 3);
    cr_assert_eq(info.high_water, count, "of all times");
    const rbx_repaired nothing = {0};
    cr_assert_eq(memcmp(&info.repaired, &nothing, sizeof nothing), 0);
    pair_close(&pair);
}

EACH(calls, describe_sums_up_what_all_endpoints_did)
{
    struct pair pair;
    rbx_tx tx[3];
    rbx_rx rx[3];
    pair_of(&pair, v, 8, 4);
    for (uint64_t i = 0; i < 3; i++) {
        succeeds(rbx_tx_open(&tx[i], pair.ring));
        succeeds(rbx_rx_open(&rx[i], pair.ring));
        check_empty(&rx[i]);
    }
    for (uint64_t i = 0; i < 3; i++) {
        send_numbers(&tx[i], i, 1);
        recv_numbers(&rx[2 - i], i, 1);
    }
    rbx_ring_info info = described(pair.ring);
    cr_assert_eq(info.sent, 3);
    cr_assert_eq(info.received, 3);
    cr_assert_eq(info.tx.opened, 4);
    cr_assert_eq(info.rx.opened, 4);
    cr_assert_eq(info.rx.missed, 3);
    for (unsigned i = 0; i < RBX_SEATS; i++) {
        rbx_end_info end;
        succeeds(rbx_ring_receiver(pair.ring, i, &end));
        cr_assert_eq(end.state, i < 4 ? RBX_END_ALIVE : RBX_END_NONE);
        cr_assert_eq(end.missed, i > 0 && i < 4);
        succeeds(rbx_ring_sender(pair.ring, i, &end));
        cr_assert_eq(end.opened, i < 4);
    }
    rbx_end_info none;
    refuses(-EINVAL, "no number 32", rbx_ring_sender(pair.ring, RBX_SEATS, &none));
    refuses(-EINVAL, "no number", rbx_ring_receiver(pair.ring, UINT32_MAX, &none));
    for (int i = 0; i < 3; i++) {
        rbx_tx_close(&tx[i]);
        rbx_rx_close(&rx[i]);
    }
    pair_close(&pair);
}
