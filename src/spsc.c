/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/message.h>

#include <errno.h>

#include "error.h"
#include "ring/end.h"
#include "ring/handle.h"
#include "ring/kind.h"
#include "ring/seat.h"
#include "wait.h"

static bool is_shut(const struct rbx_spsc *spsc)
{
    return rbx_load_acquire(&spsc->message.bits) & RBX_BELL_SHUT;
}

static struct rbx_end sender(const rbx_tx *tx)
{
    return (struct rbx_end){tx->ring, RBX_TX, 0};
}

static struct rbx_end receiver(const rbx_rx *rx)
{
    return (struct rbx_end){rx->ring, RBX_RX, 0};
}

/* --- Where both ends are --- */

/* How many messages lie between two positions, frame number << 8 | index. Nonsense gives nonsense,
   and no more. */
static uint64_t between(const rbx_ring *ring, uint64_t from, uint64_t to)
{
    return ((to >> 8) - (from >> 8)) * ring->shape.frame.per_frame + (to & 255) - (from & 255);
}

/* The exact positions of both ends, whoever asks. */
static uint64_t position_sent(const rbx_ring *ring)
{
    /* I4. Relaxed: any earlier frame in hand will do. */
    uint64_t begun = rbx_load_relaxed(&ring->spsc->tx.at) & ~(uint64_t)255;
    const rbx_atomic64 *head = (const void *)rbx_ring_frame(ring, begun >> 8);
    uint64_t header = rbx_load_acquire(head);
    /* A later number: it went round since we looked, and that is an exact position too. */
    return header >> 8 >= begun >> 8 ? header : begun;
}

