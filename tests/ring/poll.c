/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll.c: the descriptors of endpoints, in poll, select and epoll. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

#include "polled.h"

TestSuite(polled, .timeout = 120);

static const uint64_t one = 1;

Test(polled, a_receiver_is_readable_from_its_message_on_until_it_is_armed_again)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        cr_assert_geq(fd, 0, "%s", rbx_last_error());
        cr_assert_not(is_readable(fd));
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        cr_assert_not(is_readable(fd));
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert(is_readable_within(fd, -1));
        cr_assert_eq(rbx_rx_arm(&both.rx), 1);
        cr_assert(is_readable(fd));
        cr_assert_eq(drain(&both.rx), -EAGAIN);
        cr_assert(is_readable(fd));
        cr_assert_eq(rbx_rx_arm(&both.rx), 0);
        cr_assert_not(is_readable(fd));
        close_both(&both);
    }
}

Test(polled, a_sender_is_readable_once_there_is_room)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int fd = rbx_tx_fd_by(&both.tx, by);
        cr_assert_geq(fd, 0, "%s", rbx_last_error());
        cr_assert_eq(rbx_tx_arm(&both.tx), 1);
        fill(&both.tx);
        cr_assert_eq(rbx_tx_arm(&both.tx), 0);
        cr_assert_not(is_readable(fd));
        cr_assert_eq(drain(&both.rx), -EAGAIN);
        cr_assert(is_readable_within(fd, -1));
        succeeds(rbx_try_send(&both.tx, &one));
        close_both(&both);
    }
}

Test(polled, what_is_there_already_is_said_and_makes_it_readable)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert_eq(rbx_rx_arm(&both.rx), 1);
        cr_assert(is_readable(fd));
        close_both(&both);
    }
}

Test(polled, a_shutdown_makes_both_ends_readable_and_then_they_say_so)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int rx = rbx_rx_fd_by(&both.rx, by), tx = rbx_tx_fd_by(&both.tx, by);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        succeeds(rbx_ring_shutdown(both.ring));
        cr_assert(is_readable_within(rx, -1));
        cr_assert_eq(drain(&both.rx), -EPIPE);
        cr_assert_eq(rbx_tx_arm(&both.tx), 1);
        cr_assert(is_readable(tx));
        cr_assert_eq(rbx_try_send(&both.tx, &one), -EPIPE);
        cr_assert_eq(rbx_rx_arm(&both.rx), 1);
        close_both(&both);
    }
}

Test(polled, a_full_sender_hears_of_a_shutdown)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int fd = rbx_tx_fd_by(&both.tx, by);
        fill(&both.tx);
        cr_assert_eq(rbx_tx_arm(&both.tx), 0);
        cr_assert_not(is_readable(fd));
        succeeds(rbx_ring_shutdown(both.ring));
        cr_assert(is_readable_within(fd, -1));
        cr_assert_eq(rbx_try_send(&both.tx, &one), -EPIPE);
        close_both(&both);
    }
}

Test(polled, select_sees_it_too)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        fd_set set;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        succeeds(rbx_try_send(&both.tx, &one));
        int ready;
        do { /* as ready_in() */
            FD_ZERO(&set);
            FD_SET(fd, &set);
            ready = select(fd + 1, &set, NULL, NULL, NULL);
        } while (ready < 0 && errno == EINTR);
        cr_assert_eq(ready, 1);
        close_both(&both);
    }
}

/* --- Loops --- */

enum { STREAM = 3000 };

static void *send_stream(void *arg)
{
    struct both *both = arg;
    for (uint64_t i = 0; i < STREAM; i++) {
        if (rbx_send(&both->tx, &i) < 0)
            return (void *)1;
        if (i % 7 == 0)
            sched_yield();
    }
    return (void *)(uintptr_t)(rbx_ring_shutdown(both->ring) < 0);
}

