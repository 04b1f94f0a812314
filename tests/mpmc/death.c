/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who dies in a ring of many, what becomes of what it had in hand, and who is told. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/clock.h"
#include "puppet.h"

SUITES(death, 120);

#define MS UINT64_C(1000000)

static rbx_repaired repaired(rbx_ring *ring)
{
    rbx_repaired what;
    succeeds(rbx_ring_repair(ring, &what));
    return what;
}

/* Everything goes through, and the whole capacity is there. */
static void check_whole(const struct variant *v, rbx_ring *ring, size_t capacity)
{
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    for (int lap = 0; lap < 3; lap++) {
        cr_assert_eq(fill(&tx), slots_for(v, capacity));
        recv_numbers(&rx, 0, slots_for(v, capacity));
        check_empty(&rx);
    }
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
}

/* --- What becomes of it --- */

EACH(death, what_a_dead_sender_had_claimed_is_skipped)
{
    const char *name = own_name("claim");
    for (uint64_t count = 0; count < 9; count++) {
        rbx_ring *ring = ring_for(v, name, 4);
        rbx_tx tx;
        rbx_rx rx;
        succeeds(rbx_tx_open(&tx, ring));
        succeeds(rbx_rx_open(&rx, ring));
        struct puppet sender = puppet_start(v, name);
        cr_assert_eq(puppet_does(&sender, opens_tx, 0, 0), 0);
        for (uint64_t i = 0; i < count; i++) {
            cr_assert_eq(puppet_does(&sender, sends, 0, i), 0);
            if (i + 2 < count)
                recv_numbers(&rx, i, 1);
        }
        cr_assert_eq(puppet_does(&sender, claims, 0, ~UINT64_C(0)), 0);
        puppet_kill(&sender);
        rbx_end_info info;
        succeeds(rbx_ring_sender(ring, 1, &info));
        cr_assert_eq(info.state, RBX_END_DEAD);
        rbx_repaired what = repaired(ring);
        cr_assert_eq(what.senders, 1);
        cr_assert_eq(what.tombstones, is_locked(v) ? 0 : 1);
        cr_assert_eq(what.receivers + what.redelivered + what.dropped + what.returned, 0);
        succeeds(rbx_ring_sender(ring, 1, &info));
        cr_assert_eq(info.state, RBX_END_NONE);
        send_numbers(&tx, count, 1);
        recv_numbers(&rx, count > 2 ? count - 2 : 0, count > 2 ? 3 : count + 1);
        check_empty(&rx);
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        check_whole(v, ring, 4);
        what = repaired(ring);
        cr_assert_eq(what.senders + what.tombstones, 0, "all was done");
        succeeds(rbx_ring_close(ring));
    }
}

EACH(death, what_a_dead_receiver_had_peeked_goes_to_the_next)
{
    const char *name = own_name("peek");
    for (uint64_t count = 0; count < 9; count++) {
        rbx_ring *ring = ring_for(v, name, 4);
        rbx_tx tx;
        rbx_rx rx;
        succeeds(rbx_tx_open(&tx, ring));
        succeeds(rbx_rx_open(&rx, ring));
        struct puppet receiver = puppet_start(v, name);
        cr_assert_eq(puppet_does(&receiver, opens_rx, 0, 0), 0);
        send_numbers(&tx, 0, 2);
        for (uint64_t i = 0; i < count; i++) {
            cr_assert_eq(puppet_does(&receiver, receives, 0, i), 0);
            send_numbers(&tx, i + 2, 1);
        }
        cr_assert_eq(puppet_does(&receiver, peeks, 0, count), 0);
        puppet_kill(&receiver);
        cr_assert_eq(described(ring).received, count);
        rbx_repaired what = repaired(ring);
        cr_assert_eq(what.receivers, 1);
        cr_assert_eq(what.redelivered, is_locked(v) ? 0 : 1);
        cr_assert_eq(what.senders + what.tombstones + what.dropped + what.returned, 0);
        cr_assert_eq(described(ring).received, count);
        send_numbers(&tx, count + 2, 1);
        recv_numbers(&rx, count, 3);
        check_empty(&rx);
        cr_assert_eq(described(ring).received, count + 3);
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        check_whole(v, ring, 4);
        succeeds(rbx_ring_close(ring));
    }
}