static uint64_t position_received(const rbx_ring *ring)
{
    uint64_t at = rbx_load_acquire(&ring->spsc->rx.at);
    uint64_t freed = rbx_load_acquire(&ring->spsc->freed);
    /* `freed` is ahead when the receiver is, or has died, inside rbx_spsc_give_back. */
    return at >> 8 < freed ? freed << 8 : at;
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
static int resume_sending(rbx_tx *tx, const rbx_ring *ring)
{
    const struct rbx_frame frame = ring->shape.frame;
    uint64_t at = position_sent(ring), number = at >> 8;
    if (number != rbx_load_relaxed(&ring->spsc->tx.at) >> 8 ||
        rbx_spsc_index(at) > frame.per_frame || credit_at(ring, number) == UINT64_MAX)
        return rbx_ring_damaged(ring);
    tx->spsc = (struct rbx_spsc_tx){
        .at = at,
        .limit = (number << 8) + frame.per_frame,
        .head = rbx_ring_frame(ring, number),
        .bell = &ring->spsc->message,
        .first = ring->first,
        .end = ring->end,
        .shared = ring->spsc,
        .frames = ring->shape.frames,
    };
    return 0;
}

static int resume_receiving(rbx_rx *rx, const rbx_ring *ring)
{
    const struct rbx_frame frame = ring->shape.frame;
    uint64_t at = position_received(ring);
    if (rbx_spsc_index(at) > frame.per_frame)
        return rbx_ring_damaged(ring);
    if (rbx_spsc_index(at) == frame.per_frame)
        at = ((at >> 8) + 1) << 8;
    uint64_t owed = (at >> 8) - rbx_load_relaxed(&ring->spsc->freed);
    if (owed > ring->shape.frames || at >> 8 > (position_sent(ring) >> 8) + 1)
        return rbx_ring_damaged(ring);
    rx->spsc = (struct rbx_spsc_rx){
        .dry_at = at,
        .now = {.at = at, .seen = at, .head = rbx_ring_frame(ring, at >> 8)},
        .position = &ring->spsc->rx.at,
        .owed = owed,
        .lazy = ring->shape.lazy,
        .first = ring->first,
        .end = ring->end,
        .shared = ring->spsc,
        .frames = ring->shape.frames,
    };
    return 0;
}

static int begin_tx(rbx_tx *tx, rbx_ring *ring, unsigned seat)
{
    (void)seat;
    if (is_shut(ring->spsc))
        return rbx_ring_is_shut(ring);
    int err = resume_sending(tx, ring);
    if (err < 0)
        return err;
    rbx_bell_join_as_publisher(&ring->spsc->message, false);
    rbx_bell_join_as_sleeper(&ring->spsc->room, false);
    return 0;
}

static int begin_rx(rbx_rx *rx, rbx_ring *ring, unsigned seat)
{
    (void)seat;
    if (rbx_load_acquire(&ring->spsc->message.bits) & RBX_BELL_ENDED)
        return rbx_ring_is_shut(ring);
    int err = resume_receiving(rx, ring);
    if (err < 0)
        return err;
    rbx_bell_join_as_publisher(&ring->spsc->room, false);
    rbx_bell_join_as_sleeper(&ring->spsc->message, false);
    if (rx->spsc.owed > 0)
        rbx_spsc_give_back(rx); /* I3: the frame that the last one had used up counts now */
    return 0;
}

static void end_tx(rbx_tx *tx)
{
    (void)tx; /* a place that is claimed was never anybody else's business */
}

/* --- Sending --- */

int rbx_spsc_more_credit(rbx_tx *tx)
{
    struct rbx_seat *seat = &tx->spsc.shared->tx;
    uint64_t credit = credit_at(tx->ring, tx->spsc.at >> 8);
    if (credit == UINT64_MAX)
        return rbx_ring_damaged(tx->ring);
    uint64_t in_use = tx->spsc.frames - credit;
    if (in_use > rbx_load_relaxed(&seat->high_water))
        rbx_store_relaxed(&seat->high_water, in_use);
    if (credit == 0) {
        rbx_end_missed(sender(tx));
        bool room_is_shut = rbx_load_acquire(&tx->spsc.shared->room.bits) & RBX_BELL_SHUT;
        if (is_shut(tx->spsc.shared)) /* which comes before the other */
            return rbx_tx_refuse(tx);
        return room_is_shut ? rbx_ring_damaged(tx->ring) : rbx_tx_in_vain(tx);
    }
    /* A quarter at a time, so that high_water is looked at that often. */
    uint64_t lazy = tx->ring->shape.lazy;
    tx->spsc.credit = credit < lazy ? credit : lazy;
    return 0;
}

/*
 * The ring was shut down while these messages were published. Either the receiver has not ended
 * yet: LATE makes it look once more. Or it has: then its last position says what it got.
 */
static size_t publish_late(rbx_tx *tx, size_t sent)
{
    struct rbx_spsc *spsc = tx->spsc.shared;
    tx->hold = RBX_HOLD_ENDED;
    tx->spsc.limit = tx->spsc.at;
    if (!(rbx_or_seq_cst(&spsc->message.bits, RBX_BELL_LATE) & RBX_BELL_ENDED))
        return sent;
    uint64_t missed = between(tx->ring, rbx_load_acquire(&spsc->rx.at), tx->spsc.at);
    return missed < sent ? sent - (size_t)missed : 0;
}

ptrdiff_t rbx_spsc_answer_bell(rbx_tx *tx, size_t sent)
{
    rbx_end_wake(sender(tx), tx->spsc.bell);
    if (rbx_load_acquire(&tx->spsc.bell->bits) & RBX_BELL_SHUT)
        sent = publish_late(tx, sent);
    if (sent == 0)
        rbx_ring_is_shut(tx->ring);
    return (ptrdiff_t)sent;
}

int rbx_spsc_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline)
{
    for (;;) {
        uint64_t freed = rbx_load_acquire(&tx->spsc.shared->freed);
        if (credit_at(tx->ring, tx->spsc.at >> 8) != 0)
            return 0;
        const struct rbx_watched watched = {&tx->spsc.shared->freed, freed};
        const struct rbx_awaited awaited = {.words = &watched, .count = 1};
        int err = rbx_end_wait(sender(tx), &tx->spsc.shared->room, &awaited, RBX_SLICE_NS,
                               timeout_ns, deadline, &tx->patience);
        if (is_shut(tx->spsc.shared))
            return 0;
        if (rbx_load_acquire(&tx->spsc.shared->room.bits) & RBX_BELL_SHUT)
            return is_shut(tx->spsc.shared) ? 0 : rbx_ring_damaged(tx->ring);
        if (err == 0)
            return 0;
        uint32_t dead = rbx_seat_dead(tx->ring, RBX_RX, 0);
        if (is_shut(tx->spsc.shared) || credit_at(tx->ring, tx->spsc.at >> 8) != 0)
            return 0; /* it may have died just after */
        if (dead != 0 && dead != tx->mourned) {
            tx->mourned = dead;
            return rbx_ring_forsaken(tx->ring, RBX_TX);
        }
        if (err == -EINTR)
            return rbx_ring_interrupted(tx->ring);
        if (err == -ETIMEDOUT)
            return rbx_ring_timed_out(tx->ring, RBX_TX);
    }
}

/* --- Receiving --- */

#ifndef SLIP_NS
#define SLIP_NS 800U
#endif
#define STORES_NS 50000U /* longer than any processor keeps a store to itself */

