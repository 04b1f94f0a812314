/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/message.h>

#include <errno.h>

#include "error.h"
#include "ring/handle.h"
#include "ring/seat.h"
#include "wait.h"

static int damaged(const rbx_ring *ring)
{
    return rbx_fail(-EPROTO, "the shared state of ring '%s' is damaged", rbx_ring_name(ring));
}

static int shut(const rbx_ring *ring)
{
    return rbx_fail(-EPIPE, "ring '%s' was shut down", rbx_ring_name(ring));
}

static int interrupted(const rbx_ring *ring)
{
    return rbx_fail(-EINTR, "a signal handler ran while ring '%s' was waited for",
                    rbx_ring_name(ring));
}

static bool is_shut(const struct rbx_spsc *spsc)
{
    return rbx_load_acquire(&spsc->message.bits) & RBX_BELL_SHUT;
}

/* --- Opening and closing --- */

/* Frames that a sender in frame `number` may begin by what is given back now; UINT64_MAX when that
   is nonsense. A receiver can be ahead of it by the frame it waits for. */
static uint64_t credit_at(const rbx_ring *ring, uint64_t number)
{
    uint64_t frames = ring->shape.frames;
    uint64_t credit = rbx_load_acquire(&ring->spsc->freed) + frames - 1 - number; /* S2 */
    return credit <= frames ? credit : UINT64_MAX;
}

/* Goes on where the last sender stopped, dead or not. */
static int resume_sending(rbx_tx *tx, rbx_ring *ring)
{
    const struct rbx_frame frame = ring->shape.frame;
    uint64_t at = rbx_ring_sent(ring), number = at >> 8;
    if (number != rbx_load_relaxed(&ring->spsc->tx.at) >> 8 ||
        rbx_spsc_index(at) > frame.per_frame || credit_at(ring, number) == UINT64_MAX)
        return damaged(ring);
    *tx = (rbx_tx){
        .at = at,
        .limit = (number << 8) + frame.per_frame,
        .head = rbx_ring_frame(ring, number),
        .bell = &ring->spsc->message,
        .frame = frame,
        .hold = RBX_HOLD_NONE,
        .first = ring->first,
        .end = ring->end,
        .spsc = ring->spsc,
        .frames = ring->shape.frames,
        .ring = ring,
    };
    return 0;
}

static int resume_receiving(rbx_rx *rx, rbx_ring *ring)
{
    const struct rbx_frame frame = ring->shape.frame;
    uint64_t at = rbx_ring_received(ring);
    if (rbx_spsc_index(at) > frame.per_frame)
        return damaged(ring);
    if (rbx_spsc_index(at) == frame.per_frame)
        at = ((at >> 8) + 1) << 8;
    uint64_t owed = (at >> 8) - rbx_load_relaxed(&ring->spsc->freed);
    if (owed > ring->shape.frames || at >> 8 > (rbx_ring_sent(ring) >> 8) + 1)
        return damaged(ring);
    *rx = (rbx_rx){
        .dry_at = at,
        .now = {.at = at, .seen = at, .head = rbx_ring_frame(ring, at >> 8)},
        .position = &ring->spsc->rx.at,
        .owed = owed,
        .lazy = ring->shape.lazy,
        .frame = frame,
        .hold = RBX_HOLD_NONE,
        .first = ring->first,
        .end = ring->end,
        .spsc = ring->spsc,
        .frames = ring->shape.frames,
        .ring = ring,
    };
    return 0;
}

/* Then it must stay as it is; what it holds cannot tell, since it need not be initialised. */
static bool is_open_already(const rbx_ring *ring, enum rbx_ring_end end, const void *endpoint)
{
    return rbx_seat_is_ours(ring, end) && atomic_load(&ring->endpoint[end]) == endpoint;
}

