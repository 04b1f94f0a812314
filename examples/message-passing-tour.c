/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message-passing-tour: what the ring of message-passing can do, in a few seconds.
 *
 *     message-passing-tour    full speed, latency, kill -9 of either side, beside a pipe
 *
 * It starts the program message-passing, which must be in the same directory, as sender and as
 * receiver, and looks on: the ring says who lives, and the receiver's tally, in a box, what came.
 *
 *     cc -O2 -o message-passing message-passing.c $(pkg-config --cflags --libs ringbox)
 *     cc -O2 -o message-passing-tour message-passing-tour.c $(pkg-config --cflags --libs ringbox)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr, pipe2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "tally.h"

/* message-passing's own ring: what is passed, and how, must be the same here. */
RBX_RING_TYPE(ticks, struct tick, SPSC)

enum { SENDER, RECEIVER, ROLES };
enum { CAPACITY = 4096, FAST_COUNT = 1000000, PACED_COUNT = 2500, PACED_RATE = 5000 };

struct tour {
    char program[PATH_MAX]; /* message-passing */
    char name[64];          /* of the ring */
    struct tally *tally;    /* in a box: the receiver writes it */
    rbx_ring *ring;         /* we join it too: so it outlives both */
    int pipe[2];
    int silence; /* /dev/null: where both say what they have to say */
    uint64_t count, rate, spin;
    pid_t own_pid;    /* both end when this has ended */
    pid_t pid[ROLES]; /* 0: has ended */
    bool failed;
};

/* One way to send, and what it took. */
struct way {
    const char *name;
    bool by_pipe;
    uint64_t spin;
    struct tally fast, paced;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int complain(void)
{
    fprintf(stderr, "message-passing-tour: %s\n", rbx_last_error());
    return 1;
}

/* --- The two processes --- */

/* Beside our own executable. */
static bool find_program(char *program, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", program, size);
    char *slash = length > 0 ? memrchr(program, '/', (size_t)length) : NULL;
    if (slash) {
        snprintf(slash + 1, size - (size_t)(slash + 1 - program), "message-passing");
        if (access(program, X_OK) == 0)
            return true;
    }
    fprintf(stderr, "message-passing-tour: it needs the program %s: %s\n",
            slash ? program : "message-passing", strerror(errno));
    return false;
}

static void become(const struct tour *tour, int role)
{
    char numbers[5][24];
    const uint64_t values[5] = {tour->count, tour->rate, tour->spin, CAPACITY,
                                (uint64_t)tour->own_pid};
    for (int i = 0; i < 5; i++)
        snprintf(numbers[i], sizeof numbers[i], "%" PRIu64, values[i]);
    bool by_pipe = !tour->ring;
    if (by_pipe && role == RECEIVER)
        dup2(tour->pipe[0], STDIN_FILENO);
    dup2(by_pipe && role == SENDER ? tour->pipe[1] : tour->silence, STDOUT_FILENO);
    execl(tour->program, "message-passing", role == SENDER ? "send" : "recv",
          by_pipe ? "-" : tour->name, "--count", numbers[0], "--rate", numbers[1], "--spin",
          numbers[2], "--capacity", numbers[3], "--tour", numbers[4], (char *)NULL);
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

/* --- A stream from one to the other --- */

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

static bool open_channel(struct tour *tour, bool by_pipe)
{
    const rbx_ring_options options = {.capacity = CAPACITY, .box = {.policy = RBX_LAST_ONE_OUT}};
    if (!by_pipe)
        return ticks_open(&tour->ring, tour->name, &options) >= 0 || complain() == 0;
    if (pipe2(tour->pipe, O_CLOEXEC) == 0)
        return true;
    perror("message-passing-tour: pipe");
    return false;
}

static bool begin(struct tour *tour, const struct way *way, uint64_t count, uint64_t rate)
{
    memset(tour->tally, 0, sizeof *tour->tally);
    tour->count = count;
    tour->rate = rate;
    tour->spin = way->spin;
    if (!open_channel(tour, way->by_pipe))
        return false;
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
    return err == 0 && tour->tally->next == tour->count && is_complete(tour->tally);
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
        tour->count = info.sent + more; /* the first one would have gone on for ever */
    start(tour, role);
    return end->state == RBX_END_DEAD;
}

/* --- The tour --- */

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
    printf("   %" PRIu64 " messages, none lost, none twice\n", tour->count);

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
    struct tour tour = {.own_pid = getpid(), .silence = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    if (!find_program(tour.program, sizeof tour.program))
        return 1;
    snprintf(tour.name, sizeof tour.name, "demo.%d", (int)tour.own_pid);
    rbx_box *box = open_tally((uint64_t)tour.own_pid);
    if (!box)
        return complain();
    tour.tally = rbx_box_as(box, struct tally);
    bool ok = show(&tour);
    if (!ok)
        fprintf(stderr, "message-passing-tour: %s; %" PRIu64 " lost, %" PRIu64 " twice\n",
                interrupted ? "interrupted" : "FAILED", tour.tally->lost, tour.tally->twice);
    kill_now(&tour, SENDER);
    kill_now(&tour, RECEIVER);
    ok = rbx_ring_close(tour.ring) == 0 && ok;
    return rbx_box_close(box) == 0 && ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct sigaction on_interrupt = {.sa_handler = interrupt}; /* no SA_RESTART */
    sigaction(SIGINT, &on_interrupt, NULL);
    sigaction(SIGTERM, &on_interrupt, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 1)
        return run_tour();
    fprintf(stderr, "usage: %s (no arguments; either side alone is message-passing)\n", argv[0]);
    return 2;
}
