/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *next_buffer(void)
{
    static char buffers[8][4096];
    static unsigned next;
    return buffers[next++ % 8];
}

const char *own_name(const char *label)
{
    char *name = next_buffer();
    snprintf(name, 4096, "t.%d.%s", (int)getpid(), label);
    return name;
}

__attribute__((destructor)) static void unlink_own_names(void)
{
    char prefix[64], path[512];
    DIR *directory = opendir("/dev/shm");
    int length = snprintf(prefix, sizeof prefix, "ringbox.t.%d.", (int)getpid());
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        snprintf(path, sizeof path, "/dev/shm/%s", entry->d_name);
        if (strncmp(entry->d_name, prefix, (size_t)length) == 0)
            unlink(path);
    }
    if (directory)
        closedir(directory);
}

const char *shm_path(const char *name)
{
    char *path = next_buffer();
    snprintf(path, 4096, "/dev/shm/ringbox.%s", name);
    return path;
}

bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

const char *own_directory(const char *parent)
{
    char *path = next_buffer();
    snprintf(path, 4096, "%s/t.%d.XXXXXX", parent ? parent : "/dev/shm", (int)getpid());
    cr_assert_not_null(mkdtemp(path), "%s: %s", path, strerror(errno));
    return path;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *in_directory(const char *directory, const char *leaf)
{
    char *path = next_buffer();
    snprintf(path, 4096, "%s/%s", directory, leaf);
    return path;
}

int entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    cr_assert_not_null(directory, "%s: %s", path, strerror(errno));
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

int open_descriptors(void)
{
    return entries("/proc/self/fd");
}

int box_mappings(void)
{
    int count = 0;
    char line[8192];
    FILE *maps = fopen("/proc/self/maps", "re");
    cr_assert_not_null(maps);
    while (fgets(line, sizeof line, maps))
        count += (strstr(line, " /dev/shm/") || strstr(line, "/memfd:t.") ||
                  strstr(line, "/SYSV") || strstr(line, "/t.")) &&
                 !strstr(line, "r-xp");
    fclose(maps);
    return count;
}

rbx_box *opened(const char *name, const rbx_box_options *options)
{
    rbx_box *box;
    succeeds(rbx_box_open(&box, name, options));
    return box;
}

rbx_box *made(const char *name, size_t size)
{
    const rbx_box_options options = {.size = size, .how = RBX_CREATE_ONLY};
    return opened(name, &options);
}

struct child start_running(int (*body)(void *arg), void *arg)
{
    int down[2], up[2];
    cr_assert_eq(pipe2(down, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(up, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails takes its children along */
        pid_t now = getppid();            /* 0 where the parent is in another PID namespace */
        if (now != parent && now != 0)
            _exit(125);
        close(down[1]);
        close(up[0]);
        int result = body(arg);
        if (write(up[1], &result, sizeof result) != sizeof result)
            _exit(126);
        char word;
        ssize_t told = read(down[0], &word, 1);
        _exit(told == 0 ? 125 : 0); /* 125: the parent went away without a word */
    }
    close(down[0]);
    close(up[1]);
    return (struct child){.pid = pid, .to_child = down[1], .from_child = up[0]};
}

int said(struct child *child)
{
    int result = -1;
    cr_assert_eq(read(child->from_child, &result, sizeof result), sizeof result,
                 "the child died before it had an answer");
    return result;
}

struct child start(int (*body)(void *arg), void *arg)
{
    struct child child = start_running(body, arg);
    int result = said(&child);
    cr_assert_geq(result, 0, "the child failed: %s", strerror(-result));
    return child;
}

int reap(struct child *child)
{
    int status;
    close(child->to_child);
    cr_assert_eq(waitpid(child->pid, &status, 0), child->pid);
    close(child->from_child); /* now that it has said what nobody has asked for */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int finish(struct child *child)
{
    cr_assert_eq(write(child->to_child, "x", 1), 1);
    return reap(child);
}

void murder(struct child *child)
{
    kill(child->pid, SIGKILL);
    reap(child);
}

int in_child(int (*body)(void *arg), void *arg)
{
    struct child child = start_running(body, arg);
    int result = said(&child);
    cr_assert_eq(finish(&child), 0);
    return result;
}

pid_t raw_fork(void)
{
#ifdef __s390__ /* takes the stack first */
    pid_t pid = (pid_t)syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);
#else
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
    cr_assert_geq(pid, 0); /* or else who kills it kills everybody */
    return pid;
}

bool is_asleep(pid_t thread)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/./%d/stat", (int)thread);
    FILE *stat = fopen(path, "re");
    cr_assert_not_null(stat);
    cr_assert_eq(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
    fclose(stat);
    return state == 'S';
}

void await_sleep_of(pid_t thread)
{
    while (!is_asleep(thread))
        sched_yield();
}

int await_sleep_of_others(void (*see)(pid_t thread, void *arg), void *arg)
{
    int others = 0;
    struct dirent *entry;
    DIR *threads = opendir("/proc/self/task");
    cr_assert_not_null(threads);
    while ((entry = readdir(threads))) {
        pid_t thread = (pid_t)atoi(entry->d_name);
        if (thread == 0 || thread == getpid())
            continue;
        await_sleep_of(thread);
        if (see)
            see(thread, arg);
        others++;
    }
    closedir(threads);
    return others;
}

unsigned long long status_of(pid_t thread, const char *label, int base)
{
    unsigned long long number = 0;
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
    FILE *status = fopen(path, "re");
    cr_assert_not_null(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, label, strlen(label)) == 0) {
            number = strtoull(line + strlen(label), NULL, base);
            break;
        }
    fclose(status);
    return number;
}

bool mount_own_shm(const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev/shm", "tmpfs", 0, options) == 0;
}
