/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who is not dead: one that is stopped, or suspect; who repairs, and who may not; who is told. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "box/handle.h"
#include "os/clock.h"
#include "os/lock.h"
#include "puppet.h"
#include "ring/handle.h"

SUITES(lives, 120);

#define MS UINT64_C(1000000)

static void check_nothing_done(rbx_ring *ring)
{
    rbx_repaired what;
    const rbx_repaired nothing = {0};
    succeeds(rbx_ring_repair(ring, &what));
    cr_assert_eq(memcmp(&what, &nothing, sizeof what), 0, "of a repair");
    what = described(ring).repaired;
    cr_assert_eq(memcmp(&what, &nothing, sizeof what), 0, "so far");
}

/* --- Stopped --- */

BOTH(lives, a_sender_that_is_stopped_keeps_its_claim_and_goes_on)
{
    const char *name = own_name("stop");
    const bool strict = v->flags & RBX_STRICT;
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    uint64_t got;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet slow = puppet_start(v, name);
    cr_assert_eq(puppet_does(&slow, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&slow, claims, 0, 77), 0);
    puppet_stop(&slow);
    cr_assert_eq(fill(&tx), 3);
    if (strict)
        recv_numbers(&rx, 0, 3);
    cr_assert_eq(rbx_recv_for(&rx, &got, 600 * MS), -ETIMEDOUT, "longer than a slice");
    check_nothing_done(ring);
    rbx_end_info info;
    succeeds(rbx_ring_sender(ring, 1, &info));
    cr_assert_eq(info.state, RBX_END_ALIVE);
    puppet_go_on(&slow);
    cr_assert_eq(puppet_does(&slow, commits, 0, 0), 0);
    recv_numbers(&rx, 77, 1);
    if (!strict)
        recv_numbers(&rx, 0, 3);
    check_empty(&rx);
    cr_assert_eq(fill(&tx), 4);
    recv_numbers(&rx, 0, 4);
    check_nothing_done(ring);
    puppet_kill(&slow);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

BOTH(lives, a_receiver_that_is_stopped_keeps_its_message_and_goes_on)
{
    const char *name = own_name("stop");
    const bool strict = v->flags & RBX_STRICT;
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    uint64_t number = 0;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet slow = puppet_start(v, name);
    cr_assert_eq(puppet_does(&slow, opens_rx, 0, 0), 0);
    send_numbers(&tx, 77, 1);
    cr_assert_eq(puppet_does(&slow, peeks, 0, 77), 0);
    puppet_stop(&slow);
    for (int lap = 0; lap < (strict ? 9 : 1); lap++) {
        cr_assert_eq(fill(&tx), 3);
        recv_numbers(&rx, 0, 3);
    }
    cr_assert_eq(fill(&tx), strict ? 3 : 0);
    cr_assert_eq(rbx_send_for(&tx, &number, 600 * MS), -ETIMEDOUT, "longer than a slice");
    check_nothing_done(ring);
    puppet_go_on(&slow);
    cr_assert_eq(puppet_does(&slow, still_sees, 0, 77), 0);
    cr_assert_eq(puppet_does(&slow, releases, 0, 0), 0);
    recv_numbers(&rx, 0, strict ? 3 : 0);
    check_empty(&rx);
    cr_assert_eq(fill(&tx), 4);
    recv_numbers(&rx, 0, 4);
    check_nothing_done(ring);
    puppet_kill(&slow);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

/* The lock is its: others wait for it. */
static void stop_with_the_lock(can *holds, can *goes_on)
{
    const struct variant *v = &variants[LOCKED];
    const char *name = own_name("stop");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_rx rx;
    struct puppet slow = puppet_start(v, name), other = puppet_start(v, name);
    cr_assert_eq(puppet_does(&slow, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&slow, opens_rx, 0, 0), 0);
    cr_assert_eq(puppet_does(&other, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&slow, sends, 0, 1), 0);
    cr_assert_eq(puppet_does(&slow, holds, 0, 1), 0);
    puppet_stop(&slow);
    puppet_tell(&other, sends, 0, 2);
    struct pollfd answers = {.fd = other.socket, .events = POLLIN};
    cr_assert_eq(poll(&answers, 1, 400), 0, "nobody gets past it");
    puppet_go_on(&slow);
    cr_assert_eq(puppet_does(&slow, goes_on, 0, 0), 0);
    cr_assert_eq(puppet_hear(&other), 0);
    check_nothing_done(ring);
    succeeds(rbx_rx_open(&rx, ring));
    if (holds == claims)
        recv_numbers(&rx, 1, 1);
    recv_numbers(&rx, holds == claims ? 1 : 2, 1);
    if (holds == claims)
        recv_numbers(&rx, 2, 1);
    check_empty(&rx);
    puppet_kill(&slow);
    puppet_kill(&other);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

Test(locked_lives, one_that_is_stopped_keeps_the_lock_and_goes_on)
{
    stop_with_the_lock(claims, commits);
    stop_with_the_lock(peeks, releases);
}

/* --- Suspect --- */

BOTH(lives, a_seat_whose_lock_outlives_its_process_is_suspect_and_left_alone)
{
    const char *name = own_name("suspect");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_rx rx;
    uint64_t got;
    rbx_repaired what;
    rbx_end_info info;
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, claims, 0, 77), 0);
    cr_assert_eq(puppet_does(&dies, clones, 0, 0), 0);
    kill(dies.pid, SIGKILL);
    cr_assert_eq(waitpid(dies.pid, NULL, 0), dies.pid);
    succeeds(rbx_ring_sender(ring, 0, &info));
    cr_assert_eq(info.state, RBX_END_SUSPECT);
    cr_assert_eq(described(ring).tx.state, RBX_END_SUSPECT);
    succeeds(rbx_ring_repair(ring, &what));
    cr_assert_eq(what.suspect, 1);
    cr_assert_eq(what.senders + what.tombstones + what.returned, 0);
    cr_assert_eq(rbx_recv_for(&rx, &got, 300 * MS), -ETIMEDOUT, "it is not said to be dead");
    close(dies.socket); /* ends the clone */
    do
        succeeds(rbx_ring_sender(ring, 0, &info));
    while (info.state == RBX_END_SUSPECT);
    cr_assert_eq(info.state, RBX_END_DEAD);
    succeeds(rbx_ring_repair(ring, &what));
    cr_assert_eq(what.suspect, 0);
    cr_assert_eq(what.senders, 1);
    cr_assert_eq(what.tombstones, 1);
    check_empty(&rx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

/* --- One repair at a time --- */

BOTH(lives, while_another_repairs_a_repair_says_again_and_nobody_is_harmed)
{
    const char *name = own_name("lock");
    rbx_ring *ring = ring_for(v, name, 4), *other = ring_for(v, name, 4);
    rbx_tx tx;
    rbx_rx rx;
    uint64_t got;
    rbx_repaired what;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, claims, 0, 77), 0);
    send_numbers(&tx, 0, 1);
    puppet_kill(&dies);
    cr_assert_eq(rbx_lock_try(other->box->fd.fd, RBX_LOCK_REPAIR, RBX_LOCK_EXCLUSIVE), 0);
    for (int i = 0; i < 3; i++) {
        refuses(-EAGAIN, "somebody else is repairing", rbx_ring_repair(ring, &what));
        cr_assert_eq(what.senders, 0);
    }
    int err = rbx_recv_for(&rx, &got, 300 * MS); /* as there is one that repairs */
    if (v->flags & RBX_STRICT)
        cr_assert_eq(err, 0);
    else
        cr_assert_eq(err, -ETIMEDOUT);
    rbx_lock_drop(other->box->fd.fd, RBX_LOCK_REPAIR);
    if (err != 0)
        recv_numbers(&rx, 0, described(ring).repaired.senders);
    succeeds(rbx_ring_repair(ring, &what));
    cr_assert_eq(described(ring).repaired.senders, 1);
    if (err != 0 && what.senders)
        recv_numbers(&rx, 0, 1);
    check_empty(&rx);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(ring));
}

