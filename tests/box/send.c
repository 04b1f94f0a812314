/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/support.h"
#include "box/header.h"
#include "box/send.h"
#include "os/fd.h"

static int sockets[2];

static void set_up(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
}

TestSuite(send, .timeout = 60, .init = set_up);

static const rbx_box_options memfd = {.size = 5000, .backing = RBX_MEMFD};

static rbx_box *received(void)
{
    rbx_box *box;
    succeeds(rbx_box_recv(sockets[1], &box));
    return box;
}

static int write_into_received(void *arg)
{
    (void)arg;
    rbx_box *box;
    int err = rbx_box_recv(sockets[1], &box);
    if (err < 0)
        return err;
    strcpy(rbx_box_data(box), "from afar");
    return rbx_box_attached(box) == 2 ? 0 : -EPROTO;
}

Test(send, a_box_is_shared_with_another_process)
{
    rbx_box *box = opened("t.sent", &memfd);
    cr_assert_eq(rbx_box_attached(box), 1);
    succeeds(rbx_box_send(sockets[0], box));
    cr_assert_eq(rbx_box_attached(box), 1, "nobody has received it yet");
    struct child other = start(write_into_received, NULL);
    cr_assert_str_eq((char *)rbx_box_data(box), "from afar");
    cr_assert_eq(rbx_box_attached(box), 2);
    murder(&other);
    cr_assert_eq(rbx_box_attached(box), 1, "the kernel knows that the receiver died");
    succeeds(rbx_box_close(box));
}

Test(send, what_is_received_can_be_sent_on)
{
    rbx_box *one = opened("t.relay", &memfd);
    succeeds(rbx_box_send(sockets[0], one));
    rbx_box *two = received();
    cr_assert_str_eq(rbx_box_name(two), "t.relay");
    cr_assert_eq(rbx_box_size(two), 5000);
    cr_assert_not(rbx_box_is_owner(two));
    cr_assert_not(rbx_box_was_created(two));
    succeeds(rbx_box_close(one));
    succeeds(rbx_box_send(sockets[0], two));
    rbx_box *three = received();
    strcpy(rbx_box_data(three), "relayed");
    cr_assert_str_eq((char *)rbx_box_data(two), "relayed");
    cr_assert_eq(rbx_box_attached(two), 2);
    succeeds(rbx_box_close(two));
    succeeds(rbx_box_close(three));
}

Test(send, works_over_seqpacket_and_datagram_sockets)
{
    const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};
    rbx_box *box = opened("t.packet", &memfd);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, sockets), 0);
        succeeds(rbx_box_send(sockets[0], box));
        succeeds(rbx_box_close(received()));
    }
    succeeds(rbx_box_close(box));
}

Test(send, a_memfd_box_is_sealed_so_that_nobody_can_truncate_it)
{
    rbx_box *box = opened("t.sealed", &memfd);
    int found = 0;
    for (int fd = 3; fd < 64; fd++) {
        char link[64], target[128] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof target - 1) < 0 || !strstr(target, "memfd:t.sealed"))
            continue;
        int seals = fcntl(fd, F_GET_SEALS);
        found++;
        cr_assert_eq(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        cr_assert_eq(ftruncate(fd, 0), -1);
        cr_assert_eq(errno, EPERM);
        cr_assert_eq(ftruncate(fd, 1 << 20), -1);
        cr_assert_eq(errno, EPERM);
    }
    cr_assert_eq(found, 1);
    succeeds(rbx_box_close(box));
}

Test(send, only_memfd_boxes_travel)
{
    rbx_box *box = made(own_name("named"), 64);
    refuses(-ENOTSUP, "by its name", rbx_box_send(sockets[0], box));
    succeeds(rbx_box_close(box));
}

Test(send, a_memfd_box_has_no_name_to_own_or_leak)
{
    rbx_box *box = opened("t.nameless", &memfd);
    refuses(-ENOTSUP, "memfd", rbx_box_own(box));
    refuses(-ENOTSUP, "memfd", rbx_box_leak(box));
    cr_assert_eq(rbx_box_stale(box), 0);
    refuses(-EINVAL, "no name", rbx_box_reclaim("t.nameless", RBX_MEMFD));
    succeeds(rbx_box_close(box));
}