int rbx_tx_open(rbx_tx *tx, rbx_ring *ring)
{
    if (is_open_already(ring, RBX_TX, tx))
        return rbx_seat_take(ring, RBX_TX); /* -EBUSY */
    memset(tx, 0, sizeof *tx);
    int err = rbx_seat_take(ring, RBX_TX);
    if (err < 0)
        return err;
    err = is_shut(ring->spsc) ? shut(ring) : resume_sending(tx, ring);
    if (err < 0) {
        rbx_seat_drop(ring, RBX_TX);
        return err;
    }
    rbx_seat_settle(ring, RBX_TX);
    atomic_store(&ring->endpoint[RBX_TX], tx);
    rbx_patience_init(&tx->patience, NULL, ring->in_process);
    rbx_bell_join_as_publisher(&ring->spsc->message);
    rbx_bell_join_as_sleeper(&ring->spsc->room);
    return 0;
}

int rbx_rx_open(rbx_rx *rx, rbx_ring *ring)
{
    if (is_open_already(ring, RBX_RX, rx))
        return rbx_seat_take(ring, RBX_RX); /* -EBUSY */
    memset(rx, 0, sizeof *rx);
    int err = rbx_seat_take(ring, RBX_RX);
    if (err < 0)
        return err;
    err = rbx_load_acquire(&ring->spsc->message.bits) & RBX_BELL_ENDED ? shut(ring)
                                                                       : resume_receiving(rx, ring);
    if (err < 0) {
        rbx_seat_drop(ring, RBX_RX);
        return err;
    }
    rbx_seat_settle(ring, RBX_RX);
    atomic_store(&ring->endpoint[RBX_RX], rx);
    rbx_patience_init(&rx->patience, NULL, ring->in_process);
    rbx_bell_join_as_publisher(&ring->spsc->room);
    rbx_bell_join_as_sleeper(&ring->spsc->message);
    if (rx->owed > 0)
        rbx_spsc_give_back(rx); /* I3: the frame that the last one had used up counts now */
    return 0;
}

static int check_typed(const rbx_ring *ring, rbx_ring_kind kind, struct rbx_frame frame)
{
    const struct rbx_ring_shape *shape = &ring->shape;
    if (shape->kind == (uint32_t)kind && memcmp(&shape->frame, &frame, sizeof frame) == 0)
        return 0;
    return rbx_fail(
        -EPROTO,
        "ring '%s' is of kind %u with %u-byte messages, %u in a frame of %u bytes; this "
        "program was built for kind %d, %u bytes, %u in %u",
        rbx_ring_name(ring), shape->kind, shape->frame.message_size, shape->frame.per_frame,
        shape->frame.bytes, (int)kind, frame.message_size, frame.per_frame, frame.bytes);
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
    if (rbx_seat_is_ours(tx->ring, RBX_TX))
        rbx_seat_leave(tx->ring, RBX_TX);
    memset(tx, 0, sizeof *tx);
}

void rbx_rx_close(rbx_rx *rx)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return;
    if (rbx_seat_is_ours(rx->ring, RBX_RX)) {
        rbx_spsc_give_back(rx);
        rbx_seat_leave(rx->ring, RBX_RX);
    }
    memset(rx, 0, sizeof *rx);
}

/* --- Misuse --- */

static int closed(const char *noun)
{
    return rbx_fail(-EINVAL, "this %s is closed", noun);
}

int rbx_tx_wait_by(rbx_tx *tx, const rbx_wait_options *options)
{
    if (tx->hold == RBX_HOLD_CLOSED)
        return closed("sender");
    return rbx_patience_init(&tx->patience, options, tx->ring->in_process);
}

int rbx_rx_wait_by(rbx_rx *rx, const rbx_wait_options *options)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return closed("receiver");
    return rbx_patience_init(&rx->patience, options, rx->ring->in_process);
}

int rbx_tx_refuse(rbx_tx *tx)
{
    switch ((enum rbx_hold)tx->hold) {
    case RBX_HOLD_CLOSED:
        return closed("sender");
    case RBX_HOLD_PLACE:
        return rbx_fail(-EBUSY,
                        "this sender of ring '%s' has claimed a place: commit or abort first",
                        rbx_ring_name(tx->ring));
    default:
        tx->hold = RBX_HOLD_ENDED;
        tx->limit = tx->at;
        return shut(tx->ring);
    }
}

