/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* handle.h: a process's own half of a set of semaphores, whichever kind it is. */
#ifndef RBX_SEM_HANDLE_H
#define RBX_SEM_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <ringbox/sem.h>

#include "../sync/object.h"

/* What this handle has taken of a member and not given back. Relaxed: a thread gives back what it,
   or one that has told it so, has taken. */
struct rbx_sem_taken {
    _Atomic uint64_t plain;
    _Atomic uint32_t undo; /* with RBX_SEM_UNDO */
};

/*
 * The two kinds. Index, n and flags have been checked. A deadline of 0 is a try; the answer to
 * every wait that ended is then -EAGAIN, else -ETIMEDOUT.
 */
struct rbx_sem_kind {
    int (*add)(rbx_sem *sem, uint32_t index, uint32_t n);
    int (*take)(rbx_sem *sem, uint32_t index, uint32_t n, bool undo, uint64_t deadline);
    int (*give)(rbx_sem *sem, uint32_t index, uint32_t n);
    int (*wait_zero)(rbx_sem *sem, uint32_t index, uint64_t deadline);
    int (*value)(rbx_sem *sem, uint32_t index);
    int (*describe)(rbx_sem *sem, rbx_sem_info *info);
    /* In the process that opened it, before its object is closed and its memory freed. */
    int (*close)(rbx_sem *sem);
};

struct rbx_sem {
    struct rbx_object object; /* first, as in every handle; all zero for a System V set */
    const struct rbx_sem_kind *kind;
    struct rbx_sem_taken *taken; /* of each member */
    uint32_t members;
    uint32_t forks; /* of the process that opened it: see rbx_fd_forks */

    /* In shared memory. */
    uint32_t seats;
    _Atomic int32_t seat; /* where this handle sits, or RBX_SEM_NO_SEAT; written under the lock */
    uint32_t to_wake;     /* under the lock: the member whose sleepers are still to be woken */

    /* System V. */
    int32_t id;
    bool remove;
    char *name;
};

#define RBX_SEM_NO_SEAT (-1)
#define RBX_SEM_NONE UINT32_MAX /* as to_wake */

extern const struct rbx_sem_kind rbx_sem_shared;
extern const struct rbx_sem_kind rbx_sem_sysv;

/* Sets up what is the kind's own, and the number of members. `key` is text, as a box's name is. */
int rbx_sem_sysv_open(rbx_sem *sem, const char *key, const rbx_sem_options *options);

/* The sentences that both kinds say. */
const char *rbx_sem_name(const rbx_sem *sem);
int rbx_sem_too_few(const rbx_sem *sem, uint32_t index, uint32_t n, uint64_t deadline);
int rbx_sem_interrupted(const rbx_sem *sem, uint32_t index);
int rbx_sem_too_many(const rbx_sem *sem, uint32_t index, uint32_t n, uint32_t most);

/* Takes `n` units of a member off what this handle has taken, those on undo first: 0, or -EPERM and
   a sentence when it has not taken as many. */
struct rbx_sem_parts {
    uint32_t plain;
    uint32_t undo;
};
int rbx_sem_claim(rbx_sem *sem, uint32_t index, uint32_t n, struct rbx_sem_parts *parts);
/* They have been taken, or could not be given back. */
void rbx_sem_count(rbx_sem *sem, uint32_t index, struct rbx_sem_parts parts);

static inline struct rbx_sem_parts rbx_sem_all(uint32_t n, bool undo)
{
    return (struct rbx_sem_parts){.plain = undo ? 0 : n, .undo = undo ? n : 0};
}

#endif
