/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sem.h: counting semaphores, one or a set of them, whose units come back from the dead.
 *
 *     rbx_sem *printers;
 *     const rbx_sem_options sem_options = {.initial = 3};
 *     if (rbx_sem_open(&printers, "printers", &sem_options) < 0) {
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *         return 1;
 *     }
 *     // Should this process die now, the unit comes back to the others.
 *     if (rbx_sem_wait(printers, 0, RBX_SEM_UNDO) == 0) {
 *         // ...
 *         rbx_sem_done(printers, 0);
 *     }
 *     rbx_sem_close(printers);
 *
 * A set has members, counted from 0, each with a number of units: `add` puts new ones in, `wait`
 * takes one, `done` gives back what was taken.
 *
 * What holds:
 *  - A unit taken with RBX_SEM_UNDO comes back when its handle is closed or its process dies, at
 *    any instruction and however it died: whoever waits, tries, opens or describes next sees to it.
 *    One that was taken without stays taken. The units of a process that is stopped stay its own.
 *  - That is as long as somebody has the set open. When all have died the next one makes a new one,
 *    with all its units, unless it was kept (.box.policy = RBX_KEEP).
 *  - A call that a kill interrupts has been done whole or not at all.
 *  - A waiter learns of units that are added at once, and of those that a death left within
 *    RBX_SLICE_NS.
 *  - Nobody can give back what it has not taken: that is -EPERM.
 *  - A handle may be used by all threads of its process, though not by signal handlers. After
 *    fork() the child opens its own.
 *
 * What does not: waiters are not served in the order of their coming. Whoever finds enough units
 * has them, so that one who takes many at once may wait for long beside others who take few.
 *
 * Each set has a lock of its own, held for a few instructions: a process that is stopped just there
 * makes the others wait until it goes on or dies (but those that would wait for a time only, or
 * try). All that share a set must be in one PID namespace, as with a mutex. With memory that is in
 * no box, or in a raw one, nobody can tell who has died: there units come back only when a handle
 * is closed.
 *
 * With .box.backing = RBX_SYSV a set is the System V one with the key `name`, which other programs
 * use by semget and semop; docs/sync.md says what differs.
 */
#ifndef RINGBOX_SEM_H
#define RINGBOX_SEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

typedef struct rbx_sem rbx_sem;

#define RBX_SEM_MAX 2147483647U    /* units of a member; of a System V set: 32767 */
#define RBX_SEM_MEMBERS_MAX 32000U /* as the system's own limit for its sets usually is */
#define RBX_SEM_SEATS_MAX 4096U
#define RBX_SEM_SEATS 32U

/* All zero is the default: one semaphore without units. */
typedef struct rbx_sem_options {
    uint32_t count;         /* members; 0 means 1, and when joining any number */
    uint32_t initial;       /* units of every member of a new set */
    const uint32_t *values; /* or, when not NULL, one number for each of `count` members */
    uint32_t seats;      /* how many handles may, at a time, have taken units with RBX_SEM_UNDO: 0
                            means RBX_SEM_SEATS, and when joining any number. Not for RBX_SYSV */
    bool remove;         /* RBX_SYSV: this handle removes the set when it closes, whoever uses it;
                            otherwise nobody does */
    rbx_box_options box; /* where a named set lives; `size`, `tag`, `raw` and `init` are not yours.
                            RBX_SYSV: only `how` and `mode` mean something, and a policy other
                            than RBX_KEEP, which 0 means too, is -ENOTSUP */
} rbx_sem_options;

/*
 * Opens the set `name`: makes it or joins it, as options->box.how says, and makes it when there are
 * no options. With the name NULL it is a new one for the threads of this process. The box goes when
 * the last one closes it (RBX_LAST_ONE_OUT, which RBX_OWNER_UNLINKS means here, too), or stays
 * (RBX_KEEP). Errors are those of rbx_box_open; -EPROTO also when what has that name is no set of
 * semaphores, or has other numbers of members or seats. RBX_SYSV: -EBUSY when another program has
 * made the set and not given it its first values within two seconds; RBX_OPEN_ONLY joins any set at
 * once.
 */
