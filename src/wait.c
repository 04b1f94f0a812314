/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wait.h"

#include <errno.h>
#include <stddef.h>

#include "error.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"

static void set_if(rbx_bell *bell, bool condition, uint32_t bit, bool shared)
{
    if (condition)
        rbx_or_seq_cst(&bell->bits, bit);
    else if (!shared)
        rbx_and_seq_cst(&bell->bits, ~bit);
}

void rbx_bell_join_as_publisher(rbx_bell *bell, bool shared)
{
    set_if(bell, !rbx_thread_accept_fences(), RBX_BELL_PUBLISHER_FENCES, shared);
}

void rbx_bell_join_as_sleeper(rbx_bell *bell, bool shared)
{
    set_if(bell, !rbx_thread_fence_others(), RBX_BELL_SLEEPER_BARE, shared);
}

bool rbx_bell_ring(rbx_bell *bell, bool in_process)
{
    rbx_full_fence(); /* B1, for a publisher that must fence by itself */
    if (!(rbx_load_relaxed(&bell->bits) & RBX_BELL_ASLEEP))
        return false;
    /* Who has announced its sleep and not begun it finds another count, even when the next sleeper
       announces itself meanwhile. */
    uint32_t bits = rbx_load_relaxed(&bell->bits);
    while (!rbx_swap_if_seq_cst(&bell->bits, &bits,
                                (bits & ~(uint32_t)RBX_BELL_ASLEEP) + RBX_BELL_RUNG))
        ;
    rbx_futex_wake(&bell->bits, in_process);
    return true;
}

bool rbx_bell_fence_all(rbx_bell *const *bells, unsigned count)
{
    const uint32_t publisher_fences = RBX_BELL_PUBLISHER_FENCES | RBX_BELL_SLEEPER_BARE;
    bool certain = true, fenced = false;
    for (unsigned i = 0; i < count; i++) {
        if (fenced || rbx_load_relaxed(&bells[i]->bits) & publisher_fences)
            continue;
        if (certain)
            certain = fenced = rbx_thread_fence_others();
        if (!certain)
            rbx_or_seq_cst(&bells[i]->bits, RBX_BELL_SLEEPER_BARE);
    }
    rbx_full_fence();
    return certain;
}

bool rbx_bell_fence(rbx_bell *bell)
{
    return rbx_bell_fence_all(&bell, 1);
}

uint32_t rbx_bell_announce(rbx_bell *bell)
{
    return rbx_or_seq_cst(&bell->bits, RBX_BELL_ASLEEP) | RBX_BELL_ASLEEP;
}

bool rbx_bell_is_unrung(const rbx_bell *bell, uint32_t *bits)
{
    uint32_t announced = *bits;
    *bits = rbx_load_relaxed(&bell->bits); /* after the fence */
    return ((*bits ^ announced) & (RBX_BELL_ASLEEP | ~RBX_BELL_STATE)) == 0;
}

void rbx_bell_retract(rbx_bell *bell, bool shared)
{
    if (!shared) /* else another may sleep on; at worst the bell is rung for nobody */
        rbx_and_seq_cst(&bell->bits, ~(uint32_t)RBX_BELL_ASLEEP);
}

void rbx_wait_a_little(uint64_t ns)
{
    uint64_t begun = rbx_clock_monotonic();
    do
        rbx_pause();
    while (rbx_clock_monotonic() - begun < ns);
}

#define SPINNER_SLICE_NS 1000000U

int rbx_patience_init(rbx_patience *patience, const rbx_wait_options *options, bool in_process,
                      bool shared)
{
    const rbx_wait_options standard = {.how = RBX_WAIT_SLEEP};
    if (!options)
        options = &standard;
    if ((unsigned)options->how > RBX_WAIT_SPIN)
        return rbx_fail(-EINVAL, "there is no way to wait number %d", (int)options->how);
    uint32_t most = options->spin_ns == 0             ? RBX_SPIN_NS
                    : options->spin_ns == RBX_NO_SPIN ? 0
                                                      : options->spin_ns;
    if (most > RBX_SLICE_NS / 2)
        most = RBX_SLICE_NS / 2; /* each slice begins with a spin */
    *patience = (rbx_patience){.how = options->how,
                               .most_ns = most,
                               .spin_ns = most,
                               .in_process = in_process,
                               .shared = shared};
    return 0;
}

