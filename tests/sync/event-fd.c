/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* event-fd.c: events that are descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../support/support.h"

TestSuite(event_fd, .timeout = 60);

static rbx_event *fd_event(bool manual)
{
    const rbx_event_options options = {.how = RBX_EVENT_FD, .manual = manual};
    rbx_event *event;
    succeeds(rbx_event_open(&event, NULL, &options));
    return event;
}

static void closes(rbx_event *event)
{
    succeeds(rbx_event_close(event));
}

static int polled(const rbx_event *event, int timeout_ms)
{
    struct pollfd ready = {.fd = rbx_event_fd(event), .events = POLLIN};
    int n = poll(&ready, 1, timeout_ms);
    return n == 1 ? ready.revents : n;
}

Test(event_fd, is_readable_to_poll_while_it_is_set)
{
    for (int manual = 0; manual < 2; manual++) {
        rbx_event *event = fd_event(manual);
        cr_assert_eq(polled(event, 0), 0);
        succeeds(rbx_event_set(event));
        for (int i = 0; i < 3; i++)
            cr_assert_eq(polled(event, -1), POLLIN);
        succeeds(rbx_event_try_wait(event));
        cr_assert_eq(polled(event, 0), manual ? POLLIN : 0);
        succeeds(rbx_event_reset(event));
        cr_assert_eq(polled(event, 0), 0);
        closes(event);
    }
}

Test(event_fd, is_readable_to_epoll_while_it_is_set)
{
    rbx_event *event = fd_event(false), *other = fd_event(true);
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = event}, ready[2];
    int all = epoll_create1(EPOLL_CLOEXEC);
    cr_assert_eq(epoll_ctl(all, EPOLL_CTL_ADD, rbx_event_fd(event), &interest), 0);
    interest.data.ptr = other;
    cr_assert_eq(epoll_ctl(all, EPOLL_CTL_ADD, rbx_event_fd(other), &interest), 0);
    cr_assert_eq(epoll_wait(all, ready, 2, 0), 0);
    succeeds(rbx_event_set(event));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(epoll_wait(all, ready, 2, -1), 1);
        cr_assert_eq(ready[0].data.ptr, event);
    }
    succeeds(rbx_event_set(other));
    cr_assert_eq(epoll_wait(all, ready, 2, -1), 2);
    succeeds(rbx_event_try_wait(event));
    succeeds(rbx_event_reset(other));
    cr_assert_eq(epoll_wait(all, ready, 2, 0), 0);
    close(all);
    closes(event);
    closes(other);
}

Test(event_fd, has_a_descriptor_that_is_non_blocking_and_close_on_exec)
{
    rbx_event *event = fd_event(false);
    int fd = rbx_event_fd(event);
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    closes(event);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

static int answers_in_child(void *arg)
{
    rbx_event **events = arg;
    if (rbx_event_wait(events[0]) != 0 || rbx_event_set(events[1]) != 0)
        return 1;
    return rbx_event_close(events[0]) != 0 || rbx_event_close(events[1]) != 0;
}

Test(event_fd, goes_on_in_a_child)
{
    rbx_event *events[2] = {fd_event(false), fd_event(true)};
    struct child child = start_running(answers_in_child, events);
    succeeds(rbx_event_set(events[0]));
    succeeds(rbx_event_wait(events[1]));
    cr_assert_eq(said(&child), 0);
    cr_assert_eq(finish(&child), 0);
    cr_assert_eq(rbx_event_try_wait(events[0]), -EAGAIN);
    closes(events[0]);
    closes(events[1]);
}

Test(event_fd, that_others_have_made_blocking_waits_no_longer_than_it_was_told)
{
    rbx_event *event = fd_event(false);
    int fd = rbx_event_fd(event);
    cr_assert_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
    cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
    cr_assert_eq(rbx_event_wait_for(event, 1000000), -ETIMEDOUT);
    succeeds(rbx_event_reset(event));
    succeeds(rbx_event_set(event));
    succeeds(rbx_event_wait(event));
    cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
    closes(event);
}

/* Others that set it and get through themselves, whenever somebody has been told to look: the
   linker wraps the call. */
static bool others_are_faster;
static int told;

int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
    if (!others_are_faster || ++told > 10000)
        return __real_ppoll(fds, count, timeout, mask);
    if (timeout && timeout->tv_sec == 0 && timeout->tv_nsec > 0)
        nanosleep(timeout, NULL);
    fds->revents = POLLIN;
    return 1;
}

