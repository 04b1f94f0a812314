/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Held whenever a descriptor of ours may exist that is not on the list, and across fork(). */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rbx_fd list = {.fd = -1, .prev = &list, .next = &list};
static uint32_t forks; /* written while a new process has only one thread */

static void fork_prepare(void)
{
    pthread_mutex_lock(&list_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&list_lock);
}

static void fork_child(void)
{
    for (struct rbx_fd *f = list.next, *next; f != &list; f = next) {
        next = f->next;
        close(f->fd);
        *f = RBX_FD_CLOSED;
    }
    list.prev = list.next = &list;
    forks++;
    pthread_mutex_unlock(&list_lock);
}

uint32_t rbx_fd_forks(void)
{
    return forks;
}

static int fork_handlers;

/* At load, before the program can register handlers of its own: so ours, which take the list's
   lock, run last before a fork, and no lock of the program's is waited for while it is held. */
__attribute__((constructor)) static void install_fork_handlers(void)
{
    fork_handlers = -pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* No cancellation while the list is locked: it would stay so, and every later fork would hang. */
static int lock_list(void)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&list_lock);
    return cancel_state;
}

static void unlock_list(int cancel_state)
{
    pthread_mutex_unlock(&list_lock);
    pthread_setcancelstate(cancel_state, NULL);
}

/* Puts a descriptor on the locked list. */
static void enlist(struct rbx_fd *f, int fd)
{
    *f = (struct rbx_fd){.fd = fd, .prev = list.prev, .next = &list};
    f->prev->next = f;
    list.prev = f;
}

static int open_listed(struct rbx_fd *f, int dir, const char *path, int flags, mode_t mode)
{
    int fd, err;
    *f = RBX_FD_CLOSED;
    if (fork_handlers < 0)
        return fork_handlers;
    int state = lock_list();
    do
        fd = openat(dir, path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    err = fd < 0 ? -errno : 0;
    if (fd >= 0)
        enlist(f, fd);
    unlock_list(state);
    return err;
}

static int access_flags(enum rbx_fd_access access)
{
    return access == RBX_FD_WRITE ? O_RDWR : O_RDONLY;
}

int rbx_fd_open(struct rbx_fd *f, int dir, const char *path, enum rbx_fd_access access)
{
    return open_listed(f, dir, path, access_flags(access) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
}

int rbx_fd_create(struct rbx_fd *f, int dir, const char *path)
{
    return open_listed(f, dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

int rbx_fd_create_unnamed(struct rbx_fd *f, int dir, const char *directory)
{
    int err = open_listed(f, dir, directory, O_RDWR | O_TMPFILE, 0600);
    /* A kernel or a file system that does not know O_TMPFILE sees an open for writing of a
       directory (-EISDIR), or refuses. */
    return err == -EISDIR || err == -EINVAL ? -EOPNOTSUPP : err;
}

int rbx_fd_create_memfd(struct rbx_fd *f, const char *label, bool huge_pages)
{
    *f = RBX_FD_CLOSED;
    if (fork_handlers < 0)
        return fork_handlers;
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge_pages ? MFD_HUGETLB : 0U);
    int state = lock_list();
    int fd = memfd_create(label, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(label, flags);
    int err = fd < 0 ? -errno : 0;
    if (fd >= 0)
        enlist(f, fd);
    unlock_list(state);
    return err;
}

int rbx_fd_open_directory(struct rbx_fd *f, const char *path)
{
    return open_listed(f, AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
}

int rbx_fd_make(struct rbx_fd *f, int (*make)(const void *arg), const void *arg)
{
    *f = RBX_FD_CLOSED;
    if (fork_handlers < 0)
        return fork_handlers;
    int state = lock_list(), fd = make(arg);
    if (fd >= 0)
        enlist(f, fd);
    unlock_list(state);
    return fd < 0 ? fd : 0;
}

int rbx_fd_reopen(struct rbx_fd *f, int fd, enum rbx_fd_access access)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open_listed(f, AT_FDCWD, path, access_flags(access), 0);
}

/* Waits for a message as a blocking recv would, so that the list is not locked meanwhile. */
static int await_readable(int sock)
{
    int flags = fcntl(sock, F_GETFL);
    if (flags < 0)
        return -errno;
    if (flags & O_NONBLOCK)
        return 0;
    struct timeval limit = {0};
    socklen_t size = sizeof limit;
    if (getsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) < 0)
        return -errno;
    struct timespec timeout = {.tv_sec = limit.tv_sec, .tv_nsec = limit.tv_usec * 1000L};
    bool bounded = timeout.tv_sec || timeout.tv_nsec;
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    int n = ppoll(&ready, 1, bounded ? &timeout : NULL, NULL);
    if (n < 0)
        return -errno;
    return n == 0 ? -EAGAIN : 0;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* Room for one more than may come, to see and close what a wrong sender adds. */
enum { FDS_ACCEPTED = RBX_FD_SEND_MAX + 1 };

#ifndef SCM_PIDFD /* Linux 6.5: comes unasked for where the socket has SO_PASSPIDFD */
#define SCM_PIDFD 4
#endif

/* The descriptors of a message that were sent; one that the kernel added is closed. */
static size_t collect(struct msghdr *header, int fds[FDS_ACCEPTED])
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET ||
            (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != SCM_PIDFD))
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (c->cmsg_type == SCM_RIGHTS && count < FDS_ACCEPTED)
                fds[count++] = fd;
            else if (fd >= 0)
                close(fd);
        }
    }
    return count;
}