struct repairer {
    rbx_ring *ring;
    volatile bool *over;
    rbx_repaired done;
    int error;
};

static void *repair_on_and_on(void *arg)
{
    struct repairer *repairer = arg;
    while (!*repairer->over) {
        rbx_repaired what;
        int err = rbx_ring_repair(repairer->ring, &what);
        if (err != 0 && err != -EAGAIN)
            repairer->error = err;
        repairer->done.senders += what.senders;
        repairer->done.tombstones += what.tombstones;
        repairer->done.receivers += what.receivers;
        repairer->done.redelivered += what.redelivered;
    }
    return NULL;
}

/* Threads of one handle and of another; no death is counted twice. */
BOTH(lives, of_several_that_repair_at_once_each_thing_is_done_by_one)
{
    enum { REPAIRERS = 4, DEATHS = 25 };
    const char *name = own_name("race");
    rbx_ring *ring = ring_for(v, name, 4), *other = ring_for(v, name, 4);
    struct repairer repairers[REPAIRERS];
    pthread_t threads[REPAIRERS];
    volatile bool over = false;
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    for (int i = 0; i < REPAIRERS; i++) {
        repairers[i] = (struct repairer){.ring = i % 2 ? ring : other, .over = &over};
        cr_assert_eq(pthread_create(&threads[i], NULL, repair_on_and_on, &repairers[i]), 0);
    }
    for (uint64_t death = 1; death <= DEATHS; death++) {
        struct puppet dies = puppet_start(v, name);
        cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
        send_numbers(&tx, death, 1);
        cr_assert_eq(puppet_does(&dies, peeks, 0, death), 0);
        cr_assert_eq(puppet_does(&dies, claims, 0, 99), 0);
        puppet_kill(&dies);
        while (described(ring).repaired.receivers < death ||
               described(ring).repaired.senders < death)
            rbx_clock_pause(MS / 20);
        recv_numbers(&rx, death, 1);
        check_empty(&rx);
    }
    over = true;
    rbx_repaired sum = {0};
    for (int i = 0; i < REPAIRERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(repairers[i].error, 0, "%d", repairers[i].error);
        sum.senders += repairers[i].done.senders;
        sum.receivers += repairers[i].done.receivers;
        sum.tombstones += repairers[i].done.tombstones;
        sum.redelivered += repairers[i].done.redelivered;
    }
    rbx_ring_info info = described(ring);
    cr_assert_eq(info.repaired.senders, DEATHS);
    cr_assert_eq(info.repaired.tombstones, DEATHS);
    cr_assert_eq(info.repaired.redelivered, DEATHS);
    cr_assert_leq(sum.senders, DEATHS, "some were done by who waited or opened");
    cr_assert_leq(sum.receivers, DEATHS);
    cr_assert_leq(sum.tombstones, DEATHS);
    cr_assert_leq(sum.redelivered, DEATHS);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(other));
    succeeds(rbx_ring_close(ring));
}

