/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct stat_line {
    char state;
    uint64_t threads; /* field 20 */
    uint64_t start;   /* field 22 */
};

/* What /proc/PID/stat says; false when it cannot be read. */
static bool read_stat(int32_t pid, struct stat_line *line)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    char *field = strrchr(text, ')'); /* the name before it may hold spaces and parentheses */
    if (!field || field[1] != ' ' || !field[2])
        return false;
    line->state = field[2];
    field += 2;
    for (int number = 3; number < 22; number++) {
        if (number == 20)
            line->threads = strtoull(field, NULL, 10);
        field = strchr(field, ' ');
        if (!field)
            return false;
        field++;
    }
    line->start = strtoull(field, NULL, 10);
    return true;
}

static uint64_t namespace_of(const char *path)
{
    struct stat namespace;
    return stat(path, &namespace) == 0 ? (uint64_t) namespace.st_ino : 0;
}

static uint64_t own_pid_namespace(void)
{
    return namespace_of("/proc/self/ns/pid");
}

uint64_t rbx_process_ipc_namespace(void)
{
    return namespace_of("/proc/thread-self/ns/ipc"); /* a thread may have one of its own */
}

struct rbx_process rbx_process_self(void)
{
    struct stat_line line;
    struct rbx_process self = {.pid = (int32_t)getpid(), .pid_namespace = own_pid_namespace()};
    if (read_stat(self.pid, &line))
        self.start = line.start;
    return self;
}

bool rbx_process_is_gone(const struct rbx_process *process)
{
    if (process->pid <= 0 || process->start == 0 || process->pid_namespace == 0 ||
        process->pid_namespace != own_pid_namespace())
        return false;
    if (kill(process->pid, 0) < 0 && errno == ESRCH)
        return true;
    struct stat_line line;
    if (!read_stat(process->pid, &line))
        return false;
    /* A main thread that has ended is a zombie too, as long as other threads run. */
    return line.start != process->start ||
           ((line.state == 'Z' || line.state == 'X') && line.threads <= 1);
}

static int open_pidfd(const void *pid)
{
    long fd = syscall(SYS_pidfd_open, *(const int32_t *)pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

int rbx_process_watch(struct rbx_fd *f, const struct rbx_process *process)
{
    *f = RBX_FD_CLOSED;
    if (process->pid <= 0 || process->start == 0 || process->pid_namespace == 0 ||
        process->pid_namespace != own_pid_namespace())
        return -ENOTSUP;
    int err = rbx_fd_make(f, open_pidfd, &process->pid);
    if (err < 0)
        return err == -ESRCH ? err : -ENOTSUP;
    /* If it is there now, it had that pid then, too. */
    if (!rbx_process_is_gone(process))
        return 0;
    rbx_fd_give_away(f);
    return -ESRCH;
}

unsigned rbx_process_user(void)
{
    return (unsigned)geteuid();
}

int rbx_random(void *bytes, size_t size)
{
    unsigned char *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
    return 0;
}
