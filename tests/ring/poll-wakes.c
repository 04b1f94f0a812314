/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * poll-wakes [ROUNDS]
 *
 * A hunt for lost wake-ups of descriptors. Senders and receivers, threads or processes, never wait
 * but in poll, without a time-out, on tiny rings. In each round every sender sends a few messages,
 * more than there is room for, and nobody begins another one before all are received: so each
 * wake-up counts, and one that is lost is a hang, which the watchdog ends. There are pauses between
 * an end's last look and its alarm, and after it, and signals.
 *
 * (In a ring that is private to its threads there is no early look, which could hide one.)
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <ringbox/ringbox.h>

#include "../support/hunt.h"
#include "os/alarm.h"

static const struct {
    const char *noun;
    rbx_ring_kind kind;
    unsigned flags, senders, receivers;
} kinds[] = {{"SPSC", RBX_SPSC, 0, 1, 1},
             {"MPMC", RBX_MPMC, 0, 2, 2},
             {"MPMC strict", RBX_MPMC, RBX_STRICT, 2, 2},
             {"LOCKED", RBX_LOCKED, 0, 2, 2}};
enum { KINDS = sizeof kinds / sizeof *kinds, CAPACITY = 2, MOST = 5 };
static const char *const way_noun[] = {"", "io_uring", "a thread"};

/* Shared by all. */
static struct state {
    _Atomic uint64_t sent, received, polls;
    _Atomic uint32_t senders_left;
} * state;

static struct mode {
    unsigned kind;
    enum people people;
    rbx_poll_by by;
    uint32_t rounds;
} mode;
static rbx_ring *made;

/* --- The moments that matter --- */

static void pause_a_little(void)
{
    if (hunt_draw(2))
        pass(hunt_draw(100U << hunt_draw(8)));
}

int __real_rbx_alarm_set(struct rbx_alarm *alarm, const void *word, uint32_t seen, bool in_process,
                         uint64_t deadline_ns);
int __wrap_rbx_alarm_set(struct rbx_alarm *alarm, const void *word, uint32_t seen, bool in_process,
                         uint64_t deadline_ns);
int __wrap_rbx_alarm_set(struct rbx_alarm *alarm, const void *word, uint32_t seen, bool in_process,
                         uint64_t deadline_ns)
{
    pause_a_little();
    return __real_rbx_alarm_set(alarm, word, seen, in_process, deadline_ns);
}

void hunt_before_sleep(void)
{
}

void hunt_slept(const struct hunt_sleep *sleep)
{
    hunt_fail("a poll loop slept on a futex of its own, at %p", sleep->word);
}

static void wait_for(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    pause_a_little();
    atomic_fetch_add_explicit(&state->polls, 1, memory_order_relaxed);
    if (poll(&ready, 1, -1) < 0 && errno != EINTR)
        hunt_fail("poll: %s", strerror(errno));
}

/* Whether to try again. */
static bool armed_or_ready(int answer, int fd)
{
    if (answer < 0)
        hunt_fail("arming answered %d: %s", answer, rbx_last_error());
    if (answer == 0)
        wait_for(fd);
    return hunt_is_well();
}

/* --- The sides --- */

/* Without a pause at first: the moment just after is the one that matters. */
static void await_receipt(void)
{
    enum { LOOKS = 20000 };
    for (int looks = 0; atomic_load(&state->received) < atomic_load(&state->sent) && hunt_is_well();
         looks++)
        if (looks < LOOKS)
            rbx_pause();
        else
            sched_yield();
}

static void send_all(rbx_tx *tx)
{
    const uint64_t message = 1;
    int fd = rbx_tx_fd_by(tx, mode.by);
    for (uint32_t round = 0; round < mode.rounds && hunt_is_well(); round++) {
        if (hunt_draw(4) == 0)
            pause_a_little();
        else
            pass(hunt_draw(2000)); /* the others are about to arm */
        if (hunt_draw(16) == 0)
            hunt_disturb(mode.people,
                         hunt_draw(kinds[mode.kind].senders + kinds[mode.kind].receivers));
        for (uint32_t left = 1 + hunt_draw(MOST); left > 0 && hunt_is_well(); left--) {
            int err;
            atomic_fetch_add(&state->sent, 1);
            if (hunt_draw(2))
                hunt_fill_store_buffer();
            while ((err = rbx_try_send(tx, &message)) == -EAGAIN &&
                   armed_or_ready(rbx_tx_arm(tx), fd))
                ;
            if (err < 0 && hunt_is_well())
                hunt_fail("a send answered %d: %s", err, rbx_last_error());
        }
        await_receipt();
    }
    if (atomic_fetch_sub(&state->senders_left, 1) == 1)
        rbx_ring_shutdown(tx->ring);
}