Test(send, into_what_is_no_socket_or_to_nobody_fails)
{
    rbx_box *box = opened("t.nowhere", &memfd), *none;
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    refuses(-ENOTSOCK, "cannot send", rbx_box_send(file, box));
    refuses(-EBADF, "cannot send", rbx_box_send(-1, box));
    refuses(-ENOTSOCK, "cannot receive", rbx_box_recv(file, &none));
    refuses(-EBADF, "cannot receive", rbx_box_recv(-1, &none));
    signal(SIGPIPE, SIG_DFL); /* which must not be raised */
    close(sockets[1]);
    refuses(-EPIPE, "cannot send", rbx_box_send(sockets[0], box));
    succeeds(rbx_box_close(box));
}

Test(send, receiving_from_a_peer_that_closed_fails)
{
    rbx_box *box;
    close(sockets[0]);
    refuses(-EPIPE, "closed the socket", rbx_box_recv(sockets[1], &box));
    cr_assert_null(box);
}

Test(send, receiving_follows_the_sockets_blocking_mode_and_time_out)
{
    rbx_box *box;
    const struct timeval soon = {.tv_usec = 10000};
    cr_assert_eq(setsockopt(sockets[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    refuses(-EAGAIN, "cannot receive", rbx_box_recv(sockets[1], &box));
    cr_assert_eq(fcntl(sockets[1], F_SETFL, O_NONBLOCK), 0);
    refuses(-EAGAIN, "cannot receive", rbx_box_recv(sockets[1], &box));
}

static void do_nothing(int signal)
{
    (void)signal;
}

Test(send, receiving_is_interrupted_by_a_signal)
{
    rbx_box *box;
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = do_nothing}, NULL);
    ualarm(20000, 20000);
    refuses(-EINTR, "cannot receive", rbx_box_recv(sockets[1], &box));
    ualarm(0, 0);
}

/* ---- what a wrong or hostile sender may send ------------------------------------------------ */

static struct rbx_box_message good_message(void)
{
    return (struct rbx_box_message){
        .magic = RBX_SEND_MAGIC, .version = RBX_SEND_VERSION, .label = "t.hostile"};
}

static void send_raw(const void *bytes, size_t size, const int *fds, size_t count)
{
    struct rbx_fd listed[RBX_FD_SEND_MAX];
    for (size_t i = 0; i < count; i++)
        listed[i].fd = fds[i];
    cr_assert_eq(rbx_fd_send(listed, count, sockets[0], bytes, size), 0);
}

static void refuses_received(int code, const char *part)
{
    rbx_box *box;
    refuses(code, part, rbx_box_recv(sockets[1], &box));
    cr_assert_null(box);
}

/* A memfd with these contents and seals, twice. */
static void make_pair(int fds[2], const void *bytes, size_t size, off_t length, int seals)
{
    char again[64];
    fds[0] = memfd_create("t.hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_geq(fds[0], 0);
    cr_assert_eq(ftruncate(fds[0], length), 0);
    cr_assert_eq(pwrite(fds[0], bytes, size, 0), (ssize_t)size);
    cr_assert_eq(fcntl(fds[0], F_ADD_SEALS, seals), 0);
    snprintf(again, sizeof again, "/proc/self/fd/%d", fds[0]);
    fds[1] = open(again, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fds[1], 0);
}

enum { ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static struct rbx_box_header memfd_header(void)
{
    struct rbx_box_header header;
    rbx_box *box = opened("t.model", &memfd);
    memcpy(&header, (char *)rbx_box_data(box) - RBX_HEADER_SIZE, sizeof header);
    succeeds(rbx_box_close(box));
    return header;
}

Test(send, a_box_whose_seals_are_missing_is_refused)
{
    const int lacking[] = {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW,
                           F_SEAL_GROW | F_SEAL_SEAL};
    struct rbx_box_header header = memfd_header();
    struct rbx_box_message message = good_message();
    int fds[2];
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
        make_pair(fds, &header, sizeof header, 12288, lacking[i]);
        send_raw(&message, sizeof message, fds, 2);
        close(fds[0]);
        close(fds[1]);
        refuses_received(-EPROTO, "not a sealed memfd");
    }
    make_pair(fds, &header, sizeof header, 12288, ALL_SEALS);
    send_raw(&message, sizeof message, fds, 2);
    succeeds(rbx_box_close(received())); /* the same, sealed, is welcome */
}

Test(send, a_sealed_memfd_that_is_no_box_or_too_short_is_refused)
{
    struct rbx_box_header header = memfd_header();
    struct rbx_box_message message = good_message();
    int fds[2];
    make_pair(fds, "nonsense", 8, 12288, ALL_SEALS);
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "not a ringbox box");
    make_pair(fds, "nonsense", 8, 8, ALL_SEALS);
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "too short, with 8 bytes");
    make_pair(fds, &header, sizeof header, 8192, ALL_SEALS);
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "truncated");
    header.backing = RBX_SHM;
    make_pair(fds, &header, sizeof header, 12288, ALL_SEALS);
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "was made as a shm box");
}

