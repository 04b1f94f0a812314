/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mutex.h: a lock that processes share, and that outlives whoever dies with it.
 *
 *     rbx_mutex *mutex;
 *     if (rbx_mutex_open(&mutex, "ledger", NULL) < 0) {
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *         return 1;
 *     }
 *     int err = rbx_mutex_lock(mutex);
 *     if (err == -EOWNERDEAD) {
 *         // The last holder died with it. It is ours: put right what it protects, then
 *         err = rbx_mutex_consistent(mutex);
 *     }
 *     if (err == 0) {
 *         // ...
 *         rbx_mutex_unlock(mutex);
 *     }
 *     rbx_mutex_close(mutex);
 *
 * What holds:
 *  - When the holder dies (its thread or its process, at any instruction), the next to lock gets
 *    -EOWNERDEAD *with the lock held*. Unlocked without rbx_mutex_consistent it is
 *    -ENOTRECOVERABLE to everybody, for good: what it protects is known to be half done.
 *  - That is as long as somebody has it open. When all have died the next one makes a new mutex,
 *    and is told nothing: one that protects what outlives them all, say a file, is to be kept
 *    (.box.policy = RBX_KEEP).
 *  - Errors are told, not made: locking what this thread holds is -EDEADLK, unlocking what it does
 *    not is -EPERM.
 *  - A handle may be used by all threads of its process. After fork() the child opens its own.
 *  - A wait goes on when a signal handler has run.
 *
 * It is the C library's robust mutex, whose holders the kernel knows by their thread ids: all that
 * share one must be in one PID namespace. While it is held there are pointers of the holder's in
 * it: who can write to its memory must be trusted with it. A thread unlocks through the handle that
 * it locked by. One that ends while it holds the lock has died with it; its handle can be closed
 * once another thread has locked by it and unlocked, or was told -ENOTRECOVERABLE.
 */
#ifndef RINGBOX_MUTEX_H
#define RINGBOX_MUTEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

typedef struct rbx_mutex rbx_mutex;

/* All zero is the default. */
typedef struct rbx_mutex_options {
    bool inherit_priority; /* who holds it runs with the priority of whoever waits for it most
                              urgently; when joining, it must be so */
    rbx_box_options box;   /* where a named mutex lives; `size`, `tag`, `raw` and `init` are not
                              yours */
} rbx_mutex_options;

/*
 * Opens the mutex `name`: makes it or joins it, as options->box.how says, and makes it when there
 * are no options. With the name NULL it is a new one for the threads of this process. The box goes
 * when the last one closes it (RBX_LAST_ONE_OUT, which RBX_OWNER_UNLINKS means here, too), or stays
 * (RBX_KEEP). Errors are those of rbx_box_open; -EPROTO also when what has that name is no mutex,
 * or does not inherit priorities.
 */
RBX_API int rbx_mutex_open(rbx_mutex **mutex, const char *name, const rbx_mutex_options *options);

/*
 * A mutex in memory of your own, as part of something larger: zeroed, RBX_MUTEX_BYTES long and
 * aligned to 64 bytes. Make it before anybody else can see it, say in rbx_box_options.init. Then
 * each process attaches to it: in `box`, which cannot be closed before the handle; or wherever it
 * is, when that is NULL, and then the memory is yours to keep until the handle is closed.
 */
#define RBX_MUTEX_BYTES 128U
RBX_API int rbx_mutex_init(void *memory, size_t size, const rbx_mutex_options *options);
RBX_API int rbx_mutex_attach(rbx_mutex **mutex, rbx_box *box, void *memory, size_t size);

/* -EBUSY, and nothing is done, while a thread of this process holds it through this handle. NULL is
   fine. Else as rbx_box_close. */
RBX_API int rbx_mutex_close(rbx_mutex *mutex);

/*
 * 0 or -EOWNERDEAD: this thread holds it. Else it does not:
 *   -EBUSY (try), -ETIMEDOUT  another holds it      -EDEADLK  this thread does already
 *   -ENOTRECOVERABLE          see above             -EBADF    inherited through fork()
 */
RBX_API int rbx_mutex_lock(rbx_mutex *mutex);
RBX_API int rbx_mutex_try_lock(rbx_mutex *mutex);
RBX_API int rbx_mutex_lock_for(rbx_mutex *mutex, uint64_t timeout_ns);

/* What it protects has been put right. -EINVAL: nobody has died with it. -EPERM: not held. */
RBX_API int rbx_mutex_consistent(rbx_mutex *mutex);
RBX_API int rbx_mutex_unlock(rbx_mutex *mutex);

RBX_END_DECLS

#endif