void rbx_spsc_give_back(rbx_rx *rx)
{
    struct rbx_spsc *spsc = rx->spsc.shared;
    rx->spsc.owed = 0;
    /* In this order: who dies in between leaves no frame that is used up and not given back. The
       next one begins at the later of the two. */
    rbx_store_release(&spsc->freed, rx->spsc.now.at >> 8); /* S2 */
    rbx_compiler_barrier();
    rbx_store_relaxed(&spsc->rx.at, rx->spsc.now.at);
    if (rbx_bell_after_publish(&spsc->room))
        rbx_end_wake(receiver(rx), &spsc->room);
}

static bool is_news(const rbx_rx *rx, uint64_t header)
{
    return header - rx->spsc.now.at - 1 < rx->frame.per_frame - rbx_spsc_index(rx->spsc.now.at);
}

/* Takes notice of what is published from `at` on; 0 when there is something. */
static int take_news(rbx_rx *rx)
{
    uint64_t header = rbx_load_acquire(rbx_spsc_header(rx->spsc.now.head)); /* S1 */
    if (is_news(rx, header)) {
        rx->spsc.now.seen = header;
        return 0;
    }
    /* An earlier lap, or what is taken already; or no header of this ring. */
    return header <= rx->spsc.now.at ? -EAGAIN : rbx_ring_damaged(rx->ring);
}

/*
 * The ring is empty and shut down. A sender may have published since, not knowing: the fence makes
 * what it did visible, or the bell to it; then it says LATE, or finds ENDED.
 */
static int end(rbx_rx *rx)
{
    enum { A_SENDER_IS_LATE_ONCE = 4 };
    rbx_bell *bell = &rx->spsc.shared->message;
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
            return rbx_ring_is_shut(rx->ring);
        }
    }
    return rbx_ring_damaged(rx->ring);
}

int rbx_spsc_nothing_new(rbx_rx *rx)
{
    if (rx->spsc.owed > 0)
        rbx_spsc_give_back(rx);
    rbx_end_missed(receiver(rx));
    int err = take_news(rx);
    if (err != -EAGAIN)
        return err;
    return is_shut(rx->spsc.shared) ? end(rx) : rbx_rx_in_vain(rx);
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
    uint64_t run = between(rx->ring, rx->spsc.dry_at, rx->spsc.now.at);
    rx->spsc.dry_at = rx->spsc.now.at;
    if (run < RUN)
        return false;
    if (rx->spsc.no_slip > 0) {
        rx->spsc.no_slip--;
        return false;
    }
    rbx_wait_a_little(SLIP_NS);
    bool paid = is_news(rx, rbx_load_acquire(rbx_spsc_header(rx->spsc.now.head))); /* S1 */
    rx->spsc.no_slip = paid ? 0 : REST;
    return paid;
}

int rbx_spsc_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline)
{
    if (timeout_ns > SLIP_NS && slip(rx))
        return 0;
    for (;;) {
        uint64_t header = rbx_load_acquire(rbx_spsc_header(rx->spsc.now.head)); /* S1 */
        if (is_news(rx, header))
            return 0;
        const struct rbx_watched watched = {rbx_spsc_header(rx->spsc.now.head), header};
        const struct rbx_awaited awaited = {.words = &watched, .count = 1};
        int err = rbx_end_wait(receiver(rx), &rx->spsc.shared->message, &awaited, RBX_SLICE_NS,
                               timeout_ns, deadline, &rx->patience);
        if (err == 0)
            return 0;
        uint32_t dead = rbx_seat_dead(rx->ring, RBX_TX, 0);
        if (is_shut(rx->spsc.shared) ||
            is_news(rx, rbx_load_acquire(rbx_spsc_header(rx->spsc.now.head)))) /* S1 */
            return 0; /* it may have died just after */
        if (dead != 0 && dead != rx->mourned) {
            rx->mourned = dead;
            return rbx_ring_forsaken(rx->ring, RBX_RX);
        }
        if (err == -EINTR)
            return rbx_ring_interrupted(rx->ring);
        if (err == -ETIMEDOUT)
            return rbx_ring_timed_out(rx->ring, RBX_RX);
    }
}

static void end_rx(rbx_rx *rx)
{
    rbx_spsc_give_back(rx);
}

/* --- Being looked at from outside --- */