Test(event_fd, wait_ends_in_time_although_others_are_always_faster)
{
    rbx_event *event = fd_event(false);
    others_are_faster = true;
    cr_assert_eq(rbx_event_wait_for(event, 20000000), -ETIMEDOUT);
    others_are_faster = false;
    cr_assert_leq(told, 2, "it looked %d times", told);
    closes(event);
}

static void handle(int number)
{
    (void)number;
}

Test(event_fd, is_looked_at_whatever_signals_come)
{
    enum { LOOKS = 100000 };
    const struct sigaction action = {.sa_handler = handle};
    const struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    rbx_event *event = fd_event(true);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    int interrupted = 0;
    for (int i = 0; i < LOOKS; i++)
        interrupted += rbx_event_try_wait(event) != -EAGAIN || rbx_event_is_set(event) != 0;
    cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    cr_assert_eq(interrupted, 0);
    closes(event);
}

/* ---- Handed over --------------------------------------------------------------------------- */

static int sockets[2];

static void connects(int type)
{
    cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sockets), 0);
}

static void hangs_up(void)
{
    close(sockets[0]);
    close(sockets[1]);
}

static int receives_two(void *arg)
{
    (void)arg;
    rbx_event *event, *back;
    int before = open_descriptors();
    if (rbx_event_recv(sockets[1], &event) < 0 || rbx_event_recv(sockets[1], &back) < 0)
        return 1;
    if (rbx_event_wait(event) != 0 || rbx_event_try_wait(event) != -EAGAIN)
        return 2;
    if (rbx_event_set(back) != 0 || rbx_event_wait(back) != 0 || rbx_event_wait(back) != 0)
        return 3;
    if (rbx_event_close(event) != 0 || rbx_event_close(back) != 0)
        return 4;
    return open_descriptors() == before ? 0 : 5;
}

Test(event_fd, goes_over_a_socket_with_what_it_is)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 3; i++) {
        connects(types[i]);
        rbx_event *event = fd_event(false), *back = fd_event(true);
        struct child child = start_running(receives_two, NULL);
        succeeds(rbx_event_send(sockets[0], event));
        succeeds(rbx_event_send(sockets[0], back));
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_wait(back));
        cr_assert_eq(said(&child), 0);
        cr_assert_eq(finish(&child), 0);
        closes(event);
        closes(back);
        hangs_up();
    }
}

static int answers_the_second(void *event)
{
    return rbx_event_set(event);
}

Test(event_fd, that_was_received_goes_on_in_a_child)
{
    connects(SOCK_STREAM);
    rbx_event *event = fd_event(false), *received;
    succeeds(rbx_event_send(sockets[0], event));
    succeeds(rbx_event_recv(sockets[1], &received));
    cr_assert_eq(in_child(answers_the_second, received), 0);
    succeeds(rbx_event_wait(event));
    closes(event);
    closes(received);
    hangs_up();
}

/* A message of this library's form that carries this descriptor. */
static void sends_raw(const char *magic, uint32_t version, uint32_t flags, int fd)
{
    struct {
        char magic[8];
        uint32_t version, flags;
    } message = {.version = version, .flags = flags};
    strncpy(message.magic, magic, sizeof message.magic - 1);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    cr_assert_eq(sendmsg(sockets[0], &header, 0), (ssize_t)sizeof message);
}

