/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * eventfd.h: a flag that is a descriptor: readable while it is set.
 *
 * Unlike an rbx_fd it survives fork(), in the child as well: nothing hangs on it but the flag.
 */
#ifndef RBX_OS_EVENTFD_H
#define RBX_OS_EVENTFD_H

#include <stdbool.h>
#include <stdint.h>

/* A new one, non-blocking and close-on-exec: its descriptor, or -errno. */
int rbx_eventfd_make(bool set);
/* Makes one from elsewhere like that: -EINVAL when it is none, -EBADF when it is nothing, -ENOTSUP
   when there is no /proc to tell. */
int rbx_eventfd_adopt(int fd);
int rbx_eventfd_set(int fd);
/* Unsets it: 0, or -EAGAIN when it is not set. */
int rbx_eventfd_take(int fd);
/* Waits until it is set, and leaves it so: 0, -ETIMEDOUT, or -EINTR when a signal handler ran. With
   `deadline_ns` 0 it only looks. */
int rbx_eventfd_wait(int fd, uint64_t deadline_ns);
void rbx_eventfd_close(int fd);

#endif
