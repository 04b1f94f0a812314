/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * trips [MESSAGES]
 *
 * Several senders and receivers, threads or processes, on one ring of many: small rings, and call
 * kinds and ways to wait that change all the time. Each message has the number of its sender, its
 * own number, and a check sum over both that fills it. It is received whole and once; and each
 * receiver gets those of one sender in their order, but for what another had put back. At the end
 * the ring is shut down, which ends the receivers, and has its whole capacity.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "../support/chance.h"
#include "../support/sanitizers.h"

enum { MOST_ENDS = 4, MOST_MESSAGES = 1 << 18, BATCH = 20, WATCHDOG_S = 120 };

struct message {
    uint64_t number;
    uint32_t sender;
    uint32_t check;
    uint64_t fill[3];
};

/* Shared by all. */
static struct state {
    atomic_uint arrived, failures, senders_left;
    atomic_uint next_end; /* seats are taken in any order */
    _Atomic uint64_t received;
    char first_failure[512];
    atomic_uchar seen[MOST_ENDS][MOST_MESSAGES];
} * state;

static const struct {
    const char *noun;
    rbx_ring_kind kind;
    unsigned flags;
} kinds[] = {
    {"MPMC", RBX_MPMC, 0}, {"MPMC strict", RBX_MPMC, RBX_STRICT}, {"LOCKED", RBX_LOCKED, 0}};

static struct mode {
    unsigned kind, senders, receivers;
    size_t capacity;
    bool processes;
    bool puts_back; /* then there is no order */
    uint64_t messages;
} mode;
static rbx_ring *made;
static char name[64];

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
    if (atomic_fetch_add(&state->failures, 1) > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(state->first_failure, sizeof state->first_failure, format, arguments);
    va_end(arguments);
}

static bool is_well(void)
{
    return atomic_load_explicit(&state->failures, memory_order_relaxed) == 0;
}

/* --- Messages --- */

static struct message make(uint32_t sender, uint64_t number)
{
    struct message message = {.number = number, .sender = sender};
    for (uint64_t i = 0; i < 3; i++)
        message.fill[i] = mix(number * 4 + i + ((uint64_t)sender << 40));
    message.check = (uint32_t)mix(message.fill[0] ^ message.fill[1] ^ message.fill[2] ^ number);
    return message;
}

/* `last` is the last number of each sender that this receiver has got. */
static void check(const struct message *got, int64_t last[MOST_ENDS])
{
    if (got->sender >= mode.senders || got->number >= mode.messages) {
        fail("message %llu of sender %u: nobody sent that", (unsigned long long)got->number,
             got->sender);
        return;
    }
    const struct message wanted = make(got->sender, got->number);
    if (memcmp(got, &wanted, sizeof wanted) != 0)
        fail("message %llu of sender %u is not whole", (unsigned long long)got->number,
             got->sender);
    if (!mode.puts_back && (int64_t)got->number <= last[got->sender])
        fail("message %llu of sender %u came after %lld", (unsigned long long)got->number,
             got->sender, (long long)last[got->sender]);
    last[got->sender] = (int64_t)got->number;
    if (atomic_fetch_add_explicit(&state->seen[got->sender][got->number], 1,
                                  memory_order_relaxed) != 0)
        fail("message %llu of sender %u came twice", (unsigned long long)got->number, got->sender);
}

/* --- Sending and receiving, in all ways --- */

static rbx_wait_options some_way_to_wait(uint64_t *random)
{
    static const rbx_wait_options ways[] = {{.how = RBX_WAIT_SLEEP},
                                            {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN},
                                            {.how = RBX_WAIT_SLEEP, .spin_ns = 1000},
                                            {.how = RBX_WAIT_YIELD},
                                            {.how = RBX_WAIT_SPIN}};
    return ways[draw_from(random, sizeof ways / sizeof *ways)];
}

