/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * turn.h: when a thread's next access may happen.
 *
 * What concerns nobody else is done at once, and is no point where others come in: it commutes with
 * whatever they do, now and later, and so every order of the rest is still seen (a persistent set
 * of one). Who touches what, from which call on, is not declared but learnt: an access that was not
 * known of is added to what will be known, and the search begins anew (search.c). The first step of
 * any execution that strays from what is known would have been taken in the search, too; so when a
 * search strays nowhere, what was known is right.
 */
#ifndef EXPLORE_TURN_H
#define EXPLORE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* Forgets all, for another configuration. */
void turns_forget(void);
/* What was noted is known from now on. */
void turns_learn(void);
extern bool turns_stray;             /* from what is known */
extern bool turns_are_never_private; /* nothing is done at once */

/* Waits for the current thread's turn to do this to the word (NO_WORD: to none). */
void take_turn(unsigned word, unsigned access);
/* To read and write it, as a swap does, or the kernel; and whatever more. */
void take_turn_to_change(unsigned word, unsigned more);
/* Notes it before the thread changes a word, at any time: one that is to die can do so here. */
void be_about_to_change(unsigned word);
/* Waits until memory has changed, or for a time-out. */
void take_nap(void);
/* A choice of the thread's own, if it is one that may die: it may halt here. */
void meet_fate(void);

/* Whether what the thread is about to do concerns nobody else, now and later. */
bool is_private(unsigned thread);
bool is_enabled(unsigned thread);
/* In how many ways it may do that: which of so many values it reads, whether it sees a change yet.
 */
unsigned choices_of(unsigned thread);
/* Likewise, that its first store reaches memory. */
bool flush_is_private(unsigned thread);

/* Whether it has seen another value than memory has now. */
bool sees_a_change(const struct thread *thread);
words looked_at(const struct thread *thread);
void look_no_more(void);

uint64_t sum_of_memory(void); /* a hash of it */

#endif
