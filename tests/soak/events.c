/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * events.c: an event of automatic reset says that there is work, and one of manual reset is a gate.
 *
 * Work: who makes some counts it, and then sets the event; who is let through takes all that there
 * is. Who comes after a dead one first makes good what that may have left undone: sets the event,
 * or takes what there is. So at the end all work is done, unless a set was lost. It has let through
 * no more waits than it was set.
 *
 * The gate: one opens and closes it, the others go through. While it says that the gate is closed,
 * nobody gets through; at the end it stays open, and all get through.
 */
#include <errno.h>
#include <stdio.h>

#include "soak.h"

static rbx_event *event_now;
static rbx_event_options shape;

static bool make(bool manual)
{
    uint64_t state = mix(round_now.seed ^ 1);
    shape = (rbx_event_options){.how = (rbx_event_how)(round_now.kind % 3),
                                .manual = manual,
                                .spin_ns = draw_from(&state, 2) ? RBX_NO_SPIN : 0,
                                .box.how = RBX_CREATE_ONLY};
    round_now.first_out = manual ? 1 : 1 + draw_from(&state, 3);
    round_now.slots = round_now.first_out + 1 + draw_from(&state, 4);
    if (shape.how == RBX_EVENT_FD)
        shape.box = (rbx_box_options){0};
    bool has_name = shape.how != RBX_EVENT_FD;
    if (rbx_event_open(&event_now, has_name ? round_now.name : NULL, &shape) < 0) {
        fail("an event could not be made: %s", rbx_last_error());
        return false;
    }
    return true;
}

static bool begin_event(void)
{
    return make(false);
}

static bool begin_gate(void)
{
    return make(true);
}

/* An eventfd is inherited. */
static rbx_event *join(void)
{
    rbx_event_options joins = shape;
    rbx_event *event = NULL;
    if (shape.how == RBX_EVENT_FD)
        return event_now;
    joins.box.how = RBX_OPEN_ONLY;
    does("joins", false);
    int err = rbx_event_open(&event, round_now.name, &joins);
    if (err < 0)
        fail("a participant could not join: %d: %s", err, rbx_last_error());
    return event;
}

static void leave(rbx_event *event)
{
    does("closes", false);
    int err = rbx_event_close(event);
    if (err < 0)
        fail("closing answered %d: %s", err, rbx_last_error());
    if (shape.how == RBX_EVENT_FD)
        me.closed = 1;
}

/* Whether it was let through. */
static bool wait_for_it(rbx_event *event)
{
    unsigned how = draw(4);
    uint64_t timeout = draw_timeout();
    bool is_forever = how > 1 || (how == 1 && timeout == RBX_FOREVER);
    does(how == 0 ? "try_wait" : "wait", is_forever);
    int err = how == 0   ? rbx_event_try_wait(event)
              : how == 1 ? rbx_event_wait_for(event, timeout)
                         : rbx_event_wait(event);
    did();
    bool expected = err == 0 || (how == 0 ? err == -EAGAIN
                                          : err == -EINTR || (err == -ETIMEDOUT && !is_forever));
    if (!expected)
        fail("a wait answered %d: %s", err, rbx_last_error());
    return err == 0;
}

static void set(rbx_event *event)
{
    atomic_fetch_add(&ledger->sets, 1);
    does("set", false);
    int err = rbx_event_set(event);
    if (err < 0)
        fail("set answered %d: %s", err, rbx_last_error());
    did();
}

/* --- Work --- */

static void make_work(rbx_event *event)
{
    set(event); /* for who made some and died */
    while (is_well() && phase() == RUN && !feels_like_leaving()) {
        atomic_fetch_add(&ledger->work, 1);
        set(event);
        /* Some want it done before they go on. */
        for (int looks = (int)draw(4) * 50; looks > 0 && atomic_load(&ledger->work) > 0; looks--)
            dawdle();
        dawdle();
    }
}

