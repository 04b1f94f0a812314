/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * any-wakes [MESSAGES]
 *
 * A hunt for lost wake-ups (support/hunt.h) in waits on many rings. One waiter never spins and
 * sleeps on four rings of three kinds at once: on three for messages, each from a sender of its
 * own, and on one for room, with a receiver that takes its time. Another waits on one of the rings
 * too, and so shares a bell with it. Threads or processes; with membarrier, and with it refused to
 * all or to the waiters only; and with a kernel that knows no sleep on many.
 *
 * A sleep is judged by all that it waits for. Senders make what they publish wait behind stores to
 * memory that is in no cache, so that a missing fence shows. Naps must be short: they end by
 * time-out, and look then. As in the other hunts a short sleep between processes is excused.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <ringbox/ringbox.h>

#include "../support/hunt.h"
#include "mpmc/slot.h"
#include "ring/arm.h"

enum { SIZE = 120, RINGS = HUNT_RINGS };
enum ring { ALONE, SHARED, LOCKED, ROOM }; /* ROOM: the waiter sends */
enum side { WAITER, OTHER, SENDERS, TAKER = SENDERS + 3, SIDES };
enum refusal { TO_NOBODY, TO_ALL, TO_WAITERS, NO_WAITV, REFUSALS };

static const char *const refusal_noun[REFUSALS] = {"membarrier", "refused to all",
                                                   "refused to the waiters", "no futex_waitv"};
static struct mode {
    enum people people;
    enum refusal refusal;
    bool naps;      /* a wait on many is: on one of them, for a moment */
    unsigned flags; /* of the ring that is shared */
    rbx_ring_kind room_kind;
    size_t capacity;
    uint64_t messages; /* through each ring */
} mode;

/* Shared by all. Things are numbered from 0 on, in each ring. */
static struct state {
    _Atomic uint64_t received[RINGS];
    struct hunt_notes sent[RINGS], taken;
} * state;

static bool has_waitv;
static rbx_ring *made[RINGS];

static rbx_ring_kind kind_of(int ring)
{
    static const rbx_ring_kind kinds[] = {
        [ALONE] = RBX_SPSC, [SHARED] = RBX_MPMC, [LOCKED] = RBX_LOCKED};
    return ring == ROOM ? mode.room_kind : kinds[ring];
}

/* One who waits on many. */
struct waiter {
    rbx_rx rx[RINGS];
    rbx_tx tx;
    bool waits_for[RINGS];
    uint64_t count[RINGS]; /* how many it has received; to ROOM, sent */
    uint64_t word;         /* what a slot of SHARED says that it watches */
};
static _Thread_local struct waiter *me;

/* --- Sleeps --- */

bool __real_rbx_arm_holds(struct rbx_armed *armed);
bool __wrap_rbx_arm_holds(struct rbx_armed *armed);
bool __wrap_rbx_arm_holds(struct rbx_armed *armed)
{
    if (me && armed->rx == &me->rx[SHARED])
        me->word = armed->outlook.words[0].seen;
    if (hunt_draw(16) == 0)
        pass(hunt_draw(4000));
    return __real_rbx_arm_holds(armed);
}

void __real_rbx_arm_announce(struct rbx_armed *armed);
void __wrap_rbx_arm_announce(struct rbx_armed *armed);
void __wrap_rbx_arm_announce(struct rbx_armed *armed)
{
    if (hunt_draw(8) == 0)
        pass(hunt_draw(4000)); /* others publish meanwhile, and see nobody asleep */
    __real_rbx_arm_announce(armed);
}

void hunt_before_sleep(void)
{
}

/* A message of SHARED is awaited by its position: the other may take what comes before it. */
static void judge_shared(const struct hunt_sleep *sleep, bool excused)
{
    uint64_t position = me->word >> 8;
    if (rbx_slot_state(me->word) == RBX_SLOT_FULL) /* of the last lap, and in somebody's hands */
        position += mode.capacity;
    if (rbx_slot_state(me->word) <= RBX_SLOT_FULL)
        hunt_judge(&state->sent[SHARED], position, sleep, excused, "message (shared)");
}

static bool is_for_many(void)
{
    unsigned count = 0;
    for (int i = 0; i < RINGS; i++)
        count += me->waits_for[i];
    return count > 1;
}

void hunt_slept(const struct hunt_sleep *sleep)
{
    bool excused = sleep->is_short && mode.people == PROCESSES && mode.refusal == TO_NOBODY;
    if (!me)
        return;
    if (mode.naps && is_for_many()) {
        if (!sleep->is_short)
            hunt_fail("a nap on one of many was to be longer than a millisecond");
        return;
    }
    for (int i = ALONE; i <= LOCKED; i++)
        if (me->waits_for[i] && i != SHARED)
            hunt_judge(&state->sent[i], me->count[i], sleep, excused, "message");
    if (me->waits_for[SHARED])
        judge_shared(sleep, excused);
    if (me->waits_for[ROOM] && me->count[ROOM] >= mode.capacity)
        hunt_judge(&state->taken, me->count[ROOM] - mode.capacity, sleep, excused,
                   "the place of message");
}

