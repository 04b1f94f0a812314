/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>

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

/* Some lock of another description in [first, first + length): 1 and where it starts, or 0. */
static int find(int fd, uint64_t first, uint64_t length, uint64_t *start)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = (off_t)length};
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -errno;
    if (lock.l_type == F_UNLCK)
        return 0;
    *start = (uint64_t)lock.l_start;
    return 1;
}

int rbx_lock_held(int fd, uint64_t byte)
{
    uint64_t start;
    return find(fd, byte, 1, &start);
}

/*
 * The kernel names one conflicting lock, not the lowest: split around it and look on both sides.
 * The part on the right is the loop's; the depth of the recursion on the left is bounded by
 * `limit`.
 */
int rbx_lock_count(int fd, uint64_t first, uint64_t length, int limit)
{
    int count = 0;
    while (length > 0 && count < limit) {
        uint64_t at = first;
        int found = find(fd, first, length, &at);
        if (found <= 0)
            return found < 0 ? found : count;
        if (at < first) /* a longer lock than any of ours, from before: count it once, here */
            at = first;
        count++;
        if (at > first) {
            int left = rbx_lock_count(fd, first, at - first, limit - count);
            if (left < 0)
                return left;
            count += left;
        }
        length -= at + 1 - first;
        first = at + 1;
    }
    return count;
}
