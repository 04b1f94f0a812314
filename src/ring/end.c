/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "end.h"

#include <errno.h>
#include <string.h>

#include <ringbox/message.h>

#include "../error.h"
#include "../os/clock.h"
#include "../wait.h"
#include "kind.h"
#include "poll.h"
#include "seat.h"

static const char *noun(enum rbx_ring_end end)
{
    return end == RBX_TX ? "sender" : "receiver";
}

/* --- Sentences --- */

int rbx_ring_damaged(const rbx_ring *ring)
{
    return rbx_fail(-EPROTO, "the shared state of ring '%s' is damaged", rbx_ring_name(ring));
}

int rbx_ring_is_shut(const rbx_ring *ring)
{
    return rbx_fail(-EPIPE, "ring '%s' was shut down", rbx_ring_name(ring));
}

int rbx_ring_interrupted(const rbx_ring *ring)
{
    return rbx_fail(-EINTR, "a signal handler ran while ring '%s' was waited for",
                    rbx_ring_name(ring));
}

int rbx_ring_timed_out(const rbx_ring *ring, enum rbx_ring_end end)
{
    if (end == RBX_TX)
        return rbx_fail(-ETIMEDOUT, "ring '%s' was full for as long as this sender would wait",
                        rbx_ring_name(ring));
    return rbx_fail(-ETIMEDOUT, "nothing came through ring '%s' for as long as this receiver waits",
                    rbx_ring_name(ring));
}

int rbx_ring_forsaken(const rbx_ring *ring, enum rbx_ring_end end)
{
    return rbx_fail(-EOWNERDEAD, "ring '%s' is %s, and its %s has died", rbx_ring_name(ring),
                    end == RBX_TX ? "full" : "empty", noun(rbx_other_end(end)));
}

static int closed(enum rbx_ring_end end)
{
    return rbx_fail(-EINVAL, "this %s is closed", noun(end));
}

static int be_patient(rbx_patience *patience, const rbx_wait_options *options, const rbx_ring *ring)
{
    uint32_t polled = patience->polled;
    int err = rbx_patience_init(patience, options, ring->in_process, ring->shape.kind != RBX_SPSC);
    patience->polled = polled;
    return err;
}

/* --- Opening and closing --- */

/* Then it must stay as it is; what it holds cannot tell, since it need not be initialised. */
static bool is_open_already(const rbx_ring *ring, enum rbx_ring_end end, const void *endpoint)
{
    for (unsigned i = 0; i < ring->shape.seats[end]; i++)
        if (rbx_seat_is_ours(ring, end, i) &&
            atomic_load(&ring->chairs[end][i].endpoint) == endpoint)
            return true;
    return false;
}

static int begin_tx(rbx_tx *tx, rbx_ring *ring, unsigned seat)
{
    tx->ring = ring;
    tx->kind = (rbx_ring_kind)ring->shape.kind;
    tx->frame = ring->shape.frame;
    tx->seat = seat;
    tx->hold = RBX_HOLD_NONE;
    be_patient(&tx->patience, NULL, ring);
    return ring->kind->begin_tx(tx, ring, seat);
}

static int begin_rx(rbx_rx *rx, rbx_ring *ring, unsigned seat)
{
    rx->ring = ring;
    rx->kind = (rbx_ring_kind)ring->shape.kind;
    rx->frame = ring->shape.frame;
    rx->seat = seat;
    rx->hold = RBX_HOLD_NONE;
    be_patient(&rx->patience, NULL, ring);
    return ring->kind->begin_rx(rx, ring, seat);
}

/* In the first seat that there is. */
static int open_somewhere(void *endpoint, size_t size, rbx_ring *ring, enum rbx_ring_end end)
{
    bool uncleared = false;
    int err = -EBUSY;
    for (unsigned i = 0; i < ring->shape.seats[end] && (err == -EBUSY || err == -EAGAIN); i++) {
        err = rbx_seat_take(ring, end, i);
        if (err < 0)
            continue;
        if (ring->box)
            rbx_end_knock(ring);
        err = end == RBX_TX ? begin_tx(endpoint, ring, i) : begin_rx(endpoint, ring, i);
        if (err == 0) {
            rbx_seat_settle(ring, end, i, endpoint);
            return 0;
        }
        uncleared |= err == -EAGAIN;
        memset(endpoint, 0, size);
        rbx_seat_drop(ring, end, i);
    }
    return err == -EBUSY && uncleared ? -EAGAIN : err;
}