/* --- Waiting --- */

/* Takes what there is of ring i, or fills it. */
static void serve(struct waiter *waiter, int i)
{
    char message[SIZE] = "a message";
    for (;;) {
        int err =
            i == ROOM ? rbx_try_send(&waiter->tx, message) : rbx_try_recv(&waiter->rx[i], message);
        if (err == -EAGAIN)
            return;
        if (err == 0)
            waiter->count[i]++;
        if (err == 0 && i != ROOM)
            atomic_fetch_add_explicit(&state->received[i], 1, memory_order_relaxed);
        if (err < 0 && (err != -EPIPE || i == ROOM))
            hunt_fail("ring %d answered %d: %s", i, err, rbx_last_error());
        if (err < 0 || (i == ROOM && waiter->count[i] == mode.messages)) {
            waiter->waits_for[i] = false;
            return;
        }
    }
}

static void wait_for_all(struct waiter *waiter)
{
    for (;;) {
        rbx_any ends[RINGS] = {0};
        int ring[RINGS];
        size_t n = 0;
        for (int i = 0; i < RINGS; i++)
            if (waiter->waits_for[i]) {
                ring[n] = i;
                ends[n++] =
                    i == ROOM ? (rbx_any){.tx = &waiter->tx} : (rbx_any){.rx = &waiter->rx[i]};
            }
        if (n == 0 || !hunt_is_well())
            return;
        int ready = rbx_wait_any(ends, n, hunt_draw(8) == 0 ? hunt_draw(100000) : RBX_FOREVER);
        if (ready < 0 && ready != -ETIMEDOUT && ready != -EINTR)
            hunt_fail("a wait answered %d: %s", ready, rbx_last_error());
        for (size_t i = 0; i < n; i++)
            if (ends[i].ready)
                serve(waiter, ring[i]);
        if (hunt_draw(8))
            pass(hunt_draw(4000));
    }
}

/* Before anything comes, so that it must nap again and again until the end. */
static void wait_in_vain(struct waiter *waiter)
{
    rbx_any ends[] = {{.rx = &waiter->rx[ALONE]}, {.rx = &waiter->rx[LOCKED]}};
    me = waiter;
    int ready = rbx_wait_any(ends, 2, 50000000);
    me = NULL;
    if (ready != -ETIMEDOUT)
        hunt_fail("a wait for nothing answered %d: %s", ready, rbx_last_error());
}

/* --- The other sides --- */

static void idle(uint32_t pause)
{
    if (hunt_draw(16) == 0)
        hunt_disturb(mode.people, WAITER);
    if (hunt_draw(8))
        pass(hunt_draw(pause));
}

static void send_all(rbx_tx *tx, int ring)
{
    uint32_t pause = 400U << hunt_draw(7);
    for (uint64_t i = 0; i < mode.messages && hunt_is_well(); i++) {
        void *place;
        int err;
        idle(pause);
        while ((err = rbx_claim(tx, &place)) == -EINTR)
            ;
        if (err == 0) {
            memcpy(place, "a message", 10);
            hunt_fill_store_buffer();
            while ((err = rbx_commit(tx)) == -EAGAIN && hunt_is_well())
                ;
        }
        if (err < 0)
            hunt_fail("a send answered %d: %s", err, rbx_last_error());
        hunt_note(&state->sent[ring],
                  tx->kind == RBX_MPMC ? rbx_load_relaxed(tx->mpmc.intent) >> 8 : i);
    }
    rbx_ring_shutdown(tx->ring);
}

static void take_all(rbx_rx *rx)
{
    uint32_t pause = 400U << hunt_draw(7);
    for (uint64_t i = 0; i < mode.messages && hunt_is_well(); i++) {
        char message[SIZE];
        int err;
        idle(pause);
        while ((err = rbx_recv(rx, message)) == -EINTR)
            ;
        if (err < 0)
            hunt_fail("a receive answered %d: %s", err, rbx_last_error());
        hunt_note(&state->taken, i);
        atomic_fetch_add_explicit(&state->received[ROOM], 1, memory_order_relaxed);
    }
}

static const rbx_wait_options sleeps = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};

static int open_rx(rbx_rx *rx, rbx_ring *ring)
{
    int err = rbx_rx_open(rx, ring);
    return err < 0 ? err : rbx_rx_wait_by(rx, &sleeps);
}

static int open_tx(rbx_tx *tx, rbx_ring *ring)
{
    int err = rbx_tx_open(tx, ring);
    return err < 0 ? err : rbx_tx_wait_by(tx, &sleeps);
}

