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

int rbx_os_mutex_try(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_trylock(raw(mutex));
}

static int clock_lock(struct rbx_os_mutex *mutex, uint64_t deadline_ns)
{
    struct timespec deadline = rbx_clock_timespec(deadline_ns);
    int err = pthread_mutex_clocklock(raw(mutex), CLOCK_MONOTONIC, &deadline);
    if (err != EINVAL)
        return -err;
    /* Older systems wait for a mutex that inherits priorities by the time of day only. */
    uint64_t now = rbx_clock_monotonic();
    deadline =
        rbx_clock_timespec(rbx_clock_realtime() + (deadline_ns > now ? deadline_ns - now : 0));
    return -pthread_mutex_timedlock(raw(mutex), &deadline);
}

/* As all sleeps are (RBX_SLICE_NS). */
#define SLICE_NS UINT64_C(241000000)

/*
 * Who unlocks makes the mutex free, and then wakes one. When it is killed in between the kernel
 * does that in its place, unless another has locked the mutex meanwhile: that one knows of nobody
 * who waits, and wakes nobody when it unlocks. So who waits looks up once in a while.
 */
int rbx_os_mutex_lock_until(struct rbx_os_mutex *mutex, uint64_t deadline_ns)
{
#ifdef __SANITIZE_THREAD__ /* which takes no other call for a lock that says who has died */
    if (deadline_ns == UINT64_MAX)
        return -pthread_mutex_lock(raw(mutex));
#endif
    static const struct timespec past = {0}; /* a mutex that is free costs no look at the clock */
    int err = -pthread_mutex_timedlock(raw(mutex), &past);
    for (uint64_t until = 0; err == -ETIMEDOUT && until < deadline_ns;) {
        uint64_t slice_ends = rbx_clock_monotonic() + SLICE_NS;
        until = slice_ends < deadline_ns ? slice_ends : deadline_ns;
        err = clock_lock(mutex, until);
    }
    return err;
}

int rbx_os_mutex_lock(struct rbx_os_mutex *mutex)
{
    return rbx_os_mutex_lock_until(mutex, UINT64_MAX);
}

int rbx_os_mutex_consistent(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_consistent(raw(mutex));
}

int rbx_os_mutex_unlock(struct rbx_os_mutex *mutex)
{
    return -pthread_mutex_unlock(raw(mutex));
}