Test(send, descriptors_that_are_no_file_or_two_files_are_refused)
{
    struct rbx_box_header header = memfd_header();
    struct rbx_box_message message = good_message();
    int one[2], two[2], pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    send_raw(&message, sizeof message, pipes, 2);
    refuses_received(-EPROTO, "not a sealed memfd");
    make_pair(one, &header, sizeof header, 12288, ALL_SEALS);
    make_pair(two, &header, sizeof header, 12288, ALL_SEALS);
    send_raw(&message, sizeof message, (int[]){one[0], two[0]}, 2);
    refuses_received(-EPROTO, "not a sealed memfd");
}

Test(send, a_message_of_another_kind_is_refused_and_its_descriptors_closed)
{
    struct rbx_box_message message = good_message();
    int fds[RBX_FD_SEND_MAX];
    for (size_t i = 0; i < RBX_FD_SEND_MAX; i++)
        fds[i] = 0;
    send_raw(&message, sizeof message, fds, 1);
    refuses_received(-EPROTO, "no box");
    send_raw(&message, sizeof message, fds, 3);
    refuses_received(-EPROTO, "no box");
    send_raw(&message, sizeof message, fds, RBX_FD_SEND_MAX);
    refuses_received(-EPROTO, "no box");
    send_raw(&message, 16, fds, 2);
    refuses_received(-EPROTO, "no box");
    message.magic[0] = 'x';
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "no box");
    message = good_message();
    message.version = 2;
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "version 2");
    message = good_message();
    memset(message.label, 'l', sizeof message.label);
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "no box");
    message = good_message();
    strcpy(message.label, "\xff");
    send_raw(&message, sizeof message, fds, 2);
    refuses_received(-EPROTO, "UTF-8");
    cr_assert_eq(write(sockets[0], &message, sizeof message), (ssize_t)sizeof message);
    refuses_received(-EPROTO, "no box");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets), 0);
    cr_assert_eq(send(sockets[0], "", 0, 0), 0);
    refuses_received(-EPROTO, "no box");
}

Test(send, a_full_table_of_descriptors_is_reported_and_nothing_leaked)
{
    rbx_box *box = opened("t.full", &memfd);
    succeeds(rbx_box_send(sockets[0], box));
    const struct rlimit before = {.rlim_cur = 1024, .rlim_max = 1024};
    int lowest_free = dup(0);
    close(lowest_free);
    /* Room for the test's own look into /proc only: opendir takes one. */
    const struct rlimit tight = {.rlim_cur = (rlim_t)lowest_free + 1, .rlim_max = 1024};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    refuses_received(-EMFILE, "cannot receive");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    succeeds(rbx_box_close(box));
}

static int receive_as_nobody(void *arg)
{
    (void)arg;
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return 100;
    rbx_box *box;
    int err = rbx_box_recv(sockets[1], &box);
    return err < 0 ? -err : rbx_box_attached(box) - 2;
}

Test(send, handing_a_box_over_is_permission_enough)
{
    needs_root();
    rbx_box *box = opened("t.permitted", &memfd); /* mode 0600, of root */
    succeeds(rbx_box_send(sockets[0], box));
    cr_assert_eq(in_child(receive_as_nobody, NULL), 0);
    succeeds(rbx_box_close(box));
}

Test(send, a_read_only_descriptor_makes_a_read_only_box)
{
    struct rbx_box_header header = memfd_header();
    struct rbx_box_message message = good_message();
    int fds[2];
    char again[64];
    make_pair(fds, &header, sizeof header, 12288, ALL_SEALS);
    snprintf(again, sizeof again, "/proc/self/fd/%d", fds[0]);
    int reader = open(again, O_RDONLY | O_CLOEXEC), second = open(again, O_RDONLY | O_CLOEXEC);
    send_raw(&message, sizeof message, (int[]){reader, second}, 2);
    rbx_box *box = received();
    rbx_box_info info;
    succeeds(rbx_box_describe(box, &info));
    cr_assert(info.read_only);
    cr_assert_eq(info.attached, 1);
    succeeds(rbx_box_send(sockets[0], box)); /* and what is sent on stays so */
    rbx_box *on = received();
    succeeds(rbx_box_describe(on, &info));
    cr_assert(info.read_only);
    cr_assert_eq(info.attached, 2);
    succeeds(rbx_box_close(on));
    succeeds(rbx_box_close(box));
}
