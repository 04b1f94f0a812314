/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll-life.c: descriptors of endpoints, and those who come, fork and close; and systems that
   refuse. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "polled.h"

TestSuite(poll_life, .timeout = 180);

static const uint64_t one = 1;

/* --- Streams between processes --- */

enum { STREAM = 2000 };

static int stream(void *arg)
{
    const struct life *life = arg;
    const rbx_ring_options options = options_of(life->kind);
    rbx_ring *ring;
    rbx_tx tx;
    int err = rbx_ring_open(&ring, life->name, &options);
    if (err == 0)
        err = rbx_tx_open(&tx, ring);
    for (uint64_t i = 0; err == 0 && i < STREAM; i++) {
        err = rbx_send(&tx, &i);
        if (i % 5 == 0)
            sched_yield();
    }
    return err;
}

Test(poll_life, a_stream_comes_from_another_process)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        uint64_t message, expected = 0;
        succeeds(rbx_rx_open(&rx, ring));
        int fd = rbx_rx_fd_by(&rx, by);
        struct child sender = start_running(stream, &life);
        while (expected < STREAM) {
            int err = rbx_try_recv(&rx, &message);
            if (err == 0)
                cr_assert_eq(message, expected++);
            else if (err == -EAGAIN && rbx_rx_arm(&rx) == 0)
                cr_assert(is_readable_within(fd, -1));
        }
        cr_assert_eq(said(&sender), 0);
        cr_assert_eq(finish(&sender), 0);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

/* --- Closing, and leaks --- */

Test(poll_life, nothing_is_left_of_it_in_whatever_order_things_close)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        struct epoll_event interest = {.events = EPOLLIN};
        int before = open_descriptors(), threads_before = threads();
        for (int in_order = 0; in_order < 2; in_order++) {
            int all = epoll_create1(EPOLL_CLOEXEC);
            open_both(&both, own_name("ring"), kind);
            epoll_ctl(all, EPOLL_CTL_ADD, rbx_rx_fd_by(&both.rx, by), &interest);
            epoll_ctl(all, EPOLL_CTL_ADD, rbx_tx_fd_by(&both.tx, by), &interest);
            cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
            fill(&both.tx);
            cr_assert_eq(rbx_tx_arm(&both.tx), 0);
            refuses(-EBUSY, "open endpoint", rbx_ring_close(both.ring));
            if (in_order)
                close(all);
            close_both(&both);
            if (!in_order) {
                cr_assert_eq(epoll_wait(all, &interest, 1, 0), 0);
                close(all);
            }
        }
        cr_assert_eq(open_descriptors(), before);
        await_threads(threads_before);
    }
}

/* But on a bell that others may sleep on. */
Test(poll_life, an_end_that_was_closed_as_it_was_armed_costs_the_other_end_no_wakes)
{
    for (unsigned way = has_uring() ? 0 : 1; way < WAYS; way++) {
        struct both both;
        rbx_ring_info info;
        open_both(&both, NULL, &polled_kinds[0]);
        cr_assert_geq(rbx_rx_fd_by(&both.rx, ways[way]), 0);
        cr_assert_eq(rbx_rx_arm(&both.rx), 0);
        rbx_rx_close(&both.rx);
        succeeds(rbx_try_send(&both.tx, &one));
        rbx_ring_describe(both.ring, &info);
        cr_assert_eq(info.tx.wakes, 0);
        close_both(&both);
    }
}

Test(poll_life, a_peer_in_the_same_process_costs_no_descriptor)
{
    for_each_kind_and_way(kind, by)
    {
        int cost[2];
        for (int named = 0; named < 2; named++) {
            struct both both;
            open_both(&both, named ? own_name("ring") : NULL, kind);
            cost[named] = -open_descriptors();
            cr_assert_geq(rbx_rx_fd_by(&both.rx, by), 0);
            cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
            cost[named] += open_descriptors();
            close_both(&both);
        }
        cr_assert_eq(cost[0], cost[1], "%s: %d, but %d by name", kind->noun, cost[0], cost[1]);
    }
}

