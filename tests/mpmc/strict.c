/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who is passed over in a strict ring: nobody waits for it, and what it holds is not lost. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "puppet.h"

TestSuite(strict, .timeout = 60);

static const struct variant *const v = &variants[STRICT];

static struct pair pair;
static rbx_tx slow_tx;
static rbx_rx slow_rx;

/* Four slots; another sender and another receiver that will be slow. */
static void set_up(void)
{
    pair_of(&pair, v, 8, 4);
    succeeds(rbx_tx_open(&slow_tx, pair.ring));
    succeeds(rbx_rx_open(&slow_rx, pair.ring));
}

static void check_whole_and_close(void)
{
    rbx_tx_close(&slow_tx);
    rbx_rx_close(&slow_rx);
    for (int lap = 0; lap < 9; lap++) {
        cr_assert_eq(fill(&pair.tx), 4, "the whole capacity is back");
        recv_numbers(&pair.rx, 0, 4);
        check_empty(&pair.rx);
        send_numbers(&pair.tx, 0, 1);
        recv_numbers(&pair.rx, 0, 1);
    }
    pair_close(&pair);
}

static void claim(uint64_t number)
{
    void *place;
    cr_assert_eq(rbx_try_claim(&slow_tx, &place), 0);
    memcpy(place, &number, 8);
}

static const uint64_t *peek(void)
{
    const void *shown;
    cr_assert_eq(rbx_try_peek(&slow_rx, &shown), 0);
    return shown;
}

/* So many laps of as much as there is room for, beside a place that is kept. */
static void go_around(int laps, uint64_t room)
{
    for (int lap = 0; lap < laps; lap++) {
        cr_assert_eq(fill(&pair.tx), room, "lap %d", lap);
        recv_numbers(&pair.rx, 0, room);
        check_empty(&pair.rx);
    }
}

Test(strict, others_go_on_around_a_claim_and_its_commit_is_a_message)
{
    for (int laps = 0; laps < 10; laps++)
        for (uint64_t before = 0; before < 4; before++) {
            set_up();
            send_numbers(&pair.tx, 0, before);
            claim(77);
            recv_numbers(&pair.rx, 0, before);
            go_around(laps, 3);
            send_numbers(&pair.tx, 0, laps ? 2 : 0);
            cr_assert_eq(rbx_commit(&slow_tx), 0);
            refuses(-EINVAL, "claimed no place", rbx_commit(&slow_tx));
            recv_numbers(&pair.rx, 0, laps ? 2 : 0);
            recv_numbers(&pair.rx, 77, 1);
            check_empty(&pair.rx);
            check_whole_and_close();
        }
}

Test(strict, a_claim_that_was_passed_over_is_aborted_without_a_trace)
{
    for (int laps = 0; laps < 10; laps++)
        for (int closes = 0; closes < 2; closes++) {
            set_up();
            claim(77);
            go_around(laps, 3);
            if (closes)
                rbx_tx_close(&slow_tx);
            else
                cr_assert_eq(rbx_abort(&slow_tx), 0);
            check_empty(&pair.rx);
            check_whole_and_close();
        }
}

Test(strict, a_commit_while_the_ring_is_full_says_again_and_keeps_the_claim)
{
    for (int laps = 1; laps < 6; laps++)
        for (int end = 0; end < 3; end++) {
            void *place;
            set_up();
            claim(77);
            go_around(laps, 3);
            cr_assert_eq(fill(&pair.tx), 3);
            for (int i = 0; i < 3; i++) {
                cr_assert_eq(rbx_commit(&slow_tx), -EAGAIN);
                refuses(-EBUSY, "commit or abort", rbx_try_claim(&slow_tx, &place));
                refuses(-EBUSY, "commit or abort", rbx_try_send(&slow_tx, &(uint64_t){0}));
            }
            recv_numbers(&pair.rx, 0, 1);
            if (end == 0) {
                cr_assert_eq(rbx_commit(&slow_tx), 0);
                recv_numbers(&pair.rx, 1, 2);
                recv_numbers(&pair.rx, 77, 1);
            } else {
                if (end == 1)
                    cr_assert_eq(rbx_abort(&slow_tx), 0);
                else
                    rbx_tx_close(&slow_tx);
                recv_numbers(&pair.rx, 1, 2);
            }
            check_empty(&pair.rx);
            check_whole_and_close();
        }
}

Test(strict, a_claim_that_was_passed_over_is_refused_once_the_ring_is_shut_down)
{
    set_up();
    claim(77);
    go_around(2, 3);
    send_numbers(&pair.tx, 0, 1);
    succeeds(rbx_ring_shutdown(pair.ring));
    refuses(-EPIPE, "shut down", rbx_commit(&slow_tx));
    refuses(-EINVAL, "claimed no place", rbx_commit(&slow_tx));
    recv_numbers(&pair.rx, 0, 1);
    uint64_t got;
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE);
    rbx_tx_close(&slow_tx);
    rbx_rx_close(&slow_rx);
    pair_close(&pair);
}

