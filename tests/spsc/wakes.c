/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wakes [ROUNDS]
 *
 * A hunt for lost wake-ups (support/hunt.h). Two sides, threads or processes, that never spin, meet
 * and then publish and fall asleep at nearly the same moment: a ping-pong over two rings, and
 * streams through tiny rings where the sender sleeps for room and the receiver for messages. With
 * membarrier, and with it refused to either side or both.
 *
 * Before it publishes, a side stores to memory that is in no cache: the publication waits behind
 * these stores, while the look at the bell that comes next does not. So a missing fence shows.
 *
 * Between processes the kernel's membarrier may leave out a thread (src/os/thread.h); for that the
 * library's first sleep is short. There a short sleep that timed out is counted, not condemned.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <ringbox/ringbox.h>

#include "../support/hunt.h"

enum { RINGS = 2, SIDES = 2, MAX_SIZE = 248, NONE = -1 };

/* Shared by both. */
static struct state {
    struct {
        struct hunt_notes sent, freed;
    } ring[RINGS];
} * state;

static const char *const refusal_noun[] = {"membarrier", "refused to side 0", "refused to side 1",
                                           "refused to both"};
static struct mode {
    enum people people;
    unsigned refusal; /* a bit for each side */
    bool streams;
    size_t size, capacity;
    uint32_t rounds;
} mode;
static rbx_ring *made[RINGS];

/* One for each thread. */
struct end {
    rbx_tx tx;
    rbx_rx rx;
    int tx_ring, rx_ring;       /* or NONE */
    uint64_t sent_to, freed_to; /* what is noted */
};
static _Thread_local struct end *me;

/* --- Notes --- */

static void note_up_to(struct hunt_notes *notes, uint64_t *noted, uint64_t count)
{
    for (; *noted < count; ++*noted)
        hunt_note(notes, *noted);
}

static uint64_t sent_by(const rbx_tx *tx)
{
    return (tx->spsc.at >> 8) * tx->frame.per_frame + (tx->spsc.at & 255);
}

/* All that this side has published and rung for. */
static void note(void)
{
    if (me->tx_ring != NONE)
        note_up_to(&state->ring[me->tx_ring].sent, &me->sent_to, sent_by(&me->tx));
    if (me->rx_ring != NONE)
        note_up_to(&state->ring[me->rx_ring].freed, &me->freed_to,
                   rbx_load_acquire(&me->rx.spsc.shared->freed));
}

void hunt_before_sleep(void)
{
    if (me)
        note();
}

void hunt_slept(const struct hunt_sleep *sleep)
{
    bool excused = sleep->is_short && mode.people == PROCESSES && mode.refusal == 0;
    if (!me)
        return;
    if (me->rx_ring != NONE && sleep->word == (const void *)&me->rx.spsc.shared->message.bits) {
        uint64_t taken =
            rbx_load_relaxed(me->rx.spsc.position); /* frame and index, as in sent_by() */
        taken = (taken >> 8) * me->rx.frame.per_frame + (taken & 255);
        hunt_judge(&state->ring[me->rx_ring].sent, taken, sleep, excused, "message");
    }
    if (me->tx_ring != NONE && sleep->word == (const void *)&me->tx.spsc.shared->room.bits) {
        /* The next frame has the slot of the one that is `frames` before it: given back? */
        uint64_t slot = (me->tx.spsc.at >> 8) + 1 - me->tx.spsc.frames;
        hunt_judge(&state->ring[me->tx_ring].freed, slot, sleep, excused, "room for frame");
    }
}

/* --- The sides --- */

/* Both sides go on from here at nearly the same moment. */
static void meet(uint32_t round)
{
    atomic_fetch_add(&hunt->arrived, 1);
    for (int looks = 0; atomic_load(&hunt->arrived) < SIDES * (round + 2) && hunt_is_well();
         looks++)
        if (looks < 2000)
            rbx_pause();
        else
            sched_yield();
}

static void send_one(uint64_t number)
{
    uint64_t message[MAX_SIZE / 8] = {number};
    if (hunt_draw(4))
        hunt_fill_store_buffer();
    int err = rbx_send(&me->tx, message);
    if (err < 0)
        hunt_fail("a send answered %d", err);
    note();
}

static void receive_one(uint64_t number)
{
    uint64_t message[MAX_SIZE / 8] = {0};
    int err = rbx_recv(&me->rx, message);
    if (err < 0 || message[0] != number)
        hunt_fail("the receiver got %d, and message %llu for %llu", err,
                  (unsigned long long)message[0], (unsigned long long)number);
    note();
}

