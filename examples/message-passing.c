/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message-passing: two processes that do not know each other, and a ring between them.
 *
 *     message-passing send [NAME]    sends numbered ticks through the ring NAME ("ticks")
 *     message-passing recv [NAME]    receives and checks them, and says how fast they came
 *     message-passing                a tour: full speed, latency, kill -9 of either, beside a pipe
 *
 *     --count N       send: N ticks end the stream, whoever sent the first of them
 *     --rate R        send: R a second; else as fast as possible
 *     --spin NS       recv: keeps looking for so long before it sleeps
 *     --capacity N    what the ring must hold, at least
 *
 * Stop either side, by Ctrl-C or kill -9, start it again, and the stream goes on where it was.
 * For comparison, "-" is a pipe: message-passing send - --count 1000000 | message-passing recv -
 *
 *     cc -O2 -o message-passing message-passing.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

struct tick {
    uint64_t number;  /* 0, 1, 2 and so on */
    uint64_t sent_ns; /* CLOCK_MONOTONIC: the same for all processes of a machine */
    double price;
    uint64_t volume;
};

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

/* --- What a receiver counts --- */

/* Each power of two of nanoseconds in 32 steps: a latency is shown at most 3% too long. */
enum { STEP_BITS = 5, STEPS = 1 << STEP_BITS, BUCKETS = (65 - STEP_BITS) * STEPS };

struct tally {
    _Atomic uint64_t messages; /* the tour looks at it from its own process */
    uint64_t next;             /* the number that should come now */
    uint64_t lost, twice;
    uint64_t first_ns, last_ns; /* when the first and the last one came */
    uint64_t latency[BUCKETS];
};

static uint64_t messages(const struct tally *tally)
{
    return atomic_load_explicit(&tally->messages, memory_order_relaxed);
}

static size_t bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (size_t)ns;
    int shift = 63 - __builtin_clzll(ns) - STEP_BITS;
    return (size_t)shift * STEPS + (size_t)(ns >> shift);
}

static uint64_t longest_in(size_t bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    return ((bucket % STEPS + STEPS + 1) << (bucket / STEPS - 1)) - 1;
}

/* What `percent` of the messages did not exceed. */
static double percentile_us(const struct tally *tally, double percent)
{
    double wanted = (double)messages(tally) * percent / 100, seen = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < BUCKETS && seen < wanted; i++) {
        seen += (double)tally->latency[i];
        bucket = i;
    }
    return (double)longest_in(bucket) / 1000;
}

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

static double throughput(const struct tally *tally)
{
    uint64_t ns = tally->last_ns - tally->first_ns;
    return ns ? (double)messages(tally) * 1e9 / (double)ns : 0;
}

static void print_heading(void)
{
    printf("%19s%12s  us: 50%%      90%%      99%%    99.9%%      max\n", "", "messages/s");
}