Test(poll_life, a_thousand_endpoints_come_and_go)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        int before = open_descriptors(), threads_before = threads();
        open_both(&both, NULL, kind);
        for (int i = 0; i < 1000 / KINDS; i++) {
            rbx_rx_close(&both.rx);
            succeeds(rbx_rx_open(&both.rx, both.ring));
            succeeds(rbx_rx_fd_by(&both.rx, by));
            cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        }
        close_both(&both);
        cr_assert_eq(open_descriptors(), before);
        await_threads(threads_before);
    }
}

Test(poll_life, one_thread_serves_127_and_300_rings_are_no_limit)
{
    enum { RINGS = 300 };
    static struct both rings[RINGS];
    int before = threads();
    for (int i = 0; i < RINGS; i++) {
        open_both(&rings[i], NULL, &polled_kinds[0]);
        cr_assert_geq(rbx_rx_fd_by(&rings[i].rx, RBX_POLL_BY_THREAD), 0, "%s", rbx_last_error());
        cr_assert_eq(rbx_rx_arm(&rings[i].rx), 0);
        cr_assert_eq(threads(), before + 1 + i / 127);
    }
    for (int n = 0; n < RINGS; n++) {
        int i = n * 7 % RINGS;
        cr_assert_not(is_readable(rbx_rx_fd(&rings[i].rx)));
        succeeds(rbx_try_send(&rings[i].tx, &one));
        cr_assert(is_readable_within(rbx_rx_fd(&rings[i].rx), -1));
    }
    for (int i = 0; i < RINGS; i++)
        close_both(&rings[i]);
    await_threads(before);
}

/* --- fork --- */

static int misuses(void *arg)
{
    struct both *both = arg;
    struct both own;
    if (rbx_rx_arm(&both->rx) != -EBADF || !strstr(rbx_last_error(), "fork") ||
        rbx_rx_fd(&both->rx) != -EBADF)
        return 1;
    rbx_rx_close(&both->rx);
    open_both(&own, NULL, &polled_kinds[0]);
    if (rbx_rx_fd_by(&own.rx, RBX_POLL_BY_THREAD) < 0 || rbx_rx_arm(&own.rx) != 0)
        return 2;
    if (rbx_try_send(&own.tx, &one) < 0 || !is_readable_within(rbx_rx_fd(&own.rx), -1))
        return 3;
    close_both(&own);
    return threads() == 1 ? 0 : 4;
}

Test(poll_life, a_forked_child_leaves_the_parents_alone_and_may_have_its_own)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, own_name("ring"), kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        /* One that has just begun may have a lock of the address sanitizer's, which a child would
           then never get. */
        await_sleep_of_others(NULL, NULL);
        cr_assert_eq(in_child(misuses, &both), 0);
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert(is_readable_within(fd, -1));
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        close_both(&both);
    }
}

/* --- Kernels and sandboxes that refuse --- */

Test(poll_life, without_io_uring_a_thread_does_it)
{
    struct both both;
    int before = threads();
    if (!refuse_syscall(SYS_io_uring_setup, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    open_both(&both, NULL, &polled_kinds[0]);
    refuses(-EPERM, "cannot make a descriptor", rbx_rx_fd_by(&both.rx, RBX_POLL_BY_URING));
    cr_assert_eq(threads(), before);
    int fd = rbx_rx_fd(&both.rx);
    cr_assert_eq(threads(), before + 1);
    cr_assert_eq(rbx_rx_arm(&both.rx), 0);
    succeeds(rbx_try_send(&both.tx, &one));
    cr_assert(is_readable_within(fd, -1));
    close_both(&both);
}

Test(poll_life, without_futex_waitv_the_thread_looks_by_itself)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct both both;
        if (!refuse_syscall(449, ENOSYS, -1, 0))
            cr_skip_test("SKIP: seccomp is not allowed here");
        open_both(&both, NULL, &polled_kinds[kind]);
        int fd = rbx_rx_fd_by(&both.rx, RBX_POLL_BY_THREAD);
        for (int i = 0; i < 20; i++) {
            cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
            cr_assert_not(is_readable(fd));
            succeeds(rbx_try_send(&both.tx, &one));
            cr_assert(is_readable_within(fd, -1));
        }
        close_both(&both);
    }
}

