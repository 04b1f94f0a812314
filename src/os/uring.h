/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uring.h: a wait on a futex word that the kernel does by itself, and then sets an eventfd: an
 * io_uring with one such wait in it. Linux 6.7 and newer, where io_uring is allowed.
 *
 * A completion is left where it is until the next wait is begun (IORING_SETUP_DEFER_TASKRUN): else
 * the kernel interrupts the thread that began it, whose epoll_wait then answers EINTR though no
 * signal came. So the io_uring itself does not turn readable, and the eventfd is what is polled.
 *
 * It knows the thread that opened it, and no other may use it (-EEXIST): that one opens another.
 */
#ifndef RBX_OS_URING_H
#define RBX_OS_URING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fd.h"

struct rbx_uring {
    struct rbx_fd fd;
    void *queues, *entries; /* as the kernel has mapped them; not for a child */
    size_t queues_size, entries_size;
    _Atomic uint32_t *sq_tail, *sq_flags, *cq_head, *cq_tail, *cq_flags;
    uint32_t *sq_array;
    uint32_t sq_mask, cq_mask;
    const void *completions;
    uint64_t number;  /* of the last wait */
    bool is_waiting;  /* that one, as far as is known */
    bool in_process;  /* how it waits */
    const void *word; /* for what */
    int64_t until[2]; /* its deadline, as the kernel reads it when it begins */
};

/* -ENOSYS, -EPERM, ...: not here. `flag` is an eventfd, which must outlive it. */
int rbx_uring_open(struct rbx_uring *uring, int flag);
/*
 * Sets the flag as soon as *word != seen and a futex wake has come for it, or that was so when this
 * was called, or at `deadline_ns` (UINT64_MAX: never); once, and perhaps for nothing. What it
 * waited for before is forgotten. 0, -EEXIST, or another error: then nothing is waited for.
 */
int rbx_uring_wait(struct rbx_uring *uring, int flag, const void *word, uint32_t seen,
                   bool in_process, uint64_t deadline_ns);
/* The word, which must be there still, may go then. What is under way may still set the flag, once;
   and all who sleep on the word look up. */
void rbx_uring_close(struct rbx_uring *uring);

#endif
