/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll-life.c: descriptors of endpoints, and those who come, fork, close and die. */
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

static int threads(void)
{
    return entries("/proc/self/task");
}

/* --- Others --- */

struct life {
    const char *name;
    const struct polled_kind *kind;
    enum { SENDS, RECEIVES } does;
    unsigned messages;
};

/* Opens an end, sends or receives, and stays. */
static int live(void *arg)
{
    const struct life *life = arg;
    const rbx_ring_options options = options_of(life->kind);
    static rbx_ring *ring;
    static rbx_tx tx;
    static rbx_rx rx;
    uint64_t message = 1;
    int err = rbx_ring_open(&ring, life->name, &options);
    if (err == 0)
        err = life->does == SENDS ? rbx_tx_open(&tx, ring) : rbx_rx_open(&rx, ring);
    for (unsigned i = 0; err == 0 && i < life->messages; i++)
        err = life->does == SENDS ? rbx_try_send(&tx, &message) : rbx_try_recv(&rx, &message);
    return err;
}

static rbx_ring *ring_of(const struct life *life)
{
    const rbx_ring_options options = options_of(life->kind);
    rbx_ring *ring;
    succeeds(rbx_ring_open(&ring, life->name, &options));
    return ring;
}

/* Polls as a loop does, until a try says something else than that there is nothing. */
static int next_answer(rbx_rx *rx, int fd)
{
    uint64_t message;
    int err;
    while ((err = rbx_try_recv(rx, &message)) == -EAGAIN)
        if (rbx_rx_arm(rx) == 0)
            cr_assert(is_readable_within(fd, -1));
    return err;
}

/* Armed, and its early look is over: what makes it readable now is news. */
static void settle(rbx_rx *rx, int fd)
{
    const int quiet_ms = 20;
    do
        cr_assert_eq(drain_and_arm(rx), -EAGAIN);
    while (is_readable_within(fd, quiet_ms));
}

/* --- Deaths --- */

Test(poll_life, a_sender_that_dies_wakes_an_armed_receiver)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind, .messages = 2};
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        succeeds(rbx_rx_open(&rx, ring));
        struct child sender = start(live, &life);
        int fd = rbx_rx_fd_by(&rx, by);
        cr_assert_eq(next_answer(&rx, fd), 0);
        cr_assert_eq(next_answer(&rx, fd), 0);
        settle(&rx, fd);
        murder(&sender);
        cr_assert(is_readable_within(fd, -1));
        cr_assert_eq(next_answer(&rx, fd), -EOWNERDEAD, "%s: %s", kind->noun, rbx_last_error());
        for (int i = 0; i < 3; i++)
            cr_assert_eq(drain_and_arm(&rx), -EAGAIN, "%s: told twice", kind->noun);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

Test(poll_life, a_receiver_that_dies_wakes_an_armed_sender)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind, .does = RECEIVES};
        rbx_ring *ring = ring_of(&life);
        rbx_tx tx;
        int err;
        succeeds(rbx_tx_open(&tx, ring));
        struct child receiver = start(live, &life);
        int fd = rbx_tx_fd_by(&tx, by);
        fill(&tx);
        while (rbx_tx_arm(&tx) == 1)
            fill(&tx);
        murder(&receiver);
        cr_assert(is_readable_within(fd, -1));
        while ((err = rbx_try_send(&tx, &one)) == -EAGAIN)
            if (rbx_tx_arm(&tx) == 0)
                cr_assert(is_readable_within(fd, -1));
        cr_assert_eq(err, -EOWNERDEAD);
        rbx_tx_close(&tx);
        rbx_ring_close(ring);
    }
}

/* The news of a message and of its sender's death are there at once, and make one edge. */
static _Atomic int *may_send;

static int send_when_told(void *arg)
{
    const struct life *life = arg;
    const rbx_ring_options options = options_of(life->kind);
    static rbx_ring *ring;
    static rbx_tx tx;
    int err = rbx_ring_open(&ring, life->name, &options);
    if (err == 0)
        err = rbx_tx_open(&tx, ring);
    *may_send = -1;
    while (err == 0 && *may_send != 1)
        sched_yield();
    return err < 0 ? err : rbx_try_send(&tx, &one);
}

