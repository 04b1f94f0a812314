/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker-pool: any number of processes submit jobs, any number do them, and one collects results.
 *
 *     worker-pool submit     sends jobs, and stays until they are done
 *     worker-pool work       does jobs, until the pool ends
 *     worker-pool collect    notes results; ends the pool when all are there, and adds up
 *
 *     --pool NAME      another pool than "pool"
 *     --count N        submit, collect: so many jobs (1000)
 *     --first N        submit: their numbers begin here (0); each submitter has its own numbers
 *     --die-after N    kills itself at its Nth job, at the worst moment
 *
 * The ledger is the collector's: exit code 0 says that each job was submitted, and done. Ctrl-C
 * makes any of them leave. Kill -9 whom you like, and start it again with the same arguments: no
 * job is lost, as long as anybody is left to keep the rings. But a job may be done twice:
 *
 *     submit     sends a job, then notes that                   killed in between: sent again
 *     work       does a job, sends the result, then releases    killed in between: done again
 *                the job
 *     collect    notes a result, then releases it               killed in between: noted again
 *
 * In this order the job or its result is whole in one of the rings until the next one has it, and
 * what a dead process had peeked at is given to another. No call takes from one ring and puts into
 * another in a single step; so it is in both for a moment, where the other order would have it in
 * neither. That moment is the worst one. The job's number tells: the first result counts.
 *
 * worker-pool-tour starts some of each, and kills.
 *
 *     cc -O2 -o worker-pool worker-pool.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "pool.h"

struct options {
    const char *pool;
    uint64_t first, count, die_after;
};

#define LOOK_UP_NS UINT64_C(100000000) /* so long may a waiter take to notice Ctrl-C */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int complain(void)
{
    fprintf(stderr, "worker-pool: %s\n", rbx_last_error());
    return 1;
}

/* Whether to go on after a call that answered this: for the dead, others come. */
static bool go_on(int err)
{
    return !interrupted && (err == 0 || err == -EOWNERDEAD || err == -ETIMEDOUT || err == -EINTR);
}

static void worst_moment(const struct options *options)
{
    static uint64_t moments;
    if (++moments == options->die_after)
        kill(getpid(), SIGKILL);
}

static bool is_shut(const rbx_ring *ring)
{
    rbx_ring_info info;
    return rbx_ring_describe(ring, &info) < 0 || info.shut;
}

/* --- submit --- */

/* All that a predecessor, who died, has not noted as sent. */
static int send_jobs(struct pool *pool, jobs_tx *tx, const struct options *options)
{
    uint64_t number = options->first;
    while (number < options->first + options->count) {
        if (atomic_load(&pool->ledger->submitted[number])) {
            number++;
            continue;
        }
        const struct job job = {.number = number, .odd = UINT64_C(1000000000001) + 2 * number};
        int err = jobs_send_for(tx, &job, LOOK_UP_NS);
        if (err == 0) {
            worst_moment(options);
            atomic_store(&pool->ledger->submitted[number++], 1);
        }
        if (!go_on(err))
            return interrupted ? 1 : complain();
    }
    return 0;
}

/* Were we the last one out, the rings would go with us, and the jobs in them. */
static int wait_until_done(struct pool *pool, const struct options *options)
{
    while (!interrupted && !is_shut(pool->jobs) &&
           add_up(pool->ledger, options->first, options->count).open)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return add_up(pool->ledger, options->first, options->count).open ? 1 : 0;
}

static int submit(struct pool *pool, const struct options *options)
{
    jobs_tx tx;
    if (jobs_tx_open(&tx, pool->jobs) < 0)
        return complain();
    int code = send_jobs(pool, &tx, options);
    jobs_tx_close(&tx);
    return code ? code : wait_until_done(pool, options);
}

/* --- work --- */

static uint64_t smallest_factor(uint64_t odd)
{
    for (uint64_t factor = 3; factor * factor <= odd; factor += 2)
        if (odd % factor == 0)
            return factor;
    return odd;
}

static int send_result(results_tx *tx, const struct result *result)
{
    int err;
    do
        err = results_send_for(tx, result, LOOK_UP_NS);
    while (err < 0 && go_on(err));
    return err;
}

/* Whatever makes us leave, a job that we have not released goes to another worker. */
static int do_jobs(jobs_rx *rx, results_tx *tx, const struct options *options)
{
    int err = 0;
    while (go_on(err)) {
        const struct job *job;
        err = jobs_peek_for(rx, &job, LOOK_UP_NS);
        if (err < 0)
            continue;
        const struct result result = {
            .number = job->number, .odd = job->odd, .factor = smallest_factor(job->odd)};
        err = send_result(tx, &result);
        if (err < 0)
            break;
        worst_moment(options);
        err = jobs_release(rx);
    }
    return interrupted || err == -EPIPE ? 0 : complain();
}

static int work(struct pool *pool, const struct options *options)
{
    jobs_rx rx = {0};
    results_tx tx = {0};
    int code = 0, err = jobs_rx_open(&rx, pool->jobs);
    if (err == 0)
        err = results_tx_open(&tx, pool->results);
    if (err == 0)
        code = do_jobs(&rx, &tx, options);
    else if (err != -EPIPE) /* we came too late: all is done */
        code = complain();
    results_tx_close(&tx);
    jobs_rx_close(&rx);
    return code;
}

/* --- collect --- */