/* Counts those that were let through: one more than was set has no right to be. */
static void do_work(rbx_event *event)
{
    uint64_t done = atomic_exchange(&ledger->work, 0); /* of who was let through and died */
    atomic_fetch_add_explicit(&me.slot->moved, done, memory_order_relaxed);
    while (is_well() && phase() != STOP && !feels_like_leaving()) {
        if (!wait_for_it(event))
            continue;
        uint64_t passes = atomic_fetch_add(&ledger->passes, 1) + 1;
        uint64_t sets = atomic_load(&ledger->sets);
        if (passes > sets)
            fail("an event was set %llu times, and let %llu waits through",
                 (unsigned long long)sets, (unsigned long long)passes);
        hold("has been let through");
        done = atomic_exchange(&ledger->work, 0);
        atomic_fetch_add_explicit(&me.slot->moved, 1 + done, memory_order_relaxed);
        dawdle();
    }
}

static void play_event(void)
{
    rbx_event *event = join();
    if (!event)
        return;
    if (me.is_first_out)
        make_work(event);
    else
        do_work(event);
    leave(event);
}

static bool is_all_done(void)
{
    return atomic_load(&ledger->work) == 0;
}

/* They wait for more, and there is none. */
static void let_go(void)
{
    atomic_fetch_add(&ledger->sets, 1);
    rbx_event_set(event_now);
}

/* --- The gate: odd while it is closed for certain --- */

static void keep_gate(rbx_event *event)
{
    uint64_t gate = atomic_load(&ledger->gate);
    atomic_store(&ledger->gate, gate += 2 - gate % 2); /* who died may have opened it */
    while (is_well() && phase() == RUN && !feels_like_leaving()) {
        set(event);
        dawdle();
        does("reset", false);
        int err = rbx_event_reset(event);
        if (err < 0)
            fail("reset answered %d: %s", err, rbx_last_error());
        did();
        atomic_store(&ledger->gate, ++gate);
        dawdle();
        atomic_store(&ledger->gate, ++gate);
    }
    set(event);
}

static void go_through(rbx_event *event)
{
    while (is_well() && phase() != STOP && !feels_like_leaving()) {
        uint64_t gate = atomic_load(&ledger->gate);
        bool through = wait_for_it(event);
        if (through && gate % 2 == 1 && atomic_load(&ledger->gate) == gate)
            fail("a gate that was closed all the time let somebody through");
        if (through)
            atomic_fetch_add_explicit(&me.slot->moved, 1, memory_order_relaxed);
        dawdle();
    }
}

static void play_gate(void)
{
    rbx_event *event = join();
    if (!event)
        return;
    if (me.is_first_out)
        keep_gate(event);
    else
        go_through(event);
    leave(event);
}

/* --- All --- */

static void judge(void)
{
    int is_set = rbx_event_is_set(event_now);
    if (shape.manual && is_set != 1)
        fail("a gate that was left open says %d", is_set);
    if (!shape.manual && atomic_load(&ledger->work) != 0)
        fail("LOST: work that nobody has done");
}

static void tell(void)
{
    printf("  %s, %s: work %llu, sets %llu, passes %llu, gate %llu; it is %s\n",
           shape.manual ? "manual" : "automatic",
           shape.how == RBX_EVENT_FUTEX  ? "futex"
           : shape.how == RBX_EVENT_BUSY ? "busy"
                                         : "eventfd",
           (unsigned long long)atomic_load(&ledger->work),
           (unsigned long long)atomic_load(&ledger->sets),
           (unsigned long long)atomic_load(&ledger->passes),
           (unsigned long long)atomic_load(&ledger->gate),
           event_now && rbx_event_is_set(event_now) == 1 ? "set" : "not set");
}

static void end(void)
{
    int err = rbx_event_close(event_now);
    if (err < 0)
        fail("the event could not be closed: %s", rbx_last_error());
    event_now = NULL;
}

const struct game event_game = {.noun = "event",
                                .begin = begin_event,
                                .play = play_event,
                                .turn = is_all_done,
                                .nudge = let_go,
                                .judge = judge,
                                .tell = tell,
                                .end = end};
const struct game gate_game = {.noun = "gate",
                               .begin = begin_gate,
                               .play = play_gate,
                               .judge = judge,
                               .tell = tell,
                               .end = end};