int rbx_rx_refuse(rbx_rx *rx)
{
    switch ((enum rbx_hold)rx->hold) {
    case RBX_HOLD_CLOSED:
        return closed("receiver");
    case RBX_HOLD_PLACE:
        return rbx_fail(-EBUSY, "this receiver of ring '%s' has peeked: release first",
                        rbx_ring_name(rx->ring));
    default:
        return shut(rx->ring);
    }
}

int rbx_tx_misuse(rbx_tx *tx)
{
    if (tx->hold == RBX_HOLD_CLOSED)
        return closed("sender");
    return rbx_fail(-EINVAL, "this sender of ring '%s' has claimed no place",
                    rbx_ring_name(tx->ring));
}

int rbx_rx_misuse(rbx_rx *rx)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return closed("receiver");
    if (rx->hold != RBX_HOLD_PLACE)
        return rbx_fail(-EINVAL, "this receiver of ring '%s' has peeked at nothing",
                        rbx_ring_name(rx->ring));
    return rbx_fail(-EINVAL, "this receiver of ring '%s' was shown %u messages, no more",
                    rbx_ring_name(rx->ring), rx->shown);
}

/* Threads are pinned when they begin, if at all: it is enough to look now and then, the first time
   included. A power of two. */
#define CORES_CHANGE_EVERY 16

/* --- Sending --- */

/* This end has published, and the other end's bell had a bit. */
static void wake(rbx_ring *ring, enum rbx_ring_end end, rbx_bell *bell)
{
    struct rbx_spsc_seat *seat = rbx_seat_of(ring, end);
    if (!(rbx_load_relaxed(&bell->bits) & RBX_BELL_ASLEEP)) {
        rbx_full_fence(); /* B1, for an end that must fence by itself */
        if (!(rbx_load_relaxed(&bell->bits) & RBX_BELL_ASLEEP))
            return;
    }
    if (rbx_load_relaxed(&seat->wakes) % CORES_CHANGE_EVERY == 0)
        rbx_seat_note_core(ring, end);
    if (rbx_bell_ring(bell, ring->in_process))
        rbx_seat_count(&seat->wakes, 1);
}

int rbx_spsc_more_credit(rbx_tx *tx)
{
    struct rbx_spsc_seat *seat = &tx->spsc->tx;
    uint64_t credit = credit_at(tx->ring, tx->at >> 8);
    if (credit == UINT64_MAX)
        return damaged(tx->ring);
    uint64_t in_use = tx->frames - credit;
    if (in_use > rbx_load_relaxed(&seat->high_water))
        rbx_store_relaxed(&seat->high_water, in_use);
    if (credit == 0) {
        rbx_seat_count(&seat->missed, 1);
        return is_shut(tx->spsc) ? rbx_tx_refuse(tx) : -EAGAIN;
    }
    /* A quarter at a time, so that high_water is looked at that often. */
    uint64_t lazy = tx->ring->shape.lazy;
    tx->credit = credit < lazy ? credit : lazy;
    return 0;
}

/*
 * The ring was shut down while these messages were published. Either the receiver has not ended
 * yet: LATE makes it look once more. Or it has: then its last position says what it got.
 */
static size_t publish_late(rbx_tx *tx, size_t sent)
{
    struct rbx_spsc *spsc = tx->spsc;
    tx->hold = RBX_HOLD_ENDED;
    tx->limit = tx->at;
    if (!(rbx_or_seq_cst(&spsc->message.bits, RBX_BELL_LATE) & RBX_BELL_ENDED))
        return sent;
    uint64_t missed = rbx_ring_between(tx->ring, rbx_load_acquire(&spsc->rx.at), tx->at);
    return missed < sent ? sent - (size_t)missed : 0;
}

