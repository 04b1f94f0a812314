/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/message.h>

#include <errno.h>
#include <string.h>

#include "box/handle.h"
#include "error.h"
#include "os/mutex.h"
#include "ring/end.h"
#include "ring/handle.h"
#include "ring/kind.h"
#include "ring/mourning.h"
#include "ring/seat.h"
#include "wait.h"

/*
 * The conditions are bells rather than pthread's: those lose a wake-up, or wait for ever, when a
 * waiter dies. What waits for a bell waits for a count, so the lock is not needed to look.
 */
struct rbx_locked {
    struct rbx_os_mutex mutex;
    /* Written under the mutex, each by one store: relaxed, since the mutex orders them. */
    rbx_atomic64 sent;
    rbx_atomic64 received;
    rbx_atomic64 high_water;
    rbx_atomic64 closed;
    struct rbx_mourning mourning;
    rbx_bell message; /* receivers sleep on it */
    rbx_bell room;    /* senders sleep on it */
};

_Static_assert(RBX_RING_SHARED_AT + sizeof(struct rbx_locked) <= RBX_RING_SEATS_AT, "layout");

/* Who died with the lock had done nothing, or all but unlock. */
static int taken(const rbx_ring *ring, int err)
{
    return err == -EOWNERDEAD ? rbx_os_mutex_consistent(&ring->locked->mutex) : err;
}

static int lock(const rbx_ring *ring)
{
    int err = taken(ring, rbx_os_mutex_lock(&ring->locked->mutex));
    if (err == -EDEADLK)
        return rbx_fail(err,
                        "this thread has the lock of ring '%s': commit, abort or release first",
                        rbx_ring_name(ring));
    if (err < 0)
        return rbx_fail(err, "cannot lock ring '%s': %m", rbx_ring_name(ring));
    return 0;
}

static void unlock(const rbx_ring *ring)
{
    rbx_os_mutex_unlock(&ring->locked->mutex);
}

static char *place_of(const rbx_ring *ring, uint64_t count)
{
    return ring->first + count % ring->shape.frames * ring->shape.frame.bytes;
}

/* --- Opening and closing --- */

/* With the lock. */
static void bury_the_dead(rbx_ring *ring)
{
    for (enum rbx_ring_end end = RBX_TX; end < RBX_ENDS; end++)
        for (unsigned i = 0; i < ring->shape.seats[end]; i++) {
            uint32_t dead = rbx_seat_dead(ring, end, i);
            if (dead)
                rbx_mourning_bury(ring, &ring->locked->mourning, end, i, dead);
        }
}

static int begin(rbx_ring *ring, enum rbx_ring_end end, unsigned seat, bool ended)
{
    struct rbx_locked *locked = ring->locked;
    if (rbx_seat_is_open(ring, end, seat)) {
        int err = lock(ring);
        if (err < 0)
            return err;
        bury_the_dead(ring);
        unlock(ring);
    }
    if (ended)
        return rbx_ring_is_shut(ring);
    rbx_mourning_over(&locked->mourning, end);
    rbx_bell_join_as_publisher(end == RBX_TX ? &locked->message : &locked->room, true);
    rbx_bell_join_as_sleeper(end == RBX_TX ? &locked->room : &locked->message, true);
    return 0;
}

static int begin_tx(rbx_tx *tx, rbx_ring *ring, unsigned seat)
{
    (void)tx;
    return begin(ring, RBX_TX, seat, rbx_load_acquire(&ring->locked->closed));
}

static int begin_rx(rbx_rx *rx, rbx_ring *ring, unsigned seat)
{
    const struct rbx_locked *locked = ring->locked;
    (void)rx;
    return begin(ring, RBX_RX, seat,
                 rbx_load_acquire(&locked->closed) &&
                     rbx_load_acquire(&locked->sent) == rbx_load_acquire(&locked->received));
}

static void end_tx(rbx_tx *tx)
{
    if (tx->hold == RBX_HOLD_PLACE)
        unlock(tx->ring);
}

static void end_rx(rbx_rx *rx)
{
    if (rx->hold == RBX_HOLD_PLACE)
        unlock(rx->ring);
}

/* --- Sending --- */

/* With the lock: how many messages have room, or without it why there is none. */
static ptrdiff_t lock_to_send(rbx_tx *tx)
{
    if (tx->hold != RBX_HOLD_NONE)
        return rbx_tx_refuse(tx);
    const rbx_ring *ring = tx->ring;
    const struct rbx_locked *locked = ring->locked;
    int err = lock(ring);
    if (err < 0)
        return err;
    uint64_t frames = ring->shape.frames;
    uint64_t waiting = rbx_load_relaxed(&locked->sent) - rbx_load_relaxed(&locked->received);
    if (!rbx_load_relaxed(&locked->closed) && waiting < frames)
        return (ptrdiff_t)(frames - waiting);
    bool closed = rbx_load_relaxed(&locked->closed);
    unlock(ring);
    if (closed)
        return rbx_tx_refuse(tx);
    if (waiting > frames)
        return rbx_ring_damaged(ring);
    rbx_end_missed((struct rbx_end){tx->ring, RBX_TX, tx->seat});
    return rbx_tx_in_vain(tx);
}

