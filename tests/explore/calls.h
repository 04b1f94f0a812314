/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * calls.h: when calls begin and return, for the history that is judged.
 *
 * As late and as early as can be told: then a history says most. A call begins with its first step
 * that is a point where others come in, or that changes what is judged at the end; it has returned
 * when others can see all that it did. On the weak machine there is no telling which of two calls
 * came first but by what happens before what: a call comes after those that its thread then knew to
 * have returned.
 */
#ifndef EXPLORE_CALLS_H
#define EXPLORE_CALLS_H

#include <stdint.h>

#include "world.h"

/* The current thread's call number so-and-so; and what it answers, for each of its parts. */
void call_begins(unsigned call);
void call_ends(unsigned part, enum outcome outcome, uint64_t value);

/* It does something now. */
void call_is_under_way(void);
void call_has_returned(unsigned record);

#endif
