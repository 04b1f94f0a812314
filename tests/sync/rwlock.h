/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock.h: what the tests of the read-write lock share. */
#ifndef RBX_TESTS_RWLOCK_H
#define RBX_TESTS_RWLOCK_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"

#define A_WHILE_NS 20000000U

static inline rbx_rwlock *opened_lock(const char *name)
{
    rbx_rwlock *lock;
    succeeds(rbx_rwlock_open(&lock, name, NULL));
    return lock;
}

static inline void closes(rbx_rwlock *lock)
{
    succeeds(rbx_rwlock_close(lock));
}

static inline rbx_rwlock_info described(const rbx_rwlock *lock)
{
    rbx_rwlock_info info;
    succeeds(rbx_rwlock_describe(lock, &info));
    return info;
}

/* A call of a thread of its own, through a handle of its own. */
struct caller {
    rbx_rwlock *lock;
    int (*call)(rbx_rwlock *lock);
    int answer;
    unsigned order; /* in which it got its answer */
    pthread_t thread;
};

static _Atomic unsigned answered;

static inline void *call_it(void *arg)
{
    struct caller *caller = arg;
    caller->answer = caller->call(caller->lock);
    caller->order = ++answered;
    if (caller->answer == 0 || caller->answer == -EOWNERDEAD)
        rbx_rwlock_unlock(caller->lock);
    return NULL;
}

static inline void begin_call(struct caller *caller, rbx_rwlock *lock, int (*call)(rbx_rwlock *))
{
    *caller = (struct caller){.lock = lock, .call = call};
    cr_assert_eq(pthread_create(&caller->thread, NULL, call_it, caller), 0);
}

static inline int end_call(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
    return caller->answer;
}

/* Waits until `lock` looks so. */
#define until(lock, condition)                                                                     \
    do {                                                                                           \
        for (;;) {                                                                                 \
            rbx_rwlock_info info = described(lock);                                                \
            if (info.condition)                                                                    \
                break;                                                                             \
            usleep(100);                                                                           \
        }                                                                                          \
    } while (0)

#endif
