/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#include "clock.h"

static int change(int fd, uint64_t byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

int rbx_lock_try(int fd, uint64_t byte, enum rbx_lock_kind kind)
{
    return change(fd, byte, kind == RBX_LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK);
}

/*
 * Tries again and again, rather than F_OFD_SETLKW, because a wait for a stopped process must end.
 * What is waited for lasts a few system calls, so the pauses start short.
 */
int rbx_lock_wait(int fd, uint64_t byte, enum rbx_lock_kind kind, uint64_t patience_ns)
{
    enum { FIRST_PAUSE_NS = 20000, LONGEST_PAUSE_NS = 1000000 };
    uint64_t pause = FIRST_PAUSE_NS;
    uint64_t begun = 0;
    for (;;) {
        int err = rbx_lock_try(fd, byte, kind);
        if (err != -EAGAIN)
            return err;
        uint64_t now = rbx_clock_monotonic();
        if (!begun)
            begun = now;
        if (now - begun >= patience_ns)
            return -EAGAIN;
        rbx_clock_pause(pause);
        pause = pause * 2 > LONGEST_PAUSE_NS ? LONGEST_PAUSE_NS : pause * 2;
    }
}

int rbx_lock_drop(int fd, uint64_t byte)
{
    return change(fd, byte, F_UNLCK);
}

_Static_assert(sizeof(off_t) == 8, "the lock bytes lie past 2^62: build with 64-bit offsets");

struct range {
    uint64_t first;
    uint64_t length;
};

/* Some lock of another description in `within`: 1 and the part of it that lies there, or 0. */
static int find(int fd, struct range within, struct range *found)
{
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)within.first,
                         .l_len = (off_t)within.length};
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -errno;
    if (lock.l_type == F_UNLCK)
        return 0;
    uint64_t end = within.first + within.length;
    uint64_t first = (uint64_t)lock.l_start, last_end = first + (uint64_t)lock.l_len;
    if (lock.l_len == 0 || last_end > end) /* 0: up to the largest offset there is */
        last_end = end;
    if (first < within.first)
        first = within.first;
    *found = (struct range){.first = first, .length = last_end - first};
    return 1;
}

int rbx_lock_held(int fd, uint64_t byte)
{
    struct range found;
    return find(fd, (struct range){.first = byte, .length = 1}, &found);
}

/*
 * The kernel names one conflicting lock, not the lowest: look on both sides of it. The smaller side
 * is the recursion's, whose depth is so at most that of halving 2^63, the larger one the loop's.
 */
static int count(int fd, struct range within, int limit)
{
    int total = 0;
    while (within.length > 0 && total < limit) {
        struct range found = {0};
        int err = find(fd, within, &found);
        if (err <= 0)
            return err < 0 ? err : total;
        total++;
        struct range left = {.first = within.first, .length = found.first - within.first};
        struct range right = {.first = found.first + found.length};
        right.length = within.first + within.length - right.first;
        bool left_is_smaller = left.length < right.length;
        int there = count(fd, left_is_smaller ? left : right, limit - total);
        if (there < 0)
            return there;
        total += there;
        within = left_is_smaller ? right : left;
    }
    return total;
}

int rbx_lock_count(int fd, uint64_t first, uint64_t length, int limit)
{
    return count(fd, (struct range){.first = first, .length = length}, limit);
}