static void receive_stream_by(const struct polled_kind *kind, rbx_poll_by by, uint32_t edge)
{
    struct both both;
    pthread_t sender;
    void *failed;
    open_both(&both, NULL, kind);
    struct epoll_event interest = {.events = EPOLLIN | edge};
    int all = epoll_create1(EPOLL_CLOEXEC), err = -EAGAIN;
    cr_assert_eq(epoll_ctl(all, EPOLL_CTL_ADD, rbx_rx_fd_by(&both.rx, by), &interest), 0);
    cr_assert_eq(pthread_create(&sender, NULL, send_stream, &both), 0);
    uint64_t expected = 0, message;
    while (err == -EAGAIN) {
        while ((err = rbx_try_recv(&both.rx, &message)) == 0)
            cr_assert_eq(message, expected++);
        if (err == -EAGAIN && rbx_rx_arm(&both.rx) == 0)
            cr_assert_eq(ready_in(all, &interest, 1), 1, "%s", strerror(errno));
    }
    cr_assert_eq(err, -EPIPE);
    cr_assert_eq(expected, STREAM);
    pthread_join(sender, &failed);
    cr_assert_null(failed);
    close(all);
    close_both(&both);
}

Test(polled, a_stream_comes_through_an_epoll_that_looks_at_levels)
{
    for_each_kind_and_way(kind, by) receive_stream_by(kind, by, 0);
}

Test(polled, a_stream_comes_through_an_epoll_that_waits_for_edges)
{
    for_each_kind_and_way(kind, by) receive_stream_by(kind, by, EPOLLET);
}

/* As it would by an io_uring that is polled itself. (One that is closed may interrupt once.) */
Test(polled, a_message_is_no_signal_that_interrupts)
{
    for (unsigned way = 0; way < WAYS; way++) {
        struct both both;
        pthread_t sender;
        void *failed;
        uint64_t expected = 0, message;
        struct epoll_event interest = {.events = EPOLLIN};
        int all = epoll_create1(EPOLL_CLOEXEC), err = -EAGAIN;
        open_both(&both, NULL, &polled_kinds[0]);
        if (epoll_ctl(all, EPOLL_CTL_ADD, rbx_rx_fd_by(&both.rx, ways[WAYS - 1 - way]), &interest) <
            0)
            cr_skip_test("SKIP: io_uring cannot wait for futexes here");
        cr_assert_eq(pthread_create(&sender, NULL, send_stream, &both), 0);
        while (err == -EAGAIN) {
            while ((err = rbx_try_recv(&both.rx, &message)) == 0)
                cr_assert_eq(message, expected++);
            if (err == -EAGAIN && rbx_rx_arm(&both.rx) == 0)
                cr_assert_eq(ready_in(all, &interest, 1), 1, "%s", strerror(errno));
        }
        cr_assert_eq(expected, STREAM);
        pthread_join(sender, &failed);
        cr_assert_null(failed);
        close(all);
        close_both(&both);
    }
}

static void *receive_all(void *arg)
{
    struct both *both = arg;
    uint64_t message, expected = 0;
    int err;
    while ((err = rbx_recv(&both->rx, &message)) == 0)
        if (message != expected++)
            return (void *)1;
    return (void *)(uintptr_t)(err != -EPIPE || expected != STREAM);
}

Test(polled, a_stream_is_sent_by_a_poll_loop)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        pthread_t receiver;
        void *failed;
        open_both(&both, NULL, kind);
        int fd = rbx_tx_fd_by(&both.tx, by);
        cr_assert_eq(pthread_create(&receiver, NULL, receive_all, &both), 0);
        for (uint64_t i = 0; i < STREAM;) {
            int err = rbx_try_send(&both.tx, &i);
            i += err == 0;
            if (err == -EAGAIN && rbx_tx_arm(&both.tx) == 0)
                cr_assert(is_readable_within(fd, -1));
        }
        succeeds(rbx_ring_shutdown(both.ring));
        pthread_join(receiver, &failed);
        cr_assert_null(failed);
        close_both(&both);
    }
}

