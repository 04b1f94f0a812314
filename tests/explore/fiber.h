/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fiber.h: threads of which everything can be put away and brought back.
 *
 * A fiber runs on a stack of its own, at a fixed address, and stops where it calls
 * fiber_rest(). What it then is lies in one piece, from its stack pointer to the end of its stack:
 * local variables, saved registers, and the owner's own data, which has a place there too. A copy
 * of this piece is a snapshot, and equal pieces go on equally.
 */
#ifndef EXPLORE_FIBER_H
#define EXPLORE_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIBERS_MAX 5
#define FIBER_STACK 32768 /* bytes, with `data` */

/* A place of `size` bytes that is put away with the fiber. Same address every time. */
void *fiber_data(unsigned fiber, size_t size);

/* A new one, zeroed but for fiber_data(), that will run `body(argument)`; which must not return. */
void fiber_begin(unsigned fiber, void (*body)(unsigned fiber));

/* Runs it until it rests. */
void fiber_run(unsigned fiber);
void fiber_rest(void);
/* Whether one runs, rather than who runs them. */
bool fiber_is_running(void);

/* What it is while it rests; nothing, if it was never begun. */
struct fiber_piece {
    const char *bytes;
    size_t size; /* a multiple of 8 */
};
struct fiber_piece fiber_piece(unsigned fiber);
/* `piece` was copied to `bytes` earlier on. */
void fiber_restore(unsigned fiber, const char *bytes, size_t size);

/* Zeroes what earlier calls have left below the stack pointer: equal states look equal then. */
void fiber_tidy(unsigned fiber);

#endif