/* The first result of a job counts; of others we only note that they came. */
static void note(struct ledger *ledger, const struct result *result)
{
    bool is_right =
        result->number < JOBS_MAX && result->factor != 0 && result->odd % result->factor == 0;
    if (is_right)
        atomic_fetch_add(&ledger->results[result->number], 1);
}

/* Also nothing in anybody's hands: alive or dead, that has not been received. */
static bool is_empty(const rbx_ring *ring)
{
    rbx_ring_info info;
    return rbx_ring_describe(ring, &info) == 0 && info.received == info.sent;
}

/* No job and no result is under way. In this order: a job is released when its result is sent. */
static bool is_over(const struct pool *pool, uint64_t count)
{
    return add_up(pool->ledger, 0, count).submitted == count && is_empty(pool->jobs) &&
           is_empty(pool->results);
}

/* 0 when all is over, and -EPIPE when a predecessor found that. */
static int receive_results(struct pool *pool, results_rx *rx, const struct options *options)
{
    int err = 0;
    while (go_on(err)) {
        const struct result *result;
        err = results_peek_for(rx, &result, LOOK_UP_NS);
        if (err == -ETIMEDOUT && is_over(pool, options->count))
            return 0;
        if (err < 0)
            continue;
        note(pool->ledger, result);
        worst_moment(options);
        err = results_release(rx);
    }
    return err;
}

/* A predecessor that died may have done that already: -EINVAL. */
static bool shut_down(rbx_ring *ring)
{
    int err = rbx_ring_shutdown(ring);
    return err == 0 || err == -EINVAL;
}

static int print_ledger(struct ledger *ledger, uint64_t count)
{
    struct totals totals = add_up(ledger, 0, count);
    printf("submitted %" PRIu64 ", done %" PRIu64 ", done twice %" PRIu64 ", %s %" PRIu64 "\n",
           totals.submitted, totals.done, totals.twice, interrupted ? "open" : "lost", totals.open);
    return totals.done == count ? 0 : 1;
}

static int collect(struct pool *pool, const struct options *options)
{
    results_rx rx;
    int err = results_rx_open(&rx, pool->results);
    if (err == 0)
        err = receive_results(pool, &rx, options);
    results_rx_close(&rx);
    if (!interrupted && err != 0 && err != -EPIPE)
        return complain();
    if (!interrupted && (!shut_down(pool->jobs) || !shut_down(pool->results)))
        return complain();
    return print_ledger(pool->ledger, options->count);
}

/* --- The command line --- */

static const struct role {
    const char *name;
    int (*play)(struct pool *pool, const struct options *options);
    const char *takes; /* besides --pool and --die-after */
} roles[] = {
    {"submit", submit, "--count --first"}, {"work", work, ""}, {"collect", collect, "--count"}};

static const char usage[] = "usage: worker-pool submit [--pool NAME] [--count N] [--first N]\n"
                            "       worker-pool work [--pool NAME]\n"
                            "       worker-pool collect [--pool NAME] [--count N]\n"
                            "all: [--die-after N] kills it at its Nth job, at the worst moment\n";

static int misuse(const char *what, const char *why)
{
    fprintf(stderr, "worker-pool: %s%s%s\n%s", what, *why ? " " : "", why, usage);
    return 2;
}

static bool read_number(uint64_t *number, const char *text)
{
    char *rest;
    errno = 0;
    *number = strtoull(text, &rest, 10);
    return text[0] >= '0' && text[0] <= '9' && *rest == '\0' && errno == 0 && *number <= JOBS_MAX;
}

/* 0, or the exit code. */
static int read_options(struct options *options, const struct role *role, char **argument)
{
    for (; *argument; argument += 2) {
        const char *name = argument[0], *value = argument[1];
        uint64_t *number = strcmp(name, "--count") == 0       ? &options->count
                           : strcmp(name, "--first") == 0     ? &options->first
                           : strcmp(name, "--die-after") == 0 ? &options->die_after
                                                              : NULL;
        bool is_pool = strcmp(name, "--pool") == 0;
        if (!is_pool && !number)
            return misuse(name, "is no option");
        if (number && number != &options->die_after && !strstr(role->takes, name))
            return misuse(name, "is for another role");
        if (!value)
            return misuse(name, "lacks its value");
        if (is_pool)
            options->pool = value;
        else if (!read_number(number, value))
            return misuse(value, "is no number up to 1000000");
    }
    return options->first + options->count <= JOBS_MAX
               ? 0
               : misuse("--first", "and --count make more than 1000000");
}

int main(int argc, char **argv)
{
    const struct sigaction on_interrupt = {.sa_handler = interrupt}; /* no SA_RESTART */
    sigaction(SIGINT, &on_interrupt, NULL);
    sigaction(SIGTERM, &on_interrupt, NULL);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(usage, stdout) < 0;
    if (argc == 1)
        return misuse("which role?", "");
    const struct role *role = NULL;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(argv[1], roles[i].name) == 0)
            role = &roles[i];
    if (!role)
        return misuse(argv[1], "is no role");
    struct options options = {.pool = "pool", .count = 1000};
    int code = read_options(&options, role, argv + 2);
    if (code != 0)
        return code;
    struct pool pool;
    if (open_pool(&pool, options.pool) < 0)
        return complain();
    code = role->play(&pool, &options);
    return close_pool(&pool) < 0 ? complain() : code;
}
