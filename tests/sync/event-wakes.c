/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * event-wakes [ROUNDS]
 *
 * A hunt for lost wake-ups of events. One sets an event for which one or some others wait, and
 * whoever gets through sets another event, for which the first waits: so there is one set at a
 * time. Nobody spins; all pause for so long as it takes to set, to wake and to fall asleep; some
 * are tired of waiting, or get signals; and some stay away until another has got through.
 *
 * When a wake-up is lost is exact (see hunt.h): after a set its setter notes the event's word, and
 * how many the kernel has woken for it. If a sleep ended later, or began, and the word is as it was
 * noted, set, then nobody has got through since. If nobody was woken either, its wake-up was lost.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "../support/hunt.h"
#include "event/handle.h"
#include "os/futex.h"

enum { EVENTS = HUNT_RINGS, WAITERS_MAX = 3 };
enum which { THERE, BACK };

/* The last set of an event. */
struct note {
    _Atomic uint32_t bits;
    _Atomic uint32_t woken;
    _Atomic uint64_t at; /* written last, 0 first */
};

/* Shared by all. */
static struct state {
    _Atomic uint32_t through, over, away;
    struct note notes[EVENTS];
} * state;

static struct mode {
    enum people people;
    unsigned waiters;
    uint32_t rounds;
} mode;
static rbx_event *made[EVENTS];

/* Each side's own. */
static _Thread_local rbx_event *events[EVENTS];
static _Thread_local uint32_t woken; /* by the last set */

bool __real_rbx_futex_wake_one(const void *word, bool in_process);
bool __wrap_rbx_futex_wake_one(const void *word, bool in_process);
bool __wrap_rbx_futex_wake_one(const void *word, bool in_process)
{
    bool did = __real_rbx_futex_wake_one(word, in_process);
    woken += did;
    return did;
}

static void set_and_note(enum which which)
{
    struct note *note = &state->notes[which];
    woken = 0;
    atomic_store(&note->at, 0);
    if (rbx_event_set(events[which]) < 0)
        hunt_fail("a set failed: %s", rbx_last_error());
    atomic_store(&note->woken, woken);
    atomic_store(&note->bits, rbx_load_relaxed(events[which]->view.bits));
    atomic_store(&note->at, now());
}

void hunt_before_sleep(void)
{
}

void hunt_slept(const struct hunt_sleep *sleep)
{
    enum which which = sleep->word == events[BACK]->view.bits ? BACK : THERE;
    const struct note *note = &state->notes[which];
    uint64_t at = atomic_load(&note->at);
    uint32_t bits = atomic_load(&note->bits), woken_then = atomic_load(&note->woken);
    uint32_t is = rbx_load_relaxed(events[which]->view.bits);
    /* SLEEPERS may come and go meanwhile. */
    bool same = (is | RBX_EVENT_SLEEPERS) == (bits | RBX_EVENT_SLEEPERS) && is & RBX_EVENT_SET;
    if (at != 0 && at < sleep->by && same && woken_then == 0 && atomic_load(&note->at) == at)
        hunt_fail("LOST WAKE-UP: event %d was set, and nobody woken, %llu us before a sleep for it "
                  "%s",
                  (int)which, (unsigned long long)(sleep->by - at) / 1000,
                  sleep->timed_out ? "timed out" : "began");
}

/* ---- Sides --------------------------------------------------------------------------------- */

static void pause_a_little(void)
{
    if (hunt_draw(2))
        pass(hunt_draw(200U << hunt_draw(8)));
}

static void wait_for(enum which which)
{
    int err;
    do
        err = hunt_draw(4) ? rbx_event_wait(events[which])
                           : rbx_event_wait_for(events[which], hunt_draw(100000));
    while ((err == -EINTR || err == -ETIMEDOUT) && hunt_is_well());
    if (err < 0)
        hunt_fail("a wait failed: %s", rbx_last_error());
}

static void set_for_others(void)
{
    for (uint32_t round = 0; round < mode.rounds && hunt_is_well(); round++) {
        pause_a_little();
        if (hunt_draw(8) == 0)
            hunt_disturb(mode.people, 1 + hunt_draw(mode.waiters));
        set_and_note(THERE);
        pause_a_little();
        wait_for(BACK);
        if (atomic_load(&state->through) != round + 1)
            hunt_fail("after %u sets %u got through", round + 1, atomic_load(&state->through));
    }
    atomic_store(&state->over, 1);
    set_and_note(THERE);
}

/* Until another has got through: so somebody who sleeps must have been woken. */
static void stay_away(uint32_t through)
{
    if (atomic_fetch_add(&state->away, 1) + 1 < mode.waiters)
        while (atomic_load(&state->through) == through && !atomic_load(&state->over) &&
               hunt_is_well())
            sched_yield();
    atomic_fetch_sub(&state->away, 1);
}

static void wait_for_it(void)
{
    for (;;) {
        pause_a_little();
        wait_for(THERE);
        if (atomic_load(&state->over) || !hunt_is_well())
            break;
        uint32_t through = atomic_fetch_add(&state->through, 1) + 1;
        set_and_note(BACK);
        if (hunt_draw(4) == 0)
            stay_away(through);
    }
    rbx_event_set(events[THERE]); /* the next one goes, too */
    rbx_event_set(events[BACK]);
}

static void run_side(unsigned number)
{
    const rbx_event_options joins = {.spin_ns = RBX_NO_SPIN, .box.how = RBX_OPEN_ONLY};
    for (int i = 0; i < EVENTS; i++) {
        events[i] = made[i];
        if (mode.people != THREADS && rbx_event_open(&events[i], hunt_ring_name[i], &joins) < 0) {
            hunt_fail("an event could not be joined: %s", rbx_last_error());
            return;
        }
    }
    if (number == 0)
        set_for_others();
    else
        wait_for_it();
    for (int i = 0; i < EVENTS && mode.people != THREADS; i++)
        rbx_event_close(events[i]);
}

/* Whether no wake-up was lost. */
static bool run_mode(void)
{
    hunt_mode();
    const rbx_event_options options = {.spin_ns = RBX_NO_SPIN};
    for (int i = 0; i < EVENTS; i++)
        if (rbx_event_open(&made[i], mode.people == THREADS ? NULL : hunt_ring_name[i], &options) <
            0)
            hunt_fail("an event could not be made: %s", rbx_last_error());
    if (hunt_is_well())
        hunt_run(mode.people, 1 + mode.waiters, run_side);
    for (int i = 0; i < EVENTS; i++)
        rbx_event_close(made[i]);
    printf("%s, %u of them waiting: %u rounds", people_noun[mode.people], mode.waiters,
           mode.rounds);
    return hunt_verdict();
}

int main(int argc, char **argv)
{
    uint32_t rounds = 10000;
    state = hunt_begin("sync/event-wakes", sizeof *state, argc, argv, &rounds);
    for (unsigned people = 0; people < PEOPLE_HERE; people++)
        for (unsigned waiters = 1; waiters <= WAITERS_MAX; waiters += 2) {
            mode = (struct mode){
                .people = (enum people)people,
                .waiters = waiters,
                .rounds = rounds / (THREADS_ONLY ? 10 : 1) + 1,
            };
            if (!run_mode())
                return 1;
        }
    return 0;
}
