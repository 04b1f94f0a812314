/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker-pool-tour: kill -9 in a worker-pool, and no job is lost.
 *
 *     worker-pool-tour    2 submitters, 3 workers and a collector; of each kind one is killed where
 *                         it is just then, and one of the submitters and workers at the worst
 * moment
 *
 * It starts the program worker-pool, which must be in the same directory, and replaces whoever was
 * killed. Exit code 0 says that all jobs were done, and that nothing is left behind.
 *
 *     cc -O2 -o worker-pool worker-pool.c $(pkg-config --cflags --libs ringbox)
 *     cc -O2 -o worker-pool-tour worker-pool-tour.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr */
#endif
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "pool.h"

enum { JOBS = 8000 };

/* One of the crew: its successors have its place. */
struct member {
    const char *role;
    int first, count;
    int die_after; /* the worst moment; 0: never */
    int kill_at;   /* when so many jobs are done; 0: never */
    pid_t pid;     /* 0: has ended */
};

static struct member crew[] = {
    {.role = "collect", .count = JOBS, .kill_at = JOBS / 2},
    {.role = "submit", .count = JOBS / 2, .kill_at = JOBS / 4},
    {.role = "submit", .count = JOBS / 2, .first = JOBS / 2, .die_after = JOBS / 16},
    {.role = "work", .kill_at = JOBS / 8},
    {.role = "work", .die_after = JOBS / 32},
    {.role = "work"},
};
enum { CREW = sizeof crew / sizeof *crew };

struct tour {
    char program[PATH_MAX]; /* worker-pool */
    char name[64];          /* of the pool */
    struct pool pool;       /* we join it too: to look at it */
    bool failed;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int complain(void)
{
    fprintf(stderr, "worker-pool-tour: %s\n", rbx_last_error());
    return 1;
}

/* --- The crew --- */

/* Beside our own executable. */
static bool find_program(char *program, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", program, size);
    char *slash = length > 0 ? memrchr(program, '/', (size_t)length) : NULL;
    if (slash) {
        snprintf(slash + 1, size - (size_t)(slash + 1 - program), "worker-pool");
        if (access(program, X_OK) == 0)
            return true;
    }
    fprintf(stderr, "worker-pool-tour: it needs the program %s: %s\n",
            slash ? program : "worker-pool", strerror(errno));
    return false;
}

static void become(const struct tour *tour, const struct member *member)
{
    char numbers[3][16];
    const int values[3] = {member->die_after, member->count, member->first};
    for (int i = 0; i < 3; i++)
        snprintf(numbers[i], sizeof numbers[i], "%d", values[i]);
    /* The list ends where the role takes no more. */
    execl(tour->program, "worker-pool", member->role, "--pool", tour->name, "--die-after",
          numbers[0], member->count ? "--count" : NULL, numbers[1],
          strcmp(member->role, "submit") == 0 ? "--first" : NULL, numbers[2], (char *)NULL);
}

static void start(struct tour *tour, struct member *member)
{
    pid_t own_pid = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* even when we are killed, it ends, and cleans up */
        if (getppid() == own_pid)
            become(tour, member);
        _exit(127);
    }
    if (pid < 0)
        perror("worker-pool-tour: fork");
    tour->failed = tour->failed || pid < 0;
    member->pid = pid < 0 ? 0 : pid;
}

/* How many are left. Who was killed is replaced, unless all are to end. */
static int see_to_the_dead(struct tour *tour)
{
    int left = 0;
    for (struct member *member = crew; member < crew + CREW; member++) {
        int status = 0;
        pid_t pid = member->pid;
        if (pid != 0 && waitpid(pid, &status, WNOHANG) == pid) {
            member->pid = 0;
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
                tour->failed = tour->failed || status != 0;
            } else if (!interrupted && !tour->failed) {
                printf("   kill -9 %d (%s%s)", (int)pid, member->role,
                       member->die_after ? ", at the worst moment" : "");
                member->die_after = 0;
                start(tour, member);
                printf("; %d goes on\n", (int)member->pid);
            }
        }
        left += member->pid != 0;
    }
    return left;
}

static void signal_all(int signal_number)
{
    for (struct member *member = crew; member < crew + CREW; member++)
        if (member->pid != 0)
            kill(member->pid, signal_number);
}

/* --- The tour --- */

static void kill_whose_time_has_come(struct tour *tour)
{
    uint64_t done = add_up(tour->pool.ledger, 0, JOBS).done;
    for (struct member *member = crew; member < crew + CREW; member++)
        if (member->pid != 0 && member->kill_at && done >= (uint64_t)member->kill_at) {
            member->kill_at = 0;
            kill(member->pid, SIGKILL);
        }
}

static bool show(struct tour *tour)
{
    printf("%d jobs, 2 submitters, 3 workers, 1 collector\n", JOBS);
    for (struct member *member = crew; member < crew + CREW; member++)
        start(tour, member);
    while (see_to_the_dead(tour) > 0) {
        if (interrupted || tour->failed)
            signal_all(SIGTERM);
        else
            kill_whose_time_has_come(tour);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    rbx_ring_info jobs;
    if (interrupted || tour->failed || rbx_ring_describe(tour->pool.jobs, &jobs) < 0)
        return false;
    printf("   %" PRIu64 " jobs were in the hands of a worker that died, and went to another\n",
           jobs.repaired.redelivered);
    struct totals totals = add_up(tour->pool.ledger, 0, JOBS);
    return totals.submitted == JOBS && totals.done == JOBS;
}

static bool is_gone(const struct tour *tour)
{
    bool gone = true;
    for (int part = 0; part < 3; part++) {
        rbx_box *box;
        const char *name = pool_part(tour->name, part);
        if (rbx_box_open(&box, name, NULL) != -ENOENT) {
            fprintf(stderr, "worker-pool-tour: '%s' was left behind\n", name);
            rbx_box_close(box);
            gone = false;
        }
    }
    return gone;
}

static int run_tour(void)
{
    struct tour tour = {.failed = false};
    if (!find_program(tour.program, sizeof tour.program))
        return 1;
    snprintf(tour.name, sizeof tour.name, "pool.%d", (int)getpid());
    if (open_pool(&tour.pool, tour.name) < 0)
        return complain();
    bool ok = show(&tour);
    if (!ok)
        fprintf(stderr, "worker-pool-tour: %s\n", interrupted ? "interrupted" : "FAILED");
    if (close_pool(&tour.pool) < 0)
        return complain();
    return is_gone(&tour) && ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct sigaction on_interrupt = {.sa_handler = interrupt}; /* no SA_RESTART */
    sigaction(SIGINT, &on_interrupt, NULL);
    sigaction(SIGTERM, &on_interrupt, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 1)
        return run_tour();
    fprintf(stderr, "usage: %s (no arguments; any one of the crew is worker-pool)\n", argv[0]);
    return 2;
}
