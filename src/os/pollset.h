/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pollset.h: a descriptor that is readable while one of those in it is: an epoll instance, which
   another can hold in turn. */
#ifndef RBX_OS_POLLSET_H
#define RBX_OS_POLLSET_H

#include <stdint.h>

#include "fd.h"

int rbx_pollset_open(struct rbx_fd *set);
/* `key` is what rbx_pollset_ready calls it. */
int rbx_pollset_add(const struct rbx_fd *set, int fd, void *key);
/* Before it is closed. */
void rbx_pollset_remove(const struct rbx_fd *set, int fd);
/* Some of those that are ready, `most` at most: how many. It does not wait. */
int rbx_pollset_ready(const struct rbx_fd *set, void **keys, int most);

#endif
