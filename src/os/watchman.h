/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watchman.h: a thread of the process that waits on the futex words of many, and sets the eventfd
 * of each whose word is rung. It is started for the first of them, and has ended when the last is
 * gone. As it can wait on so many words only (RBX_FUTEXES_MAX), there is another for every so many.
 *
 * Where futex_waitv is refused (or unknown, before Linux 5.16) it looks every millisecond, as long
 * as it has something to look at.
 */
#ifndef RBX_OS_WATCHMAN_H
#define RBX_OS_WATCHMAN_H

#include <stdbool.h>
#include <stdint.h>

struct rbx_watchman;

/* What one watchman watches for somebody. */
struct rbx_watch {
    struct rbx_watchman *watchman;
    int flag; /* the eventfd */
    /* Under the watchman's lock. */
    const void *word; /* NULL: nothing for now */
    uint32_t seen;
    bool in_process;
    uint64_t deadline_ns;
    struct rbx_watch *next;
};

/* `flag` must outlive it. -EAGAIN, -ENOMEM: there can be no thread. */
int rbx_watch_open(struct rbx_watch *watch, int flag);
/* Sets the flag when *word != seen, or at the deadline (UINT64_MAX: never); once, and perhaps for
   nothing. What was watched before is forgotten. */
void rbx_watch_word(struct rbx_watch *watch, const void *word, uint32_t seen, bool in_process,
                    uint64_t deadline_ns);
/* The word and the flag may go then. In a child that inherited it nothing needs to be closed. */
void rbx_watch_close(struct rbx_watch *watch);

#endif