static void print_figures(const char *what, double a_second, const struct tally *tally)
{
    printf("   %-16s%12.0f%9.1f%9.1f%9.1f%9.1f%9.1f\n", what, a_second, percentile_us(tally, 50),
           percentile_us(tally, 90), percentile_us(tally, 99), percentile_us(tally, 99.9),
           percentile_us(tally, 100));
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

static bool is_complete(const struct tally *tally)
{
    return tally->lost == 0 && tally->twice == 0;
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

/* The tour's tally outlives a receiver that is killed, and its successor goes on with it. */
static rbx_box *open_tally(uint64_t tour)
{
    const rbx_box_options options = {.size = sizeof(struct tally), .policy = RBX_LAST_ONE_OUT};
    char name[64];
    snprintf(name, sizeof name, "demo.%d.tally", (int)tour);
    rbx_box *box;
    return rbx_box_open(&box, name, &options) < 0 ? NULL : box;
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

/* --- The tour --- */

enum { SENDER, RECEIVER, ROLES };
enum { CAPACITY = 4096, FAST_COUNT = 1000000, PACED_COUNT = 2500, PACED_RATE = 5000 };

struct tour {
    char name[64];
    struct tally *tally; /* in a box: the receiver writes it */
    rbx_ring *ring;      /* we join it too: so it outlives both */
    int pipe[2];
    int silence;            /* /dev/null: where both say what they have to say */
    struct options options; /* for both */
    pid_t pid[ROLES];       /* 0: has ended */
    bool failed;
};

/* One way to send, and what it took. */
struct way {
    const char *name;
    bool by_pipe;
    uint64_t spin;
    struct tally fast, paced;
};

static void become(const struct tour *tour, int role)
{
    const struct options *o = &tour->options;
    char numbers[4][24];
    const uint64_t values[4] = {o->count, o->rate, o->spin, o->tour};
    for (int i = 0; i < 4; i++)
        snprintf(numbers[i], sizeof numbers[i], "%" PRIu64, values[i]);
    bool by_pipe = !tour->ring;
    if (by_pipe && role == RECEIVER)
        dup2(tour->pipe[0], STDIN_FILENO);
    dup2(by_pipe && role == SENDER ? tour->pipe[1] : tour->silence, STDOUT_FILENO);
    execl("/proc/self/exe", "message-passing", role == SENDER ? "send" : "recv",
          by_pipe ? "-" : tour->name, "--count", numbers[0], "--rate", numbers[1], "--spin",
          numbers[2], "--tour", numbers[3], (char *)NULL);
}

static void start(struct tour *tour, int role)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        become(tour, role);
        _exit(127);
    }
    if (pid < 0)
        perror("fork");
    tour->failed = tour->failed || pid < 0;
    tour->pid[role] = pid < 0 ? 0 : pid;
}

static void kill_now(struct tour *tour, int role)
{
    if (tour->pid[role] != 0) {
        kill(tour->pid[role], SIGKILL);
        while (waitpid(tour->pid[role], NULL, 0) < 0 && errno == EINTR)
            ;
        tour->pid[role] = 0;
    }
}

static bool is_running(struct tour *tour)
{
    for (int role = 0; role < ROLES; role++) {
        int status = 0;
        if (tour->pid[role] != 0 && waitpid(tour->pid[role], &status, WNOHANG) != 0) {
            tour->pid[role] = 0;
            tour->failed = tour->failed || status != 0;
        }
    }
    return tour->pid[SENDER] != 0 || tour->pid[RECEIVER] != 0;
}

/* Until that many messages have come, or both sides have ended; false when something went wrong. */
static bool watch(struct tour *tour, uint64_t goal)
{
    bool shows = isatty(STDOUT_FILENO);
    while (is_running(tour) && !tour->failed && !interrupted && messages(tour->tally) < goal) {
        if (shows)
            printf("   %" PRIu64 " messages\r", messages(tour->tally));
        fflush(stdout);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    if (shows)
        printf("\033[K");
    return !tour->failed && !interrupted;
}

static bool begin(struct tour *tour, const struct way *way, uint64_t count, uint64_t rate)
{
    memset(tour->tally, 0, sizeof *tour->tally);
    tour->options.count = count;
    tour->options.rate = rate;
    tour->options.spin = way->spin;
    if (way->by_pipe ? pipe2(tour->pipe, O_CLOEXEC) < 0
                     : open_ring(&tour->ring, tour->name, CAPACITY) < 0) {
        fprintf(stderr, "message-passing: %s\n", way->by_pipe ? "no pipe" : rbx_last_error());
        return false;
    }
    start(tour, RECEIVER);
    start(tour, SENDER);
    if (way->by_pipe) { /* ours: as long as they are open the pipe does not end */
        close(tour->pipe[0]);
        close(tour->pipe[1]);
    }
    return true;
}

/* The stream is over: has everything come, once? */
static bool end(struct tour *tour)
{
    if (!watch(tour, UINT64_MAX))
        return false;
    int err = rbx_ring_close(tour->ring);
    tour->ring = NULL;
    if (err < 0)
        complain();
    return err == 0 && tour->tally->next == tour->options.count && is_complete(tour->tally);
}

static bool stream(struct tour *tour, const struct way *way, uint64_t rate, struct tally *result)
{
    bool ok = begin(tour, way, rate ? PACED_COUNT : FAST_COUNT, rate) && end(tour);
    memcpy(result, tour->tally, sizeof *result);
    return ok;
}

/* Kills one side in the middle of the stream, and starts it again. */
static bool replace(struct tour *tour, int role)
{
    const uint64_t more = 500000;
    if (!watch(tour, messages(tour->tally) + more))
        return false;
    kill_now(tour, role);
    rbx_ring_info info;
    rbx_ring_describe(tour->ring, &info);
    const rbx_end_info *end = role == SENDER ? &info.tx : &info.rx;
    printf("   kill -9 %d, the %s: the ring says %s, sent %" PRIu64 ", received %" PRIu64 "\n",
           end->pid, role == SENDER ? "sender" : "receiver",
           end->state == RBX_END_DEAD ? "dead" : "ALIVE", info.sent, info.received);
    if (role == SENDER)
        tour->options.count = info.sent + more; /* the first one would have gone on for ever */
    start(tour, role);
    return end->state == RBX_END_DEAD;
}

static bool show(struct tour *tour)
{
    static struct way ways[] = {
        {.name = "ring"}, {.name = "ring, spinning", .spin = 1000000}, {.name = "pipe"}};
    struct way *ring = &ways[0], *pipe = &ways[2];
    pipe->by_pipe = true;
    printf("1. %d messages of %d bytes from process to process, as fast as they can\n", FAST_COUNT,
           (int)sizeof(struct tick));
    if (!stream(tour, ring, 0, &ring->fast))
        return false;
    printf("   %.0f messages/s, none lost, none twice\n", throughput(&ring->fast));

    printf("2. %d of them, %d a second: the receiver sleeps in between\n", PACED_COUNT, PACED_RATE);
    if (!stream(tour, ring, PACED_RATE, &ring->paced))
        return false;
    printf("   a message takes %.1f us (median), none lost, none twice\n",
           percentile_us(&ring->paced, 50));

    printf("3. No end of them, and kill -9: each time another process goes on\n");
    if (!begin(tour, ring, UINT64_MAX, 0) || !replace(tour, RECEIVER) || !replace(tour, SENDER) ||
        !end(tour))
        return false;
    printf("   %" PRIu64 " messages, none lost, none twice\n", tour->options.count);

    printf("4. 1 and 2 beside a receiver that does not sleep, and a pipe\n");
    for (struct way *way = &ways[1]; way <= pipe; way++)
        if (!stream(tour, way, 0, &way->fast) || !stream(tour, way, PACED_RATE, &way->paced))
            return false;
    print_heading();
    for (struct way *way = ring; way <= pipe; way++)
        print_figures(way->name, throughput(&way->fast), &way->paced);
    printf("   the ring carries %.1f times what the pipe does, in %.2f times its median latency\n",
           throughput(&ring->fast) / throughput(&pipe->fast),
           percentile_us(&ring->paced, 50) / percentile_us(&pipe->paced, 50));
    return true;
}

static int run_tour(void)
{
    struct tour tour = {.options.tour = (uint64_t)getpid(),
                        .silence = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    snprintf(tour.name, sizeof tour.name, "demo.%d", (int)getpid());
    rbx_box *box = open_tally(tour.options.tour);
    if (!box)
        return complain();
    tour.tally = rbx_box_as(box, struct tally);
    bool ok = show(&tour);
    if (!ok)
        fprintf(stderr, "message-passing: %s; %" PRIu64 " lost, %" PRIu64 " twice\n",
                interrupted ? "interrupted" : "FAILED", tour.tally->lost, tour.tally->twice);
    kill_now(&tour, SENDER);
    kill_now(&tour, RECEIVER);
    ok = rbx_ring_close(tour.ring) == 0 && ok;
    return rbx_box_close(box) == 0 && ok ? 0 : 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: message-passing [send [NAME] [--count N] [--rate R] [--capacity N] |\n"
                    "                        recv [NAME] [--spin NS] [--capacity N]]\n");
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
    if (argc == 1)
        return run_tour();
    struct options options = {.name = "ticks", .count = UINT64_MAX, .capacity = CAPACITY};
    if ((strcmp(argv[1], "send") != 0 && strcmp(argv[1], "recv") != 0) ||
        !read_options(&options, argv + 2))
        return usage();
    return play(argv[1], &options);
}
