/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll-death.c: descriptors of endpoints, and the deaths of those at the other end. */
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "polled.h"

TestSuite(poll_death, .timeout = 180);

static const uint64_t one = 1;
static const int longer_than_a_slice_ms = RBX_SLICE_NS / 1000000 + 60;

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

/* Whether nothing wakes it any more, but for its early look, if that is late. */
static bool rests(rbx_rx *rx, int fd)
{
    settle(rx, fd);
    if (!is_readable_within(fd, longer_than_a_slice_ms))
        return true;
    cr_assert_eq(drain_and_arm(rx), -EAGAIN);
    return !is_readable_within(fd, longer_than_a_slice_ms);
}

Test(poll_death, a_sender_that_dies_wakes_an_armed_receiver)
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
        cr_assert(rests(&rx, fd), "%s: looks on", kind->noun);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

Test(poll_death, a_receiver_that_dies_wakes_an_armed_sender)
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

Test(poll_death, a_death_right_after_a_message_is_told_to_who_waits_for_edges)
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

Test(poll_death, one_that_comes_after_it_was_armed_and_dies_is_noticed)
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

Test(poll_death, a_death_in_the_middle_of_a_send_lets_the_message_behind_it_through)
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

Test(poll_death, where_processes_cannot_be_watched_a_death_is_noticed_by_and_by)
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

/* Whoever looks first clears the seat of the dead one: when it is time, or before. The other has
   not asked yet. */
static void both_hear(const struct polled_kind *kind, rbx_poll_by by, bool in_time)
{
    struct life life = {.name = own_name("ring"), .kind = kind};
    rbx_ring *ring = ring_of(&life);
    rbx_rx rx[2];
    rbx_any first = {.rx = &rx[0]};
    int fd[2];
    for (int i = 0; i < 2; i++) {
        succeeds(rbx_rx_open(&rx[i], ring));
        fd[i] = rbx_rx_fd_by(&rx[i], by);
    }
    struct child sender = start(live, &life);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(drain_and_arm(&rx[i]), -EAGAIN);
    murder(&sender);
    if (!in_time)
        cr_assert_eq(rbx_wait_any(&first, 1, 0), 1);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(next_answer(&rx[i], fd[i]), -EOWNERDEAD, "%s, %d", kind->noun, i);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(drain_and_arm(&rx[i]), -EAGAIN, "%s: told twice", kind->noun);
        rbx_rx_close(&rx[i]);
    }
    rbx_ring_close(ring);
}

Test(poll_death, where_processes_cannot_be_watched_each_of_two_receivers_hears_of_a_death)
{
    if (!refuse_syscall(SYS_pidfd_open, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    for_each_kind_and_way(kind, by)
    {
        if (kind->kind == RBX_SPSC)
            continue;
        both_hear(kind, by, true);
        both_hear(kind, by, false);
    }
}

/* --- Who is not seen as others are --- */

/* It lies there until it is buried: a descriptor of it can be had, and says nothing more. */
Test(poll_death, one_that_is_a_zombie_when_it_is_first_looked_at_is_told_of)
{
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind};
        siginfo_t info;
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        succeeds(rbx_rx_open(&rx, ring));
        struct child sender = start(live, &life);
        kill(sender.pid, SIGKILL);
        cr_assert_eq(waitid(P_PID, (id_t)sender.pid, &info, WEXITED | WNOWAIT), 0);
        cr_assert_eq(next_answer(&rx, rbx_rx_fd_by(&rx, by)), -EOWNERDEAD, "%s", kind->noun);
        murder(&sender);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

/* Its number there is no number here. It goes with its parent, which is of here. */
static int live_in_another_namespace(void *arg)
{
    if (unshare(CLONE_NEWPID) < 0)
        return -errno;
    pid_t inner = fork();
    if (inner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (live(arg) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    return inner < 0 ? -errno : 0;
}

Test(poll_death, one_of_another_pid_namespace_is_looked_for_by_and_by)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* the orphan is buried here */
    for_each_kind_and_way(kind, by)
    {
        struct life life = {.name = own_name("ring"), .kind = kind, .messages = 1};
        rbx_ring *ring = ring_of(&life);
        rbx_rx rx;
        succeeds(rbx_rx_open(&rx, ring));
        int fd = rbx_rx_fd_by(&rx, by);
        struct child outer = start_running(live_in_another_namespace, &life);
        if (said(&outer) < 0)
            cr_skip_test("SKIP: may not make a PID namespace");
        cr_assert_eq(next_answer(&rx, fd), 0);
        cr_assert_eq(drain_and_arm(&rx), -EAGAIN);
        murder(&outer);
        cr_assert_gt(waitpid(-1, NULL, 0), 0);
        cr_assert_eq(next_answer(&rx, fd), -EOWNERDEAD, "%s: %s", kind->noun, rbx_last_error());
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}

/* What it holds up may be passed, for reasons that no bell tells of. (In one process there is no
   other reason to look once more.) */
Test(poll_death, in_a_strict_ring_one_that_is_stuck_is_looked_at_by_and_by)
{
    for (unsigned way = has_uring() ? 0 : 1; way < WAYS; way++) {
        const rbx_ring_options options = options_of(&polled_kinds[2]);
        rbx_ring *ring;
        rbx_tx stuck, tx;
        rbx_rx rx;
        void *place;
        succeeds(rbx_ring_open(&ring, NULL, &options));
        succeeds(rbx_tx_open(&stuck, ring));
        succeeds(rbx_tx_open(&tx, ring));
        succeeds(rbx_rx_open(&rx, ring));
        int fd = rbx_rx_fd_by(&rx, ways[way]);
        succeeds(rbx_try_claim(&stuck, &place));
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(drain_and_arm(&rx), -EAGAIN);
            cr_assert(is_readable_within(fd, -1));
        }
        succeeds(rbx_try_send(&tx, &one));
        cr_assert_eq(next_answer(&rx, fd), 0);
        succeeds(rbx_abort(&stuck));
        rbx_tx_close(&stuck);
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
}
