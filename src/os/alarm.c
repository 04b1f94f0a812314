/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "alarm.h"

#include <errno.h>

#include "eventfd.h"

static int make_flag(const void *unused)
{
    (void)unused;
    return rbx_eventfd_make(false);
}

static int open_backend(struct rbx_alarm *alarm)
{
    int err = -ENOSYS;
    if (alarm->wish != RBX_ALARM_BY_THREAD) {
        alarm->by = RBX_ALARM_BY_URING;
        err = rbx_uring_open(&alarm->uring, alarm->flag.fd);
    }
    if (err < 0 && alarm->wish != RBX_ALARM_BY_URING) {
        alarm->by = RBX_ALARM_BY_THREAD;
        err = rbx_watch_open(&alarm->watch, alarm->flag.fd);
    }
    return err;
}

int rbx_alarm_open(struct rbx_alarm *alarm, enum rbx_alarm_by by)
{
    *alarm = (struct rbx_alarm){.wish = by, .uring.fd = RBX_FD_CLOSED};
    int err = rbx_fd_make(&alarm->flag, make_flag, NULL);
    if (err == 0)
        err = open_backend(alarm);
    if (err < 0)
        rbx_fd_give_away(&alarm->flag);
    return err;
}

static bool has_backend(const struct rbx_alarm *alarm)
{
    return alarm->by == RBX_ALARM_BY_URING ? rbx_fd_is_open(&alarm->uring.fd)
                                           : alarm->watch.watchman != NULL;
}

static int set(struct rbx_alarm *alarm, const void *word, uint32_t seen, bool in_process,
               uint64_t deadline_ns)
{
    if (!has_backend(alarm)) /* there was none to be had the last time */
        return -EBADF;
    if (alarm->by == RBX_ALARM_BY_URING)
        return rbx_uring_wait(&alarm->uring, alarm->flag.fd, word, seen, in_process, deadline_ns);
    rbx_watch_word(&alarm->watch, word, seen, in_process, deadline_ns);
    return 0;
}

int rbx_alarm_set(struct rbx_alarm *alarm, const void *word, uint32_t seen, bool in_process,
                  uint64_t deadline_ns)
{
    int err = set(alarm, word, seen, in_process, deadline_ns);
    if (err == 0)
        return 0;
    /* The io_uring was opened by another thread, or is of no use any more. */
    rbx_uring_close(&alarm->uring);
    err = open_backend(alarm);
    return err < 0 ? err : set(alarm, word, seen, in_process, deadline_ns);
}

void rbx_alarm_take(struct rbx_alarm *alarm)
{
    (void)rbx_eventfd_take(alarm->flag.fd);
}

void rbx_alarm_close(struct rbx_alarm *alarm)
{
    if (rbx_fd_is_open(&alarm->flag) && alarm->by == RBX_ALARM_BY_THREAD)
        rbx_watch_close(&alarm->watch);
    if (alarm->by == RBX_ALARM_BY_URING)
        rbx_uring_close(&alarm->uring);
    rbx_fd_give_away(&alarm->flag);
}