Test(polled, events_and_rings_share_an_epoll)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        rbx_event *event;
        const rbx_event_options is_fd = {.how = RBX_EVENT_FD};
        struct epoll_event interest = {.events = EPOLLIN}, ready[2];
        open_both(&both, NULL, kind);
        succeeds(rbx_event_open(&event, NULL, &is_fd));
        int all = epoll_create1(EPOLL_CLOEXEC);
        interest.data.u32 = 1;
        epoll_ctl(all, EPOLL_CTL_ADD, rbx_event_fd(event), &interest);
        interest.data.u32 = 2;
        epoll_ctl(all, EPOLL_CTL_ADD, rbx_rx_fd_by(&both.rx, by), &interest);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        cr_assert_eq(epoll_wait(all, ready, 2, 0), 0);
        succeeds(rbx_event_set(event));
        cr_assert_eq(ready_in(all, ready, 2), 1);
        cr_assert_eq(ready[0].data.u32, 1);
        succeeds(rbx_event_try_wait(event));
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert_eq(ready_in(all, ready, 2), 1);
        cr_assert_eq(ready[0].data.u32, 2);
        close(all);
        rbx_event_close(event);
        close_both(&both);
    }
}

/* --- What users do besides --- */

Test(polled, arming_twice_does_no_harm)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(rbx_rx_arm(&both.rx), 0);
        cr_assert_not(is_readable(fd));
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert(is_readable_within(fd, -1));
        close_both(&both);
    }
}

Test(polled, waiting_while_armed_does_no_harm)
{
    const rbx_wait_options sleeps = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        uint64_t message;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        succeeds(rbx_rx_wait_by(&both.rx, &sleeps));
        cr_assert_eq(rbx_recv_for(&both.rx, &message, 3000000), -ETIMEDOUT);
        cr_assert_not(is_readable(fd));
        succeeds(rbx_try_send(&both.tx, &one));
        cr_assert(is_readable_within(fd, -1), "%s: the wait has disarmed it", kind->noun);
        close_both(&both);
    }
}

Test(polled, an_end_that_is_armed_no_more_costs_the_other_end_no_wakes)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        rbx_ring_info before, after;
        open_both(&both, NULL, kind);
        cr_assert_geq(rbx_rx_fd_by(&both.rx, by), 0);
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        succeeds(rbx_try_send(&both.tx, &one));
        rbx_ring_describe(both.ring, &before);
        for (int i = 0; i < 100; i++) {
            cr_assert_eq(rbx_rx_arm(&both.rx), 1);
            cr_assert_eq(drain(&both.rx), -EAGAIN);
            succeeds(rbx_try_send(&both.tx, &one));
        }
        rbx_ring_describe(both.ring, &after);
        cr_assert_eq(before.tx.wakes, 1);
        cr_assert_eq(after.tx.wakes, 1);
        close_both(&both);
    }
}

Test(polled, what_cannot_be_armed_says_why)
{
    struct both both;
    const void *shown;
    void *place;
    rbx_rx closed = {0};
    rbx_tx closed_too = {0};
    open_both(&both, NULL, &polled_kinds[0]);
    refuses(-EINVAL, "is closed", rbx_rx_fd(&closed));
    refuses(-EINVAL, "is closed", rbx_tx_arm(&closed_too));
    refuses(-EINVAL, "no way to poll", rbx_rx_fd_by(&both.rx, (rbx_poll_by)7));
    cr_assert_geq(rbx_rx_fd_by(&both.rx, RBX_POLL_BY_THREAD), 0);
    refuses(-EBUSY, "in another way", rbx_rx_fd_by(&both.rx, RBX_POLL_BY_URING));
    cr_assert_eq(rbx_rx_fd(&both.rx), rbx_rx_fd_by(&both.rx, RBX_POLL_BY_THREAD));
    succeeds(rbx_try_send(&both.tx, &one));
    succeeds(rbx_try_peek(&both.rx, &shown));
    refuses(-EBUSY, "release first", rbx_rx_arm(&both.rx));
    succeeds(rbx_release(&both.rx));
    cr_assert_eq(rbx_rx_arm(&both.rx), 0);
    succeeds(rbx_try_claim(&both.tx, &place));
    cr_assert_geq(rbx_tx_fd(&both.tx), 0);
    refuses(-EBUSY, "commit or abort first", rbx_tx_arm(&both.tx));
    succeeds(rbx_abort(&both.tx));
    cr_assert_eq(rbx_tx_arm(&both.tx), 1);
    close_both(&both);
}