static int open_endpoint(void *endpoint, size_t size, rbx_ring *ring, enum rbx_ring_end end)
{
    if (is_open_already(ring, end, endpoint))
        return rbx_fail(-EBUSY, "this %s is open: close it first", noun(end));
    memset(endpoint, 0, size);
    /* -EAGAIN: a seat whose last holder has died is still being cleared, which takes a moment. */
    const uint64_t nap_ns = 1000000, patience_ns = 1000000000;
    uint64_t begun = rbx_clock_monotonic();
    int err = open_somewhere(endpoint, size, ring, end);
    while (err == -EAGAIN && rbx_clock_monotonic() - begun < patience_ns) {
        rbx_clock_pause(nap_ns);
        err = open_somewhere(endpoint, size, ring, end);
    }
    return err;
}

int rbx_tx_open(rbx_tx *tx, rbx_ring *ring)
{
    return open_endpoint(tx, sizeof *tx, ring, RBX_TX);
}

int rbx_rx_open(rbx_rx *rx, rbx_ring *ring)
{
    return open_endpoint(rx, sizeof *rx, ring, RBX_RX);
}

static int check_typed(const rbx_ring *ring, rbx_ring_kind kind, struct rbx_frame frame)
{
    const struct rbx_ring_shape *shape = &ring->shape;
    if (shape->kind == (uint32_t)kind && memcmp(&shape->frame, &frame, sizeof frame) == 0)
        return 0;
    return rbx_fail(
        -EPROTO,
        "ring '%s' is of kind %s with %u-byte messages, %u in a frame of %u bytes; this "
        "program was built for kind %s, %u bytes, %u in %u",
        rbx_ring_name(ring), ring->kind->name, shape->frame.message_size, shape->frame.per_frame,
        shape->frame.bytes, rbx_kind_of((uint32_t)kind)->name, frame.message_size, frame.per_frame,
        frame.bytes);
}

int rbx_tx_open_as(rbx_tx *tx, rbx_ring *ring, rbx_ring_kind kind, struct rbx_frame frame)
{
    int err = check_typed(ring, kind, frame);
    if (err == 0)
        return rbx_tx_open(tx, ring);
    memset(tx, 0, sizeof *tx);
    return err;
}

int rbx_rx_open_as(rbx_rx *rx, rbx_ring *ring, rbx_ring_kind kind, struct rbx_frame frame)
{
    int err = check_typed(ring, kind, frame);
    if (err == 0)
        return rbx_rx_open(rx, ring);
    memset(rx, 0, sizeof *rx);
    return err;
}

void rbx_tx_close(rbx_tx *tx)
{
    if (tx->hold == RBX_HOLD_CLOSED)
        return;
    rbx_poll_end(tx->poll);
    if (rbx_seat_is_ours(tx->ring, RBX_TX, tx->seat)) {
        tx->ring->kind->end_tx(tx);
        rbx_seat_leave(tx->ring, RBX_TX, tx->seat);
    }
    memset(tx, 0, sizeof *tx);
}

void rbx_rx_close(rbx_rx *rx)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return;
    rbx_poll_end(rx->poll);
    if (rbx_seat_is_ours(rx->ring, RBX_RX, rx->seat)) {
        rx->ring->kind->end_rx(rx);
        rbx_seat_leave(rx->ring, RBX_RX, rx->seat);
    }
    memset(rx, 0, sizeof *rx);
}

/* --- Misuse --- */

int rbx_tx_wait_by(rbx_tx *tx, const rbx_wait_options *options)
{
    if (tx->hold == RBX_HOLD_CLOSED)
        return closed(RBX_TX);
    return be_patient(&tx->patience, options, tx->ring);
}

int rbx_rx_wait_by(rbx_rx *rx, const rbx_wait_options *options)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return closed(RBX_RX);
    return be_patient(&rx->patience, options, rx->ring);
}

int rbx_tx_refuse(rbx_tx *tx)
{
    switch ((enum rbx_hold)tx->hold) {
    case RBX_HOLD_CLOSED:
        return closed(RBX_TX);
    case RBX_HOLD_PLACE:
        return rbx_fail(-EBUSY,
                        "this sender of ring '%s' has claimed a place: commit or abort first",
                        rbx_ring_name(tx->ring));
    default:
        tx->hold = RBX_HOLD_ENDED;
        if (tx->kind == RBX_SPSC)
            tx->spsc.limit = tx->spsc.at;
        return rbx_ring_is_shut(tx->ring);
    }
}

int rbx_rx_refuse(rbx_rx *rx)
{
    switch ((enum rbx_hold)rx->hold) {
    case RBX_HOLD_CLOSED:
        return closed(RBX_RX);
    case RBX_HOLD_PLACE:
        return rbx_fail(-EBUSY, "this receiver of ring '%s' has peeked: release first",
                        rbx_ring_name(rx->ring));
    default:
        rx->hold = RBX_HOLD_ENDED;
        return rbx_ring_is_shut(rx->ring);
    }
}