/* It has found the ring empty, and no orphans: only their count tells it of this one. */
BOTH(death, a_receiver_that_has_looked_before_gets_what_a_dead_one_held_first)
{
    const char *name = own_name("looked");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    check_empty(&rx);
    struct puppet receiver = puppet_start(v, name);
    cr_assert_eq(puppet_does(&receiver, opens_rx, 0, 0), 0);
    send_numbers(&tx, 0, 3);
    cr_assert_eq(puppet_does(&receiver, peeks, 0, 0), 0);
    puppet_kill(&receiver);
    cr_assert_eq(repaired(ring).redelivered, 1);
    recv_numbers(&rx, 0, 3);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    check_whole(v, ring, 4);
    succeeds(rbx_ring_close(ring));
}

BOTH(death, with_drop_what_a_dead_receiver_had_peeked_is_dropped_and_counted)
{
    const char *name = own_name("drop");
    const struct variant drops = {v->kind, v->flags | RBX_DROP};
    rbx_ring *ring = ring_for(&drops, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    for (uint64_t death = 0; death < 9; death++) {
        struct puppet receiver = puppet_start(v, name);
        cr_assert_eq(puppet_does(&receiver, opens_rx, 0, 0), 0);
        send_numbers(&tx, 0, 3);
        cr_assert_eq(puppet_does(&receiver, peeks, 0, 0), 0);
        puppet_kill(&receiver);
        rbx_repaired what = repaired(ring);
        cr_assert_eq(what.receivers, 1);
        cr_assert_eq(what.dropped, 1);
        cr_assert_eq(what.redelivered + what.returned + what.tombstones, 0);
        recv_numbers(&rx, 1, 2);
        check_empty(&rx);
        cr_assert_eq(described(ring).repaired.dropped, death + 1);
    }
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    check_whole(&drops, ring, 4);
    succeeds(rbx_ring_close(ring));
}

BOTH(death, one_that_dies_in_several_seats_leaves_them_all)
{
    const char *name = own_name("seats");
    rbx_ring *ring = ring_for(v, name, 8);
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet puppet = puppet_start(v, name);
    send_numbers(&tx, 0, 2);
    for (unsigned hand = 0; hand < 3; hand++) {
        cr_assert_eq(puppet_does(&puppet, opens_tx, hand, 0), 0);
        cr_assert_eq(puppet_does(&puppet, claims, hand, 99), 0);
        cr_assert_eq(puppet_does(&puppet, opens_rx, hand, 0), 0);
        if (hand < 2)
            cr_assert_eq(puppet_does(&puppet, peeks, hand, hand), 0);
    }
    send_numbers(&tx, 2, 1);
    puppet_kill(&puppet);
    rbx_repaired what = repaired(ring);
    cr_assert_eq(what.senders, 3);
    cr_assert_eq(what.receivers, 3);
    cr_assert_eq(what.tombstones, 3);
    cr_assert_eq(what.redelivered, 2);
    cr_assert_eq(what.dropped + what.returned + what.suspect, 0);
    rbx_ring_info info = described(ring);
    cr_assert_eq(memcmp(&info.repaired, &what, sizeof what), 0);
    recv_numbers(&rx, 0, 3);
    check_empty(&rx);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    check_whole(v, ring, 8);
    succeeds(rbx_ring_close(ring));
}

EACH(death, who_dies_with_empty_hands_leaves_nothing_to_do)
{
    const char *name = own_name("idle");
    rbx_ring *ring = ring_for(v, name, 4);
    struct puppet puppet = puppet_start(v, name);
    cr_assert_eq(puppet_does(&puppet, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&puppet, opens_rx, 0, 0), 0);
    for (uint64_t i = 0; i < 7; i++) {
        cr_assert_eq(puppet_does(&puppet, sends, 0, i), 0);
        cr_assert_eq(puppet_does(&puppet, receives, 0, i), 0);
    }
    puppet_kill(&puppet);
    rbx_repaired what = repaired(ring);
    cr_assert_eq(what.senders, 1);
    cr_assert_eq(what.receivers, 1);
    cr_assert_eq(what.tombstones + what.redelivered + what.dropped + what.returned, 0);
    check_whole(v, ring, 4);
    succeeds(rbx_ring_close(ring));
}

/* --- Inside a batch --- */

/* Dies, of SIGSEGV, inside recv_n: its buffer ends after `number` messages. */
static int dies_in_recv_n(struct props *props, unsigned hand, uint64_t number)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, SIG_DFL);
    mprotect(pages + 4096, 4096, PROT_NONE);
    return (int)rbx_try_recv_n(&props->rx[hand], pages + 4096 - number * 8, 20);
}

