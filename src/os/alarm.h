/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alarm.h: an eventfd that is set when a futex word is rung: by the kernel (uring.h) or, where that
 * cannot be, by a thread (watchman.h). By one thread at a time.
 */
#ifndef RBX_OS_ALARM_H
#define RBX_OS_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "fd.h"
#include "uring.h"
#include "watchman.h"

enum rbx_alarm_by { RBX_ALARM_BY_ANY, RBX_ALARM_BY_URING, RBX_ALARM_BY_THREAD };

struct rbx_alarm {
    struct rbx_fd flag; /* the eventfd */
    enum rbx_alarm_by wish;
    enum rbx_alarm_by by;
    struct rbx_uring uring;
    struct rbx_watch watch;
};

int rbx_alarm_open(struct rbx_alarm *alarm, enum rbx_alarm_by by);
/* The flag turns readable once the word is rung, or at the deadline; once, and perhaps for nothing.
   What was waited for before is forgotten, and the flag was taken. On failure it is not set. */
int rbx_alarm_set(struct rbx_alarm *alarm, const void *word, uint32_t seen, bool in_process,
                  uint64_t deadline_ns);
/* Whether the flag was set or not, it is not any more. */
void rbx_alarm_take(struct rbx_alarm *alarm);
/* After it the word may go. In a forked child it only forgets. */
void rbx_alarm_close(struct rbx_alarm *alarm);

#endif
