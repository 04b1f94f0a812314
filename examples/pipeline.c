/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pipeline: a feed, two workers and a logger, which are processes, over three rings.
 *
 *                   +-- worker 0 -- results of 0 --+
 *     feed -- ticks |                              | logger
 *                   +-- worker 1 -- results of 1 --+
 *
 *     pipeline [COUNT [RATE]]    COUNT ticks (20000), RATE a second (50000)
 *
 * The ticks go through a ring of many: each to the worker that is free first. Each worker has a
 * ring of its own to the logger, which sleeps on both at once. It says at the end how long the way
 * took, from the tick to the log, and whether each tick came once: then the exit code is 0. Ctrl-C
 * stops the feed; what it has sent still comes through.
 *
 * Nobody here outlives the others' deaths: worker-pool does.
 *
 *     cc -O2 -o pipeline pipeline.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

enum { WORKERS = 2, RINGS = 1 + WORKERS, ROLES = 2 + WORKERS, CAPACITY = 1024 };

struct tick {
    uint64_t number;
    uint64_t born_ns;
};

struct result {
    uint64_t number;
    uint64_t born_ns;
    uint32_t digits;
    uint32_t worker;
};

RBX_RING_TYPE(ticks, struct tick, MPMC)
RBX_RING_TYPE(results, struct result, SPSC)

static struct options {
    uint64_t count, rate;
    int pid; /* the rings' names have it */
} options = {.count = 20000, .rate = 50000};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int complain(const char *role)
{
    fprintf(stderr, "%s: %s\n", role, rbx_last_error());
    return 1;
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Ring 0 has the ticks, ring 1 + i the results of worker i. Whoever comes first makes it. */
static int join(rbx_ring **ring, int index)
{
    const rbx_ring_options capacity = {.capacity = CAPACITY};
    char name[64];
    snprintf(name, sizeof name, "pipeline.%d.%d", options.pid, index);
    return index == 0 ? ticks_open(ring, name, &capacity) : results_open(ring, name, &capacity);
}

/* --- feed --- */

static int feed(int unused)
{
    rbx_ring *ring;
    ticks_tx tx;
    (void)unused;
    if (join(&ring, 0) < 0 || ticks_tx_open(&tx, ring) < 0)
        return complain("feed");
    uint64_t begun = now_ns();
    for (uint64_t number = 0; number < options.count && !interrupted;) {
        uint64_t due = begun + number * 1000000000U / options.rate;
        const struct timespec until = {.tv_sec = (time_t)(due / 1000000000U),
                                       .tv_nsec = (long)(due % 1000000000U)};
        if (now_ns() < due)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        const struct tick tick = {.number = number, .born_ns = now_ns()};
        int err = ticks_send(&tx, &tick);
        if (err == 0)
            number++;
        else if (err != -EINTR)
            return complain("feed");
    }
    ticks_tx_close(&tx);
    rbx_ring_shutdown(ring); /* the workers get what is left, and then -EPIPE */
    return rbx_ring_close(ring) < 0 ? complain("feed") : 0;
}

/* --- work --- */

static int pass_on(results_tx *tx, const struct tick *tick, uint32_t worker)
{
    struct result result = {.number = tick->number, .born_ns = tick->born_ns, .worker = worker};
    for (uint64_t left = tick->number; left > 0; left /= 10)
        result.digits++;
    int err;
    while ((err = results_send(tx, &result)) == -EINTR)
        ;
    return err;
}

static int work(int worker)
{
    rbx_ring *from, *to;
    ticks_rx rx;
    results_tx tx;
    struct tick tick;
    int err;
    if (join(&from, 0) < 0 || ticks_rx_open(&rx, from) < 0 || join(&to, 1 + worker) < 0 ||
        results_tx_open(&tx, to) < 0)
        return complain("worker");
    while ((err = ticks_recv(&rx, &tick)) != -EPIPE)
        if ((err < 0 && err != -EINTR) || (err == 0 && pass_on(&tx, &tick, (uint32_t)worker) < 0))
            return complain("worker");
    ticks_rx_close(&rx);
    results_tx_close(&tx);
    rbx_ring_shutdown(to);
    return rbx_ring_close(from) < 0 || rbx_ring_close(to) < 0 ? complain("worker") : 0;
}

/* --- log --- */

struct log {
    uint64_t *took; /* by arrival */
    bool *came;     /* by number */
    uint64_t count, twice;
    uint64_t from[WORKERS];
};

static void note(struct log *log, const struct result *result)
{
    if (result->number >= options.count || result->worker >= WORKERS || log->came[result->number]) {
        log->twice++;
        return;
    }
    log->came[result->number] = true;
    log->took[log->count++] = now_ns() - result->born_ns;
    log->from[result->worker]++;
}

static int by_value(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static int sum_up(struct log *log)
{
    static const double percentiles[] = {50, 90, 99, 99.9, 100};
    qsort(log->took, log->count, sizeof *log->took, by_value);
    printf("%" PRIu64 " ticks: %" PRIu64 " by worker 0, %" PRIu64 " by worker 1\n", log->count,
           log->from[0], log->from[1]);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles && log->count > 0; i++) {
        uint64_t at = (uint64_t)((double)(log->count - 1) * percentiles[i] / 100);
        printf("   %5.1f%% took %.1f us or less\n", percentiles[i], (double)log->took[at] / 1000);
    }
    if (log->twice > 0 || (log->count != options.count && !interrupted)) {
        fprintf(stderr, "logger: of %" PRIu64 " ticks %" PRIu64 " came, and %" PRIu64 " twice\n",
                options.count, log->count, log->twice);
        return 1;
    }
    return 0;
}

/* From all that are ready, and a few at a time: so none waits for another's run to end. */
static int log_all(struct log *log, results_rx *rx)
{
    enum { AT_ONCE = 32 };
    bool has_ended[WORKERS] = {false};
    unsigned open = WORKERS;
    while (open > 0) {
        rbx_any ends[WORKERS] = {{NULL, NULL, false}};
        int whose[WORKERS];
        size_t n = 0;
        for (int i = 0; i < WORKERS; i++)
            if (!has_ended[i]) {
                whose[n] = i;
                ends[n++].rx = &rx[i].end;
            }
        int ready = rbx_wait_any(ends, n, RBX_FOREVER);
        if (ready < 0 && ready != -EINTR)
            return complain("logger");
        for (size_t i = 0; i < n; i++) {
            struct result results[AT_ONCE];
            ptrdiff_t got = ends[i].ready ? results_try_recv_n(&rx[whose[i]], results, AT_ONCE) : 0;
            for (ptrdiff_t r = 0; r < got; r++)
                note(log, &results[r]);
            if (got == -EPIPE) {
                has_ended[whose[i]] = true;
                results_rx_close(&rx[whose[i]]);
                open--;
            } else if (got < 0 && got != -EAGAIN) {
                return complain("logger"); /* -EOWNERDEAD: its worker has died */
            }
        }
    }
    return sum_up(log);
}

static int keep_log(int unused)
{
    struct log log = {.took = calloc(options.count, sizeof *log.took),
                      .came = calloc(options.count, sizeof *log.came)};
    rbx_ring *rings[WORKERS];
    results_rx rx[WORKERS];
    (void)unused;
    for (int i = 0; i < WORKERS; i++)
        if (join(&rings[i], 1 + i) < 0 || results_rx_open(&rx[i], rings[i]) < 0)
            return complain("logger");
    int code = log.took && log.came ? log_all(&log, rx) : 1;
    for (int i = 0; i < WORKERS; i++)
        if (code == 0 && rbx_ring_close(rings[i]) < 0)
            code = complain("logger");
    free(log.took);
    free(log.came);
    return code;
}

/* --- All of them --- */

static pid_t begin(int (*role)(int number), int number)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        int code = role(number);
        fflush(stdout);
        _exit(code);
    }
    return pid;
}