int rbx_tx_misuse(rbx_tx *tx)
{
    if (tx->hold == RBX_HOLD_CLOSED)
        return closed(RBX_TX);
    return rbx_fail(-EINVAL, "this sender of ring '%s' has claimed no place",
                    rbx_ring_name(tx->ring));
}

int rbx_rx_misuse(rbx_rx *rx)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return closed(RBX_RX);
    if (rx->hold != RBX_HOLD_PLACE)
        return rbx_fail(-EINVAL, "this receiver of ring '%s' has peeked at nothing",
                        rbx_ring_name(rx->ring));
    return rbx_fail(-EINVAL, "this receiver of ring '%s' was shown %u messages, no more",
                    rbx_ring_name(rx->ring), rx->shown);
}

/* --- Waiting and waking --- */

/* Threads are pinned when they begin, if at all: it is enough to look now and then, the first time
   included. A power of two. */
#define CORES_CHANGE_EVERY 16

void rbx_end_wake(struct rbx_end end, rbx_bell *bell)
{
    struct rbx_seat *seat = rbx_seat_of(end.ring, end.which, end.seat);
    if (!(rbx_load_relaxed(&bell->bits) & RBX_BELL_ASLEEP)) {
        rbx_full_fence(); /* B1, for an end that must fence by itself */
        if (!(rbx_load_relaxed(&bell->bits) & RBX_BELL_ASLEEP))
            return;
    }
    if (rbx_load_relaxed(&seat->wakes) % CORES_CHANGE_EVERY == 0)
        rbx_seat_note_core(end.ring, end.which, end.seat);
    if (rbx_bell_ring(bell, end.ring->in_process))
        rbx_seat_count(&seat->wakes, 1);
}

void rbx_end_knock(const rbx_ring *ring)
{
    rbx_bell *message, *room;
    ring->kind->bells(ring, &message, &room);
    rbx_bell_ring(message, ring->in_process);
    rbx_bell_ring(room, ring->in_process);
}

uint64_t rbx_end_missed(struct rbx_end end)
{
    rbx_atomic64 *missed = &rbx_seat_of(end.ring, end.which, end.seat)->missed;
    rbx_seat_count(missed, 1);
    return rbx_load_relaxed(missed);
}

/* It may have a successor by now. */
static int in_vain(struct rbx_end end, uint32_t *bereaved, uint32_t *mourned)
{
    uint32_t death = *bereaved;
    *bereaved = 0;
    if (end.ring->kind->forsaken(end.ring, end.which, *mourned) != death)
        return -EAGAIN;
    *mourned = death;
    return rbx_ring_forsaken(end.ring, end.which);
}

int rbx_tx_in_vain(rbx_tx *tx)
{
    const struct rbx_end end = {tx->ring, RBX_TX, tx->seat};
    return tx->bereaved == 0 ? -EAGAIN : in_vain(end, &tx->bereaved, &tx->mourned);
}

int rbx_rx_in_vain(rbx_rx *rx)
{
    const struct rbx_end end = {rx->ring, RBX_RX, rx->seat};
    return rx->bereaved == 0 ? -EAGAIN : in_vain(end, &rx->bereaved, &rx->mourned);
}

void rbx_end_woke(struct rbx_end end, rbx_patience *patience, uint32_t before, bool slice_is_over)
{
    uint32_t slept = patience->sleeps - before;
    if (slept != 0)
        rbx_seat_count(&rbx_seat_of(end.ring, end.which, end.seat)->sleeps, slept);
    if (slice_is_over || (slept != 0 && (before == 0 || before / CORES_CHANGE_EVERY !=
                                                            patience->sleeps / CORES_CHANGE_EVERY)))
        patience->same_core = rbx_seat_shares_core(end.ring, end.which, end.seat);
}

int rbx_end_wait(struct rbx_end end, rbx_bell *bell, const struct rbx_awaited *awaited,
                 uint64_t slice_ns, uint64_t timeout_ns, uint64_t *deadline, rbx_patience *patience)
{
    if (*deadline == 0)
        *deadline = timeout_ns == RBX_FOREVER ? RBX_FOREVER : rbx_wait_deadline(timeout_ns);
    uint32_t before = patience->sleeps;
    int err = rbx_wait_change(bell, awaited, slice_ns, *deadline, patience);
    rbx_end_woke(end, patience, before, err == -EAGAIN);
    return err;
}