/* --- Who is told --- */

EACH(lives, a_receiver_is_told_once_when_the_last_sender_has_died_and_not_before)
{
    const char *name = own_name("told");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_rx rx, other;
    uint64_t got;
    succeeds(rbx_rx_open(&rx, ring));
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
        succeeds(rbx_rx_open(&other, ring));
        succeeds(rbx_rx_wait_by(&rx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
        struct puppet first = puppet_start(v, name), last = puppet_start(v, name);
        cr_assert_eq(puppet_does(&first, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&last, opens_tx, 0, 0), 0);
        puppet_kill(&first);
        cr_assert_eq(rbx_recv_for(&rx, &got, 300 * MS), -ETIMEDOUT, "one lives");
        cr_assert_eq(puppet_does(&last, sends, 0, 5), 0);
        puppet_kill(&last);
        cr_assert_eq(rbx_recv(&rx, &got), 0, "what it sent comes first");
        cr_assert_eq(got, 5);
        refuses(-EOWNERDEAD, "its sender has died", rbx_recv(&rx, &got));
        cr_assert_eq(rbx_recv_for(&rx, &got, 300 * MS), -ETIMEDOUT, "said once");
        refuses(-EOWNERDEAD, "its sender has died", rbx_recv(&other, &got)); /* and to each */
        cr_assert_eq(rbx_recv_for(&other, &got, 300 * MS), -ETIMEDOUT);
        rbx_rx_close(&other);
    }
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

EACH(lives, a_sender_is_told_once_when_the_last_receiver_has_died_and_not_before)
{
    const char *name = own_name("told");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_tx tx;
    uint64_t number = 0;
    succeeds(rbx_tx_open(&tx, ring));
    cr_assert_eq(fill(&tx), 4);
    struct puppet first = puppet_start(v, name), last = puppet_start(v, name);
    cr_assert_eq(puppet_does(&first, opens_rx, 0, 0), 0);
    cr_assert_eq(puppet_does(&last, opens_rx, 0, 0), 0);
    puppet_kill(&first);
    cr_assert_eq(rbx_send_for(&tx, &number, 300 * MS), -ETIMEDOUT, "one lives");
    puppet_kill(&last);
    refuses(-EOWNERDEAD, "its receiver has died", rbx_send(&tx, &number));
    cr_assert_eq(rbx_send_for(&tx, &number, 300 * MS), -ETIMEDOUT, "said once");
    rbx_tx_close(&tx);
    succeeds(rbx_ring_close(ring));
}

EACH(lives, who_closes_or_never_came_or_has_a_successor_is_not_mourned)
{
    const char *name = own_name("closes");
    rbx_ring *ring = ring_for(v, name, 4);
    rbx_rx rx;
    uint64_t got;
    succeeds(rbx_rx_open(&rx, ring));
    cr_assert_eq(rbx_recv_for(&rx, &got, 300 * MS), -ETIMEDOUT, "longer than a slice");
    struct puppet leaves = puppet_start(v, name), dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&leaves, opens_tx, 0, 0), 0);
    cr_assert_eq(puppet_does(&leaves, closes_tx, 0, 0), 0);
    cr_assert_eq(rbx_recv_for(&rx, &got, 300 * MS), -ETIMEDOUT);
    cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
    puppet_kill(&dies);
    cr_assert_eq(puppet_does(&leaves, opens_tx, 0, 0), 0);
    cr_assert_eq(rbx_recv_for(&rx, &got, 300 * MS), -ETIMEDOUT, "a successor is there");
    cr_assert_eq(puppet_does(&leaves, sends, 0, 3), 0);
    recv_numbers(&rx, 3, 1);
    puppet_kill(&leaves);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

/* --- Who may not --- */

static rbx_ring *inherited;

static int use_what_was_inherited(void *arg)
{
    static rbx_tx tx;
    static rbx_rx rx;
    (void)arg;
    if (rbx_tx_open(&tx, inherited) != -EBADF)
        return 1;
    if (rbx_rx_open(&rx, inherited) != -EBADF)
        return 2;
    if (rbx_ring_repair(inherited, NULL) != -EBADF)
        return 3;
    rbx_end_info info;
    if (rbx_ring_sender(inherited, 0, &info) < 0 || info.state != RBX_END_UNKNOWN)
        return 4;
    return rbx_ring_close(inherited) == 0 ? 0 : 5;
}

EACH(lives, a_child_can_neither_use_nor_repair_what_it_inherited)
{
    const char *name = own_name("fork");
    rbx_tx tx;
    rbx_rx rx;
    inherited = ring_for(v, name, 4);
    succeeds(rbx_tx_open(&tx, inherited));
    succeeds(rbx_rx_open(&rx, inherited));
    send_numbers(&tx, 0, 2);
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
    puppet_kill(&dies);
    int answer = in_child(use_what_was_inherited, NULL);
    cr_assert_eq(answer, 0, "%d", answer);
    cr_assert_eq(described(inherited).repaired.senders, 0);
    cr_assert_eq(described(inherited).tx.state, RBX_END_ALIVE);
    recv_numbers(&rx, 0, 2);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(inherited));
}

