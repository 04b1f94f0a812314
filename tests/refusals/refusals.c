/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * refusals: what happens when the system refuses one call, any one?
 *
 * The linker wraps the calls by which the library asks the system and the C library for something.
 * Each act runs once for each of the calls that it makes, and that one fails; with an error that
 * nobody expects there, then with those that a system says that lacks the call or is busy. Then
 *   - the act has succeeded all the same, or says so: with a sentence;
 *   - no descriptor, mapping or thread has been left, whatever it was that failed;
 *   - the same act works, and leaves nothing behind.
 * Prints TAP.
 */
#include "refusals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

/* ---- the refusal ------------------------------------------------------------------------------
 */

/* Calls until one is refused; negative: none. Of the thread that acts: what a helper of the library
   calls, and when, is another matter. */
static _Thread_local int countdown = -1;
static int refuse_with;
static const char *refused_call;
static _Atomic bool has_waitv = true;

/* What an error says of the object that was asked for, and so is believed: it has been removed, it
   is full. */
static bool is_believed(const char *call)
{
    if (refuse_with == EINVAL)
        return strncmp(call, "shm", 3) == 0 || strncmp(call, "sem", 3) == 0;
    return refuse_with == EAGAIN && strcmp(call, "write") == 0;
}

static bool is_refused(const char *call)
{
    if (countdown < 0 || countdown-- > 0)
        return false;
    refused_call = call;
    errno = refuse_with;
    return !is_believed(call);
}

/* Each of the wrapped calls: name, declaration of its arguments, the arguments, and what it answers
   on failure. */
#define WRAP(result, call, declared, passed, failure)                                              \
    result __real_##call declared;                                                                 \
    result __wrap_##call declared;                                                                 \
    result __wrap_##call declared                                                                  \
    {                                                                                              \
        return is_refused(#call) ? (failure) : __real_##call passed;                               \
    }

#define NO_MEMORY (errno = ENOMEM, NULL)

struct epoll_event;
struct iovec;
struct msghdr;
struct pollfd;
struct rlimit64;
struct sembuf;
struct shmid_ds;
struct stat64;
struct statfs64;
struct timespec;
WRAP(void *, malloc, (size_t size), (size), NO_MEMORY)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NO_MEMORY)
WRAP(void *, aligned_alloc, (size_t to, size_t size), (to, size), NO_MEMORY)
WRAP(char *, strdup, (const char *text), (text), NO_MEMORY)
WRAP(int, open64, (const char *path, int flags, unsigned mode), (path, flags, mode), -1)
WRAP(int, openat64, (int dir, const char *path, int flags, unsigned mode), (dir, path, flags, mode),
     -1)
WRAP(int, memfd_create, (const char *label, unsigned flags), (label, flags), -1)
WRAP(int, eventfd, (unsigned initial, int flags), (initial, flags), -1)
WRAP(int, fstat64, (int fd, struct stat64 *status), (fd, status), -1)
WRAP(int, stat64, (const char *path, struct stat64 *status), (path, status), -1)
WRAP(int, fstatat64, (int dir, const char *path, struct stat64 *status, int flags),
     (dir, path, status, flags), -1)
WRAP(int, fstatfs64, (int fd, struct statfs64 *facts), (fd, facts), -1)
WRAP(int, getrlimit64, (int resource, struct rlimit64 *limit), (resource, limit), -1)
WRAP(int, fchmod, (int fd, unsigned mode), (fd, mode), -1)
WRAP(int, ftruncate64, (int fd, int64_t size), (fd, size), -1)
WRAP(int, fallocate64, (int fd, int mode, int64_t at, int64_t size), (fd, mode, at, size), -1)
WRAP(int, posix_fallocate64, (int fd, int64_t at, int64_t size), (fd, at, size), errno)
WRAP(int, linkat, (int from, const char *path, int to, const char *other, int flags),
     (from, path, to, other, flags), -1)
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), -1)
WRAP(ssize_t, pread64, (int fd, void *bytes, size_t size, int64_t at), (fd, bytes, size, at), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, int64_t at), (fd, bytes, size, at),
     -1)
WRAP(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size), -1)
WRAP(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size), -1)
WRAP(ssize_t, preadv64v2, (int fd, const struct iovec *to, int count, int64_t at, int flags),
     (fd, to, count, at, flags), -1)