static int open_waiter(struct waiter *waiter, unsigned side, rbx_ring **own)
{
    int err = 0;
    for (int i = ALONE; i <= LOCKED && err == 0; i++)
        if ((waiter->waits_for[i] = side == WAITER || i == SHARED))
            err = open_rx(&waiter->rx[i], own[i]);
    waiter->waits_for[ROOM] = side == WAITER;
    return err == 0 && side == WAITER ? open_tx(&waiter->tx, own[ROOM]) : err;
}

static void run_side(unsigned side)
{
    struct waiter waiter = {0};
    rbx_ring *own[RINGS];
    rbx_tx tx = {0};
    rbx_rx rx = {0};
    int err = 0;
    memcpy(own, made, sizeof own);
    if (mode.refusal == TO_ALL || (mode.refusal == TO_WAITERS && side < SENDERS))
        hunt_refuse_membarrier();
    if (mode.refusal == NO_WAITV && has_waitv)
        hunt_refuse_waitv();
    for (int i = 0; i < RINGS && mode.people != THREADS && err == 0; i++) {
        const rbx_ring_options options = {.kind = kind_of(i), .box.how = RBX_OPEN_ONLY};
        err = rbx_ring_open(&own[i], hunt_ring_name[i], &options);
    }
    if (err == 0 && side < SENDERS)
        err = open_waiter(&waiter, side, own);
    else if (err == 0)
        err = side == TAKER ? open_rx(&rx, own[ROOM]) : open_tx(&tx, own[side - SENDERS]);
    if (err < 0)
        hunt_fail("a side could not begin: %s", rbx_last_error());
    if (side == WAITER && mode.refusal == NO_WAITV && err == 0 && !atomic_load(&hunt->refused))
        wait_in_vain(&waiter);
    hunt_arrive(SIDES);
    if (hunt_is_well() && !atomic_load(&hunt->refused)) {
        me = side < SENDERS ? &waiter : NULL;
        if (side < SENDERS)
            wait_for_all(&waiter);
        else if (side == TAKER)
            take_all(&rx);
        else
            send_all(&tx, (int)side - SENDERS);
        me = NULL;
    }
    for (int i = 0; i < RINGS && !hunt_is_well() && own[i]; i++)
        rbx_ring_shutdown(own[i]); /* others may wait */
    for (int i = 0; i < RINGS; i++)
        rbx_rx_close(&waiter.rx[i]);
    rbx_tx_close(&waiter.tx);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    for (int i = 0; i < RINGS && mode.people != THREADS; i++)
        rbx_ring_close(own[i]);
}

/* --- Modes --- */

/* Whether no wake-up was lost. */
static bool run_mode(void)
{
    hunt_mode();
    for (int i = 0; i < RINGS; i++) {
        const rbx_ring_options options = {.kind = kind_of(i),
                                          .flags = i == SHARED ? mode.flags : 0,
                                          .message_size = SIZE,
                                          .capacity = mode.capacity,
                                          .box.policy = RBX_LAST_ONE_OUT};
        if (rbx_ring_open(&made[i], mode.people == THREADS ? NULL : hunt_ring_name[i], &options) <
            0)
            hunt_fail("no ring: %s", rbx_last_error());
    }
    if (hunt_is_well())
        hunt_run(mode.people, SIDES, run_side);
    for (int i = 0; i < RINGS; i++) {
        if (hunt_is_well() && !hunt->refused && state->received[i] != mode.messages)
            hunt_fail("%llu messages came through ring %d", (unsigned long long)state->received[i],
                      i);
        if (rbx_ring_close(made[i]) < 0)
            hunt_fail("a ring could not be closed: %s", rbx_last_error());
    }
    printf("%s%s, %s, %s, capacity %zu: %llu messages each", hunt_skip(), people_noun[mode.people],
           refusal_noun[mode.refusal], mode.flags ? "strict" : "not strict", mode.capacity,
           (unsigned long long)mode.messages);
    return hunt_verdict();
}

int main(int argc, char **argv)
{
    uint32_t messages = 3000;
    state = hunt_begin("ring/any-wakes", sizeof *state, argc, argv, &messages);
    has_waitv = hunt_has_waitv();
    if (!has_waitv)
        printf("SKIP: no futex_waitv here: all sleeps on many are naps, which are judged by their "
               "length\n");
    unsigned count = 0;
    for (unsigned people = 0; people < PEOPLE_HERE; people++)
        for (unsigned refusal = 0; refusal < REFUSALS; refusal++, count++) {
            mode = (struct mode){.people = (enum people)people,
                                 .refusal = (enum refusal)refusal,
                                 .naps = refusal == NO_WAITV || !has_waitv,
                                 .flags = count % 2 ? RBX_STRICT : 0,
                                 .room_kind = count / 2 % 2 ? RBX_MPMC : RBX_LOCKED,
                                 .capacity = 1U << count % 3,
                                 .messages = messages / (THREADS_ONLY ? 5 : 1) + 1};
            if (!run_mode())
                return 1;
        }
    return 0;
}