/* Likewise, inside send_n, after numbers from 0 on. */
static int dies_in_send_n(struct props *props, unsigned hand, uint64_t number)
{
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *numbers = (uint64_t *)(void *)(pages + 4096 - number * 8);
    for (uint64_t i = 0; i < number; i++)
        numbers[i] = i;
    signal(SIGSEGV, SIG_DFL);
    mprotect(pages + 4096, 4096, PROT_NONE);
    return (int)rbx_try_send_n(&props->tx[hand], numbers, 20);
}

EACH(death, who_dies_inside_recv_n_leaves_it_all_to_the_next_one)
{
    const char *name = own_name("batch");
    rbx_ring *ring = ring_for(v, name, 16);
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_tx_open(&tx, ring));
    send_numbers(&tx, 0, 14);
    struct puppet receiver = puppet_start(v, name);
    cr_assert_eq(puppet_does(&receiver, opens_rx, 0, 0), 0);
    puppet_tell(&receiver, dies_in_recv_n, 0, 8);
    puppet_bury(&receiver);
    repaired(ring);
    succeeds(rbx_rx_open(&rx, ring));
    recv_numbers(&rx, 0, 14);
    check_empty(&rx);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    check_whole(v, ring, 16);
    succeeds(rbx_ring_close(ring));
}

EACH(death, who_dies_inside_send_n_has_sent_the_first_so_many)
{
    const char *name = own_name("batch");
    rbx_ring *ring = ring_for(v, name, 16);
    rbx_rx rx;
    uint64_t got, count = 0;
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet sender = puppet_start(v, name);
    cr_assert_eq(puppet_does(&sender, opens_tx, 0, 0), 0);
    puppet_tell(&sender, dies_in_send_n, 0, 10);
    puppet_bury(&sender);
    repaired(ring);
    while (rbx_try_recv(&rx, &got) == 0)
        cr_assert_eq(got, count++);
    cr_assert_leq(count, 10);
    if (is_locked(v))
        cr_assert_eq(count, 0, "all or none");
    rbx_rx_close(&rx);
    check_whole(v, ring, 16);
    succeeds(rbx_ring_close(ring));
}

/* --- Who finds it --- */

EACH(death, a_receiver_that_waits_finds_a_dead_sender)
{
    const char *name = own_name("finds");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_rx rx;
    uint64_t got;
    succeeds(rbx_rx_open(&rx, ring));
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
        succeeds(rbx_rx_wait_by(&rx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
        struct puppet dies = puppet_start(v, name), lives = puppet_start(v, name);
        cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&lives, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&dies, claims, 0, 99), 0);
        if (!is_locked(v))
            cr_assert_eq(puppet_does(&lives, sends, 0, 7), 0);
        puppet_kill(&dies);
        if (is_locked(v))
            cr_assert_eq(puppet_does(&lives, sends, 0, 7), 0);
        cr_assert_eq(rbx_recv(&rx, &got), 0);
        cr_assert_eq(got, 7);
        cr_assert_eq(puppet_does(&lives, closes_tx, 0, 0), 0);
        puppet_kill(&lives);
    }
    rbx_rx_close(&rx);
    check_whole(v, ring, 4);
    succeeds(rbx_ring_close(ring));
}

