/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mutex.h: a mutex that processes share, and that outlives whoever dies with it. */
#ifndef RBX_OS_MUTEX_H
#define RBX_OS_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

struct rbx_os_mutex {
    uint64_t words[8];
};

/* Once, in zeroed memory, before anybody else can see it: 0 or -errno. */
int rbx_os_mutex_init(struct rbx_os_mutex *mutex, bool inherit_priority);
/* 0, or -EOWNERDEAD when the last holder has died with it (then it is held as well); -EDEADLK when
   this thread holds it; -ENOTRECOVERABLE when nobody ever will again. */
int rbx_os_mutex_lock(struct rbx_os_mutex *mutex);
/* The same, or -EBUSY when another holds it. */
int rbx_os_mutex_try(struct rbx_os_mutex *mutex);
/* The same, or -ETIMEDOUT when CLOCK_MONOTONIC is `deadline_ns`, if that is not UINT64_MAX. */
int rbx_os_mutex_lock_until(struct rbx_os_mutex *mutex, uint64_t deadline_ns);
/* After -EOWNERDEAD: 0; else -EINVAL. */
int rbx_os_mutex_consistent(struct rbx_os_mutex *mutex);
/* -EPERM when this thread does not hold it. */
int rbx_os_mutex_unlock(struct rbx_os_mutex *mutex);

#endif
