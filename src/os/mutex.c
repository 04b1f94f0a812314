/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "mutex.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "clock.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct rbx_os_mutex), "room for a mutex");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct rbx_os_mutex), "aligned as a mutex");

static pthread_mutex_t *raw(struct rbx_os_mutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex;
}

int rbx_os_mutex_init(struct rbx_os_mutex *mutex, bool inherit_priority)
{
    pthread_mutexattr_t how;
    int err = pthread_mutexattr_init(&how);
    if (err)
        return -err;
    err = pthread_mutexattr_settype(&how, PTHREAD_MUTEX_ERRORCHECK);
    if (!err)
        err = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    if (!err)
        err = pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    if (!err && inherit_priority)
        err = pthread_mutexattr_setprotocol(&how, PTHREAD_PRIO_INHERIT);
    if (!err)
        err = pthread_mutex_init(raw(mutex), &how);
    pthread_mutexattr_destroy(&how);
    return -err;
}

int rbx_os_mutex_lock(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_lock(raw(mutex));
}

int rbx_os_mutex_try(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_trylock(raw(mutex));
}

int rbx_os_mutex_lock_until(struct rbx_os_mutex *mutex, uint64_t deadline_ns)
{
    struct timespec deadline = rbx_clock_timespec(deadline_ns);
    int err = pthread_mutex_clocklock(raw(mutex), CLOCK_MONOTONIC, &deadline);
    if (err != EINVAL)
        return -err;
    /* Older systems wait for a mutex that inherits priorities by the time of day only. */
    uint64_t now = rbx_clock_monotonic(), today = rbx_clock_realtime();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    deadline = rbx_clock_timespec(left < UINT64_MAX - today ? today + left : UINT64_MAX);
    return -pthread_mutex_timedlock(raw(mutex), &deadline);
}

int rbx_os_mutex_consistent(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_consistent(raw(mutex));
}

int rbx_os_mutex_unlock(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_unlock(raw(mutex));
}
