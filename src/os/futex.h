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

/* One of several that are slept on at once, as the kernel has it. */
struct rbx_futex {
    uint64_t value;
    uint64_t word;
    uint32_t flags;
    uint32_t reserved;
};

#define RBX_FUTEXES_MAX 128

struct rbx_futex rbx_futex_of(const void *word, uint32_t value, bool in_process);
/*
 * Sleeps while each word says its value: 0, -EAGAIN, -ETIMEDOUT or -EINTR as above; but a handler
 * that was installed with SA_RESTART does not end it, unless there is but one. -ENOSYS: the kernel
 * cannot, or may not, sleep on several.
 */
int rbx_futex_wait_any(const struct rbx_futex *futexes, unsigned count, uint64_t deadline_ns);
/* Wakes everyone. */
void rbx_futex_wake(const void *word, bool in_process);
/* Wakes one; false: nobody slept. */
bool rbx_futex_wake_one(const void *word, bool in_process);

#endif