/* `n` messages are where they belong. */
static void publish(rbx_tx *tx, uint64_t n)
{
    struct rbx_locked *locked = tx->ring->locked;
    uint64_t sent = rbx_load_relaxed(&locked->sent) + n;
    uint64_t waiting = sent - rbx_load_relaxed(&locked->received);
    rbx_store_release(&locked->sent, sent); /* for who looks without the lock */
    if (waiting > rbx_load_relaxed(&locked->high_water))
        rbx_store_relaxed(&locked->high_water, waiting);
    unlock(tx->ring);
    if (rbx_bell_after_publish(&locked->message))
        rbx_end_wake((struct rbx_end){tx->ring, RBX_TX, tx->seat}, &locked->message);
}

ptrdiff_t rbx_locked_try_send_n(rbx_tx *tx, const void *messages, size_t count, struct rbx_frame g)
{
    if (count == 0)
        return 0;
    ptrdiff_t room = lock_to_send(tx);
    if (room < 0)
        return room;
    size_t n = count < (size_t)room ? count : (size_t)room;
    uint64_t sent = rbx_load_relaxed(&tx->ring->locked->sent);
    for (size_t i = 0; i < n; i++)
        memcpy(place_of(tx->ring, sent + i), (const char *)messages + i * g.message_size,
               g.message_size);
    publish(tx, n);
    return (ptrdiff_t)n;
}

int rbx_locked_try_send(rbx_tx *tx, const void *message, struct rbx_frame g)
{
    ptrdiff_t sent = rbx_locked_try_send_n(tx, message, 1, g);
    return sent < 0 ? (int)sent : 0;
}

int rbx_locked_try_claim(rbx_tx *tx, void **place, struct rbx_frame g)
{
    (void)g;
    *place = NULL;
    ptrdiff_t room = lock_to_send(tx);
    if (room < 0)
        return (int)room;
    *place = place_of(tx->ring, rbx_load_relaxed(&tx->ring->locked->sent));
    tx->hold = RBX_HOLD_PLACE;
    return 0;
}

int rbx_locked_commit(rbx_tx *tx, struct rbx_frame g)
{
    (void)g;
    if (tx->hold != RBX_HOLD_PLACE)
        return rbx_tx_misuse(tx);
    tx->hold = RBX_HOLD_NONE;
    publish(tx, 1);
    return 0;
}

int rbx_locked_abort(rbx_tx *tx, struct rbx_frame g)
{
    (void)g;
    if (tx->hold != RBX_HOLD_PLACE)
        return rbx_tx_misuse(tx);
    tx->hold = RBX_HOLD_NONE;
    unlock(tx->ring);
    return 0;
}

/* --- Receiving --- */

static ptrdiff_t lock_to_receive(rbx_rx *rx)
{
    if (rx->hold != RBX_HOLD_NONE)
        return rbx_rx_refuse(rx);
    const rbx_ring *ring = rx->ring;
    const struct rbx_locked *locked = ring->locked;
    int err = lock(ring);
    if (err < 0)
        return err;
    uint64_t waiting = rbx_load_relaxed(&locked->sent) - rbx_load_relaxed(&locked->received);
    if (waiting > 0 && waiting <= ring->shape.frames)
        return (ptrdiff_t)waiting;
    bool closed = rbx_load_relaxed(&locked->closed);
    unlock(ring);
    if (waiting > 0)
        return rbx_ring_damaged(ring);
    rbx_end_missed((struct rbx_end){rx->ring, RBX_RX, rx->seat});
    return closed ? rbx_rx_refuse(rx) : rbx_rx_in_vain(rx);
}

static void take(rbx_rx *rx, uint64_t n)
{
    struct rbx_locked *locked = rx->ring->locked;
    rbx_store_release(&locked->received, rbx_load_relaxed(&locked->received) + n);
    unlock(rx->ring);
    if (n > 0 && rbx_bell_after_publish(&locked->room))
        rbx_end_wake((struct rbx_end){rx->ring, RBX_RX, rx->seat}, &locked->room);
}

