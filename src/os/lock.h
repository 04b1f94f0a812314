/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * lock.h: byte locks that belong to an open file description (OFD locks).
 *
 * The kernel drops them when the last descriptor of the description is gone: at close, exit, crash
 * or kill -9. So a held lock is a fact about a living holder. The bytes may lie past the end of the
 * file. A description never conflicts with itself.
 */
#ifndef RBX_OS_LOCK_H
#define RBX_OS_LOCK_H

#include <stdint.h>

enum rbx_lock_kind { RBX_LOCK_SHARED, RBX_LOCK_EXCLUSIVE };

/* -EAGAIN: held by another; -EBADF: exclusive needs a descriptor open for writing. */
int rbx_lock_try(int fd, uint64_t byte, enum rbx_lock_kind kind);
/* As rbx_lock_try, but keeps trying for `patience_ns`. */
int rbx_lock_wait(int fd, uint64_t byte, enum rbx_lock_kind kind, uint64_t patience_ns);
int rbx_lock_drop(int fd, uint64_t byte);
/* 1 when another description holds the byte, in either way; else 0. */
int rbx_lock_held(int fd, uint64_t byte);
/* How many locks of other descriptions lie in [first, first + length), whatever their length; stops
   counting at `limit`. */
int rbx_lock_count(int fd, uint64_t first, uint64_t length, int limit);

#endif