Test(event_fd, is_received_only_from_a_message_that_is_one)
{
    connects(SOCK_SEQPACKET);
    rbx_event *event;
    int eventfd_here = eventfd(0, EFD_CLOEXEC), ends[2];
    cr_assert_eq(pipe(ends), 0);
    sends_raw("rbx-box", 1, 0, eventfd_here);
    refuses(-EPROTO, "no event", rbx_event_recv(sockets[1], &event));
    cr_assert_null(event);
    sends_raw("rbx-evt", 2, 0, eventfd_here);
    refuses(-EPROTO, "version 2", rbx_event_recv(sockets[1], &event));
    sends_raw("rbx-evt", 1, 6, eventfd_here);
    refuses(-EPROTO, "no event", rbx_event_recv(sockets[1], &event));
    sends_raw("rbx-evt", 1, 0, ends[0]);
    refuses(-EPROTO, "no eventfd", rbx_event_recv(sockets[1], &event));
    sends_raw("rbx-evt", 1, 0, -1);
    refuses(-EPROTO, "no event", rbx_event_recv(sockets[1], &event));
    cr_assert_eq(send(sockets[0], "hello", 5, 0), 5);
    refuses(-EPROTO, "no event", rbx_event_recv(sockets[1], &event));
    const rbx_box_options memfd = {.size = 64, .backing = RBX_MEMFD};
    rbx_box *box = opened(own_name("box"), &memfd);
    succeeds(rbx_box_send(sockets[0], box));
    refuses(-EPROTO, "no event", rbx_event_recv(sockets[1], &event));
    succeeds(rbx_box_close(box));

    sends_raw("rbx-evt", 1, 1, eventfd_here);
    succeeds(rbx_event_recv(sockets[1], &event));
    cr_assert_eq(rbx_event_try_wait(event), -EAGAIN); /* it was a blocking one */
    rbx_event *second;
    cr_assert_eq(fcntl(sockets[1], F_SETFL, O_NONBLOCK), 0);
    refuses(-EAGAIN, "cannot receive", rbx_event_recv(sockets[1], &second));
    close(sockets[0]);
    refuses(-EPIPE, "without sending", rbx_event_recv(sockets[1], &second));
    refuses(-EPIPE, "cannot send", rbx_event_send(sockets[1], event));
    refuses(-ENOTSOCK, "cannot send", rbx_event_send(ends[1], event));
    closes(event);
    close(sockets[1]);
    close(eventfd_here);
    close(ends[0]);
    close(ends[1]);
}

/* ---- Inherited ----------------------------------------------------------------------------- */

Test(event_fd, can_be_made_of_an_eventfd_that_was_inherited)
{
    for (int manual = 0; manual < 2; manual++) {
        const rbx_event_options options = {.manual = manual, .set = true};
        int fd = eventfd(0, 0);
        rbx_event *event;
        succeeds(rbx_event_from_fd(&event, fd, &options));
        cr_assert_eq(rbx_event_fd(event), fd);
        cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        succeeds(rbx_event_wait(event));
        cr_assert_eq(rbx_event_try_wait(event), manual ? 0 : -EAGAIN);
        closes(event);
        cr_assert_eq(fcntl(fd, F_GETFD), -1, "it was not closed");
    }
}

Test(event_fd, of_an_eventfd_that_counts_lets_through_as_many_as_it_was_set)
{
    int fd = eventfd(0, EFD_SEMAPHORE);
    rbx_event *event;
    succeeds(rbx_event_from_fd(&event, fd, NULL));
    for (int i = 0; i < 3; i++)
        succeeds(rbx_event_set(event));
    succeeds(rbx_event_wait(event));
    succeeds(rbx_event_reset(event));
    succeeds(rbx_event_wait(event));
    cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
    closes(event);
}

Test(event_fd, that_is_full_is_set)
{
    int fd = eventfd(0, 0);
    const uint64_t most = UINT64_MAX - 1;
    rbx_event *event;
    succeeds(rbx_event_from_fd(&event, fd, NULL));
    cr_assert_eq(write(fd, &most, sizeof most), (ssize_t)sizeof most);
    succeeds(rbx_event_set(event));
    succeeds(rbx_event_wait(event));
    cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
    closes(event);
}

Test(event_fd, is_made_of_nothing_but_an_eventfd)
{
    rbx_event *event;
    int ends[2], file = open("/proc/self/exe", O_RDONLY);
    cr_assert_eq(pipe(ends), 0);
    refuses(-EINVAL, "no eventfd", rbx_event_from_fd(&event, ends[0], NULL));
    cr_assert_null(event);
    refuses(-EINVAL, "no eventfd", rbx_event_from_fd(&event, file, NULL));
    int epoll = epoll_create1(0);
    refuses(-EINVAL, "no eventfd", rbx_event_from_fd(&event, epoll, NULL));
    refuses(-EBADF, "cannot use", rbx_event_from_fd(&event, 1000, NULL));
    refuses(-EBADF, "cannot use", rbx_event_from_fd(&event, -1, NULL));
    cr_assert_not(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    cr_assert_not(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    close(epoll);
    close(file);
    close(ends[0]);
    close(ends[1]);
}