static void play(unsigned side)
{
    uint32_t pause = 200U << hunt_draw(5);
    for (uint32_t round = 0; round < mode.rounds && hunt_is_well(); round++) {
        if (mode.streams) {
            pass(hunt_draw(8) ? hunt_draw(pause) : 0);
            if (side == 0)
                send_one(round);
            else
                receive_one(round);
            continue;
        }
        meet(round);
        pass(hunt_draw(pause));
        if (side == (round & 1)) {
            send_one(round);
            if (hunt_draw(2))
                pass(hunt_draw(20000)); /* about as long as its peer takes to wake up and answer */
            receive_one(round);
        } else {
            receive_one(round);
            send_one(round);
        }
    }
}

static int open_ends(rbx_ring **rings)
{
    static const rbx_wait_options sleeps = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};
    int err = 0;
    if (me->tx_ring != NONE && (err = rbx_tx_open(&me->tx, rings[me->tx_ring])) == 0)
        err = rbx_tx_wait_by(&me->tx, &sleeps);
    if (err == 0 && me->rx_ring != NONE && (err = rbx_rx_open(&me->rx, rings[me->rx_ring])) == 0)
        err = rbx_rx_wait_by(&me->rx, &sleeps);
    return err;
}

static void run_side(unsigned side)
{
    struct end end = {.tx_ring = mode.streams ? (side == 0 ? 0 : NONE) : (int)side,
                      .rx_ring = mode.streams ? (side == 0 ? NONE : 0) : !side};
    rbx_ring *own[RINGS] = {made[0], made[1]};
    if (mode.refusal & (1U << side))
        hunt_refuse_membarrier();
    const rbx_ring_options joins = {.box.how = RBX_OPEN_ONLY};
    for (int i = 0; i < RINGS && mode.people != THREADS; i++)
        if (rbx_ring_open(&own[i], hunt_ring_name[i], &joins) < 0)
            hunt_fail("a ring could not be joined: %s", rbx_last_error());
    me = &end;
    if (hunt_is_well() && open_ends(own) < 0)
        hunt_fail("an end could not be opened: %s", rbx_last_error());
    hunt_arrive(SIDES); /* nobody waits for a side that could not begin */
    if (hunt_is_well() && !atomic_load(&hunt->refused))
        play(side);
    for (int i = 0; i < RINGS && !hunt_is_well(); i++)
        rbx_ring_shutdown(own[i]); /* the other side may wait */
    me = NULL;
    rbx_tx_close(&end.tx);
    rbx_rx_close(&end.rx);
    for (int i = 0; i < RINGS && mode.people != THREADS; i++)
        rbx_ring_close(own[i]);
}

/* --- Modes --- */

/* Whether no wake-up was lost. */
static bool run_mode(void)
{
    hunt_mode();
    const rbx_ring_options options = {
        .message_size = mode.size, .capacity = mode.capacity, .box.policy = RBX_LAST_ONE_OUT};
    for (int i = 0; i < RINGS; i++)
        if (rbx_ring_open(&made[i], mode.people == THREADS ? NULL : hunt_ring_name[i], &options) <
            0)
            hunt_fail("a ring could not be made: %s", rbx_last_error());
    if (hunt_is_well())
        hunt_run(mode.people, SIDES, run_side);
    for (int i = 0; i < RINGS; i++)
        if (rbx_ring_close(made[i]) < 0)
            hunt_fail("a ring could not be closed: %s", rbx_last_error());
    printf("%s%s, %s, %s of %zu bytes, capacity %zu: %u rounds", hunt_skip(),
           people_noun[mode.people], refusal_noun[mode.refusal],
           mode.streams ? "stream" : "ping-pong", mode.size, mode.capacity, mode.rounds);
    return hunt_verdict();
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {120, 8, 248};
    uint32_t rounds = 20000;
    state = hunt_begin("spsc/wakes", sizeof *state, argc, argv, &rounds);
    unsigned count = 0;
    for (unsigned people = 0; people < PEOPLE_HERE; people++)
        for (unsigned refusal = 0; refusal < 4; refusal++)
            for (unsigned streams = 0; streams < 2; streams++, count++) {
                mode = (struct mode){.people = (enum people)people,
                                     .refusal = refusal,
                                     .streams = streams,
                                     .size = sizes[count / 2 % 3],
                                     .capacity = 1 + count / 2 % 3,
                                     .rounds = rounds / (THREADS_ONLY ? 10 : 1) + 1};
                if (!run_mode())
                    return 1;
            }
    return 0;
}
