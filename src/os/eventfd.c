/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

int rbx_eventfd_make(bool set)
{
    int fd = eventfd(set, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* What has a path in some file system has one that begins with '/': nobody can forge this. */
static int check_kind(int fd)
{
    static const char kind[] = "anon_inode:[eventfd]";
    char path[32], link[sizeof kind];
    if (fcntl(fd, F_GETFD) < 0)
        return -errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, link, sizeof link);
    if (length < 0)
        return errno == ENOENT ? -ENOTSUP : -errno;
    return length == sizeof kind - 1 && memcmp(link, kind, sizeof kind - 1) == 0 ? 0 : -EINVAL;
}

int rbx_eventfd_adopt(int fd)
{
    int err = check_kind(fd);
    if (err < 0)
        return err;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

int rbx_eventfd_set(int fd)
{
    const uint64_t one = 1;
    /* Its counter is full: so it is set. */
    return write(fd, &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0;
}

/* Without waiting also where somebody who shares it has made it a blocking one. (Linux 5.8; older
   ones rely on O_NONBLOCK.) */
int rbx_eventfd_take(int fd)
{
    uint64_t count;
    const struct iovec all = {.iov_base = &count, .iov_len = sizeof count};
    ssize_t n = preadv2(fd, &all, 1, -1, RWF_NOWAIT);
    if (n < 0 && errno != EAGAIN)
        n = read(fd, &count, sizeof count);
    return n < 0 ? -errno : 0;
}

int rbx_eventfd_wait(int fd, uint64_t deadline_ns)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t now = deadline_ns > 0 ? rbx_clock_monotonic() : 0;
    uint64_t rest = deadline_ns > now ? deadline_ns - now : 0, rest_s = rest / 1000000000U;
    struct timespec timeout = {.tv_sec = (time_t)rest_s, .tv_nsec = (long)(rest % 1000000000U)};
    bool for_ever = rest_s > INT32_MAX; /* the most that any time_t holds */
    int n;
    do
        n = ppoll(&ready, 1, for_ever ? NULL : &timeout, NULL);
    while (n < 0 && errno == EINTR && deadline_ns == 0); /* which is only a look */
    if (n < 0)
        return -errno;
    if (n == 0)
        return -ETIMEDOUT;
    return ready.revents & POLLNVAL ? -EBADF : 0;
}

void rbx_eventfd_close(int fd)
{
    close(fd);
}