ptrdiff_t rbx_spsc_answer_bell(rbx_tx *tx, size_t sent)
{
    wake(tx->ring, RBX_TX, tx->bell);
    if (rbx_load_acquire(&tx->bell->bits) & RBX_BELL_SHUT)
        sent = publish_late(tx, sent);
    if (sent == 0)
        shut(tx->ring);
    return (ptrdiff_t)sent;
}

static int wait_for_change(rbx_ring *ring, enum rbx_ring_end end, const rbx_atomic64 *word,
                           uint64_t seen, uint64_t timeout_ns, uint64_t *deadline,
                           rbx_patience *patience)
{
    struct rbx_spsc *spsc = ring->spsc;
    rbx_bell *bell = end == RBX_TX ? &spsc->room : &spsc->message;
    if (*deadline == 0)
        *deadline = timeout_ns == RBX_FOREVER ? RBX_FOREVER : rbx_wait_deadline(timeout_ns);
    uint32_t before = patience->sleeps;
    int err = rbx_wait_change(bell, word, seen, *deadline, patience);
    uint32_t slept = patience->sleeps - before;
    if (slept != 0)
        rbx_seat_count(&rbx_seat_of(ring, end)->sleeps, slept);
    if (err == -EAGAIN ||
        (slept != 0 &&
         (before == 0 || before / CORES_CHANGE_EVERY != patience->sleeps / CORES_CHANGE_EVERY)))
        patience->same_core = rbx_seat_shares_core(ring, end);
    return err;
}

int rbx_spsc_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline)
{
    for (;;) {
        uint64_t freed = rbx_load_acquire(&tx->spsc->freed);
        if (credit_at(tx->ring, tx->at >> 8) != 0)
            return 0;
        int err = wait_for_change(tx->ring, RBX_TX, &tx->spsc->freed, freed, timeout_ns, deadline,
                                  &tx->patience);
        if (is_shut(tx->spsc))
            return 0;
        if (rbx_load_acquire(&tx->spsc->room.bits) & RBX_BELL_SHUT)
            return is_shut(tx->spsc) ? 0 : damaged(tx->ring);
        if (err == 0)
            return 0;
        uint32_t dead = rbx_seat_dead(tx->ring, RBX_RX);
        if (is_shut(tx->spsc) || credit_at(tx->ring, tx->at >> 8) != 0)
            return 0; /* it may have died just after */
        if (dead != 0 && dead != tx->mourned) {
            tx->mourned = dead;
            return rbx_fail(-EOWNERDEAD, "ring '%s' is full, and its receiver has died",
                            rbx_ring_name(tx->ring));
        }
        if (err == -EINTR)
            return interrupted(tx->ring);
        if (err == -ETIMEDOUT)
            return rbx_fail(err, "ring '%s' was full for as long as this sender would wait",
                            rbx_ring_name(tx->ring));
    }
}

/* --- Receiving --- */

#ifndef SLIP_NS
#define SLIP_NS 800U
#endif
#define STORES_NS 50000U /* longer than any processor keeps a store to itself */

void rbx_spsc_give_back(rbx_rx *rx)
{
    struct rbx_spsc *spsc = rx->spsc;
    rx->owed = 0;
    /* In this order: who dies in between leaves no frame that is used up and not given back. The
       next one begins at the later of the two. */
    rbx_store_release(&spsc->freed, rx->now.at >> 8); /* S2 */
    rbx_compiler_barrier();
    rbx_store_relaxed(&spsc->rx.at, rx->now.at);
    if (rbx_bell_after_publish(&spsc->room))
        wake(rx->ring, RBX_RX, &spsc->room);
}

static bool is_news(const rbx_rx *rx, uint64_t header)
{
    return header - rx->now.at - 1 < rx->frame.per_frame - rbx_spsc_index(rx->now.at);
}

/* Takes notice of what is published from `at` on; 0 when there is something. */
static int take_news(rbx_rx *rx)
{
    uint64_t header = rbx_load_acquire(rbx_spsc_header(rx->now.head)); /* S1 */
    if (is_news(rx, header)) {
        rx->now.seen = header;
        return 0;
    }
    /* An earlier lap, or what is taken already; or no header of this ring. */
    return header <= rx->now.at ? -EAGAIN : damaged(rx->ring);
}

