/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wakes [MESSAGES]
 *
 * A hunt for lost wake-ups (support/hunt.h) in the rings of many: several senders and receivers,
 * threads or processes, that never spin, share tiny rings, and so sleep on each bell together. Some
 * leave early, since their timeout is short or a signal comes. With membarrier; with it refused to
 * all, to some, or to some from half-way on. At the end the last sender shuts the ring down.
 *
 * A sleep is judged by the word that it watches: the linker wraps the call that waits. A receiver
 * waits for the message of a position, and a sender for the place of one to be given back. Who did
 * that notes it once it has rung the bell, which wakes all. So it does not matter who else takes
 * what was there.
 *
 * Places are claimed, and messages peeked at, so that the word that publishes them waits behind
 * stores to memory that is in no cache. (In strict rings and under a lock it is swapped, and does
 * not.) There are pauses between a sleeper's look and its announcement, and where hunt.h makes
 * them.
 *
 * Between processes the kernel's membarrier may leave out a thread (src/os/thread.h), and one to
 * which it is refused only now has announced its sleep without it; for both the library's first
 * sleep is short. There a short sleep that timed out is counted, not condemned.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <ringbox/ringbox.h>

#include "../support/hunt.h"
#include "mpmc/slot.h"
#include "os/mutex.h"

enum { SIZE = 24 };
enum refusal { TO_NOBODY, TO_ALL, TO_SOME, HALF_WAY, REFUSALS };

static const char *const refusal_noun[REFUSALS] = {
    "membarrier", "refused to all", "refused to one of each", "refused to one of each half-way"};
static const struct {
    const char *noun;
    rbx_ring_kind kind;
    unsigned flags;
} kinds[] = {
    {"MPMC", RBX_MPMC, 0}, {"MPMC strict", RBX_MPMC, RBX_STRICT}, {"LOCKED", RBX_LOCKED, 0}};
static struct mode {
    unsigned kind, senders, receivers;
    enum people people;
    enum refusal refusal;
    size_t capacity;
    uint64_t messages; /* of each sender */
} mode;

/* Shared by all. */
static struct state {
    atomic_uint senders_left;
    _Atomic uint64_t received, interrupted, timed_out, shut_at;
    struct hunt_notes sent, freed; /* by position */
} * state;

static rbx_ring *made;

/* --- Positions --- */

static bool is_locked(void)
{
    return kinds[mode.kind].kind == RBX_LOCKED;
}

/* How many were sent through a ring under a lock (end 0), or received: they come after its mutex.
 */
static uint64_t locked_count(const rbx_ring *ring, enum rbx_ring_end end)
{
    const rbx_atomic64 *counts =
        (const void *)(ring->memory + RBX_RING_SHARED_AT + sizeof(struct rbx_os_mutex));
    return rbx_load_relaxed(&counts[end]);
}

/* --- Sleeps --- */

/* What the library waits for. */
static _Thread_local struct {
    struct rbx_end end;
    struct rbx_watched first;
    bool known_shut, waits;
} vigil;

int __real_rbx_end_wait(struct rbx_end end, rbx_bell *bell, const struct rbx_awaited *awaited,
                        uint64_t slice_ns, uint64_t timeout_ns, uint64_t *deadline,
                        rbx_patience *patience);
int __wrap_rbx_end_wait(struct rbx_end end, rbx_bell *bell, const struct rbx_awaited *awaited,
                        uint64_t slice_ns, uint64_t timeout_ns, uint64_t *deadline,
                        rbx_patience *patience);
int __wrap_rbx_end_wait(struct rbx_end end, rbx_bell *bell, const struct rbx_awaited *awaited,
                        uint64_t slice_ns, uint64_t timeout_ns, uint64_t *deadline,
                        rbx_patience *patience)
{
    vigil.end = end;
    vigil.first = awaited->words[0];
    vigil.known_shut = awaited->known_shut;
    vigil.waits = true;
    if (hunt_draw(4))
        pass(hunt_draw(8000)); /* others take places meanwhile, and publish just then */
    int err = __real_rbx_end_wait(end, bell, awaited, slice_ns, timeout_ns, deadline, patience);
    vigil.waits = false;
    return err;
}

/* The position that the sleeper waits for, from the slot's word, if that names one. */
static bool awaited_position(uint64_t word, uint64_t *position)
{
    *position = word >> 8;
    /* A receiver whose place a message of the last lap has, which somebody has in hand. */
    if (vigil.end.which == RBX_RX && rbx_slot_state(word) == RBX_SLOT_FULL)
        *position += vigil.end.ring->shape.frames;
    return rbx_slot_state(word) <= RBX_SLOT_FULL;
}

void hunt_before_sleep(void)
{
}

