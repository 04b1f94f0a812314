/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * histories [SECONDS]
 *
 * What a few threads are told by a ring of many, a few calls each, all at once, again and again: in
 * each round the calls, with the times when they began and returned, must be a history that a queue
 * can have. The checker is the explorer's (tests/explore/history.h); what is judged here is the
 * library as it is built and as it runs, of all kinds, on rings of 1, 2 and 4 slots.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "../explore/history.h"
#include "party.h"
#include "verdicts.h"

enum { ENDS_MAX = 2, THREADS_MAX = 2 * ENDS_MAX, WATCHDOG_S = 200 };
enum { ROUNDS = 48 }; /* in a burst: each has a ring of its own, and all are judged after it */

static const char *const ways[] = {"counted", "fenced", "free"};

static const struct {
    const char *name;
    rbx_ring_kind kind;
    unsigned flags;
    enum history_ring ring;
} kinds[] = {{"default", RBX_MPMC, 0, HISTORY_DEFAULT},
             {"strict", RBX_MPMC, RBX_STRICT, HISTORY_STRICT},
             {"locked", RBX_LOCKED, 0, HISTORY_LOCKED}};

static struct party parties[ROUNDS][THREADS_MAX];

static struct {
    unsigned kind, senders, receivers;
    size_t capacity;
} mode;
static atomic_uint bursts_begun, ready[ROUNDS], finished;
static atomic_bool is_over;

/* --- Rounds --- */

/* Who gives its core away at once is seldom there when the others begin. */
static void wait_until(const atomic_uint *word, unsigned value)
{
    enum { PATIENCE = 1000 };
    for (unsigned looks = 1; atomic_load_explicit(word, memory_order_acquire) != value; looks++)
        if (looks % PATIENCE == 0)
            sched_yield();
        else
            rbx_pause();
}

static void take_part(struct party *self, atomic_uint *gate)
{
    self->planned = 3 + draw_from(&self->random, 3);
    self->count = self->calls = 0;
    self->shuts_at = draw_from(&self->random, self->planned);
    if (atomic_fetch_add(gate, 1) + 1 == mode.senders + mode.receivers)
        rbx_pause(); /* the others need a moment to see that */
    wait_until(gate, mode.senders + mode.receivers);
    party_calls(self);
}

static void take_part_in_all(unsigned thread)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        take_part(&parties[i][thread], &ready[i]);
    atomic_fetch_add(&finished, 1);
}

static void *run_thread(void *thread)
{
    for (unsigned burst = 1;; burst++) {
        wait_until(&bursts_begun, burst);
        if (atomic_load(&is_over))
            return NULL;
        take_part_in_all((unsigned)(uintptr_t)thread);
    }
}

/* --- Judging --- */

static struct history_call calls[HISTORY_CALLS_MAX];
static size_t count;
static uint64_t histories, judged, met;

static void add(unsigned thread, enum history_kind kind, ptrdiff_t answer, uint64_t value)
{
    struct party scratch = {.number = thread};
    party_notes(&scratch, kind, answer, value);
    calls[count] = scratch.log[0];
    calls[count].called = calls[count].returned = HISTORY_NEVER / 2 + count; /* after all others */
    count++;
}

static void drain(struct party *receiver)
{
    ptrdiff_t err = 0;
    while (err == 0 && count < HISTORY_CALLS_MAX) {
        struct message message = {0, ~UINT64_C(0)};
        err = rbx_try_recv(&receiver->rx, &message);
        add(receiver->number, HISTORY_RECV, err, read_message(&message));
    }
}

static void tell_history(void)
{
    static const char *const nouns[] = {"send", "abort", "recv", "put back", "shutdown"};
    static const char *const answers[] = {"done", "refused", "ended"};
    uint64_t start = UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        start = calls[i].called < start ? calls[i].called : start;
    for (size_t i = 0; i < count; i++) {
        bool after = calls[i].called >= HISTORY_NEVER / 2;
        printf("  thread %u  %-9s %-8s %6llu", calls[i].thread, nouns[calls[i].kind],
               answers[calls[i].answer], (unsigned long long)calls[i].value);
        if (after)
            printf("  at the end\n");
        else
            printf("  %llu to %llu\n", (unsigned long long)(calls[i].called - start),
                   (unsigned long long)(calls[i].returned - start));
    }
}

static bool judge(const char *what, const struct party *party)
{
    const struct history history = {
        .calls = calls,
        .count = count,
        .capacity = mode.capacity,
        .ring = kinds[mode.kind].ring,
    };
    histories++;
    judged += count;
    if (atomic_load(&torn) == 0 && history_is_sound(&history))
        return true;
    printf("not ok: %s: a ring of kind %s, capacity %zu, %u x %u, %s\n",
           atomic_load(&torn) ? "a message is not whole" : what, kinds[mode.kind].name,
           mode.capacity, mode.senders, mode.receivers, ways[party->way]);
    tell_history();
    return false;
}