ptrdiff_t rbx_locked_try_recv_n(rbx_rx *rx, void *messages, size_t most, struct rbx_frame g)
{
    if (most == 0)
        return 0;
    ptrdiff_t waiting = lock_to_receive(rx);
    if (waiting < 0)
        return waiting;
    size_t n = most < (size_t)waiting ? most : (size_t)waiting;
    uint64_t received = rbx_load_relaxed(&rx->ring->locked->received);
    for (size_t i = 0; i < n; i++)
        memcpy((char *)messages + i * g.message_size, place_of(rx->ring, received + i),
               g.message_size);
    take(rx, n);
    return (ptrdiff_t)n;
}

int rbx_locked_try_recv(rbx_rx *rx, void *message, struct rbx_frame g)
{
    ptrdiff_t received = rbx_locked_try_recv_n(rx, message, 1, g);
    return received < 0 ? (int)received : 0;
}

/* Shows what lies in a row. */
ptrdiff_t rbx_locked_try_peek_n(rbx_rx *rx, const void **messages, size_t most, struct rbx_frame g)
{
    (void)g;
    *messages = NULL;
    if (most == 0)
        return 0;
    ptrdiff_t waiting = lock_to_receive(rx);
    if (waiting < 0)
        return waiting;
    uint64_t received = rbx_load_relaxed(&rx->ring->locked->received);
    uint64_t row = rx->ring->shape.frames - received % rx->ring->shape.frames;
    uint64_t n = (uint64_t)waiting < row ? (uint64_t)waiting : row;
    n = most < n ? most : n;
    *messages = place_of(rx->ring, received);
    rx->hold = RBX_HOLD_PLACE;
    rx->shown = (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX);
    return (ptrdiff_t)rx->shown;
}

int rbx_locked_release_n(rbx_rx *rx, size_t count, struct rbx_frame g)
{
    (void)g;
    if (rx->hold != RBX_HOLD_PLACE || count > rx->shown)
        return rbx_rx_misuse(rx);
    rx->hold = RBX_HOLD_NONE;
    take(rx, count);
    return 0;
}

/* --- Waiting --- */

static uint32_t forsaken(rbx_ring *ring, enum rbx_ring_end end, uint32_t known)
{
    if (taken(ring, rbx_os_mutex_try(&ring->locked->mutex)) ==
        0) { /* else another time, as time passes */
        bury_the_dead(ring);
        unlock(ring);
    }
    return rbx_mourning_for(ring, &ring->locked->mourning, rbx_other_end(end), known);
}

/* While `word`, the count of the other end, is what makes it wait. */
static int wait_for(struct rbx_end end, rbx_bell *bell, const rbx_atomic64 *word, uint64_t seen,
                    uint64_t timeout_ns, uint64_t *deadline, rbx_patience *patience,
                    uint32_t *mourned)
{
    rbx_ring *ring = end.ring;
    for (;;) {
        if (rbx_load_acquire(word) != seen || rbx_load_acquire(&ring->locked->closed))
            return 0;
        const struct rbx_watched watched = {word, seen};
        const struct rbx_awaited awaited = {.words = &watched, .count = 1};
        int err = rbx_end_wait(end, bell, &awaited, RBX_SLICE_NS, timeout_ns, deadline, patience);
        /* A shutdown says so in `closed` first: to try again for a bell that lies would not end. */
        if (err == 0 && rbx_load_acquire(&bell->bits) & RBX_BELL_SHUT &&
            !rbx_load_acquire(&ring->locked->closed))
            return rbx_ring_damaged(ring);
        if (err == 0)
            return 0;
        uint32_t death = forsaken(ring, end.which, *mourned);
        if (rbx_load_acquire(word) != seen)
            return 0; /* it may have died just after */
        if (death != 0) {
            *mourned = death;
            return rbx_ring_forsaken(ring, end.which);
        }
        if (err == -EINTR)
            return rbx_ring_interrupted(ring);
        if (err == -ETIMEDOUT)
            return rbx_ring_timed_out(ring, end.which);
    }
}

int rbx_locked_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline)
{
    struct rbx_locked *locked = tx->ring->locked;
    uint64_t received = rbx_load_acquire(&locked->received);
    if (rbx_load_acquire(&locked->sent) - received < tx->ring->shape.frames)
        return 0;
    return wait_for((struct rbx_end){tx->ring, RBX_TX, tx->seat}, &locked->room, &locked->received,
                    received, timeout_ns, deadline, &tx->patience, &tx->mourned);
}

int rbx_locked_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline)
{
    struct rbx_locked *locked = rx->ring->locked;
    uint64_t sent = rbx_load_acquire(&locked->sent);
    if (sent != rbx_load_acquire(&locked->received))
        return 0;
    return wait_for((struct rbx_end){rx->ring, RBX_RX, rx->seat}, &locked->message, &locked->sent,
                    sent, timeout_ns, deadline, &rx->patience, &rx->mourned);
}

