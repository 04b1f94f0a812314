/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mutex.h: a mutex that processes share, and that outlives whoever dies with it. */
#ifndef RBX_OS_MUTEX_H
#define RBX_OS_MUTEX_H

#include <stdint.h>

struct rbx_os_mutex {
    uint64_t words[8];
};

/* Once, in zeroed memory, before anybody else can see it: 0 or -errno. */
int rbx_os_mutex_init(struct rbx_os_mutex *mutex);
/* 0, or 1 when the last holder has died with it; -EDEADLK when this thread holds it. */
int rbx_os_mutex_lock(struct rbx_os_mutex *mutex);
/* The same, or -EBUSY when another holds it. */
int rbx_os_mutex_try(struct rbx_os_mutex *mutex);
void rbx_os_mutex_unlock(struct rbx_os_mutex *mutex);

#endif