void hunt_slept(const struct hunt_sleep *sleep)
{
    bool excused = sleep->is_short && (mode.refusal == HALF_WAY ||
                                       (mode.people == PROCESSES && mode.refusal == TO_NOBODY));
    uint64_t position = vigil.first.seen, shut_at = atomic_load(&state->shut_at);
    if (!vigil.waits)
        return;
    if (is_locked() || awaited_position(vigil.first.seen, &position)) {
        if (vigil.end.which == RBX_RX)
            hunt_judge(&state->sent, position, sleep, excused, "message");
        else
            hunt_judge(&state->freed, position, sleep, excused, "the place of message");
    }
    if (!vigil.known_shut && shut_at != 0 && shut_at < sleep->by)
        hunt_fail("LOST WAKE-UP: the ring was shut down %llu us before a sleep %s",
                  (unsigned long long)(sleep->by - shut_at) / 1000,
                  sleep->timed_out ? "timed out" : "began");
}

/* --- Sending and receiving --- */

/* Some wait for a moment only. */
static uint64_t some_timeout(void)
{
    return hunt_draw(8) == 0 ? hunt_draw(100000) : RBX_FOREVER;
}

/* Whether a call is to be made again. */
static bool gave_up(ptrdiff_t answer)
{
    if (answer == -EINTR)
        atomic_fetch_add_explicit(&state->interrupted, 1, memory_order_relaxed);
    if (answer == -ETIMEDOUT)
        atomic_fetch_add_explicit(&state->timed_out, 1, memory_order_relaxed);
    return answer == -EINTR || answer == -ETIMEDOUT;
}

/* About as long as others wait for one that is in the middle of a call before they sleep. */
static void hold(void)
{
    if (hunt_draw(4) == 0)
        pass(hunt_draw(20000));
    hunt_fill_store_buffer();
}

/* 0, the position in *at; or an error. */
static int send_one(rbx_tx *tx, const char *message, uint64_t *at)
{
    void *place;
    int err;
    if (!is_locked() && hunt_draw(4) == 0) {
        err = rbx_send_for(tx, message, some_timeout());
    } else if ((err = rbx_claim_for(tx, &place, some_timeout())) == 0) {
        memcpy(place, message, SIZE);
        *at = is_locked() ? locked_count(tx->ring, RBX_TX) : 0;
        hold();
        /* -EAGAIN: it was passed over, and the ring is full now. */
        while ((err = rbx_commit(tx)) == -EAGAIN && hunt_is_well())
            sched_yield();
    }
    if (!is_locked())
        *at = rbx_load_relaxed(tx->mpmc.intent) >> 8;
    return err;
}

static int receive_one(rbx_rx *rx, char *message, uint64_t *at)
{
    const void *shown;
    int err;
    if (!is_locked() && hunt_draw(4) == 0) {
        err = rbx_recv_for(rx, message, some_timeout());
    } else if ((err = rbx_peek_for(rx, &shown, some_timeout())) == 0) {
        memcpy(message, shown, SIZE);
        *at = is_locked() ? locked_count(rx->ring, RBX_RX) : 0;
        hold();
        err = rbx_release(rx);
    }
    if (!is_locked())
        *at = rbx_load_relaxed(rx->mpmc.intent) >> 8;
    return err;
}

/* --- The sides --- */

static const rbx_wait_options sleeps = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};

static bool is_one_of_each(unsigned side)
{
    return side == 0 || side == mode.senders;
}

/* Between two calls. */
static void idle(uint32_t pause)
{
    if (hunt_draw(16) == 0)
        hunt_disturb(mode.people, hunt_draw(mode.senders + mode.receivers));
    if (hunt_draw(8))
        pass(hunt_draw(pause));
}

static void send_all(rbx_tx *tx, unsigned side)
{
    const char message[SIZE] = "a message";
    uint32_t pause = 200U << hunt_draw(6);
    for (uint64_t i = 0; i < mode.messages && hunt_is_well(); i++) {
        uint64_t at = 0;
        int err;
        if (mode.refusal == HALF_WAY && is_one_of_each(side) && i == mode.messages / 2)
            hunt_refuse_membarrier();
        idle(pause);
        while (gave_up(err = send_one(tx, message, &at)) && hunt_is_well())
            ;
        if (err < 0)
            hunt_fail("a send answered %d: %s", err, rbx_last_error());
        else
            hunt_note(&state->sent, at);
    }
    if (atomic_fetch_sub(&state->senders_left, 1) == 1) {
        rbx_ring_shutdown(tx->ring);
        atomic_store(&state->shut_at, now());
    }
}