/* 1 or why not. */
static ptrdiff_t claim_and_send(rbx_tx *tx, const struct message *message, uint64_t *random)
{
    void *place;
    int err = draw_from(random, 2) ? rbx_claim(tx, &place) : rbx_try_claim(tx, &place);
    if (err < 0)
        return err;
    if (draw_from(random, 8) == 0) {
        memset(place, 0xee, sizeof *message);
        err = rbx_abort(tx);
        return err < 0 ? err : -EAGAIN;
    }
    memcpy(place, message, sizeof *message);
    if (draw_from(random, 16) == 0)
        sched_yield(); /* others may pass it over */
    while ((err = rbx_commit(tx)) == -EAGAIN && kinds[mode.kind].flags & RBX_STRICT && is_well())
        sched_yield();
    return err < 0 ? err : 1;
}

/* How many were sent, or why none: -EAGAIN and -ETIMEDOUT are fine. */
static ptrdiff_t send_somehow(rbx_tx *tx, const struct message *messages, size_t n,
                              uint64_t *random)
{
    int err;
    switch (draw_from(random, 6)) {
    case 0:
        return rbx_try_send_n(tx, messages, n);
    case 1:
        return rbx_send_n(tx, messages, n);
    case 2:
        return claim_and_send(tx, messages, random);
    case 3:
        err = rbx_try_send(tx, messages);
        return err < 0 ? err : 1;
    case 4:
        err = rbx_send_for(tx, messages, draw_from(random, 100000));
        return err < 0 ? err : 1;
    default:
        err = rbx_send(tx, messages);
        return err < 0 ? err : 1;
    }
}

static void send_all(rbx_ring *ring, uint32_t self)
{
    static rbx_tx ends[MOST_ENDS];
    rbx_tx *tx = &ends[self];
    struct message messages[BATCH];
    uint64_t sent = 0, random = self * 77 + mode.capacity;
    if (rbx_tx_open(tx, ring) < 0)
        fail("a sender could not be opened: %s", rbx_last_error());
    while (sent < mode.messages && is_well()) {
        size_t n = 1 + draw_from(&random, BATCH);
        n = n < mode.messages - sent ? n : (size_t)(mode.messages - sent);
        for (size_t i = 0; i < n; i++)
            messages[i] = make(self, sent + i);
        if (draw_from(&random, 64) == 0) {
            const rbx_wait_options wait = some_way_to_wait(&random);
            rbx_tx_wait_by(tx, &wait);
        }
        if (draw_from(&random, 512) == 0) {
            rbx_tx_close(tx);
            if (rbx_tx_open(tx, ring) < 0)
                fail("a sender could not be opened again: %s", rbx_last_error());
        }
        ptrdiff_t more = send_somehow(tx, messages, n, &random);
        if (more > 0)
            sent += (uint64_t)more;
        else if (more == -EAGAIN)
            sched_yield();
        else if (more != -ETIMEDOUT)
            fail("a send answered %td: %s", more, rbx_last_error());
    }
    rbx_tx_close(tx);
    if (atomic_fetch_sub(&state->senders_left, 1) == 1 && rbx_ring_shutdown(ring) < 0)
        fail("the ring could not be shut down: %s", rbx_last_error());
}

