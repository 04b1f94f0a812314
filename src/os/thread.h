/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread.h: where threads run, and how one makes all the others fence. */
#ifndef RBX_OS_THREAD_H
#define RBX_OS_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* The number of the one processor that this thread may run on; -1: it may use several. */
int rbx_thread_only_core(void);
/* Lets another thread of this core run first. */
void rbx_thread_yield(void);
int32_t rbx_thread_process(void); /* the process it belongs to */

/* From now on this process takes part in rbx_thread_fence_others; false: it may not. */
bool rbx_thread_accept_fences(void);
/*
 * Every running thread of every process that takes part has fenced when this returns, and so has
 * the caller; false: not allowed, or the caller's process does not take part itself.
 *
 * One kind of thread may be left out: one of another process, on a processor that had run that
 * process before it registered, has been idle since, and has run no third process in between. (The
 * kernel, 6.18 at least, notes who takes part when a processor changes from one process to
 * another.)
 */
bool rbx_thread_fence_others(void);

#endif