EACH(lives, a_read_only_handle_sees_and_does_nothing)
{
    const char *name = own_name("ro");
    rbx_ring *ring = ring_for(v, name, 4), *looks;
    const rbx_ring_options look = {.kind = v->kind,
                                   .box = {.how = RBX_OPEN_ONLY, .read_only = true}};
    rbx_tx tx, other;
    rbx_rx rx;
    rbx_repaired what = {.senders = 9};
    succeeds(rbx_tx_open(&tx, ring));
    send_numbers(&tx, 0, 3);
    struct puppet dies = puppet_start(v, name);
    cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
    cr_assert_eq(puppet_does(&dies, peeks, 0, 0), 0);
    puppet_kill(&dies);
    succeeds(rbx_ring_open(&looks, name, &look));
    refuses(-EACCES, "read-only", rbx_tx_open(&other, looks));
    refuses(-EACCES, "read-only", rbx_rx_open(&rx, looks));
    refuses(-EACCES, "read-only", rbx_ring_shutdown(looks));
    refuses(-EACCES, "read-only", rbx_ring_repair(looks, &what));
    cr_assert_eq(what.senders, 0);
    rbx_ring_info info = described(looks);
    cr_assert_eq(info.sent, 3);
    cr_assert_eq(info.received, 0);
    cr_assert_eq(info.tx.state, RBX_END_ALIVE);
    cr_assert_eq(info.rx.state, RBX_END_DEAD);
    succeeds(rbx_ring_close(looks));
    rbx_tx_close(&tx);
    succeeds(rbx_ring_close(ring));
}