Test(poll_life, a_death_right_after_a_message_is_told_to_who_waits_for_edges)
{
    may_send =
        mmap(NULL, sizeof *may_send, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        struct epoll_event edge = {.events = EPOLLIN | EPOLLET};
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        uint64_t message;
        int err, messages = 0;
        succeeds(rbx_rx_open(&rx, ring));
        int fd = rbx_rx_fd_by(&rx, by), loop = epoll_create1(EPOLL_CLOEXEC);
        *may_send = 0;
        struct child sender = start_running(send_when_told, &life);
        while (*may_send == 0)
            sched_yield();
        settle(&rx, fd);
        *may_send = 1;
        cr_assert_eq(said(&sender), 0);
        cr_assert(is_readable_within(fd, -1));
        murder(&sender);
        cr_assert_eq(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &edge), 0);
        do {
            cr_assert_eq(epoll_wait(loop, &edge, 1, -1), 1);
            do {
                err = rbx_try_recv(&rx, &message);
                messages += err == 0;
            } while (err == 0 || (err == -EAGAIN && rbx_rx_arm(&rx) == 1));
        } while (err == -EAGAIN);
        cr_assert_eq(err, -EOWNERDEAD, "%s", rbx_last_error());
        cr_assert_eq(messages, 1);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
        close(loop);
    }
}

Test(poll_life, one_that_comes_after_it_was_armed_and_dies_is_noticed)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        succeeds(rbx_rx_open(&rx, ring));
        int fd = rbx_rx_fd_by(&rx, by);
        for (int i = 0; i < 2; i++) { /* and so is a successor */
            settle(&rx, fd);
            struct child sender = start(live, &life);
            cr_assert(is_readable_within(fd, -1));
            settle(&rx, fd);
            murder(&sender);
            cr_assert_eq(next_answer(&rx, fd), -EOWNERDEAD);
        }
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

/* Of several senders the one that dies in the middle of a send is in the way of the others. */
static int claim(void *arg)
{
    const struct life *life = arg;
    const rbx_ring_options options = options_of(life->kind);
    static rbx_ring *ring;
    static rbx_tx tx;
    void *place;
    int err = rbx_ring_open(&ring, life->name, &options);
    if (err == 0)
        err = rbx_tx_open(&tx, ring);
    if (err == 0)
        err = rbx_try_claim(&tx, &place);
    return err;
}

Test(poll_life, a_death_in_the_middle_of_a_send_lets_the_message_behind_it_through)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        if (kind->kind != RBX_MPMC || kind->flags)
            continue;
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        rbx_tx tx;
        succeeds(rbx_rx_open(&rx, ring));
        succeeds(rbx_tx_open(&tx, ring));
        int fd = rbx_rx_fd_by(&rx, by);
        struct child sender = start(claim, &life);
        succeeds(rbx_try_send(&tx, &one));
        cr_assert_eq(drain_and_arm(&rx), -EAGAIN);
        murder(&sender);
        cr_assert_eq(next_answer(&rx, fd), 0);
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

Test(poll_life, where_processes_cannot_be_watched_a_death_is_noticed_by_and_by)
{
    struct life life = {.name = own_name("ring"), .kind = &polled_kinds[0]};
    rbx_ring *ring = ring_of(&life);
    rbx_rx rx;
    if (!refuse_syscall(SYS_pidfd_open, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    succeeds(rbx_rx_open(&rx, ring));
    struct child sender = start(live, &life);
    int fd = rbx_rx_fd(&rx);
    cr_assert_eq(drain_and_arm(&rx), -EAGAIN);
    murder(&sender);
    cr_assert_eq(next_answer(&rx, fd), -EOWNERDEAD);
    rbx_rx_close(&rx);
    rbx_ring_close(ring);
}

/* Whoever looks first clears the seat of the dead one, before the other has asked. */
Test(poll_life, where_processes_cannot_be_watched_each_of_two_receivers_hears_of_a_death)
{
    if (!refuse_syscall(SYS_pidfd_open, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        if (kind->kind == RBX_SPSC)
            continue;
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx[2];
        int fd[2];
        for (int i = 0; i < 2; i++) {
            succeeds(rbx_rx_open(&rx[i], ring));
            fd[i] = rbx_rx_fd_by(&rx[i], by);
        }
        struct child sender = start(live, &life);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(drain_and_arm(&rx[i]), -EAGAIN);
        murder(&sender);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(next_answer(&rx[i], fd[i]), -EOWNERDEAD, "%s, %d", kind->noun, i);
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(drain_and_arm(&rx[i]), -EAGAIN, "%s: told twice", kind->noun);
            rbx_rx_close(&rx[i]);
        }
        rbx_ring_close(ring);
    }
}

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
        cr_assert_eq(threads(), threads_before);
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
        cr_assert_eq(threads(), threads_before);
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
    cr_assert_eq(threads(), before);
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