/* But on a bell that others may sleep on. */
Test(poll_life, an_end_that_could_not_be_armed_costs_the_other_end_no_wakes)
{
    struct both both;
    rbx_ring_info info;
    needs_uring();
    if (!refuse_syscall(SYS_io_uring_enter, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    open_both(&both, NULL, &polled_kinds[0]);
    cr_assert_geq(rbx_rx_fd_by(&both.rx, RBX_POLL_BY_URING), 0);
    for (int i = 0; i < 5; i++) {
        refuses(-EPERM, "cannot wait for ring", rbx_rx_arm(&both.rx));
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert_eq(drain(&both.rx), -EAGAIN);
    }
    rbx_ring_describe(both.ring, &info);
    cr_assert_eq(info.tx.wakes, 0);
    close_both(&both);
}

/* io_uring that goes away after the descriptor was made. */
static void *send_one(void *tx)
{
    return (void *)(intptr_t)rbx_try_send(tx, &one);
}

/* A child has one thread, whatever its parent has. */
static int arms_before_it_has_threads(void *arg)
{
    const struct polled_kind *kind = arg;
    struct both both;
    pthread_t thread;
    void *answer;
    open_both(&both, NULL, kind);
    int fd = rbx_rx_fd_by(&both.rx, RBX_POLL_BY_URING);
    if (fd < 0 || rbx_rx_arm(&both.rx) != 0)
        return 1;
    if (pthread_create(&thread, NULL, send_one, &both.tx) != 0 ||
        pthread_join(thread, &answer) != 0)
        return 2;
    if (answer || !is_readable_within(fd, 60000))
        return 3;
    close_both(&both);
    return 0;
}

Test(poll_life, who_arms_before_it_has_a_second_thread_hears_what_that_sends)
{
    needs_uring();
    for (const struct polled_kind *kind = polled_kinds; kind < polled_kinds + KINDS; kind++) {
        await_sleep_of_others(NULL, NULL); /* of which none holds a lock then */
        cr_assert_eq(in_child(arms_before_it_has_threads, (void *)(uintptr_t)kind), 0);
    }
}

static void *arm_in_thread(void *rx)
{
    return (void *)(intptr_t)rbx_rx_arm(rx);
}

Test(poll_life, when_io_uring_is_refused_to_the_next_thread_another_way_is_found)
{
    struct both both;
    pthread_t thread;
    void *answer;
    needs_uring();
    open_both(&both, NULL, &polled_kinds[0]);
    int fd = rbx_rx_fd(&both.rx);
    cr_assert_eq(rbx_rx_arm(&both.rx), 0);
    if (!refuse_syscall(SYS_io_uring_setup, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    pthread_create(&thread, NULL, arm_in_thread, &both.rx);
    pthread_join(thread, &answer);
    succeeds(rbx_try_send(&both.tx, &one));
    cr_assert(is_readable_within(fd, -1));
    cr_assert_eq(drain(&both.rx), -EAGAIN);
    pthread_create(&thread, NULL, arm_in_thread, &both.rx);
    pthread_join(thread, &answer);
    cr_assert_eq((intptr_t)answer, 0); /* the io_uring that goes may still wake it, for nothing */
    succeeds(rbx_try_send(&both.tx, &one));
    cr_assert(is_readable_within(fd, -1));
    close_both(&both);
}

Test(poll_life, when_there_is_no_other_way_it_can_be_armed_again_once_there_is)
{
    struct both both;
    pthread_t thread;
    void *answer;
    needs_uring();
    open_both(&both, NULL, &polled_kinds[0]);
    int fd = rbx_rx_fd_by(&both.rx, RBX_POLL_BY_URING);
    cr_assert_eq(rbx_rx_arm(&both.rx), 0);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0; /* a thread of its own cannot have an io_uring of its own */
    setrlimit(RLIMIT_NOFILE, &none);
    for (int i = 0; i < 3; i++) {
        pthread_create(&thread, NULL, arm_in_thread, &both.rx);
        pthread_join(thread, &answer);
        cr_assert_eq((intptr_t)answer, -EMFILE);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    drain_and_arm(&both.rx);
    succeeds(rbx_try_send(&both.tx, &one));
    cr_assert(is_readable_within(fd, -1));
    close_both(&both);
}