/* Whoever fails takes the others along: nobody would wait for it. */
static int wait_for_all(const pid_t *pids)
{
    int failed = 0;
    for (int left = ROLES; left > 0;) {
        int status;
        pid_t ended = waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0)
            break;
        left--;
        if (status != 0 && !failed) {
            failed = 1;
            for (int i = 0; i < ROLES; i++)
                if (pids[i] != ended)
                    kill(pids[i], SIGTERM);
        }
    }
    return failed;
}

static int run(void)
{
    rbx_ring *rings[RINGS];
    for (int i = 0; i < RINGS; i++) /* so that none goes before the last has come */
        if (join(&rings[i], i) < 0)
            return complain("pipeline");
    pid_t pids[ROLES] = {begin(keep_log, 0), begin(work, 0), begin(work, 1), begin(feed, 0)};
    int code = wait_for_all(pids);
    for (int i = 0; i < RINGS; i++)
        if (rbx_ring_close(rings[i]) < 0)
            code = complain("pipeline");
    return code;
}

int main(int argc, char **argv)
{
    const struct sigaction on_interrupt = {.sa_handler = interrupt}; /* no SA_RESTART */
    sigaction(SIGINT, &on_interrupt, NULL);
    options.pid = (int)getpid();
    if (argc > 1)
        options.count = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        options.rate = strtoull(argv[2], NULL, 10);
    if (argc > 3 || options.count == 0 || options.rate == 0) {
        fprintf(stderr, "usage: pipeline [COUNT [RATE]]\n");
        return 2;
    }
    return run();
}
