/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/any.h>

#include <errno.h>

#include "error.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"
#include "ring/arm.h"

_Static_assert(RBX_ANY_MAX <= RBX_ARM_MAX && RBX_ANY_MAX <= RBX_FUTEXES_MAX, "as many as these do");

/* A wait, and the ends that it is for. */
struct vigil {
    unsigned count;
    unsigned turn;      /* which end is napped on */
    bool never_sleeps;  /* one of them does not */
    bool yields;        /* another thread needs this core, or may */
    bool yields_soon;   /* one that shares a bell may */
    bool one_at_a_time; /* the kernel does not let it sleep on several */
    struct rbx_armed armed[RBX_ANY_MAX];
};

/* --- Whom it is for --- */

static uint32_t *listed(const rbx_any *end)
{
    return end->rx ? &end->rx->listed : &end->tx->listed;
}

static int arm(struct rbx_armed *armed, const rbx_any *end, size_t index, int32_t process)
{
    if (!end->rx == !end->tx)
        return rbx_fail(-EINVAL, "end %zu of a wait on many names %s", index,
                        end->rx ? "both a receiver and a sender" : "no endpoint");
    int err =
        end->rx ? rbx_arm_rx_of(armed, end->rx, process) : rbx_arm_tx_of(armed, end->tx, process);
    if (err < 0)
        return err;
    if (*listed(end))
        return rbx_fail(-EINVAL, "end %zu of a wait on many is there twice", index);
    *listed(end) = 1;
    return 0;
}

static int gather(struct vigil *vigil, const rbx_any *ends, size_t n)
{
    int err = 0;
    if (!ends || n == 0 || n > RBX_ANY_MAX)
        return rbx_fail(-EINVAL, "a wait on many is for 1 to %d ends, not for %zu", RBX_ANY_MAX, n);
    int32_t process = rbx_thread_process();
    vigil->count = 0;
    while (vigil->count < n && err == 0) {
        err = arm(&vigil->armed[vigil->count], &ends[vigil->count], vigil->count, process);
        vigil->count += err == 0;
    }
    for (unsigned i = 0; i < vigil->count; i++)
        *listed(&ends[i]) = 0;
    return err;
}

/* Marks those that are ready: how many. */
static int mark(struct vigil *vigil, rbx_any *ends)
{
    int ready = 0;
    for (unsigned i = 0; i < vigil->count; i++) {
        ends[i].ready = rbx_arm_is_ready(&vigil->armed[i]);
        ready += ends[i].ready;
    }
    return ready;
}

static bool is_over(const struct vigil *vigil)
{
    for (unsigned i = 0; i < vigil->count; i++)
        if (rbx_arm_is_over(&vigil->armed[i]))
            return true;
    return false;
}

/* --- Spinning --- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How it spins, and for how long: as the most patient of the ends. */
static uint64_t spin_of(struct vigil *vigil)
{
    uint64_t longest = 0;
    vigil->never_sleeps = vigil->yields = vigil->yields_soon = false;
    for (unsigned i = 0; i < vigil->count; i++) {
        const rbx_patience *patience = vigil->armed[i].patience;
        uint64_t spin =
            patience->same_core ? patience->most_ns / RBX_SPIN_SHARE : patience->spin_ns;
        longest = spin > longest ? spin : longest;
        vigil->never_sleeps |= patience->how != RBX_WAIT_SLEEP;
        vigil->yields |= patience->how == RBX_WAIT_YIELD || patience->same_core;
        vigil->yields_soon |= patience->how == RBX_WAIT_SLEEP && patience->shared;
    }
    return longest;
}

/* Looks until CLOCK_MONOTONIC is `until`; whether anything has changed. */
static bool sees_until(const struct vigil *vigil, uint64_t begun, uint64_t until)
{
    enum { LOOKS_A_TIME = 64, SOON_NS = 4000 };
    bool yields = vigil->yields;
    for (uint64_t now = begun; now < until; now = rbx_clock_monotonic()) {
        yields |= vigil->yields_soon && now - begun > SOON_NS;
        unsigned looks = yields ? 1 : LOOKS_A_TIME / (vigil->count + 1) + 1;
        for (; looks > 0; looks--) {
            if (is_over(vigil))
                return true;
            if (yields)
                rbx_thread_yield();
            else
                rbx_pause();
        }
    }
    return is_over(vigil);
}

/* Whether that paid is one question for all: they wait together. */
static void adapt(const struct vigil *vigil, uint64_t waited_ns)
{
    for (unsigned i = 0; i < vigil->count; i++) {
        rbx_patience *patience = vigil->armed[i].patience;
        patience->spin_ns = rbx_spin_after(patience->spin_ns, patience->most_ns, waited_ns);
    }
}

/* --- Sleeping --- */

/* Sleeps on one of them for a moment, then on the next: whichever of the others is rung is seen at
   the end of the nap. */