Test(polled, the_descriptor_is_close_on_exec)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close_both(&both);
        cr_assert_eq(fcntl(fd, F_GETFD), -1);
    }
}

struct other_thread {
    rbx_rx *rx;
    int answer;
};

static void *arm_in_thread(void *arg)
{
    struct other_thread *other = arg;
    other->answer = rbx_rx_arm(other->rx);
    return NULL;
}

Test(polled, threads_may_arm_it_in_turn_and_end)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        open_both(&both, NULL, kind);
        struct other_thread other = {.rx = &both.rx};
        int fd = rbx_rx_fd_by(&both.rx, by);
        for (int i = 0; i < 3; i++) {
            pthread_t thread;
            cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
            cr_assert_eq(pthread_create(&thread, NULL, arm_in_thread, &other), 0);
            pthread_join(thread, NULL);
            cr_assert_eq(other.answer, 0, "%s", rbx_last_error());
            succeeds(rbx_try_send(&both.tx, &one));
            cr_assert(is_readable_within(fd, -1));
        }
        close_both(&both);
    }
}

/* --- An idle ring --- */

struct idle_loop {
    struct both both;
    int fd;
    _Atomic uint32_t polls, wakes;
};

static void *loop_idly(void *arg)
{
    struct idle_loop *loop = arg;
    while (drain_and_arm(&loop->both.rx) == -EAGAIN) {
        loop->polls++; /* from here on it sleeps there only */
        is_readable_within(loop->fd, -1);
        loop->wakes++;
    }
    return NULL;
}

static void add_switches(pid_t thread, void *sum)
{
    *(unsigned long long *)sum += status_of(thread, "voluntary_ctxt_switches:", 10);
}

/* How often the other threads of this process have gone to sleep; each once they sleep all. */
static unsigned long long switches(void)
{
    unsigned long long sum = 0;
    await_sleep_of_others(add_switches, &sum);
    return sum;
}

/* It may have published before it could know. */
Test(polled, among_threads_there_is_an_early_look_when_one_of_them_must_fence_by_itself)
{
    for_each_kind_and_way(kind, by)
    {
        struct both both;
        if (kind->kind != RBX_MPMC)
            continue;
        open_both(&both, NULL, kind);
        int fd = rbx_rx_fd_by(&both.rx, by);
        rbx_or_seq_cst(&both.rx.mpmc.shared->message.bits, RBX_BELL_PUBLISHER_FENCES);
        cr_assert_eq(rbx_rx_arm(&both.rx), 0);
        cr_assert(is_readable_within(fd, -1));
        cr_assert_eq(drain_and_arm(&both.rx), -EAGAIN);
        close_both(&both);
    }
}

/* Through a name it is another process that may be at the other end: there is one early look. */
Test(polled, an_idle_ring_wakes_nobody)
{
    const struct timespec a_while = {.tv_nsec = 300000000};
    const int alone = threads();
    cr_assert_eq(getpid(), (pid_t)syscall(SYS_gettid));
    for (int named = 0; named < 2; named++)
        for_each_kind_and_way(kind, by)
        {
            static struct idle_loop loop;
            pthread_t thread;
            loop = (struct idle_loop){.fd = -1};
            open_both(&loop.both, named ? own_name(kind->noun) : NULL, kind);
            loop.fd = rbx_rx_fd_by(&loop.both.rx, by);
            cr_assert_eq(pthread_create(&thread, NULL, loop_idly, &loop), 0);
            while ((int)loop.polls <= named)
                sched_yield();
            unsigned long long before = switches();
            nanosleep(&a_while, NULL);
            cr_assert_eq(switches(), before, "%s: an idle ring has woken somebody", kind->noun);
            cr_assert_eq(loop.wakes, (uint32_t)named);
            succeeds(rbx_ring_shutdown(loop.both.ring));
            pthread_join(thread, NULL);
            close_both(&loop.both);
            await_threads(alone);
        }
}
