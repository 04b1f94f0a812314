/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rwlock.h: a lock that many read under at a time, or one writes, and that outlives whoever dies
 * with it.
 *
 *     rbx_rwlock *lock;
 *     if (rbx_rwlock_open(&lock, "prices", NULL) < 0) {
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *         return 1;
 *     }
 *     if (rbx_rwlock_read(lock) == 0) {
 *         // ... look at what it protects, as others do at the same time
 *         rbx_rwlock_unlock(lock);
 *     }
 *     int err = rbx_rwlock_write(lock);
 *     if (err == -EOWNERDEAD) {
 *         // A writer has died with it. It is ours: put right what it protects, then
 *         err = rbx_rwlock_consistent(lock);
 *     }
 *     if (err == 0) {
 *         // ... change it
 *         rbx_rwlock_unlock(lock);
 *     }
 *     rbx_rwlock_close(lock);
 *
 * What holds:
 *  - A reader that dies (kill -9, at any instruction) is forgotten: no writer waits for it for
 *    longer than RBX_SLICE_NS. Nor does anybody for a dead writer.
 *  - When a writer has died while it had the lock, each reader and the next writer get -EOWNERDEAD
 *    *with the lock held*, until a writer calls rbx_rwlock_consistent. A writer that was told and
 *    unlocks without it makes the lock -ENOTRECOVERABLE to everybody, for good; a reader that was
 *    told just unlocks. One that died while it waited, or at the end of its unlock, has changed
 *    nothing by halves, and nobody is told.
 *  - That is as long as somebody has it open. When all have died the next one makes a new lock, and
 *    is told nothing, unless it was kept (.box.policy = RBX_KEEP).
 *  - A writer that waits is not overtaken by readers that come later; and those that wait when it
 *    unlocks are in before the next writer. Between writers there is no order.
 *  - Who is stopped (SIGSTOP) is not dead, however long it takes: others wait.
 *  - Errors are told, not made: locking what this handle holds, also for writing what it holds for
 *    reading, is -EDEADLK; unlocking what it does not is -EPERM.
 *  - A wait goes on when a signal handler has run.
 *
 * A handle has one of the lock's seats, and belongs to one thread at a time: others open their own,
 * which by name takes some 20 us. What dies is a process: a thread that ends leaves its handle, and
 * what that holds, to the others of its process. After fork() the child opens its own. In memory
 * that is in no box (see rbx_rwlock_attach) nobody can tell who has died: others wait for the dead,
 * and their seats are not used again.
 */
#ifndef RINGBOX_RWLOCK_H
#define RINGBOX_RWLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

typedef struct rbx_rwlock rbx_rwlock;

#define RBX_RWLOCK_SEATS 62U /* 4096 bytes in all */
#define RBX_RWLOCK_SEATS_MAX 1022U

/* All zero is the default. */
typedef struct rbx_rwlock_options {
    unsigned seats; /* handles that can be open at a time; 0: RBX_RWLOCK_SEATS, and when joining,
                       as many as there are */
    rbx_box_options
        box; /* where a named lock lives; `size`, `tag`, `raw` and `init` are not yours */
} rbx_rwlock_options;

/*
 * Opens the lock `name`: makes it or joins it, as options->box.how says, and makes it when there
 * are no options. With the name NULL it is a new one, which only this handle has: what threads of
 * one process share they make with rbx_rwlock_init. The box goes when the last one closes it
 * (RBX_LAST_ONE_OUT, which RBX_OWNER_UNLINKS means here, too), or stays (RBX_KEEP). Errors are
 * those of rbx_box_open; -EPROTO also when what has that name is no such lock, or has fewer seats
 * than were asked for; -EBUSY: all seats are taken.
 */
RBX_API int rbx_rwlock_open(rbx_rwlock **lock, const char *name, const rbx_rwlock_options *options);

/*
 * A lock in memory of your own, as part of something larger: zeroed, RBX_RWLOCK_BYTES(seats) long
 * and aligned to 64 bytes. Make it before anybody else can see it, say in rbx_box_options.init.
 * Then each handle attaches to it: in `box`, which cannot be closed before the handle; or wherever
 * it is, when that is NULL, and then the memory is yours to keep until the handle is closed.
 */
#define RBX_RWLOCK_BYTES(seats) (128U + 64U * (size_t)(seats))
RBX_API int rbx_rwlock_init(void *memory, size_t size, const rbx_rwlock_options *options);
RBX_API int rbx_rwlock_attach(rbx_rwlock **lock, rbx_box *box, void *memory, size_t size);

/* -EBUSY, and nothing is done, while this handle holds it. NULL is fine. Else as rbx_box_close. */
RBX_API int rbx_rwlock_close(rbx_rwlock *lock);

/*
 * 0 or -EOWNERDEAD: this handle holds it. Else it does not:
 *   -EBUSY (try), -ETIMEDOUT  others hold it, or one waits to write   -EDEADLK  this handle does
 *   -ENOTRECOVERABLE          see above                               -EBADF    inherited by fork()
 *   -EPROTO                   its memory is damaged
 */
RBX_API int rbx_rwlock_read(rbx_rwlock *lock);
RBX_API int rbx_rwlock_try_read(rbx_rwlock *lock);
RBX_API int rbx_rwlock_read_for(rbx_rwlock *lock, uint64_t timeout_ns);
RBX_API int rbx_rwlock_write(rbx_rwlock *lock);
RBX_API int rbx_rwlock_try_write(rbx_rwlock *lock);
RBX_API int rbx_rwlock_write_for(rbx_rwlock *lock, uint64_t timeout_ns);

/* What it protects has been put right, says who writes. -EINVAL: nobody has died with it. -EPERM:
   not held for writing. */
RBX_API int rbx_rwlock_consistent(rbx_rwlock *lock);
RBX_API int rbx_rwlock_unlock(rbx_rwlock *lock);

/* At about this time. */
typedef struct rbx_rwlock_info {
    unsigned seats;
    unsigned used;     /* of them, ever: a writer looks at so many */
    unsigned open;     /* handles, those of the dead whose seat nobody has had since included */
    unsigned dead;     /* of these */
    unsigned suspects; /* of these: the process is gone, but a copy of its handle lives on */
    unsigned readers;  /* that hold it */
    unsigned waiting_readers; /* that sleep until a writer is done */
    bool writing;             /* a writer holds it */
    bool draining;            /* a writer has the turn, and waits for readers */
    bool waiting_writers;     /* others have waited since */
    int writer;               /* process id of that writer, or 0 */
    bool broken;              /* a writer has died with it, and nobody has put it right */
    bool lost;                /* nobody has, for good */
} rbx_rwlock_info;
RBX_API int rbx_rwlock_describe(const rbx_rwlock *lock, rbx_rwlock_info *info);

RBX_END_DECLS

#endif