EACH(death, a_receiver_that_waits_gets_what_a_dead_one_held)
{
    const char *name = own_name("holds");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    uint64_t got;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
        succeeds(rbx_rx_wait_by(&rx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
        struct puppet dies = puppet_start(v, name);
        cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
        send_numbers(&tx, 7, 1);
        cr_assert_eq(puppet_does(&dies, peeks, 0, 7), 0);
        puppet_kill(&dies);
        cr_assert_eq(rbx_recv(&rx, &got), 0);
        cr_assert_eq(got, 7);
    }
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    check_whole(v, ring, 4);
    succeeds(rbx_ring_close(ring));
}

struct waiter {
    rbx_tx tx;
    int answer;
};

static void *wait_to_send(void *arg)
{
    struct waiter *waiter = arg;
    uint64_t number = 9;
    waiter->answer = rbx_send(&waiter->tx, &number);
    return NULL;
}

BOTH(death, a_sender_that_waits_finds_a_dead_receiver)
{
    for (int drop = 0; drop < 2; drop++) {
        const char *name = own_name("room");
        const struct variant kind = {v->kind, v->flags | (drop ? RBX_DROP : 0)};
        rbx_ring *ring = ring_for(&kind, name, 1);
        struct waiter waiter;
        pthread_t thread;
        succeeds(rbx_tx_open(&waiter.tx, ring));
        send_numbers(&waiter.tx, 0, 1);
        struct puppet dies = puppet_start(v, name), lives = puppet_start(v, name);
        cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
        cr_assert_eq(puppet_does(&lives, opens_rx, 0, 0), 0); /* so that no end is in mourning */
        cr_assert_eq(puppet_does(&dies, peeks, 0, 0), 0);
        cr_assert_eq(pthread_create(&thread, NULL, wait_to_send, &waiter), 0);
        puppet_kill(&dies);
        while (described(ring).repaired.receivers == 0)
            rbx_clock_pause(MS / 5);
        cr_assert_eq(described(ring).repaired.redelivered, (uint64_t)!drop);
        cr_assert_eq(described(ring).repaired.dropped, (uint64_t)drop);
        if (!drop)
            cr_assert_eq(puppet_does(&lives, receives, 0, 0), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(waiter.answer, 0);
        cr_assert_eq(puppet_does(&lives, receives, 0, 9), 0);
        rbx_tx_close(&waiter.tx);
        puppet_dismiss(&lives);
        repaired(ring);
        check_whole(&kind, ring, 1);
        succeeds(rbx_ring_close(ring));
    }
}

EACH(death, one_that_only_polls_finds_the_dead)
{
    const char *name = own_name("polls");
    rbx_ring *ring = ring_for(v, name, 2);
    rbx_tx tx;
    rbx_rx rx;
    uint64_t got = 0;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet sender = puppet_start(v, name), receiver = puppet_start(v, name);
    cr_assert_eq(puppet_does(&sender, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&receiver, opens_rx, 0, 0), 0);
    cr_assert_eq(puppet_does(&sender, claims, 0, 99), 0);
    if (!is_locked(v))
        send_numbers(&tx, 7, 1);
    puppet_kill(&sender);
    if (is_locked(v))
        send_numbers(&tx, 7, 1);
    while (rbx_try_recv(&rx, &got) == -EAGAIN)
        ;
    cr_assert_eq(got, 7);
    send_numbers(&tx, 8, 1);
    cr_assert_eq(puppet_does(&receiver, peeks, 0, 8), 0);
    puppet_kill(&receiver);
    while (rbx_try_recv(&rx, &got) == -EAGAIN)
        ;
    cr_assert_eq(got, 8);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    check_whole(v, ring, 2);
    succeeds(rbx_ring_close(ring));
}

BOTH(death, a_sender_that_only_polls_finds_a_dead_receiver)
{
    const char *name = own_name("polls");
    const struct variant drops = {v->kind, v->flags | RBX_DROP};
    rbx_ring *ring = ring_for(&drops, name, 1);
    rbx_tx tx;
    succeeds(rbx_tx_open(&tx, ring));
    send_numbers(&tx, 0, 1);
    struct puppet receiver = puppet_start(v, name);
    cr_assert_eq(puppet_does(&receiver, opens_rx, 0, 0), 0);
    cr_assert_eq(puppet_does(&receiver, peeks, 0, 0), 0);
    puppet_kill(&receiver);
    uint64_t number = 1;
    while (rbx_try_send(&tx, &number) == -EAGAIN)
        ;
    cr_assert_eq(described(ring).repaired.dropped, 1);
    rbx_tx_close(&tx);
    succeeds(rbx_ring_close(ring));
}

EACH(death, who_opens_the_seat_of_a_dead_one_settles_it_first)
{
    const char *name = own_name("seat");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, sends, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, peeks, 0, 0), 0);
    if (!is_locked(v))
        cr_assert_eq(puppet_does(&dies, claims, 0, 1), 0);
    puppet_kill(&dies);
    succeeds(rbx_rx_open(&rx, ring));
    succeeds(rbx_tx_open(&tx, ring));
    rbx_ring_info info = described(ring);
    cr_assert_eq(info.repaired.senders, 1);
    cr_assert_eq(info.repaired.receivers, 1);
    cr_assert_eq(info.tx.opened, 2);
    recv_numbers(&rx, 0, 1);
    check_empty(&rx);
    send_numbers(&tx, 1, 1);
    recv_numbers(&rx, 1, 1);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

/* ring.h: "Whoever waits, polls for some milliseconds, or opens an endpoint sees to them". */
BOTH(death, who_opens_any_endpoint_sees_to_the_dead)
{
    for (int end = 0; end < 2; end++) {
        const char *name = own_name("any");
        rbx_ring *ring = ring_for(v, name, 4);
        rbx_tx tx;
        rbx_rx rx;
        struct puppet dies = puppet_start(v, name);
        for (unsigned hand = 0; hand < 2; hand++) {
            cr_assert_eq(puppet_does(&dies, opens_tx, hand, 0), 0);
            cr_assert_eq(puppet_does(&dies, opens_rx, hand, 0), 0);
        }
        cr_assert_eq(puppet_does(&dies, sends, 1, 0), 0);
        cr_assert_eq(puppet_does(&dies, peeks, 1, 0), 0);
        cr_assert_eq(puppet_does(&dies, closes_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&dies, closes_rx, 0, 0), 0);
        puppet_kill(&dies);
        if (end == 0)
            succeeds(rbx_tx_open(&tx, ring));
        else
            succeeds(rbx_rx_open(&rx, ring));
        cr_assert_eq(described(ring).repaired.redelivered, 1);
        if (end == 0)
            rbx_tx_close(&tx);
        else
            rbx_rx_close(&rx);
        succeeds(rbx_ring_close(ring));
    }
}

EACH(death, a_new_receiver_of_a_ring_that_was_shut_down_takes_what_a_dead_one_held)
{
    const char *name = own_name("last");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
    succeeds(rbx_tx_open(&tx, ring));
    send_numbers(&tx, 0, 1);
    if (is_locked(v))
        succeeds(rbx_ring_shutdown(ring));
    cr_assert_eq(puppet_does(&dies, peeks, 0, 0), 0);
    if (!is_locked(v))
        succeeds(rbx_ring_shutdown(ring));
    puppet_kill(&dies);
    cr_assert_lt(described(ring).received, described(ring).sent);
    succeeds(rbx_rx_open(&rx, ring));
    recv_numbers(&rx, 0, 1);
    uint64_t got;
    cr_assert_eq(rbx_try_recv(&rx, &got), -EPIPE);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}
