/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message-passing: two processes that do not know each other, and a ring between them.
 *
 *     message-passing send [NAME]    sends numbered ticks through the ring NAME ("ticks")
 *     message-passing recv [NAME]    receives and checks them, and says how fast they came
 *
 *     --count N       send: N ticks end the stream, whoever sent the first of them
 *     --rate R        send: R a second; else as fast as possible
 *     --spin NS       recv: keeps looking for so long before it sleeps
 *     --capacity N    what the ring must hold, at least
 *
 * Stop either side, by Ctrl-C or kill -9, start it again, and the stream goes on where it was.
 * For comparison, "-" is a pipe: message-passing send - --count 1000000 | message-passing recv -
 * message-passing-tour starts both, and shows all of that.
 *
 *     cc -O2 -o message-passing message-passing.c $(pkg-config --cflags --libs ringbox)
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
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "tally.h"

/* The calls for a ring of ticks: ticks_open, ticks_tx_open, ticks_send and so on. */
RBX_RING_TYPE(ticks, struct tick, SPSC)

struct options {
    const char *name;
    uint64_t count, rate, spin, capacity;
    uint64_t tour; /* the process that shows the tour, and made a box for our tally */
};

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_UP_NS (SECOND_NS / 10) /* so long may a waiter take to notice Ctrl-C */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int complain(void)
{
    fprintf(stderr, "message-passing: %s\n", rbx_last_error());
    return 1;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* --- What a receiver enters into its tally --- */

/* These have come: are they the next ones? */
static void enter(struct tally *tally, const struct tick *ticks, size_t count)
{
    tally->last_ns = now_ns();
    if (tally->first_ns == 0)
        tally->first_ns = tally->last_ns;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = ticks[i].number;
        if (number < tally->next) {
            tally->twice++;
        } else {
            tally->lost += number - tally->next;
            tally->next = number + 1;
        }
        tally->latency[bucket_of(tally->last_ns - ticks[i].sent_ns)]++;
    }
    atomic_store_explicit(&tally->messages, messages(tally) + count, memory_order_relaxed);
}

/* Once a second: what has come since the last time. */
static void print_second(const struct tally *tally, uint64_t now)
{
    static struct tally before, second;
    if (second.first_ns == 0)
        second.first_ns = now;
    if (now - second.first_ns < SECOND_NS)
        return;
    second.messages = messages(tally) - messages(&before);
    second.last_ns = now;
    for (size_t i = 0; i < BUCKETS; i++)
        second.latency[i] = tally->latency[i] - before.latency[i];
    if (second.messages)
        print_figures("", throughput(&second), &second);
    memcpy(&before, tally, sizeof before);
    second.first_ns = now;
}

static int print_summary(const struct tally *tally)
{
    if (messages(tally))
        print_figures("in all", throughput(tally), tally);
    printf("%" PRIu64 " messages, ", messages(tally));
    if (is_complete(tally))
        printf("none lost, none twice\n");
    else
        printf("%" PRIu64 " LOST, %" PRIu64 " TWICE\n", tally->lost, tally->twice);
    return is_complete(tally) ? 0 : 1;
}

/* --- The two roles --- */

/* Whoever comes first makes the ring, and whoever leaves last removes it: so it outlives either. */
static int open_ring(rbx_ring **ring, const char *name, uint64_t capacity)
{
    const rbx_ring_options options = {.capacity = (size_t)capacity,
                                      .box = {.policy = RBX_LAST_ONE_OUT}};
    return ticks_open(ring, name, &options);
}

/* Whether what a wait for `peer` said is no reason to give up. */
static bool can_wait(ptrdiff_t err, const char *peer)
{
    if (err == -EOWNERDEAD)
        printf("the %s has died; waiting for another\n", peer);
    return err == -EOWNERDEAD || err == -ETIMEDOUT || err == -EINTR;
}