static bool may_send(rbx_tx *tx, struct rbx_outlook *outlook)
{
    struct rbx_locked *locked = tx->ring->locked;
    uint64_t received = rbx_load_acquire(&locked->received);
    if (rbx_load_acquire(&locked->sent) - received != tx->ring->shape.frames ||
        rbx_load_acquire(&locked->closed))
        return true;
    *outlook = (struct rbx_outlook){
        .bell = &locked->room, .words = {{&locked->received, received}}, .count = 1};
    return false;
}

static bool may_receive(rbx_rx *rx, struct rbx_outlook *outlook)
{
    struct rbx_locked *locked = rx->ring->locked;
    uint64_t sent = rbx_load_acquire(&locked->sent);
    if (sent != rbx_load_acquire(&locked->received) || rbx_load_acquire(&locked->closed))
        return true;
    *outlook = (struct rbx_outlook){
        .bell = &locked->message, .words = {{&locked->sent, sent}}, .count = 1};
    return false;
}

/* --- What all kinds of ring have --- */

static struct rbx_frame frame_for(size_t size, size_t alignment)
{
    return rbx_locked_frame_for(size, alignment);
}

static bool plan(struct rbx_ring_shape *shape)
{
    shape->frames = shape->capacity;
    return true;
}

static bool is_sound(const struct rbx_ring_shape *shape)
{
    const struct rbx_frame *f = &shape->frame;
    return f->per_frame == 1 && f->stride == f->bytes && f->offset == 0 &&
           shape->capacity == shape->frames;
}

static int format(void *memory, const struct rbx_ring_shape *shape)
{
    struct rbx_locked *locked = (void *)((char *)memory + RBX_RING_SHARED_AT);
    rbx_store_relaxed(&locked->sent, shape->first_frame);
    rbx_store_relaxed(&locked->received, shape->first_frame);
    return rbx_os_mutex_init(&locked->mutex, false);
}

static int shut_down(rbx_ring *ring)
{
    struct rbx_locked *locked = ring->locked;
    int err = lock(ring);
    if (err < 0)
        return err;
    bool before = rbx_load_relaxed(&locked->closed);
    rbx_store_release(&locked->closed, 1);
    unlock(ring);
    rbx_or_seq_cst(&locked->message.bits, RBX_BELL_SHUT);
    rbx_or_seq_cst(&locked->room.bits, RBX_BELL_SHUT);
    rbx_bell_ring(&locked->message, ring->in_process);
    rbx_bell_ring(&locked->room, ring->in_process);
    return before ? -EALREADY : 0;
}

static void bells(const rbx_ring *ring, rbx_bell **message, rbx_bell **room)
{
    *message = &ring->locked->message;
    *room = &ring->locked->room;
}

static void describe(const rbx_ring *ring, rbx_ring_info *info)
{
    const struct rbx_locked *locked = ring->locked;
    /* What was received first: so it is never more than what was sent. */
    info->received = rbx_load_acquire(&locked->received) - ring->shape.first_frame;
    info->sent = rbx_load_acquire(&locked->sent) - ring->shape.first_frame;
    info->high_water = rbx_load_relaxed(&locked->high_water);
    info->shut = rbx_load_relaxed(&locked->closed);
    info->repaired.senders = rbx_count_of(&locked->mourning.died[RBX_TX]);
    info->repaired.receivers = rbx_count_of(&locked->mourning.died[RBX_RX]);
}

static int repair(rbx_ring *ring, rbx_repaired *repaired)
{
    const struct rbx_mourning *mourning = &ring->locked->mourning;
    uint64_t senders = rbx_count_of(&mourning->died[RBX_TX]);
    uint64_t receivers = rbx_count_of(&mourning->died[RBX_RX]);
    int err = lock(ring);
    if (err < 0)
        return err;
    bury_the_dead(ring);
    unlock(ring);
    repaired->senders = rbx_count_of(&mourning->died[RBX_TX]) - senders;
    repaired->receivers = rbx_count_of(&mourning->died[RBX_RX]) - receivers;
    repaired->suspect = rbx_seat_suspects(ring);
    return 0;
}

const struct rbx_kind rbx_kind_locked = {.name = "LOCKED",
                                         .frame_for = frame_for,
                                         .plan = plan,
                                         .is_sound = is_sound,
                                         .format = format,
                                         .begin_tx = begin_tx,
                                         .begin_rx = begin_rx,
                                         .end_tx = end_tx,
                                         .end_rx = end_rx,
                                         .may_send = may_send,
                                         .may_receive = may_receive,
                                         .forsaken = forsaken,
                                         .bells = bells,
                                         .shutdown = shut_down,
                                         .describe = describe,
                                         .repair = repair};
