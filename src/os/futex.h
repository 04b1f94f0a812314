/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* futex.h: sleeping on a word in memory, shared between processes or not. */
#ifndef RBX_OS_FUTEX_H
#define RBX_OS_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

/* `in_process`: all that use the word are threads of this process, which is quicker. Both sides
   say the same. */

/*
 * Sleeps while *word == value, until CLOCK_MONOTONIC is `deadline_ns` at most: 0 (perhaps for no
 * reason), -EAGAIN (it was another value), -ETIMEDOUT, or -EINTR (a signal handler ran).
 */
int rbx_futex_wait(const void *word, uint32_t value, uint64_t deadline_ns, bool in_process);
/* Wakes everyone. */
void rbx_futex_wake(const void *word, bool in_process);
/* Wakes one; false: nobody slept. */
bool rbx_futex_wake_one(const void *word, bool in_process);

struct rbx_futex {
    const void *word;
    uint32_t value;
    bool in_process;
};

/* Many at once, as rbx_futex_wait, while each says its value: 0 (some was woken, perhaps for no
   reason), or an error as there; -ENOSYS, -EPERM or the like where that cannot be done (before
   Linux 5.16, and in some sandboxes). */
#define RBX_FUTEXES_MAX 128U
int rbx_futex_wait_any(const struct rbx_futex *futexes, unsigned count, uint64_t deadline_ns);

#endif
