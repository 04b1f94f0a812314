/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/support.h"
#include "os/fd.h"
#include "os/lock.h"

TestSuite(fd, .timeout = 60);

enum { BYTE = 1 << 20 };

/* A locked descriptor that has a copy, as in a child or on its way to another process. */
static int lock_and_copy(struct rbx_fd *locked, struct rbx_fd *other)
{
    cr_assert_eq(rbx_fd_create_unnamed(locked, AT_FDCWD, "/dev/shm"), 0);
    cr_assert_eq(rbx_fd_reopen(other, locked->fd, RBX_FD_WRITE), 0);
    cr_assert_eq(rbx_lock_try(locked->fd, BYTE, RBX_LOCK_EXCLUSIVE), 0);
    cr_assert_eq(rbx_lock_held(other->fd, BYTE), 1);
    return dup(locked->fd);
}

Test(fd, closing_drops_the_locks_although_a_copy_lives_on)
{
    struct rbx_fd locked, other;
    int copy = lock_and_copy(&locked, &other);
    rbx_fd_close(&locked);
    cr_assert_not(rbx_fd_is_open(&locked));
    cr_assert_eq(rbx_lock_held(other.fd, BYTE), 0);
    close(copy);
    rbx_fd_close(&other);
}

Test(fd, what_is_given_away_keeps_its_locks)
{
    struct rbx_fd locked, other;
    int copy = lock_and_copy(&locked, &other);
    rbx_fd_give_away(&locked);
    cr_assert_not(rbx_fd_is_open(&locked));
    cr_assert_eq(rbx_lock_held(other.fd, BYTE), 1);
    close(copy);
    cr_assert_eq(rbx_lock_held(other.fd, BYTE), 0);
    rbx_fd_close(&other);
}

Test(fd, a_child_has_none_of_them)
{
    struct rbx_fd one, two, moved = RBX_FD_CLOSED;
    cr_assert_eq(rbx_fd_create_unnamed(&one, AT_FDCWD, "/dev/shm"), 0);
    cr_assert_eq(rbx_fd_create_unnamed(&two, AT_FDCWD, "/dev/shm"), 0);
    rbx_fd_move(&moved, &two);
    cr_assert_not(rbx_fd_is_open(&two));
    int status, numbers[] = {one.fd, moved.fd};
    pid_t child = fork();
    if (child == 0)
        _exit(rbx_fd_is_open(&one) || rbx_fd_is_open(&moved) || fcntl(numbers[0], F_GETFD) != -1 ||
              fcntl(numbers[1], F_GETFD) != -1);
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    cr_assert(rbx_fd_is_open(&one) && rbx_fd_is_open(&moved));
    rbx_fd_close(&one);
    rbx_fd_close(&one); /* twice is fine */
    rbx_fd_close(&moved);
}