/* How often two calls met: else there is nothing to see. */
static void count_meetings(void)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            met += calls[i].thread != calls[k].thread && calls[i].called <= calls[k].returned &&
                   calls[k].called <= calls[i].returned;
}

/* All is as in a new ring: as many messages as it has room for come through in order. */
static bool is_as_new(struct party *round)
{
    struct party *sender = &round[0], *receiver = &round[mode.senders];
    count = 0;
    for (size_t i = 0; i <= mode.capacity; i++) {
        const struct message message = new_message(sender);
        add(sender->number, HISTORY_SEND, rbx_try_send(&sender->tx, &message), message.value);
    }
    drain(receiver);
    return judge("after a round the ring is not as it was", sender);
}

static void close_ring(struct party *round)
{
    rbx_ring *ring = round[0].ring;
    for (unsigned i = 0; i < mode.senders + mode.receivers; i++)
        if (round[i].sends)
            rbx_tx_close(&round[i].tx);
        else
            rbx_rx_close(&round[i].rx);
    rbx_ring_close(ring);
}

static void open_ring(struct party *round)
{
    const rbx_ring_options options = {.kind = kinds[mode.kind].kind,
                                      .flags = kinds[mode.kind].flags,
                                      .message_size = sizeof(struct message),
                                      .capacity = mode.capacity};
    rbx_ring *ring;
    int err = rbx_ring_open(&ring, NULL, &options);
    for (unsigned i = 0; i < mode.senders + mode.receivers && err == 0; i++) {
        round[i].ring = ring;
        err = round[i].sends ? rbx_tx_open(&round[i].tx, ring) : rbx_rx_open(&round[i].rx, ring);
    }
    if (err < 0) {
        fprintf(stderr, "histories: %s\n", rbx_last_error());
        exit(1);
    }
}

static bool judge_round(struct party *round)
{
    count = 0;
    for (unsigned i = 0; i < mode.senders + mode.receivers; i++) {
        memcpy(calls + count, round[i].log, round[i].count * sizeof *calls);
        count += round[i].count;
    }
    count_meetings();
    drain(&round[mode.senders]);
    if (!judge("no queue would have answered the calls like this", round))
        return false;
    if (!round[0].shuts)
        return is_as_new(round);
    close_ring(round);
    open_ring(round);
    return true;
}

static bool run_burst(unsigned burst)
{
    enum { SHUTS_EVERY = 8 };
    for (unsigned i = 0; i < ROUNDS; i++) {
        atomic_store(&ready[i], 0);
        for (unsigned k = 0; k < THREADS_MAX; k++) {
            parties[i][k].way = (burst + i) % WAYS;
            parties[i][k].shuts = i % SHUTS_EVERY == SHUTS_EVERY - 1;
        }
    }
    atomic_store(&finished, 0);
    atomic_store(&bursts_begun, burst);
    take_part_in_all(0);
    wait_until(&finished, mode.senders + mode.receivers);
    bool good = true;
    for (unsigned i = 0; i < ROUNDS && good; i++)
        good = judge_round(parties[i]);
    return good;
}

static void set_up(uint64_t seed)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < mode.senders + mode.receivers; k++)
            parties[i][k] = (struct party){
                .number = k + 1, .sends = k < mode.senders, .random = seed + i * 1009 + k * 77};
        open_ring(parties[i]);
    }
}

/* For so long: whether all was well. */
static bool run_mode(uint64_t ns)
{
    pthread_t threads[THREADS_MAX];
    unsigned burst = 0;
    uint64_t begun = now();
    bool good = true;
    atomic_store(&is_over, false);
    atomic_store(&bursts_begun, 0);
    set_up(begun);
    for (uintptr_t i = 1; i < mode.senders + mode.receivers; i++)
        if (pthread_create(&threads[i], NULL, run_thread, (void *)i) != 0)
            abort();
    while (good && (burst == 0 || now() - begun < ns))
        good = run_burst(++burst);
    atomic_store(&is_over, true);
    atomic_store(&bursts_begun, burst + 1);
    for (unsigned i = 1; i < mode.senders + mode.receivers; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < ROUNDS; i++)
        close_ring(parties[i]);
    return good;
}

int main(int argc, char **argv)
{
    static const unsigned ends[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}};
    static const size_t capacities[] = {1, 2, 4};
    enum { MODES = 3 * 4 * 3 };
    double seconds = argc > 1 ? atof(argv[1]) : 8;
    alarm(WATCHDOG_S + (unsigned)seconds);
    if (!verdicts_are_right())
        return 1;
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        histories = judged = met = 0;
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
                mode.kind = kind;
                mode.senders = ends[i][0];
                mode.receivers = ends[i][1];
                mode.capacity = capacities[c];
                if (!run_mode((uint64_t)(seconds * 1e9 / MODES)))
                    return 1;
            }
        printf("%s: %llu histories of %llu calls, of which %llu pairs met, are those of a queue\n",
               kinds[kind].name, (unsigned long long)histories, (unsigned long long)judged,
               (unsigned long long)met);
        fflush(stdout);
    }
    return 0;
}
