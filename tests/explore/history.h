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
 *   - After a shutdown nothing is sent, and a receiver is told so once nothing is left.
 *   - 'Full' and 'empty' are said of a queue that is; but also while another is in the middle of a
 *     call that is the reason. In the default ring that is the one whose turn it is: for 'empty'
 *     who sends the first message that waits, for 'full' who receives the message whose slot is the
 *     next, which may also wait out of turn. In a strict ring, for 'empty', whoever sends what
 *     waits: what was sent before is found. For 'full' there it is anybody, since a slot that is in
 *     somebody's hands serves nobody; and it is full earlier after positions were passed over,
 *     which takes two calls at once, as long as there is anything in it.
 *   - A ring under a lock has no such reasons; an abort leaves no tombstone there, and what is put
 *     back is again the first.
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
    HISTORY_SHUT,     /* a shutdown */
};

enum history_answer {
    HISTORY_DONE,
    HISTORY_REFUSED, /* -EAGAIN or -ETIMEDOUT: full, or empty */
    HISTORY_ENDED,   /* -EPIPE: the ring was shut down */
};

enum history_ring { HISTORY_DEFAULT, HISTORY_STRICT, HISTORY_LOCKED };

struct history_call {
    unsigned thread; /* calls of one thread are in its order, also within a batch */
    enum history_kind kind;
    enum history_answer answer;
    uint64_t value; /* sent or received: each is sent once */
    uint64_t called, returned;
};

struct history {
    const struct history_call *calls;
    size_t count;
    size_t capacity;
    size_t promised; /* 'full' is said with so many at least; 0: with `capacity` */
    enum history_ring ring;
    const uint64_t *after; /* for each, the calls that came before it, as bits; NULL: times tell */
};

bool history_is_sound(const struct history *history);

#endif