static void receive_all(rbx_rx *rx, unsigned side)
{
    uint32_t pause = 200U << hunt_draw(6);
    for (uint64_t i = 0; hunt_is_well(); i++) {
        char message[SIZE];
        uint64_t at = 0;
        int err;
        if (mode.refusal == HALF_WAY && is_one_of_each(side) && i == mode.messages / 2)
            hunt_refuse_membarrier();
        idle(pause);
        while (gave_up(err = receive_one(rx, message, &at)) && hunt_is_well())
            ;
        if (err == -EPIPE)
            break;
        if (err < 0) {
            hunt_fail("a receive answered %d: %s", err, rbx_last_error());
            break;
        }
        hunt_note(&state->freed, at);
        atomic_fetch_add_explicit(&state->received, 1, memory_order_relaxed);
    }
}

static void run_side(unsigned side)
{
    const rbx_ring_options joins = {.kind = kinds[mode.kind].kind, .box.how = RBX_OPEN_ONLY};
    const unsigned sides = mode.senders + mode.receivers;
    bool sends = side < mode.senders;
    rbx_ring *ring = made;
    rbx_tx tx = {0};
    rbx_rx rx = {0};
    int err = 0;
    if (mode.refusal == TO_ALL || (mode.refusal == TO_SOME && is_one_of_each(side)))
        hunt_refuse_membarrier();
    if (mode.people != THREADS)
        err = rbx_ring_open(&ring, hunt_ring_name[0], &joins);
    if (err == 0 && sends && (err = rbx_tx_open(&tx, ring)) == 0)
        err = rbx_tx_wait_by(&tx, &sleeps);
    if (err == 0 && !sends && (err = rbx_rx_open(&rx, ring)) == 0)
        err = rbx_rx_wait_by(&rx, &sleeps);
    if (err < 0)
        hunt_fail("a side could not begin: %s", rbx_last_error());
    hunt_arrive(sides);
    if (hunt_is_well() && !atomic_load(&hunt->refused)) {
        if (sends)
            send_all(&tx, side);
        else
            receive_all(&rx, side);
    }
    if (!hunt_is_well() && ring)
        rbx_ring_shutdown(ring); /* others may wait */
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    if (mode.people != THREADS)
        rbx_ring_close(ring);
}

/* --- Modes --- */

/* Whether no wake-up was lost. */
static bool run_mode(void)
{
    hunt_mode();
    state->senders_left = mode.senders;
    const rbx_ring_options options = {.kind = kinds[mode.kind].kind,
                                      .flags = kinds[mode.kind].flags,
                                      .message_size = SIZE,
                                      .capacity = mode.capacity,
                                      .box.policy = RBX_LAST_ONE_OUT};
    if (rbx_ring_open(&made, mode.people == THREADS ? NULL : hunt_ring_name[0], &options) < 0)
        hunt_fail("no ring: %s", rbx_last_error());
    else
        hunt_run(mode.people, mode.senders + mode.receivers, run_side);
    if (hunt_is_well() && !hunt->refused && state->received != mode.senders * mode.messages)
        hunt_fail("%llu messages were received", (unsigned long long)state->received);
    if (rbx_ring_close(made) < 0)
        hunt_fail("the ring could not be closed: %s", rbx_last_error());
    printf("%s%s, %u x %u %s, capacity %zu, %s: %llu messages each, %llu calls given up, %llu "
           "interrupted",
           hunt_skip(), kinds[mode.kind].noun, mode.senders, mode.receivers,
           people_noun[mode.people], mode.capacity, refusal_noun[mode.refusal],
           (unsigned long long)mode.messages, (unsigned long long)state->timed_out,
           (unsigned long long)state->interrupted);
    return hunt_verdict();
}

int main(int argc, char **argv)
{
    static const unsigned ends[][2] = {{3, 3}, {1, 4}, {3, 3}, {4, 1}};
    static const size_t capacities[] = {1, 2, 4};
    uint32_t messages = 1500;
    state = hunt_begin("mpmc/wakes", sizeof *state, argc, argv, &messages);
    uint64_t each = messages / (THREADS_ONLY ? 5 : 1) + 1;
    /* A missing fence shows best where nobody else rings. */
    for (unsigned people = 0; people < PROCESSES; people++) {
        mode = (struct mode){.people = (enum people)people,
                             .senders = 1,
                             .receivers = 1,
                             .capacity = 1,
                             .messages = 12 * each};
        if (!run_mode())
            return 1;
    }
    unsigned count = 0;
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (unsigned people = 0; people < PEOPLE_HERE; people++)
            for (unsigned refusal = 0; refusal < REFUSALS; refusal++, count++) {
                mode = (struct mode){.kind = kind,
                                     .people = (enum people)people,
                                     .refusal = (enum refusal)refusal,
                                     .senders = ends[count / 3 % 4][0],
                                     .receivers = ends[count / 3 % 4][1],
                                     .capacity = capacities[count % 3],
                                     .messages = each};
                if (!run_mode())
                    return 1;
            }
    return 0;
}
