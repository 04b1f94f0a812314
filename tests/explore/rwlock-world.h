/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rwlock-world.h: all that a step of the explorer of the read-write lock can change, but for the
 * threads' own stacks: the lock's memory, what it protects, the kernel's locks, and who sleeps.
 *
 * A thread stands for a process with one handle. Its stores wait in its buffer, in order, until
 * they are flushed one by one, at any time (x86-TSO), and a swap waits until the buffer is empty;
 * or they are in memory at once, and others see them late (views.h).
 */
#ifndef EXPLORE_RWLOCK_WORLD_H
#define EXPLORE_RWLOCK_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer.h"
#include "small.h"

#include <ringbox/rwlock.h>

#include "rwlock/words.h"

enum {
    THREADS_MAX = 3,
    OBSERVER = THREADS_MAX, /* who looks at it when all is over */
    SEATS = THREADS_MAX + 1,
    BUFFER_MAX = 8,
    CALLS_MAX = 4,
    VALUES = 2,
};

enum thread_state {
    THREAD_NONE,
    THREAD_READY,
    THREAD_ASLEEP,
    THREAD_FINISHED,
    THREAD_HALTED, /* goes on no more; the kernel has not buried it yet */
    THREAD_DEAD,
};

/* What a thread does next, once it is its turn. */
enum pending { NOTHING_YET, READS, STORES, CHANGES, TIDIES };

enum inside { OUTSIDE, READING, WRITING };

struct store {
    uint64_t value;
    uint8_t word;
    uint8_t unused[7];
};

struct thread {
    uint8_t state, pending, inside, call;
    bool mortal, timed_out, rushing;
    bool owes_wake; /* it has changed, in this call, what others may sleep on */
    uint8_t slices; /* so many of its sleeps may still time out when nothing else happens */
    uint8_t stores, sleeps_on;
    uint8_t word, order; /* of what it does next */
    const void *looked_at;
    uint64_t now;      /* its clock */
    uint64_t deadline; /* of its sleep */
    struct store buffer[BUFFER_MAX];
};

struct world {
    _Alignas(64) char lock[RBX_RWLOCK_BYTES(SEATS)];
    rbx_atomic64 value[VALUES]; /* what it protects */
    uint8_t holder[SEATS];      /* of the lock of each seat: thread + 1 */
    uint8_t deaths, timeouts;   /* that may still happen */
    uint8_t owed;     /* readers that slept when a writer's unlock began: they are next (W-I7) */
    uint8_t handing;  /* writers in their unlock */
    uint8_t patience; /* slices that a thread has after each death */
    bool broken;      /* a writer has died when it said WRITING */
    bool owed_wake;   /* somebody has died who may not have woken whom it should */
    struct thread threads[THREADS_MAX + 1];
};

extern struct world world;

/* What is different in a faulty lock. */
enum mutant {
    NO_MUTANT,
    MUTANT_READING_IS_BUFFERED,
    MUTANT_TORN_TURN,
    MUTANT_NO_WRITING,
    MUTANT_BLIND_TO_SEATS,
    MUTANT_HASTY,
    MUTANT_SILENT_GRANT,
    MUTANT_UNWATCHED,
    MUTANT_UNASKED,
    MUTANT_STINGY,
    MUTANT_FORGETFUL,
    MUTANT_BLIND_GRANT,
    MUTANT_BLIND_BURIAL,
    MUTANT_SILENT_TURN,
};

/* What a thread's process has: put away with its stack. */
struct process {
    struct rbx_rwlock handle;
    rbx_rwlock *lock;
};
struct process *process_of(unsigned thread);

/* The kernel sees to a dead one. */
void bury(unsigned thread);

/* rwlock-scene.c */
enum verb {
    END_OF_SCRIPT,
    READ,
    TRY_READ,
    READ_FOR,
    WRITE,
    TRY_WRITE,
    WRITE_FOR,
    WRITE_CARELESSLY, /* says nothing when it is told of a death */
    OPEN,             /* its handle, which was not open before */
    CLOSE,
};

struct configuration {
    struct days days;
    enum verb calls[THREADS_MAX][CALLS_MAX];
    unsigned mortal;   /* threads that may die, as bits */
    unsigned deaths;   /* how many of them */
    unsigned timeouts; /* of sleeps, at any time, in all */
    unsigned slices;   /* of each thread's sleeps, when nothing else happens */
};

extern const struct configuration configurations[];
extern const unsigned configuration_count;
void scene_begin(const struct configuration *configuration);
void scene_judge(void); /* when nothing can happen any more */

#endif
