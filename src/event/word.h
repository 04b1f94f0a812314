/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * word.h: an event as a word in shared memory: set, and waited for asleep or busily.
 *
 * The protocol is one word, so that its changes have one order that all agree on; docs/sync.md has
 * it in full. In it
 *   SET       the event is set
 *   SLEEPERS  somebody may sleep on the word, and must be woken after a set
 *   the rest  how often SET went off, modulo 2^30: who sees the same number twice knows that SET
 *             was on all the time, or off all the time
 * and nothing that a death could leave wrong: no count of those who wait.
 */
#ifndef RBX_EVENT_WORD_H
#define RBX_EVENT_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <ringbox/atomic.h>

enum rbx_event_bits {
    RBX_EVENT_SET = 1,
    RBX_EVENT_SLEEPERS = 2,
    RBX_EVENT_OFF = 4, /* and up */
};

/* A process's view of it: constant, but for spin_ns. */
struct rbx_event_view {
    rbx_atomic32 *bits;
    bool manual;
    bool busy;
    bool in_process;  /* nobody in another process sleeps on it */
    bool single_core; /* whoever sets it may need the core on which this process waits: yields
                         rather than spins */
    uint32_t most_ns; /* the longest spin */
    /* The next one. All threads that wait through the handle adapt it, and it is only a guess:
       relaxed, and one may overwrite what another has learnt. */
    _Atomic uint32_t spin_ns;
};

void rbx_event_word_set(const struct rbx_event_view *view);
void rbx_event_word_reset(const struct rbx_event_view *view);
/* Whether it was set; then, with automatic reset, it is not any more. */
bool rbx_event_word_take(const struct rbx_event_view *view);
/* 0, -ETIMEDOUT when CLOCK_MONOTONIC is `deadline`, or -EINTR. */
int rbx_event_word_wait(struct rbx_event_view *view, uint64_t deadline);

#endif