static void receive_all(rbx_rx *rx)
{
    int fd = rbx_rx_fd_by(rx, mode.by), err = 0;
    uint64_t message;
    while (err != -EPIPE && hunt_is_well()) {
        while ((err = rbx_try_recv(rx, &message)) == 0)
            atomic_fetch_add(&state->received, 1);
        if (err == -EAGAIN)
            armed_or_ready(rbx_rx_arm(rx), fd);
        else if (err != -EPIPE)
            hunt_fail("a receive answered %d: %s", err, rbx_last_error());
    }
}

static void run_side(unsigned side)
{
    const rbx_ring_options joins = {.kind = kinds[mode.kind].kind, .box.how = RBX_OPEN_ONLY};
    bool sends = side < kinds[mode.kind].senders;
    rbx_ring *ring = made;
    rbx_tx tx = {0};
    rbx_rx rx = {0};
    int err = 0;
    if (mode.people != THREADS)
        err = rbx_ring_open(&ring, hunt_ring_name[0], &joins);
    if (err == 0)
        err = sends ? rbx_tx_open(&tx, ring) : rbx_rx_open(&rx, ring);
    if (err < 0)
        hunt_fail("a side could not begin: %s", rbx_last_error());
    hunt_arrive(kinds[mode.kind].senders + kinds[mode.kind].receivers);
    if (hunt_is_well() && sends)
        send_all(&tx);
    else if (hunt_is_well())
        receive_all(&rx);
    if (!hunt_is_well())
        rbx_ring_shutdown(ring); /* others may wait */
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    if (mode.people != THREADS)
        rbx_ring_close(ring);
}

/* --- Modes --- */

static bool run_mode(void)
{
    hunt_mode();
    state->senders_left = kinds[mode.kind].senders;
    const rbx_ring_options options = {.kind = kinds[mode.kind].kind,
                                      .flags = kinds[mode.kind].flags,
                                      .message_size = 8,
                                      .capacity = CAPACITY};
    if (rbx_ring_open(&made, mode.people == THREADS ? NULL : hunt_ring_name[0], &options) < 0)
        hunt_fail("no ring: %s", rbx_last_error());
    else
        hunt_run(mode.people, kinds[mode.kind].senders + kinds[mode.kind].receivers, run_side);
    rbx_ring_close(made);
    printf("%s, %s, by %s: %u rounds, %llu messages, %llu polls", kinds[mode.kind].noun,
           people_noun[mode.people], way_noun[mode.by], mode.rounds,
           (unsigned long long)state->received, (unsigned long long)state->polls);
    if (hunt_is_well() && state->received != state->sent)
        hunt_fail("%llu of %llu messages came", (unsigned long long)state->received,
                  (unsigned long long)state->sent);
    return hunt_verdict();
}

static bool has_uring(void)
{
    const rbx_ring_options options = {.message_size = 8, .capacity = CAPACITY};
    rbx_ring *ring;
    rbx_rx rx;
    if (rbx_ring_open(&ring, NULL, &options) < 0 || rbx_rx_open(&rx, ring) < 0)
        return false;
    bool has = rbx_rx_fd_by(&rx, RBX_POLL_BY_URING) >= 0;
    rbx_rx_close(&rx);
    rbx_ring_close(ring);
    return has;
}

int main(int argc, char **argv)
{
    uint32_t rounds = 1000;
    state = hunt_begin("ring/poll-wakes", sizeof *state, argc, argv, &rounds);
    bool uring = has_uring();
    if (!uring)
        printf("SKIP: io_uring cannot wait for futexes here: only by a thread\n");
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned people = 0; people < PEOPLE_HERE; people++)
            for (unsigned by = uring ? RBX_POLL_BY_URING : RBX_POLL_BY_THREAD;
                 by <= RBX_POLL_BY_THREAD; by++) {
                mode = (struct mode){.kind = kind,
                                     .people = (enum people)people,
                                     .by = (rbx_poll_by)by,
                                     .rounds = rounds / (THREADS_ONLY ? 10 : 1) + 1};
                if (!run_mode())
                    return 1;
            }
    return 0;
}
