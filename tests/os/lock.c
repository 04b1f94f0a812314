/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../support/support.h"
#include "os/clock.h"
#include "os/lock.h"

TestSuite(lock, .timeout = 60);

enum { FAR = 1 << 20 };

/* Two descriptions of one file. */
static void open_twice(int fds[2])
{
    char path[64];
    fds[0] = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(fds[0], 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    fds[1] = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fds[1], 0);
}

Test(lock, exclusive_excludes_and_shared_shares)
{
    int fds[2];
    open_twice(fds);
    cr_assert_eq(rbx_lock_try(fds[0], FAR, RBX_LOCK_SHARED), 0);
    cr_assert_eq(rbx_lock_try(fds[1], FAR, RBX_LOCK_SHARED), 0);
    cr_assert_eq(rbx_lock_try(fds[1], FAR, RBX_LOCK_EXCLUSIVE), -EAGAIN);
    cr_assert_eq(rbx_lock_drop(fds[0], FAR), 0);
    cr_assert_eq(rbx_lock_try(fds[1], FAR, RBX_LOCK_EXCLUSIVE), 0);
    cr_assert_eq(rbx_lock_held(fds[0], FAR), 1);
    cr_assert_eq(rbx_lock_held(fds[1], FAR), 0, "one's own lock is not another's");
    close(fds[1]);
    cr_assert_eq(rbx_lock_held(fds[0], FAR), 0, "closing drops it");
}

Test(lock, waiting_is_bounded_and_at_least_as_long_as_told)
{
    int fds[2];
    open_twice(fds);
    cr_assert_eq(rbx_lock_try(fds[0], FAR, RBX_LOCK_EXCLUSIVE), 0);
    uint64_t begun = rbx_clock_monotonic();
    cr_assert_eq(rbx_lock_wait(fds[1], FAR, RBX_LOCK_SHARED, 20000000), -EAGAIN);
    cr_assert_geq(rbx_clock_monotonic() - begun, 20000000);
}

Test(lock, counting_finds_each_of_any_number_in_any_order)
{
    enum { HOLDERS = 60 };
    int fds[2], holders[HOLDERS];
    char path[64];
    open_twice(fds);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    srand(7);
    for (int i = 0; i < HOLDERS; i++) {
        uint64_t byte = FAR + (uint64_t)rand() % 1000 * 64 + (uint64_t)i;
        cr_assert_eq(rbx_lock_count(fds[0], FAR, 1 << 20, 1000), i);
        holders[i] = open(path, O_RDWR | O_CLOEXEC);
        cr_assert_eq(rbx_lock_try(holders[i], byte, i % 2 ? RBX_LOCK_SHARED : RBX_LOCK_EXCLUSIVE),
                     0);
    }
    cr_assert_eq(rbx_lock_count(fds[0], FAR, 1 << 20, 1000), HOLDERS);
    cr_assert_eq(rbx_lock_count(fds[0], FAR, 1 << 20, 1), 1, "a limit ends the count");
    cr_assert_eq(rbx_lock_count(fds[0], FAR, 1 << 20, 17), 17);
    cr_assert_eq(rbx_lock_count(fds[0], FAR - 100, 100, 1000), 0);
    cr_assert_eq(rbx_lock_count(fds[0], FAR + (1 << 20), 100, 1000), 0);
}

Test(lock, counting_takes_a_long_lock_as_one)
{
    int fds[2];
    open_twice(fds);
    struct flock all = {.l_type = F_RDLCK, .l_start = FAR, .l_len = 0};
    cr_assert_eq(fcntl(fds[1], F_OFD_SETLK, &all), 0);
    cr_assert_eq(rbx_lock_count(fds[0], FAR, (uint64_t)1 << 61, 1000), 1);
    cr_assert_eq(rbx_lock_count(fds[0], FAR - 10, 1000, 1000), 1);
}

static void *count_on_a_small_stack(void *arg)
{
    const int *fds = arg;
    static int count;
    count = rbx_lock_count(fds[0], FAR, 1 << 30, 1 << 20);
    return &count;
}

/* The kernel lists the locks of one description in the order in which they lie. */
Test(lock, counting_many_needs_little_stack_in_whatever_order_they_come)
{
    enum { LOCKS = 3000 };
    int fds[2];
    void *count;
    open_twice(fds);
    for (int i = LOCKS; i > 0; i--)
        cr_assert_eq(rbx_lock_try(fds[1], FAR + (uint64_t)i * 2, RBX_LOCK_SHARED), 0);
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    cr_assert_eq(pthread_create(&thread, &small, count_on_a_small_stack, fds), 0);
    cr_assert_eq(pthread_join(thread, &count), 0);
    cr_assert_eq(*(int *)count, LOCKS);
}

Test(lock, counting_reaches_the_last_byte_there_is)
{
    int fds[2];
    open_twice(fds);
    const uint64_t last = (uint64_t)INT64_MAX;
    cr_assert_eq(rbx_lock_try(fds[1], last, RBX_LOCK_EXCLUSIVE), 0);
    cr_assert_eq(rbx_lock_count(fds[0], last - ((uint64_t)1 << 61) + 1, (uint64_t)1 << 61, 10), 1);
}

Test(lock, exclusive_needs_a_writable_descriptor)
{
    int fds[2];
    char path[64];
    open_twice(fds);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(rbx_lock_try(reader, FAR, RBX_LOCK_EXCLUSIVE), -EBADF);
    cr_assert_eq(rbx_lock_try(reader, FAR, RBX_LOCK_SHARED), 0);
    cr_assert_eq(rbx_lock_held(fds[0], FAR), 1);
}
