/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "mutex.h"

#include <errno.h>
#include <pthread.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct rbx_os_mutex), "room for a mutex");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct rbx_os_mutex), "aligned as a mutex");

static pthread_mutex_t *raw(struct rbx_os_mutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex;
}

int rbx_os_mutex_init(struct rbx_os_mutex *mutex)
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
    if (!err)
        err = pthread_mutex_init(raw(mutex), &how);
    pthread_mutexattr_destroy(&how);
    return -err;
}

static int answer(struct rbx_os_mutex *mutex, int err)
{
    if (err != EOWNERDEAD)
        return -err;
    pthread_mutex_consistent(raw(mutex));
    return 1;
}

int rbx_os_mutex_lock(struct rbx_os_mutex *mutex)
{
    return answer(mutex, pthread_mutex_lock(raw(mutex)));
}

int rbx_os_mutex_try(struct rbx_os_mutex *mutex)
{
    return answer(mutex, pthread_mutex_trylock(raw(mutex)));
}

void rbx_os_mutex_unlock(struct rbx_os_mutex *mutex)
{
    pthread_mutex_unlock(raw(mutex));
}