static struct tick next_tick(uint64_t number, uint64_t rate, uint64_t *due_ns)
{
    if (rate && *due_ns > now_ns()) {
        const struct timespec due = {.tv_sec = (time_t)(*due_ns / SECOND_NS),
                                     .tv_nsec = (long)(*due_ns % SECOND_NS)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    *due_ns += rate ? SECOND_NS / rate : 0;
    const struct tick tick = {.number = number,
                              .sent_ns = now_ns(),
                              .price = 99.5 + (double)(number % 100) / 100,
                              .volume = number % 7 + 1};
    return tick;
}

/* A ring without a receiver would go with us, and the last messages with it. */
static void wait_until_received(const rbx_ring *ring)
{
    rbx_ring_info info;
    while (rbx_ring_describe(ring, &info) == 0 && info.received < info.sent && !interrupted)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int send_ticks(rbx_ring *ring, ticks_tx *tx, const struct options *options)
{
    rbx_ring_info info;
    rbx_ring_describe(ring, &info); /* `sent` is exact: nobody but us can send now */
    uint64_t number = info.sent, due_ns = now_ns();
    printf("sending to '%s', from number %" PRIu64 " on\n", options->name, number);
    while (number < options->count && !interrupted) {
        const struct tick tick = next_tick(number, options->rate, &due_ns);
        int err = ticks_send_for(tx, &tick, LOOK_UP_NS);
        if (err == 0)
            number++;
        else if (!can_wait(err, "receiver"))
            return complain();
    }
    if (number >= options->count) {
        if (rbx_ring_shutdown(ring) < 0)
            return complain();
        wait_until_received(ring);
    }
    printf("sent %" PRIu64 " messages; %s\n", number - info.sent,
           number < options->count ? "whoever sends next goes on" : "that is the end");
    return 0;
}

static int receive_ticks(rbx_ring *ring, ticks_rx *rx, struct tally *tally,
                         const struct options *options)
{
    rbx_ring_info info;
    rbx_ring_describe(ring, &info);
    if (messages(tally) && info.received > tally->next) /* released, and not entered */
        tally->lost += info.received - tally->next;
    tally->next = info.received;
    printf("receiving from '%s', from number %" PRIu64 " on\n", options->name, tally->next);
    print_heading();
    const rbx_wait_options wait = {.spin_ns = (uint32_t)options->spin};
    if (rbx_rx_wait_by(&rx->end, &wait) < 0)
        return complain();
    while (!interrupted) {
        /* Peek, use, release: if we are killed in between, the next receiver gets them. */
        const struct tick *ticks;
        ptrdiff_t count = ticks_peek_n_for(rx, &ticks, SIZE_MAX, LOOK_UP_NS);
        if (count > 0) {
            enter(tally, ticks, (size_t)count);
            ticks_release(rx);
        } else if (count == -EPIPE) {
            break; /* the stream has ended, and we have all of it */
        } else if (!can_wait(count, "sender")) {
            return complain();
        }
        print_second(tally, count > 0 ? tally->last_ns : now_ns());
    }
    return print_summary(tally);
}

static int send_by_ring(const struct options *options)
{
    rbx_ring *ring;
    ticks_tx tx;
    if (open_ring(&ring, options->name, options->capacity) < 0)
        return complain();
    int code = ticks_tx_open(&tx, ring) < 0 ? complain() : send_ticks(ring, &tx, options);
    ticks_tx_close(&tx);
    return rbx_ring_close(ring) < 0 ? complain() : code;
}

static int receive_by_ring(const struct options *options, struct tally *tally)
{
    rbx_ring *ring;
    ticks_rx rx;
    if (open_ring(&ring, options->name, options->capacity) < 0)
        return complain();
    int code = ticks_rx_open(&rx, ring) < 0 ? complain() : receive_ticks(ring, &rx, tally, options);
    ticks_rx_close(&rx);
    return rbx_ring_close(ring) < 0 ? complain() : code;
}

/* A pipe takes and gives ticks whole: its pages are a multiple of their size. */
static int send_by_pipe(const struct options *options)
{
    uint64_t due_ns = now_ns();
    for (uint64_t number = 0; number < options->count && !interrupted; number++) {
        const struct tick tick = next_tick(number, options->rate, &due_ns);
        if (write(STDOUT_FILENO, &tick, sizeof tick) < 0 && !interrupted) {
            perror("write");
            return 1;
        }
    }
    return 0;
}

static int receive_by_pipe(struct tally *tally)
{
    struct tick tick;
    print_heading();
    while (!interrupted && read(STDIN_FILENO, &tick, sizeof tick) == (ssize_t)sizeof tick) {
        enter(tally, &tick, 1);
        print_second(tally, tally->last_ns);
    }
    return print_summary(tally);
}

static int receive(const struct options *options, bool by_pipe)
{
    static struct tally own;
    rbx_box *box = options->tour ? open_tally(options->tour) : NULL;
    if (options->tour && !box)
        return complain();
    struct tally *tally = box ? rbx_box_as(box, struct tally) : &own;
    int code = by_pipe ? receive_by_pipe(tally) : receive_by_ring(options, tally);
    return rbx_box_close(box) < 0 ? complain() : code;
}

static int play(const char *role, const struct options *options)
{
    bool by_pipe = strcmp(options->name, "-") == 0;
    if (options->tour) { /* even when that is killed, we end, and clean up */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != (pid_t)options->tour)
            return 1;
    }
    if (strcmp(role, "recv") == 0)
        return receive(options, by_pipe);
    return by_pipe ? send_by_pipe(options) : send_by_ring(options);
}

/* --- The command line --- */

static int usage(void)
{
    fprintf(stderr, "usage: message-passing send [NAME] [--count N] [--rate R] [--capacity N]\n"
                    "       message-passing recv [NAME] [--spin NS] [--capacity N]\n");
    return 2;
}

static uint64_t *find_option(struct options *options, const char *name)
{
    return strcmp(name, "--count") == 0      ? &options->count
           : strcmp(name, "--rate") == 0     ? &options->rate
           : strcmp(name, "--spin") == 0     ? &options->spin
           : strcmp(name, "--capacity") == 0 ? &options->capacity
           : strcmp(name, "--tour") == 0     ? &options->tour
                                             : NULL;
}

static bool read_options(struct options *options, char **argument)
{
    if (*argument && strncmp(*argument, "--", 2) != 0)
        options->name = *argument++;
    for (; *argument; argument += 2) {
        uint64_t *value = find_option(options, argument[0]);
        char *rest = argument[1];
        if (value && rest)
            *value = strtoull(argument[1], &rest, 10);
        if (!value || !rest || *rest)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const struct sigaction on_interrupt = {.sa_handler = interrupt}; /* no SA_RESTART */
    sigaction(SIGINT, &on_interrupt, NULL);
    sigaction(SIGTERM, &on_interrupt, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct options options = {.name = "ticks", .count = UINT64_MAX, .capacity = 4096};
    if (argc == 1 || (strcmp(argv[1], "send") != 0 && strcmp(argv[1], "recv") != 0) ||
        !read_options(&options, argv + 2))
        return usage();
    return play(argv[1], &options);
}
