/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * history.h: whether what calls of a ring answered is what a queue could have answered.
 *
 * A history is a list of calls with the times when they began and returned. It is sound when each
 * call can be given a moment between the two, such that a queue to which they happen one after the
 * other, at these moments, answers the same (linearizability). The search is Wing and Gong's, with
 * a memory of what was tried in vain.
 *
 * What such a queue does, as docs/mpmc.md has it:
 *   - It holds `capacity` messages and tombstones, first in, first out. Tombstones are left by
 *     aborts, and by senders that died; whoever comes takes one that is in front out of the way.
 *   - A message that a receiver puts back, or dies with, comes out of turn: an orphan.
 *   - A call that never returned, since its thread died, has happened or has not; one that was
 *     sending may have left a tombstone, one that was receiving an orphan.
 *   - 'Full' and 'empty' are said of a queue that is; but also while another is in the middle of a
 *     call that may be the reason: one that receives, or holds what it has been shown, for 'full';
 * one that sends for 'empty'. While a message waits out of turn, its slot may be the one that is
 *     needed. In a strict ring both kinds of call are a reason for both, since there a slot that is
 * in somebody's hands serves nobody; and it is full earlier after positions were passed over, as
 * long as there is anything in it.
 */
#ifndef EXPLORE_HISTORY_H
#define EXPLORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_CALLS_MAX 64
#define HISTORY_CAPACITY_MAX 64
#define HISTORY_NEVER UINT64_MAX /* when a call returned that did not */

enum history_kind {
    HISTORY_SEND,     /* one message; a batch is as many calls as it has, of the same times */
    HISTORY_ABORT,    /* a claim that was given up */
    HISTORY_RECV,     /* recv, or peek and release */
    HISTORY_PUT_BACK, /* peek, and release of nothing: the message is an orphan */
};

struct history_call {
    unsigned thread; /* calls of one thread are in its order, also within a batch */
    enum history_kind kind;
    bool refused;   /* -EAGAIN or -ETIMEDOUT: full, or empty */
    uint64_t value; /* sent or received: each is sent once */
    uint64_t called, returned;
};

struct history {
    const struct history_call *calls;
    size_t count;
    size_t capacity;
    bool strict;
};

bool history_is_sound(const struct history *history);

#endif