static int nap_until(struct vigil *vigil, uint64_t until)
{
    const uint64_t longest_ns = 1000000;
    uint64_t nap_ns = 50000;
    int err = -ETIMEDOUT;
    for (uint64_t now = rbx_clock_monotonic(); now < until && err == -ETIMEDOUT && !is_over(vigil);
         now = rbx_clock_monotonic()) {
        const struct rbx_armed *armed = &vigil->armed[vigil->turn];
        err = rbx_futex_wait(armed->word, armed->value, earlier(now + nap_ns, until),
                             armed->in_process);
        nap_ns = earlier(2 * nap_ns, longest_ns);
        vigil->turn = vigil->turn + 1 < vigil->count ? vigil->turn + 1 : 0;
    }
    return err;
}

static int doze_until(struct vigil *vigil, uint64_t until)
{
    struct rbx_futex futexes[RBX_ANY_MAX];
    if (vigil->one_at_a_time)
        return nap_until(vigil, until);
    for (unsigned i = 0; i < vigil->count; i++) {
        const struct rbx_armed *armed = &vigil->armed[i];
        futexes[i] = rbx_futex_of(armed->word, armed->value, armed->in_process);
    }
    int err = rbx_futex_wait_any(futexes, vigil->count, until);
    if (err != -ENOSYS)
        return err;
    vigil->one_at_a_time = true;
    return nap_until(vigil, until);
}

/* All announce, one fence, all look; whether nobody has anything yet. */
static bool settle(struct vigil *vigil)
{
    bool holds = true;
    for (unsigned i = 0; i < vigil->count; i++)
        rbx_arm_announce(&vigil->armed[i]);
    rbx_arm_fence(vigil->armed, vigil->count);
    for (unsigned i = 0; i < vigil->count && holds; i++)
        holds = rbx_arm_holds(&vigil->armed[i]);
    return holds;
}

/* 0: something has happened, perhaps nothing that helps. -ETIMEDOUT, -EINTR. */
static int sleep_until(struct vigil *vigil, uint64_t until)
{
    uint64_t first = earlier(rbx_clock_monotonic() + RBX_FIRST_SLEEP_NS, until);
    bool sleeps = settle(vigil);
    int err = 0;
    if (sleeps) {
        err = doze_until(vigil, first);
        if (err == -ETIMEDOUT && first < until && !is_over(vigil))
            err = doze_until(vigil, until);
    }
    for (unsigned i = 0; i < vigil->count; i++) {
        struct rbx_armed *armed = &vigil->armed[i];
        rbx_patience *patience = armed->patience;
        uint32_t before = patience->sleeps;
        patience->sleeps += sleeps;
        rbx_arm_disarm(armed);
        rbx_end_woke(armed->end, patience, before, err == -ETIMEDOUT);
    }
    return err == -EAGAIN ? 0 : err;
}

/* --- Waiting --- */

/* Sees to the dead for those for whom it is time, or for all: whether any is ready now. */
static bool mind(struct vigil *vigil, uint64_t now, bool all)
{
    bool ready = false;
    for (unsigned i = 0; i < vigil->count; i++)
        if (all || vigil->armed[i].due <= now)
            ready |= rbx_arm_mind(&vigil->armed[i]);
    return ready;
}

/* Waits for a while: 0 when something may be ready, or it is worth to go on; -ETIMEDOUT, -EINTR. */
static int wait_a_while(struct vigil *vigil, uint64_t deadline)
{
    const uint64_t spinner_slice_ns = 1000000;
    uint64_t begun = rbx_clock_monotonic(), spin = spin_of(vigil), until = deadline;
    for (unsigned i = 0; i < vigil->count; i++)
        until = earlier(until, rbx_arm_due(&vigil->armed[i], begun));
    if (vigil->never_sleeps)
        until = earlier(until, begun + spinner_slice_ns);
    uint64_t spin_ends = vigil->never_sleeps ? until : earlier(begun + spin, until);
    int err = 0;
    if (spin_ends > begun && sees_until(vigil, begun, spin_ends)) {
        adapt(vigil, 0);
    } else if (spin_ends < until) {
        err = sleep_until(vigil, until);
        adapt(vigil, rbx_clock_monotonic() - begun);
    }
    uint64_t now = rbx_clock_monotonic();
    bool last = err == -EINTR || now >= deadline;
    if (mind(vigil, now, last || (vigil->never_sleeps && now >= until)) || !last)
        return 0;
    return err == -EINTR ? -EINTR : -ETIMEDOUT;
}

int rbx_wait_any(rbx_any *ends, size_t n, uint64_t timeout_ns)
{
    struct vigil vigil;
    for (size_t i = 0; ends && i < n && n <= RBX_ANY_MAX; i++)
        ends[i].ready = false;
    int err = gather(&vigil, ends, n);
    if (err < 0)
        return err;
    vigil.turn = 0;
    vigil.one_at_a_time = false;
    int ready = mark(&vigil, ends);
    if (ready > 0)
        return ready;
    uint64_t deadline = timeout_ns == RBX_FOREVER ? RBX_FOREVER : rbx_wait_deadline(timeout_ns);
    while (ready == 0 && err == 0) {
        err = wait_a_while(&vigil, deadline);
        ready = mark(&vigil, ends);
    }
    if (ready > 0)
        return ready;
    if (err == -EINTR)
        return rbx_fail(err, "a signal handler ran while %zu ends of rings were waited for", n);
    return rbx_fail(err, "none of %zu ends of rings was ready for as long as this one waits", n);
}