/* How many were received, into `got`, or why none. */
static ptrdiff_t recv_somehow(rbx_rx *rx, struct message *got, uint64_t *random)
{
    const void *shown;
    ptrdiff_t n;
    switch (draw_from(random, mode.puts_back ? 7 : 6)) {
    case 0:
        return rbx_try_recv_n(rx, got, BATCH);
    case 1:
        return rbx_recv_n(rx, got, 1 + draw_from(random, BATCH));
    case 2:
        n = draw_from(random, 2) ? rbx_peek_n(rx, &shown, BATCH)
                                 : rbx_try_peek_n(rx, &shown, BATCH);
        if (draw_from(random, 16) == 0)
            sched_yield();
        for (ptrdiff_t i = 0; i < n; i++)
            memcpy(got + i, (const char *)shown + (size_t)i * rbx_stride(rx), sizeof *got);
        if (n > 0 && rbx_release(rx) < 0)
            fail("a release failed: %s", rbx_last_error());
        return n;
    case 3:
        n = rbx_try_recv(rx, got);
        return n < 0 ? n : 1;
    case 4:
        n = rbx_recv_for(rx, got, draw_from(random, 100000));
        return n < 0 ? n : 1;
    case 6:
        n = rbx_peek_n(rx, &shown, BATCH);
        if (n > 0 && rbx_release_n(rx, 0) < 0)
            fail("a release failed: %s", rbx_last_error());
        return n < 0 ? n : 0;
    default:
        n = rbx_recv(rx, got);
        return n < 0 ? n : 1;
    }
}

static void receive_all(rbx_ring *ring, uint32_t self)
{
    static rbx_rx ends[MOST_ENDS];
    rbx_rx *rx = &ends[self];
    struct message got[BATCH];
    int64_t last[MOST_ENDS] = {-1, -1, -1, -1};
    uint64_t random = self * 99 + mode.capacity;
    int err = rbx_rx_open(rx, ring);
    while (err == 0 && is_well()) {
        if (draw_from(&random, 64) == 0) {
            const rbx_wait_options wait = some_way_to_wait(&random);
            rbx_rx_wait_by(rx, &wait);
        }
        ptrdiff_t n = recv_somehow(rx, got, &random);
        for (ptrdiff_t i = 0; i < n; i++)
            check(&got[i], last);
        if (n > 0)
            atomic_fetch_add(&state->received, (uint64_t)n);
        else if (n == -EAGAIN)
            sched_yield();
        else if (n == -EPIPE)
            break;
        else if (n != 0 && n != -ETIMEDOUT)
            fail("a receive answered %td: %s", n, rbx_last_error());
    }
    if (err < 0 && err != -EPIPE) /* all may be over before this one began */
        fail("a receiver could not be opened: %s", rbx_last_error());
    rbx_rx_close(rx);
    if (!is_well())
        rbx_ring_shutdown(ring); /* others may wait */
}

/* --- Modes --- */

static void take_part(rbx_ring *ring, unsigned number)
{
    atomic_fetch_add(&state->arrived, 1);
    while (atomic_load(&state->arrived) < mode.senders + mode.receivers && is_well())
        sched_yield();
    if (number < mode.senders)
        send_all(ring, number);
    else
        receive_all(ring, number - mode.senders);
}