Test(strict, others_go_on_around_a_peek_whose_message_stays_as_it_is)
{
    for (int laps = 0; laps < 10; laps++)
        for (int end = 0; end < 4; end++) {
            set_up();
            send_numbers(&pair.tx, 77, 1);
            const uint64_t *shown = peek();
            go_around(laps, 3);
            cr_assert_eq(*shown, 77);
            cr_assert_eq(described(pair.ring).sent - described(pair.ring).received, 1);
            if (end == 0) {
                cr_assert_eq(rbx_release(&slow_rx), 0);
            } else if (end == 1) {
                cr_assert_eq(rbx_release_n(&slow_rx, 0), 0);
                recv_numbers(&pair.rx, 77, 1);
            } else if (end == 2) {
                rbx_rx_close(&slow_rx);
                recv_numbers(&pair.rx, 77, 1);
            } else { /* again, and passed over again */
                cr_assert_eq(rbx_release_n(&slow_rx, 0), 0);
                cr_assert_eq(*peek(), 77);
                go_around(laps, 3);
                cr_assert_eq(*shown, 77);
                cr_assert_eq(rbx_release(&slow_rx), 0);
            }
            check_empty(&pair.rx);
            check_empty(end == 2 ? &pair.rx : &slow_rx);
            check_whole_and_close();
        }
}

Test(strict, when_all_places_are_in_hands_the_ring_is_full_until_one_is_not)
{
    rbx_tx others[4];
    void *place;
    for (uint64_t order = 0; order < 4; order++) {
        set_up();
        uint64_t number = 9;
        for (uint64_t i = 0; i < 4; i++) {
            succeeds(rbx_tx_open(&others[i], pair.ring));
            cr_assert_eq(rbx_try_claim(&others[i], &place), 0);
            memcpy(place, &i, 8);
        }
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(rbx_try_send(&pair.tx, &number), -EAGAIN);
            check_empty(&pair.rx);
        }
        uint64_t seen = 0;
        for (uint64_t i = 0; i < 4; i++) {
            cr_assert_eq(rbx_commit(&others[(order + i) % 4]), 0);
            cr_assert_eq(rbx_try_recv(&pair.rx, &number), 0);
            cr_assert_eq(number, (order + i) % 4);
            seen |= UINT64_C(1) << number;
        }
        cr_assert_eq(seen, 15);
        check_empty(&pair.rx);
        for (int i = 0; i < 4; i++)
            rbx_tx_close(&others[i]);
        check_whole_and_close();
    }
}

/* It polls a ring whose places are all in hands; which must not cost the next receiver anything. */
Test(strict, a_sender_that_polls_in_vain_leaves_the_ring_as_it_is)
{
    const void *shown;
    rbx_rx others[4];
    uint64_t number = 5;
    set_up();
    send_numbers(&pair.tx, 0, 4);
    for (uint64_t i = 0; i < 4; i++) {
        succeeds(rbx_rx_open(&others[i], pair.ring));
        cr_assert_eq(rbx_try_peek(&others[i], &shown), 0);
    }
    for (int i = 0; i < 100000; i++)
        cr_assert_eq(rbx_try_send(&pair.tx, &number), -EAGAIN);
    cr_assert_eq(rbx_release(&others[0]), 0);
    cr_assert_eq(rbx_try_send(&pair.tx, &number), 0);
    recv_numbers(&pair.rx, 5, 1); /* at the first try */
    rbx_ring_info info = described(pair.ring);
    cr_assert_leq(info.sent, 5 + 4 * 4, "%llu were sent", (unsigned long long)info.sent);
    for (int i = 1; i < 4; i++)
        cr_assert_eq(rbx_release(&others[i]), 0);
    for (int i = 0; i < 4; i++)
        rbx_rx_close(&others[i]);
    check_whole_and_close();
}

/* --- The dead --- */

/* After so many laps around what `dies` holds, it dies. */
static void die_passed_over(can *holds, int laps, const rbx_repaired *wanted)
{
    const char *name = own_name("passed");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    rbx_repaired what;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
    if (holds == peeks)
        send_numbers(&tx, 77, 1);
    cr_assert_eq(puppet_does(&dies, holds, 0, 77), 0);
    for (int lap = 0; lap < laps; lap++) {
        cr_assert_eq(fill(&tx), 3);
        recv_numbers(&rx, 0, 3);
    }
    if (holds == claims && laps > 2) { /* with a debt, too */
        cr_assert_eq(fill(&tx), 3);
        cr_assert_eq(puppet_does(&dies, commits, 0, 0), -EAGAIN);
        recv_numbers(&rx, 0, 3);
    }
    puppet_kill(&dies);
    succeeds(rbx_ring_repair(ring, &what));
    cr_assert_eq(what.senders, 1);
    cr_assert_eq(what.receivers, 1);
    cr_assert_eq(what.tombstones, wanted->tombstones, "%d laps", laps);
    cr_assert_eq(what.redelivered, wanted->redelivered, "%d laps", laps);
    cr_assert_eq(what.returned, wanted->returned, "%d laps", laps);
    recv_numbers(&rx, 77, what.redelivered);
    check_empty(&rx);
    for (int lap = 0; lap < 3; lap++) {
        cr_assert_eq(fill(&tx), 4);
        recv_numbers(&rx, 0, 4);
        check_empty(&rx);
    }
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

Test(strict, a_claim_that_was_passed_over_is_returned_when_its_sender_dies)
{
    for (int laps = 0; laps < 6; laps++)
        die_passed_over(claims, laps,
                        laps ? &(rbx_repaired){.returned = 1} : &(rbx_repaired){.tombstones = 1});
}

Test(strict, a_message_that_was_passed_over_comes_again_when_its_receiver_dies)
{
    for (int laps = 0; laps < 6; laps++)
        die_passed_over(peeks, laps, &(rbx_repaired){.redelivered = 1});
}
