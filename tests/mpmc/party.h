/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * party.h: a thread in a round of histories.c, what it calls, and when.
 *
 * Who takes the times must not order what is to race. So there are three ways to do so, in turn:
 *   counted  one counter for all, added to before and after each call: exact, but its line goes
 *            to and fro, and each call begins and ends with a swap
 *   fenced   the clock, which no one writes; a fence before it is read at the end, since a call
 *            has returned when others can see what it did
 *   free     the clock, and no fence: a call is said to have returned when the next call of its
 *            thread has that had to swap, which needs an empty store buffer
 */
#ifndef RBX_TESTS_MPMC_PARTY_H
#define RBX_TESTS_MPMC_PARTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/ringbox.h>

#include "../explore/history.h"
#include "../support/chance.h"
#include "../support/clock.h"

enum way { COUNTED, FENCED, FREE, WAYS };

enum { LOG_MAX = 10 };

struct message {
    uint64_t value, check;
};

/* A thread in a round, its endpoint, and what it was told. */
struct party {
    unsigned number; /* from 1 on */
    bool sends;
    union {
        rbx_tx tx;
        rbx_rx rx;
    };
    rbx_ring *ring;
    enum way way;
    bool shuts; /* somebody, the ring, in this round */
    uint64_t random;
    uint64_t began, last_value;
    unsigned shuts_at; /* the call that shuts the ring down; or none is */
    unsigned planned;  /* calls */
    unsigned count, calls;
    struct history_call log[LOG_MAX];
    unsigned call[LOG_MAX]; /* which it is a part of */
    char pad[128];
};

/* One that nobody has sent; and what was received, which must be whole: if not, `torn` says so. */
struct message new_message(struct party *self);
uint64_t read_message(const struct message *message);
extern _Atomic unsigned torn;

/* What a call of this kind answered. */
void party_notes(struct party *self, enum history_kind kind, ptrdiff_t answer, uint64_t value);

/* Makes the calls that are planned. */
void party_calls(struct party *self);

#endif
