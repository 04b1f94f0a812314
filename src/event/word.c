/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "word.h"

#include <errno.h>

#include "../os/clock.h"
#include "../os/futex.h"
#include "../os/thread.h"
#include "../wait.h"

/*
 * Wakes who sleeps: one, as one can get through, or all. Whoever slept when SET came on has been
 * woken then, if the kernel found nobody, or everybody. And SET has been on since, if the word has
 * not changed: so nobody has fallen asleep, and SLEEPERS can go. A death before this swap leaves
 * SLEEPERS on for nobody, which costs the next set a call; a swap that fails, too.
 */
static void wake(const struct rbx_event_view *view, uint32_t seen)
{
    if (view->manual)
        rbx_futex_wake(view->bits, view->in_process);
    else if (rbx_futex_wake_one(view->bits, view->in_process))
        return; /* others may sleep */
    /* Needs no order of its own: it publishes nothing, and passes E1 on as any swap does. */
    (void)rbx_swap_if_release(view->bits, &seen, seen & ~(uint32_t)RBX_EVENT_SLEEPERS);
}

void rbx_event_word_set(const struct rbx_event_view *view)
{
    /* E1: publishes what was written before; pairs with E1 in turn_off(), and where a manual one is
       looked at. One step: who dies before it has not set the event, and who dies after it has. */
    uint32_t before = rbx_or_release(view->bits, RBX_EVENT_SET);
    if (before & RBX_EVENT_SLEEPERS)
        wake(view, before | RBX_EVENT_SET);
}

/*
 * Whether this call turned SET off; *seen is what the word said last. Two tries are enough to know
 * better: while SET is on a word only ever loses SLEEPERS, once. So if it changed twice SET was off
 * in between, by another.
 */
static bool turn_off(const struct rbx_event_view *view, uint32_t *seen)
{
    *seen = rbx_load_acquire(view->bits); /* E1, for a reset that finds it off */
    for (int tries = 2; tries > 0 && *seen & RBX_EVENT_SET; tries--)
        if (rbx_swap_if_acquire(view->bits, seen, /* E1 */
                                (*seen & ~(uint32_t)RBX_EVENT_SET) + RBX_EVENT_OFF))
            return true;
    return false;
}

void rbx_event_word_reset(const struct rbx_event_view *view)
{
    uint32_t seen;
    (void)turn_off(view, &seen);
}

bool rbx_event_word_take(const struct rbx_event_view *view)
{
    uint32_t seen;
    return view->manual ? rbx_load_acquire(view->bits) & RBX_EVENT_SET /* E1 */
                        : turn_off(view, &seen);
}

/* A wait that has begun when the word said `begun`. */
struct wait {
    const struct rbx_event_view *view;
    uint32_t begun;
    uint32_t seen; /* last, by goes_through() */
};

/* With manual reset it is over as well when SET was on meanwhile, and is off again: who waits when
   the event is set gets through. */
static bool goes_through(struct wait *wait)
{
    if (!wait->view->manual)
        return turn_off(wait->view, &wait->seen);
    wait->seen = rbx_load_acquire(wait->view->bits); /* E1 */
    return wait->seen & RBX_EVENT_SET || (wait->seen ^ wait->begun) >= RBX_EVENT_OFF;
}

enum { LOOKS_A_TIME = 64 };

/* Looks for about as long as it takes to look at the clock. */
static bool goes_through_soon(struct wait *wait)
{
    bool yields = wait->view->single_core;
    for (int looks = yields ? 1 : LOOKS_A_TIME; looks > 0; looks--) {
        if (goes_through(wait))
            return true;
        if (yields)
            rbx_thread_yield();
        else
            rbx_pause();
    }
    return false;
}

static int wait_busily(struct wait *wait, uint64_t deadline)
{
    enum { TIMES_A_YIELD = 16 };
    for (unsigned times = 1;; times++) {
        if (goes_through_soon(wait))
            return 0;
        if (rbx_clock_monotonic() >= deadline)
            return goes_through(wait) ? 0 : -ETIMEDOUT;
        if (times % TIMES_A_YIELD == 0)
            rbx_thread_yield(); /* whoever is to set it may need this core */
    }
}

static bool spin(struct wait *wait, uint64_t until)
{
    do
        if (goes_through_soon(wait))
            return true;
    while (rbx_clock_monotonic() < until);
    return false;
}

/*
 * Sleeps, unless the word has changed since it was looked at. The kernel looks once more, when
 * nobody can come in between: so either whoever turned SET on sees SLEEPERS, and this thread among
 * those who sleep; or this thread finds another word.
 */
static int nap(const struct wait *wait, uint64_t until)
{
    uint32_t seen = wait->seen;
    if (seen & RBX_EVENT_SET)
        return 0;
    if (!(seen & RBX_EVENT_SLEEPERS)) {
        /* Needs no order: it publishes nothing, and what it finds is looked at again. */
        if (!rbx_swap_if_release(wait->view->bits, &seen, seen | RBX_EVENT_SLEEPERS))
            return 0;
        seen |= RBX_EVENT_SLEEPERS;
    }
    return rbx_futex_wait(wait->view->bits, seen, until, wait->view->in_process);
}

static int sleep_until(struct wait *wait, uint64_t deadline)
{
    int err = 0;
    for (;;) {
        /* Woken, it takes what it was woken for, whatever else has happened. */
        if (goes_through(wait))
            return 0;
        uint64_t now = rbx_clock_monotonic();
        if (err == -EINTR || now >= deadline)
            return err == -EINTR ? err : -ETIMEDOUT;
        uint64_t slice_ends = now + RBX_SLICE_NS;
        err = nap(wait, slice_ends < deadline ? slice_ends : deadline);
    }
}

int rbx_event_word_wait(struct rbx_event_view *view, uint64_t deadline)
{
    /* Relaxed: only its count is looked at, and by itself. */
    struct wait wait = {.view = view, .begun = rbx_load_relaxed(view->bits)};
    if (goes_through(&wait))
        return 0;
    if (view->busy)
        return wait_busily(&wait, deadline);
    uint32_t spin_ns = atomic_load_explicit(&view->spin_ns, memory_order_relaxed);
    uint64_t begun = rbx_clock_monotonic(), waited = 0;
    int err = 0;
    if (spin_ns == 0 || !spin(&wait, begun + spin_ns < deadline ? begun + spin_ns : deadline)) {
        err = sleep_until(&wait, deadline);
        waited = rbx_clock_monotonic() - begun;
    }
    atomic_store_explicit(&view->spin_ns, rbx_spin_after(spin_ns, view->most_ns, waited),
                          memory_order_relaxed);
    return err;
}
