/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tell.h: the story of a schedule, a line for each step. */
#ifndef EXPLORE_TELL_H
#define EXPLORE_TELL_H

#include <stdbool.h>
#include <stdint.h>

extern bool telling;

/* "sender 1". The string is good for the next few calls. */
const char *thread_name(unsigned thread);

void tell_line(const char *who, const char *does, const char *what, const char *says);
/* The current thread, a verb, a word (NO_WORD: none) and what it says. */
void tell(const char *does, unsigned word, uint64_t value);

#endif
