/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shared-box: processes that do not know each other count in one box.
 *
 *     shared-box                 a tour: starts two counters, kills one of them, shows what is left
 *     shared-box count NAME N    adds 1 to the counter in the box NAME, N times
 *
 *     cc -o shared-box shared-box.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

struct counter {
    _Atomic uint64_t value;
};

static int complain(void)
{
    fprintf(stderr, "shared-box: %s\n", rbx_last_error());
    return 1;
}

/* Whoever comes first makes the box; whoever leaves last removes it. */
static rbx_box *open_counter(const char *name)
{
    const rbx_box_options options = {.size = sizeof(struct counter), .policy = RBX_LAST_ONE_OUT};
    rbx_box *box;
    return rbx_box_open(&box, name, &options) < 0 ? NULL : box;
}

static int count(const char *name, uint64_t times)
{
    rbx_box *box = open_counter(name);
    if (!box)
        return complain();
    printf("  pid %d %s box '%s'\n", (int)getpid(), rbx_box_was_created(box) ? "made" : "joined",
           name);
    fflush(stdout);
    struct counter *counter = rbx_box_as(box, struct counter);
    for (uint64_t i = 0; i < times; i++)
        atomic_fetch_add_explicit(&counter->value, 1, memory_order_relaxed);
    return rbx_box_close(box) < 0 ? complain() : 0;
}

static pid_t start(const char *program, const char *name, const char *times)
{
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        execl(program, program, "count", name, times, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Until `pid` is attached too, or has ended. */
static void wait_for_attached(const rbx_box *box, int handles, pid_t pid)
{
    while (rbx_box_attached(box) != handles && waitpid(pid, NULL, WNOHANG) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int tour(const char *program)
{
    const uint64_t each = 5000000;
    char name[64], times[32];
    int status = 0;
    snprintf(name, sizeof name, "demo.%d", (int)getpid());
    snprintf(times, sizeof times, "%llu", (unsigned long long)each);

    printf("1. Two processes add %s each to the counter in box '%s':\n", times, name);
    fflush(stdout);
    rbx_box *box = open_counter(name);
    if (!box)
        return complain();
    struct counter *counter = rbx_box_as(box, struct counter);
    pid_t one = start(program, name, times), two = start(program, name, times);
    waitpid(one, &status, 0);
    waitpid(two, &status, 0);
    printf("   the counter says %llu\n", (unsigned long long)atomic_load(&counter->value));
    if (atomic_load(&counter->value) != 2 * each)
        return 1;

    printf("2. One more is killed with kill -9 while it counts:\n");
    fflush(stdout);
    pid_t three = start(program, name, "1000000000000");
    wait_for_attached(box, 2, three);
    printf("   attached: %d\n", rbx_box_attached(box));
    kill(three, SIGKILL);
    waitpid(three, &status, 0);
    printf("   attached, by the kernel's word: %d\n", rbx_box_attached(box));

    printf("3. The last to leave removes the box:\n");
    if (rbx_box_close(box) < 0)
        return complain();
    const rbx_box_options join = {.how = RBX_OPEN_ONLY};
    int err = rbx_box_open(&box, name, &join);
    printf("   opening it now: %s\n", err < 0 ? rbx_last_error() : "it is still there!");
    return err < 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return tour("/proc/self/exe");
    if (argc == 4 && strcmp(argv[1], "count") == 0)
        return count(argv[2], strtoull(argv[3], NULL, 10));
    fprintf(stderr, "usage: shared-box [count NAME N]\n");
    return 2;
}