WRAP(int, ppoll,
     (struct pollfd * fds, size_t count, const struct timespec *most, const void *signals),
     (fds, count, most, signals), -1)
WRAP(int, getsockopt, (int sock, int level, int name, void *value, void *size),
     (sock, level, name, value, size), -1)
WRAP(ssize_t, readlink, (const char *path, char *to, size_t size), (path, to, size), -1)
WRAP(ssize_t, sendmsg, (int sock, const struct msghdr *header, int flags), (sock, header, flags),
     -1)
WRAP(ssize_t, recvmsg, (int sock, struct msghdr *header, int flags), (sock, header, flags), -1)
WRAP(void *, mmap64, (void *at, size_t size, int access, int flags, int fd, int64_t offset),
     (at, size, access, flags, fd, offset), (void *)-1)
WRAP(int, madvise, (void *at, size_t size, int advice), (at, size, advice), -1)
WRAP(int, mlock, (const void *at, size_t size), (at, size), -1)
WRAP(int, shmget, (int key, size_t size, int flags), (key, size, flags), -1)
WRAP(void *, shmat, (int id, const void *at, int flags), (id, at, flags), (void *)-1)
WRAP(int, shmctl, (int id, int command, struct shmid_ds *facts), (id, command, facts), -1)
WRAP(int, semget, (int key, int count, int flags), (key, count, flags), -1)
WRAP(int, semctl, (int id, int index, int command, void *arg), (id, index, command, arg), -1)
WRAP(int, semop, (int id, struct sembuf *changes, size_t count), (id, changes, count), -1)
WRAP(int, semtimedop, (int id, struct sembuf *changes, size_t count, const struct timespec *most),
     (id, changes, count, most), -1)
WRAP(int, epoll_create1, (int flags), (flags), -1)
WRAP(int, epoll_ctl, (int set, int command, int fd, struct epoll_event *interest),
     (set, command, fd, interest), -1)
WRAP(int, epoll_wait, (int set, struct epoll_event *ready, int most, int timeout_ms),
     (set, ready, most, timeout_ms), -1)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(int, pthread_mutex_init, (void *mutex, const void *how), (mutex, how), errno)
WRAP(int, pthread_mutexattr_init, (void *how), (how), errno)

/* But no unlocking: that cannot fail. */
int __real_fcntl64(int fd, int command, void *arg);
int __wrap_fcntl64(int fd, int command, void *arg);
int __wrap_fcntl64(int fd, int command, void *arg)
{
    bool unlocks = command == F_OFD_SETLK && ((struct flock *)arg)->l_type == F_UNLCK;
    return !unlocks && is_refused("fcntl64") ? -1 : __real_fcntl64(fd, command, arg);
}

/* Nor waking. */
static bool wakes(long number, long operation)
{
#ifdef SYS_futex_time64
    bool is_futex = number == SYS_futex || number == SYS_futex_time64;
#else
    bool is_futex = number == SYS_futex;
#endif
    return is_futex && (operation & FUTEX_CMD_MASK) == FUTEX_WAKE;
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    const long waitv = 449; /* the same everywhere */
    if (number == waitv && !has_waitv) {
        errno = ENOSYS;
        return -1;
    }
    return !wakes(number, b) && is_refused("syscall") ? -1
                                                      : __real_syscall(number, a, b, c, d, e, f);
}

static int threads; /* that were begun and not joined */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*body)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*body)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*body)(void *),
                          void *arg)
{
    int err = is_refused("pthread_create") ? errno : __real_pthread_create(thread, how, body, arg);
    threads += err == 0;
    return err;
}

int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result)
{
    threads--;
    return __real_pthread_join(thread, result);
}

void refuse_no_more(void)
{
    countdown = -1;
}

void refuse_sleep_on_several(void)
{
    has_waitv = false;
}

/* ---- what must hold ---------------------------------------------------------------------------
 */

static const char *act_name;
static int failures;

static bool make_own_place(void)
{
    return unshare(CLONE_NEWIPC) == 0 && mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") == 0 &&
           mkdir(OWN_DIRECTORY, 0700) == 0;
}

static void wrong(const char *what, const char *more)
{
    printf("# %s, when %s was refused (%s): %s %s\n", act_name, refused_call, strerror(refuse_with),
           what, more);
    failures++;
}