/*
 * The ring is empty and shut down. A sender may have published since, not knowing: the fence makes
 * what it did visible, or the bell to it; then it says LATE, or finds ENDED.
 */
static int end(rbx_rx *rx)
{
    enum { A_SENDER_IS_LATE_ONCE = 4 };
    rbx_bell *bell = &rx->spsc->message;
    if (!rbx_bell_fence(bell))
        return -EAGAIN;           /* refused only now: the next time the sender fences by itself */
    rbx_wait_a_little(STORES_NS); /* the fence may leave out a thread, and this end is final */
    for (int looks = 0; looks < A_SENDER_IS_LATE_ONCE; looks++) {
        uint32_t bits = rbx_and_seq_cst(&bell->bits, ~(uint32_t)RBX_BELL_LATE);
        bits &= ~(uint32_t)RBX_BELL_LATE;
        int err = take_news(rx);
        if (err != -EAGAIN)
            return err;
        if (rbx_swap_if_seq_cst(&bell->bits, &bits, bits | RBX_BELL_ENDED)) {
            rx->hold = RBX_HOLD_ENDED;
            return shut(rx->ring);
        }
    }
    return damaged(rx->ring);
}

int rbx_spsc_nothing_new(rbx_rx *rx)
{
    if (rx->owed > 0)
        rbx_spsc_give_back(rx);
    rbx_seat_count(&rx->spsc->rx.missed, 1);
    int err = take_news(rx);
    return err == -EAGAIN && is_shut(rx->spsc) ? end(rx) : err;
}

/*
 * A receiver that is quicker than its sender meets it in the line that is being written, again and
 * again, and slows it down; then each message costs a line's way there and back. So who has
 * received a run of messages and finds no more lets some gather before it looks again. Who has not,
 * waits for an answer, or for a slow sender, and looks at once. A slip that was in vain is not soon
 * repeated.
 */
static bool slip(rbx_rx *rx)
{
    enum { RUN = 8, REST = 32 };
    uint64_t run = rbx_ring_between(rx->ring, rx->dry_at, rx->now.at);
    rx->dry_at = rx->now.at;
    if (run < RUN)
        return false;
    if (rx->no_slip > 0) {
        rx->no_slip--;
        return false;
    }
    rbx_wait_a_little(SLIP_NS);
    bool paid = is_news(rx, rbx_load_acquire(rbx_spsc_header(rx->now.head))); /* S1 */
    rx->no_slip = paid ? 0 : REST;
    return paid;
}

int rbx_spsc_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline)
{
    if (timeout_ns > SLIP_NS && slip(rx))
        return 0;
    for (;;) {
        uint64_t header = rbx_load_acquire(rbx_spsc_header(rx->now.head)); /* S1 */
        if (is_news(rx, header))
            return 0;
        int err = wait_for_change(rx->ring, RBX_RX, rbx_spsc_header(rx->now.head), header,
                                  timeout_ns, deadline, &rx->patience);
        if (err == 0)
            return 0;
        uint32_t dead = rbx_seat_dead(rx->ring, RBX_TX);
        if (is_shut(rx->spsc) ||
            is_news(rx, rbx_load_acquire(rbx_spsc_header(rx->now.head)))) /* S1 */
            return 0; /* it may have died just after */
        if (dead != 0 && dead != rx->mourned) {
            rx->mourned = dead;
            return rbx_fail(-EOWNERDEAD, "ring '%s' is empty, and its sender has died",
                            rbx_ring_name(rx->ring));
        }
        if (err == -EINTR)
            return interrupted(rx->ring);
        if (err == -ETIMEDOUT)
            return rbx_fail(err,
                            "nothing came through ring '%s' for as long as this receiver waits",
                            rbx_ring_name(rx->ring));
    }
}