static bool has_end(int sock)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    return getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_DGRAM;
}

static int receive_now(int sock, void *message, size_t size, int *fds, size_t count)
{
    union {
        struct cmsghdr align;
        /* and what the kernel adds unasked: credentials, a security label, a pidfd */
        char bytes[CMSG_SPACE(FDS_ACCEPTED * sizeof(int)) + 512];
    } control;
    struct iovec part = {.iov_base = message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    int came[FDS_ACCEPTED];
    ssize_t got = recvmsg(sock, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    size_t here = collect(&header, came);
    if (here == count && (size_t)got == size && !(header.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
        memcpy(fds, came, count * sizeof *fds);
        return 0;
    }
    close_all(came, here);
    if (got == 0 && here == 0 && has_end(sock))
        return -EPIPE;
    return here < count && (header.msg_flags & MSG_CTRUNC) ? -EMFILE : -EPROTO;
}

int rbx_fd_receive(struct rbx_fd *f, size_t count, int sock, void *message, size_t size)
{
    int fds[RBX_FD_SEND_MAX] = {0};
    if (fork_handlers < 0)
        return fork_handlers;
    for (;;) {
        int err = await_readable(sock);
        if (err < 0)
            return err;
        int state = lock_list();
        err = receive_now(sock, message, size, fds, count);
        for (size_t i = 0; err == 0 && i < count; i++)
            enlist(&f[i], fds[i]);
        unlock_list(state);
        if (err != -EAGAIN || (fcntl(sock, F_GETFL) & O_NONBLOCK))
            return err;
        /* Another reader of this blocking socket was faster: wait again. */
    }
}

int rbx_fd_send(const struct rbx_fd *f, size_t count, int sock, const void *message, size_t size)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(RBX_FD_SEND_MAX * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &f[i].fd, sizeof(int));
    ssize_t sent = sendmsg(sock, &header, MSG_NOSIGNAL);
    if (sent < 0)
        return -errno;
    return (size_t)sent == size ? 0 : -EMSGSIZE;
}

bool rbx_fd_is_writable(const struct rbx_fd *f)
{
    int flags = fcntl(f->fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) == O_RDWR;
}

static void unlist(struct rbx_fd *f)
{
    f->prev->next = f->next;
    f->next->prev = f->prev;
}

void rbx_fd_move(struct rbx_fd *to, struct rbx_fd *from)
{
    int state = lock_list();
    if (rbx_fd_is_open(from)) {
        unlist(from);
        enlist(to, from->fd);
        *from = RBX_FD_CLOSED;
    }
    unlock_list(state);
}

int rbx_fd_let_go(struct rbx_fd *f)
{
    int state = lock_list(), fd = f->fd;
    unlist(f);
    *f = RBX_FD_CLOSED;
    unlock_list(state);
    return fd;
}

void rbx_fd_give_away(struct rbx_fd *f)
{
    if (!rbx_fd_is_open(f))
        return;
    int state = lock_list();
    unlist(f); /* unlisted and closed in one step, as a fork sees it */
    close(f->fd);
    *f = RBX_FD_CLOSED;
    unlock_list(state);
}

/*
 * Closing drops the locks only with the last copy of the descriptor, and a child that another
 * thread is just starting may have one until it runs its handlers, or calls exec.
 */
void rbx_fd_close(struct rbx_fd *f)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (rbx_fd_is_open(f))
        fcntl(f->fd, F_OFD_SETLK, &all);
    rbx_fd_give_away(f);
}
