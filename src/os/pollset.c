/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pollset.h"

#include <errno.h>
#include <sys/epoll.h>

static int make(const void *unused)
{
    (void)unused;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int rbx_pollset_open(struct rbx_fd *set)
{
    return rbx_fd_make(set, make, NULL);
}

int rbx_pollset_add(const struct rbx_fd *set, int fd, void *key)
{
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = key};
    return epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &interest) < 0 ? -errno : 0;
}

void rbx_pollset_remove(const struct rbx_fd *set, int fd)
{
    struct epoll_event unused = {0};
    epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, &unused);
}

int rbx_pollset_ready(const struct rbx_fd *set, void **keys, int most)
{
    enum { AT_A_TIME = 8 };
    struct epoll_event ready[AT_A_TIME];
    int n = epoll_wait(set->fd, ready, most < AT_A_TIME ? most : AT_A_TIME, 0);
    for (int i = 0; i < n; i++)
        keys[i] = ready[i].data.ptr;
    return n < 0 ? -errno : n;
}