void must(bool holds, const char *promise)
{
    if (!holds)
        wrong("this does not hold:", promise);
}

static int entries(const char *path)
{
    int count = -2; /* . and .. */
    DIR *directory = __real_opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/* Of boxes, and of what the kernel shares. */
static int mappings(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        count += strstr(line, "/dev/shm/") || strstr(line, "SYSV") || strstr(line, "/memfd:") ||
                 strstr(line, "[io_uring]");
    if (maps)
        fclose(maps);
    return count;
}

static bool has_key(void)
{
    const int key = (int)strtol(OWN_KEY, NULL, 0);
    return __real_shmget(key, 0, 0) >= 0 || __real_semget(key, 0, 0) >= 0;
}

/* What rbx_last_error() says is of this call, or of a later one. */
static void forget_errors(void)
{
    rbx_box *box;
    rbx_box_open(&box, "", NULL);
}

static bool is_forgotten(void)
{
    char said[256];
    snprintf(said, sizeof said, "%s", rbx_last_error());
    forget_errors();
    return strcmp(said, rbx_last_error()) == 0;
}

static int run(const struct act *act)
{
    int err = act->run();
    has_waitv = true;
    return err;
}

/* False when the act makes fewer calls. */
static bool refuse_one(const struct act *act, int nth)
{
    const int fds = entries("/proc/self/fd"), maps = mappings();
    refused_call = NULL;
    forget_errors();
    countdown = nth;
    int err = run(act);
    countdown = -1;
    if (!refused_call)
        return false;
    if (err < 0 && is_forgotten())
        wrong("failed without a sentence:", strerror(-err));
    if (entries("/proc/self/fd") != fds)
        wrong("a descriptor is left", "");
    if (mappings() != maps)
        wrong("a mapping is left", "");
    if (threads != 0)
        wrong("a thread is left", "");
    err = run(act);
    if (err < 0)
        wrong("later it does not work any more:", rbx_last_error());
    rbx_box_reclaim_unused(NULL); /* drafts that could not be removed */
    rbx_box_reclaim_unused(OWN_DIRECTORY);
    if (entries("/dev/shm") != 1 || entries(OWN_DIRECTORY) != 0 || has_key())
        wrong("something is left behind", "");
    return true;
}

/* So that no failure brings about others. */
static void clear_up(void)
{
    if (failures == 0)
        return;
    if (umount2("/dev/shm", MNT_DETACH) < 0 || !make_own_place())
        abort();
}

static void test(const struct act *act)
{
    static const int errors[] = {EIO, EINVAL, EOPNOTSUPP, EINTR, EAGAIN, EACCES};
    int refusals = 0, before = failures;
    act_name = act->name;
    refused_call = "nothing";
    clear_up();
    int err = run(act);
    if (err == NOT_HERE) {
        printf("ok - %s # SKIP: not possible here\n", act->name);
        return;
    }
    if (err < 0)
        wrong("does not work:", rbx_last_error());
    for (size_t e = 0; e < sizeof errors / sizeof *errors && failures == before; e++) {
        refuse_with = errors[e];
        for (int nth = 0; refuse_one(act, nth); nth++)
            refusals++;
    }
    if (refusals == 0)
        wrong("refused nothing", "");
    printf("%s - %s: %d calls refused\n", failures == before ? "ok" : "not ok", act->name,
           refusals);
}

/* refusals [PART]: the acts with that in their names. */
int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    const struct {
        const struct act *acts;
        size_t count;
    } all[] = {{box_acts, box_act_count},
               {ring_acts, ring_act_count},
               {sync_acts, sync_act_count},
               {loop_acts, loop_act_count}};
    setvbuf(stdout, NULL, _IOLBF, 0); /* what has been found is said, should one of them hang */
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t a = 0; a < all[i].count; a++)
            count += strstr(all[i].acts[a].name, part) != NULL;
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") < 0 || mkdir(OWN_DIRECTORY, 0700) < 0) {
        printf("1..0 # SKIP: may not mount a tmpfs of its own\n");
        return 0;
    }
    printf("1..%zu\n", count);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t a = 0; a < all[i].count; a++)
            if (strstr(all[i].acts[a].name, part))
                test(&all[i].acts[a]);
    return failures > 0;
}