static bool may_send(rbx_tx *tx, struct rbx_outlook *outlook)
{
    struct rbx_spsc *spsc = tx->spsc.shared;
    if (tx->spsc.at != tx->spsc.limit || tx->spsc.credit > 0)
        return true;
    uint64_t freed = rbx_load_acquire(&spsc->freed); /* S2 */
    if (credit_at(tx->ring, tx->spsc.at >> 8) != 0 || is_shut(spsc))
        return true;
    *outlook =
        (struct rbx_outlook){.bell = &spsc->room, .words = {{&spsc->freed, freed}}, .count = 1};
    return false;
}

/* What is used up is given back as lazily as ever: by I3 no sender waits for it. */
static bool may_receive(rbx_rx *rx, struct rbx_outlook *outlook)
{
    struct rbx_spsc *spsc = rx->spsc.shared;
    uint64_t at = rx->spsc.now.at;
    char *head = rx->spsc.now.head;
    if (at != rx->spsc.now.seen)
        return true;
    if (rbx_spsc_index(at) == rx->frame.per_frame) {
        head = rbx_spsc_after(head, rx->spsc.first, rx->spsc.end, rx->frame);
        at = ((at >> 8) + 1) << 8;
    }
    uint64_t header = rbx_load_acquire(rbx_spsc_header(head)); /* S1 */
    if (header > at || is_shut(spsc))                          /* news, or nonsense */
        return true;
    *outlook = (struct rbx_outlook){
        .bell = &spsc->message, .words = {{rbx_spsc_header(head), header}}, .count = 1};
    return false;
}

static uint32_t forsaken(rbx_ring *ring, enum rbx_ring_end end, uint32_t known)
{
    uint32_t dead = rbx_seat_dead(ring, rbx_other_end(end), 0);
    return dead != known ? dead : 0;
}

/* --- What all kinds of ring have --- */

/* A quarter of what the capacity takes, at least one. */
#define LAZY_SHARE 4

static struct rbx_frame frame_for(size_t size, size_t alignment)
{
    return rbx_spsc_frame_for(size, alignment);
}

static bool plan(struct rbx_ring_shape *shape)
{
    uint64_t k = shape->frame.per_frame, full = shape->capacity / k + (shape->capacity % k != 0);
    shape->lazy = full / LAZY_SHARE ? full / LAZY_SHARE : 1;
    shape->frames = full + shape->lazy;
    return true;
}

static bool is_sound(const struct rbx_ring_shape *shape)
{
    const struct rbx_frame *f = &shape->frame;
    return f->offset >= 8 && f->bytes % 64 == 0 &&
           (uint64_t)f->per_frame * f->stride + f->offset <= f->bytes && shape->frames >= 2 &&
           shape->lazy >= 1 && shape->lazy < shape->frames &&
           shape->capacity <= (shape->frames - shape->lazy) * f->per_frame;
}

static int format(void *memory, const struct rbx_ring_shape *shape)
{
    struct rbx_spsc *spsc = (void *)((char *)memory + RBX_RING_SHARED_AT);
    rbx_store_relaxed(&spsc->tx.at, shape->first_frame << 8);
    rbx_store_relaxed(&spsc->rx.at, shape->first_frame << 8);
    rbx_store_relaxed(&spsc->freed, shape->first_frame);
    return 0;
}

static int shut_down(rbx_ring *ring)
{
    struct rbx_spsc *spsc = ring->spsc;
    if (rbx_or_seq_cst(&spsc->message.bits, RBX_BELL_SHUT) & RBX_BELL_SHUT)
        return -EALREADY;
    rbx_or_seq_cst(&spsc->room.bits, RBX_BELL_SHUT);
    rbx_bell_ring(&spsc->message, ring->in_process);
    rbx_bell_ring(&spsc->room, ring->in_process);
    return 0;
}

static void bells(const rbx_ring *ring, rbx_bell **message, rbx_bell **room)
{
    *message = &ring->spsc->message;
    *room = &ring->spsc->room;
}

static void describe(const rbx_ring *ring, rbx_ring_info *info)
{
    uint64_t start = ring->shape.first_frame << 8;
    /* What was received first: so it is never more than what was sent. */
    info->received = between(ring, start, position_received(ring));
    info->sent = between(ring, start, position_sent(ring));
    info->high_water = rbx_load_relaxed(&ring->spsc->tx.high_water) * ring->shape.frame.per_frame;
    info->shut = rbx_load_relaxed(&ring->spsc->message.bits) & RBX_BELL_SHUT;
}

/* Whoever comes next goes on where the last one was. */
static int repair(rbx_ring *ring, rbx_repaired *repaired)
{
    (void)ring, (void)repaired;
    return 0;
}

const struct rbx_kind rbx_kind_spsc = {.name = "SPSC",
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