static void *run_thread(void *number)
{
    take_part(made, (unsigned)(uintptr_t)number);
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[2 * MOST_ENDS];
    unsigned count = mode.senders + mode.receivers;
    for (uintptr_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, run_thread, (void *)i) != 0)
            abort();
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void run_processes(void)
{
    pid_t pids[2 * MOST_ENDS];
    unsigned count = mode.senders + mode.receivers;
    for (unsigned i = 0; i < count; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            abort();
        if (pids[i] > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        rbx_ring *ring;
        if (rbx_ring_open(&ring, name, NULL) < 0)
            fail("the ring could not be joined: %s", rbx_last_error());
        else
            take_part(ring, i);
        if (is_well() && rbx_ring_close(ring) < 0)
            fail("the ring could not be closed: %s", rbx_last_error());
        _exit(0);
    }
    for (unsigned i = 0; i < count; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
            fail("process %u ended with status %#x", i, (unsigned)status);
    }
}

static void check_end(void)
{
    uint64_t wanted = mode.messages * mode.senders;
    for (unsigned s = 0; s < mode.senders; s++)
        for (uint64_t n = 0; n < mode.messages; n++)
            if (state->seen[s][n] != 1)
                fail("message %llu of sender %u came %d times", (unsigned long long)n, s,
                     state->seen[s][n]);
    rbx_ring_info info;
    rbx_ring_describe(made, &info);
    if (state->received != wanted || info.sent != info.received || info.sent < wanted)
        fail("%llu were sent and %llu received; the ring says %llu and %llu",
             (unsigned long long)wanted, (unsigned long long)state->received,
             (unsigned long long)info.sent, (unsigned long long)info.received);
    if (info.tx.state != RBX_END_NONE || info.rx.state != RBX_END_NONE ||
        info.repaired.senders + info.repaired.receivers != 0)
        fail("somebody seems to be there still, or to have died");
}

/* A receiver of a ring that was shut down sees nothing; so that all places came back is seen
   while it lives. */
static bool run_mode(void)
{
    memset(state, 0, offsetof(struct state, seen));
    for (unsigned s = 0; s < mode.senders; s++)
        memset(state->seen[s], 0, mode.messages);
    state->senders_left = mode.senders;
    const rbx_ring_options options = {.kind = kinds[mode.kind].kind,
                                      .flags = kinds[mode.kind].flags,
                                      .message_size = sizeof(struct message),
                                      .capacity = mode.capacity};
    if (rbx_ring_open(&made, mode.processes ? name : NULL, &options) < 0) {
        fprintf(stderr, "trips: %s\n", rbx_last_error());
        return false;
    }
    alarm(WATCHDOG_S);
    if (mode.processes)
        run_processes();
    else
        run_threads();
    if (is_well())
        check_end();
    rbx_ring_info info;
    rbx_ring_describe(made, &info);
    rbx_ring_close(made);
    printf("%s, %u x %u %s, capacity %zu%s: %llu messages each, %llu sleeps\n",
           kinds[mode.kind].noun, mode.senders, mode.receivers,
           mode.processes ? "processes" : "threads", mode.capacity,
           mode.puts_back ? ", putting back" : "", (unsigned long long)mode.messages,
           (unsigned long long)(info.tx.sleeps + info.rx.sleeps));
    fflush(stdout);
    if (!is_well())
        fprintf(stderr, "%s, %u x %u %s, capacity %zu%s: %s\n", kinds[mode.kind].noun, mode.senders,
                mode.receivers, mode.processes ? "processes" : "threads", mode.capacity,
                mode.puts_back ? ", putting back" : "", state->first_failure);
    return is_well();
}

static void give_up(int number)
{
    char path[96] = "/dev/shm/ringbox.";
    static const char hangs[] = "trips: a mode did not come to its end\n";
    strcat(path, name);
    unlink(path);
    if (number == SIGALRM && write(STDERR_FILENO, hangs, sizeof hangs - 1) < 0)
        _exit(2);
    _exit(1);
}

int main(int argc, char **argv)
{
    static const unsigned ends[][2] = {{1, 1}, {2, 2}, {4, 4}, {4, 1}, {1, 4}};
    static const size_t capacities[] = {1, 2, 16};
    int messages = argc > 1 ? atoi(argv[1]) : 600;
    if (messages < 1 || messages > MOST_MESSAGES) {
        fprintf(stderr, "usage: trips [MESSAGES, up to %d]\n", MOST_MESSAGES);
        return 2;
    }
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED)
        return 1;
    snprintf(name, sizeof name, "t.%d.trips", (int)getpid());
    const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], give_up);
    if (THREADS_ONLY)
        printf("SKIP: no processes under the thread sanitizer\n");
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (int processes = 0; processes < (THREADS_ONLY ? 1 : 2); processes++)
            for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
                for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
                    mode = (struct mode){
                        .kind = kind,
                        .senders = ends[i][0],
                        .receivers = ends[i][1],
                        .capacity = capacities[c],
                        .processes = processes,
                        .puts_back = (i + c) % 2,
                        .messages = (uint64_t)messages / (THREADS_ONLY ? 10 : 1) / ends[i][0] + 1};
                    if (!run_mode())
                        return 1;
                }
    printf("all came, once each\n");
    return 0;
}