RBX_API int rbx_sem_open(rbx_sem **sem, const char *name, const rbx_sem_options *options);

/*
 * A set in memory of your own, as part of something larger: zeroed, rbx_sem_bytes long and aligned
 * to 64 bytes. Make it before anybody else can see it, say in rbx_box_options.init. Then each
 * process attaches to it: in `box`, which cannot be closed before the handle; or wherever it is,
 * when that is NULL, and then the memory is yours to keep until the handle is closed.
 */
RBX_API size_t rbx_sem_bytes(const rbx_sem_options *options); /* 0: they make no sense */
RBX_API int rbx_sem_init(void *memory, size_t size, const rbx_sem_options *options);
RBX_API int rbx_sem_attach(rbx_sem **sem, rbx_box *box, void *memory, size_t size);

/* What this handle has taken with RBX_SEM_UNDO comes back. No other thread may be in a call on it.
   NULL is fine. Otherwise as rbx_box_close. */
RBX_API int rbx_sem_close(rbx_sem *sem);

/* For `flags`: what is taken comes back when this handle is closed or its process dies. */
#define RBX_SEM_UNDO 1U

/*
 * Takes one unit, or `n` at once, and waits while there are not as many:
 *   -EAGAIN (try), -ETIMEDOUT  there were not
 *   -EINTR      a signal handler ran while it slept (event.h says how to be sure of an end)
 *   -EINVAL     no such member, no such flag, or n is not from 1 to RBX_SEM_MAX
 *   -EBUSY      with RBX_SEM_UNDO: all seats are taken
 *   -EOVERFLOW  with RBX_SEM_UNDO: the handle would hold more than RBX_SEM_MAX of that member
 *   -EBADF      inherited through fork()
 *   -EPROTO     somebody has written nonsense to the memory of the set
 *   -ESTALE     the System V set has been removed
 * Unless it is 0 nothing was taken.
 */
RBX_API int rbx_sem_wait(rbx_sem *sem, uint32_t index, uint32_t flags);
RBX_API int rbx_sem_try_wait(rbx_sem *sem, uint32_t index, uint32_t flags);
RBX_API int rbx_sem_wait_for(rbx_sem *sem, uint32_t index, uint32_t flags, uint64_t timeout_ns);
RBX_API int rbx_sem_take(rbx_sem *sem, uint32_t index, uint32_t n, uint32_t flags,
                         uint64_t timeout_ns);

/*
 * Gives back one unit, or `n`, of what this handle has taken of that member: -EPERM when it has not
 * taken as many, by its own count. Those taken with RBX_SEM_UNDO go first; whoever mixes both kinds
 * on one member opens a handle for each. -EOVERFLOW as below; the other errors, here and in the
 * calls that follow, are those of waiting.
 */
RBX_API int rbx_sem_done(rbx_sem *sem, uint32_t index);
RBX_API int rbx_sem_give(rbx_sem *sem, uint32_t index, uint32_t n);

/* Puts `n` units in, taken or not: for good. -EOVERFLOW: there would be more than RBX_SEM_MAX, and
   none was put in. */
RBX_API int rbx_sem_add(rbx_sem *sem, uint32_t index, uint32_t n);

/* Waits until the member has no units, and nobody has died with some that come back. Errors as
   of rbx_sem_wait_for. */
RBX_API int rbx_sem_wait_zero(rbx_sem *sem, uint32_t index, uint64_t timeout_ns);

/* How many units a member has at the moment: 0 or more, or -errno. */
RBX_API int rbx_sem_value(rbx_sem *sem, uint32_t index);

typedef struct rbx_sem_info {
    uint32_t members;
    uint32_t seats;      /* RBX_SYSV: 0, as the next three; only the kernel knows */
    uint32_t holders;    /* living handles that hold units taken with RBX_SEM_UNDO */
    uint32_t suspects;   /* of these: the process is gone, yet something still holds its lock (a raw
                            clone() that inherited the descriptor): its units are left alone */
    uint64_t undo_units; /* all that such handles hold */
} rbx_sem_info;

RBX_API int rbx_sem_describe(rbx_sem *sem, rbx_sem_info *info);

RBX_END_DECLS

#endif