uint64_t rbx_wait_deadline(uint64_t timeout_ns)
{
    uint64_t now = rbx_clock_monotonic();
    return timeout_ns < RBX_FOREVER - now ? now + timeout_ns : RBX_FOREVER;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct wait {
    rbx_bell *bell;
    const struct rbx_awaited *awaited;
};

bool rbx_wait_is_over(const rbx_bell *bell, const struct rbx_awaited *awaited)
{
    for (unsigned i = 0; i < awaited->count; i++)
        if (rbx_load_relaxed(awaited->words[i].word) != awaited->words[i].seen)
            return true;
    return !awaited->known_shut && rbx_load_relaxed(&bell->bits) & RBX_BELL_SHUT;
}

static bool is_over(const struct wait *wait)
{
    return rbx_wait_is_over(wait->bell, wait->awaited);
}

/* Looks until CLOCK_MONOTONIC is `until`; whether the wait is over. Where others wait on the same
   bell, one may be kept from this core by which it could do what this one waits for: so a wait that
   is not over soon yields. */
static bool sees_until(const struct wait *wait, uint64_t begun, uint64_t until,
                       const rbx_patience *patience)
{
    enum { LOOKS_A_TIME = 64, SOON_NS = 4000 };
    bool yields = patience->how == RBX_WAIT_YIELD || patience->same_core;
    for (uint64_t now = begun; now < until; now = rbx_clock_monotonic()) {
        yields |= patience->shared && patience->how == RBX_WAIT_SLEEP && now - begun > SOON_NS;
        for (int looks = yields ? 1 : LOOKS_A_TIME; looks > 0; looks--) {
            if (is_over(wait))
                return true;
            if (yields)
                rbx_thread_yield();
            else
                rbx_pause();
        }
    }
    return is_over(wait);
}

/* An answer from another core may be there before the clock has been read. */
static bool is_soon_over(const struct wait *wait)
{
    enum { LOOKS = 32 };
    for (int looks = LOOKS; looks > 0; looks--) {
        if (is_over(wait))
            return true;
        rbx_pause();
    }
    return false;
}

static int sleep_until(const struct wait *wait, uint64_t until, rbx_patience *patience)
{
    rbx_bell *bell = wait->bell;
    for (;;) {
        uint64_t first = earlier(rbx_clock_monotonic() + RBX_FIRST_SLEEP_NS, until);
        uint32_t bits = rbx_bell_announce(bell);
        (void)rbx_bell_fence(bell); /* if not certain, so much the more the first sleep is short */
        int err = 0;
        if (rbx_bell_is_unrung(bell, &bits) && !is_over(wait)) {
            patience->sleeps++;
            err = rbx_futex_wait(&bell->bits, bits, first, patience->in_process);
            if (err == -ETIMEDOUT && first < until && !is_over(wait))
                err = rbx_futex_wait(&bell->bits, bits, until, patience->in_process);
        }
        bool over = is_over(wait);
        if (!over && (err == 0 || err == -EAGAIN) && !patience->shared) {
            /* Rung for what was seen before, or for no reason. Who shares the bell looks itself:
               it may have been rung for something else. */
            if (rbx_clock_monotonic() < until)
                continue;
            err = -ETIMEDOUT;
        }
        rbx_bell_retract(bell, patience->shared || patience->polled);
        return over || err == -EAGAIN ? 0 : err;
    }
}

static void adapt(rbx_patience *patience, uint64_t waited_ns)
{
    patience->spin_ns = rbx_spin_after(patience->spin_ns, patience->most_ns, waited_ns);
}

int rbx_wait_change(rbx_bell *bell, const struct rbx_awaited *awaited, uint64_t slice_ns,
                    uint64_t deadline, rbx_patience *patience)
{
    const struct wait wait = {.bell = bell, .awaited = awaited};
    bool may_spin = patience->how != RBX_WAIT_SLEEP || patience->spin_ns > 0;
    if (may_spin && !patience->same_core && is_soon_over(&wait))
        return 0;
    uint64_t begun = rbx_clock_monotonic();
    bool never_sleeps = patience->how != RBX_WAIT_SLEEP;
    uint64_t slice_ends =
        earlier(begun + (never_sleeps ? earlier(SPINNER_SLICE_NS, slice_ns) : slice_ns), deadline);
    uint64_t spin = patience->same_core ? patience->most_ns / RBX_SPIN_SHARE : patience->spin_ns;
    uint64_t spin_ends = never_sleeps ? slice_ends : earlier(begun + spin, slice_ends);
    if (spin_ends > begun && sees_until(&wait, begun, spin_ends, patience)) {
        adapt(patience, 0);
        return 0;
    }
    int err = -ETIMEDOUT;
    if (spin_ends < slice_ends) {
        err = sleep_until(&wait, slice_ends, patience);
        adapt(patience, rbx_clock_monotonic() - begun);
    }
    return err == -ETIMEDOUT && slice_ends < deadline ? -EAGAIN : err;
}
