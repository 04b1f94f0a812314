/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/message.h>

#include <errno.h>

#include "error.h"
#include "mpmc/slot.h"
#include "os/clock.h"
#include "ring/end.h"
#include "ring/handle.h"
#include "ring/kind.h"
#include "ring/mourning.h"
#include "ring/seat.h"
#include "wait.h"

/*
 * `tail` is closed, which is all that counts. Bells that are shut tell those who wait, and those
 * who poll and should not look at tail. Whoever finds this half done, by one that has died in
 * between, does it again.
 */
void rbx_mpmc_finish_shutdown(rbx_ring *ring)
{
    struct rbx_mpmc *mpmc = ring->mpmc;
    if (rbx_load_acquire(&mpmc->room.bits) & rbx_load_acquire(&mpmc->message.bits) & RBX_BELL_SHUT)
        return;
    rbx_or_seq_cst(&mpmc->message.bits, RBX_BELL_SHUT); /* M5 */
    rbx_or_seq_cst(&mpmc->room.bits, RBX_BELL_SHUT);
    rbx_bell_ring(&mpmc->message, ring->in_process);
    rbx_bell_ring(&mpmc->room, ring->in_process);
}

/* --- Opening and closing --- */

/* Messages that have been taken and are not released yet, and orphans. */
static uint64_t in_hand(const rbx_ring *ring, uint64_t head)
{
    uint64_t count = 0, lap = rbx_slot_lap(ring);
    head = rbx_slot_position(head);
    for (uint64_t at = head - lap; at != head; at += RBX_POSITION) {
        uint64_t word = rbx_load_acquire(rbx_slot_word(ring, at));
        unsigned state = rbx_slot_state(word);
        count += (state == RBX_SLOT_FULL && rbx_slot_position(word) == at) ||
                 state == RBX_SLOT_ORPHAN || state == RBX_SLOT_TAKEN;
    }
    return count;
}

/* A seat whose last holder has died is settled first. */
static int begin(struct rbx_mpmc_end *end, rbx_ring *ring, enum rbx_ring_end which, unsigned seat)
{
    struct rbx_mpmc *mpmc = ring->mpmc;
    rbx_mpmc_mind_the_dead(ring);
    if (rbx_seat_is_open(ring, which, seat) && ring->box)
        return rbx_fail(-EAGAIN, "seat %u of ring '%s' is still being cleared of one that has died",
                        seat, rbx_ring_name(ring));
    uint64_t tail = rbx_load_acquire(&mpmc->tail), head = rbx_load_acquire(&mpmc->head);
    if (tail & RBX_TAIL_CLOSED)
        rbx_mpmc_finish_shutdown(ring);
    if (tail & RBX_TAIL_CLOSED &&
        (which == RBX_TX || (rbx_slot_ahead(head, tail) >= 0 && in_hand(ring, head) == 0)))
        return rbx_ring_is_shut(ring);
    *end = (struct rbx_mpmc_end){
        .index = which == RBX_TX ? &mpmc->tail : &mpmc->head,
        .intent = &rbx_seat_of(ring, which, seat)->at,
        .slots = ring->first,
        .mask = ring->shape.frames - 1,
        .lap = rbx_slot_lap(ring),
        .bell = which == RBX_TX ? &mpmc->message : &mpmc->room,
        .shared = mpmc,
        .orphans_seen = rbx_load_relaxed(&mpmc->orphans) - 1, /* there may be some */
        .quarter = ring->shape.frames >= 4 ? ((ring->shape.frames / 4) - 1) << 8 : 0,
        .strict = ring->shape.flags & RBX_STRICT,
    };
    rbx_store_relaxed(end->intent, 0);
    rbx_store_relaxed(&rbx_seat_of(ring, which, seat)->owed, 0);
    rbx_mourning_over(&mpmc->mourning, which);
    /* Either end now and then does what the other of its kind waits for. */
    rbx_bell_join_as_publisher(&mpmc->message, true);
    rbx_bell_join_as_publisher(&mpmc->room, true);
    rbx_bell_join_as_sleeper(which == RBX_TX ? &mpmc->room : &mpmc->message, true);
    return 0;
}

static int begin_tx(rbx_tx *tx, rbx_ring *ring, unsigned seat)
{
    return begin(&tx->mpmc, ring, RBX_TX, seat);
}

static int begin_rx(rbx_rx *rx, rbx_ring *ring, unsigned seat)
{
    return begin(&rx->mpmc, ring, RBX_RX, seat);
}

/* This end intends nothing now. */
static void give_up(struct rbx_mpmc_end *end)
{
    rbx_store_release(end->intent, 0); /* M4 */
}

static void end_tx(rbx_tx *tx)
{
    if (tx->hold == RBX_HOLD_PLACE)
        rbx_mpmc_abort(tx, tx->frame);
    give_up(&tx->mpmc);
}

static void end_rx(rbx_rx *rx)
{
    if (rx->hold == RBX_HOLD_PLACE)
        rbx_mpmc_put_back(rx);
    give_up(&rx->mpmc);
}

/* --- What a try does when it cannot --- */

/*
 * Somebody who only tries, and never waits, finds the dead here: looks at the clock now and then,
 * and at the others when that has been some time ago.
 */
void rbx_mpmc_mind_now_and_then(struct rbx_end end, struct rbx_mpmc_end *own)
{
    enum { LOOK_EVERY = 64 };
    const uint64_t often_ns = 10000000;
    if (rbx_end_missed(end) % LOOK_EVERY != 0)
        return;
    if (rbx_load_acquire(&own->shared->tail) & RBX_TAIL_CLOSED)
        rbx_mpmc_finish_shutdown(end.ring);
    uint64_t now = rbx_clock_monotonic();
    if (now - own->looked_at < often_ns)
        return;
    own->looked_at = now;
    rbx_mpmc_mind_the_dead(end.ring);
}

/* Takes the tombstone at `head`, which is at `at`, out of the way, unless another does. */
static bool skip(rbx_ring *ring, struct rbx_mpmc_end *end, uint64_t at)
{
    struct rbx_mpmc *mpmc = ring->mpmc;
    uint64_t expected = at;
    rbx_mpmc_intend(end, at, 1);
    if (!rbx_swap_if_seq_cst(&mpmc->head, &expected, at + RBX_POSITION)) /* M3 */
        return false;
    rbx_mpmc_give_back(ring, at);
    if (rbx_bell_after_publish(&mpmc->room))
        rbx_bell_ring(&mpmc->room, ring->in_process);
    return true;
}

/* And those that follow. */
static void skip_all(rbx_ring *ring, struct rbx_mpmc_end *end, uint64_t at)
{
    for (uint64_t i = 0; i <= end->mask && skip(ring, end, at); i++) {
        at += RBX_POSITION;
        if (rbx_load_acquire(rbx_slot_word(ring, at)) != (at | RBX_SLOT_VOID))
            return;
    }
}

/* What is in the way of a sender, since nobody receives it, is nothing: takes it out of the way. */
static bool clear_head(rbx_tx *tx)
{
    struct rbx_mpmc_end *end = &tx->mpmc;
    bool passed = end->strict && rbx_mpmc_pass_nothing(tx->ring);
    uint64_t head = rbx_load_acquire(&end->shared->head);
    if (rbx_load_acquire(rbx_slot_word(tx->ring, head)) != (head | RBX_SLOT_VOID))
        return passed;
    return skip(tx->ring, end, head) || passed;
}

int rbx_mpmc_no_place(rbx_tx *tx, uint64_t at, uint64_t word)
{
    struct rbx_mpmc_end *end = &tx->mpmc;
    uint64_t tail = rbx_load_acquire(end->index);
    int err = 0;
    if (tail & RBX_TAIL_CLOSED) {
        rbx_mpmc_finish_shutdown(tx->ring);
        give_up(end);
        return rbx_tx_refuse(tx);
    }
    if (tail != at)
        return 0;
    if (tail & RBX_STATE_MASK) {
        give_up(end);
        return rbx_ring_damaged(tx->ring);
    }
    if (end->strict)
        err = rbx_mpmc_move_on_tail(tx, at, word);
    else if (rbx_slot_ahead(tail, word) == (int64_t)end->lap)
        err = -EAGAIN;
    else if (rbx_load_acquire(rbx_slot_word(tx->ring, tail)) == word &&
             rbx_load_acquire(end->index) == tail)
        err = -EPROTO;
    if (err == 0)
        return 0;
    /* What tombstones fill is not full. Head is the receivers': who polls must not touch it for
       nothing. */
    if (err == -EAGAIN && (end->strict || rbx_slot_state(word) == RBX_SLOT_VOID) && clear_head(tx))
        return 0;
    /* A word from before a long stop says nothing. */
    if (err == -EAGAIN && (rbx_load_acquire(end->index) != at ||
                           rbx_load_acquire(rbx_slot_word(tx->ring, at)) != word))
        return 0;
    give_up(end);
    if (err != -EAGAIN)
        return rbx_ring_damaged(tx->ring);
    if (rbx_load_relaxed(&end->shared->high_water) < end->mask + 1)
        rbx_mpmc_note_high_water(tx, tail);
    rbx_mpmc_mind_now_and_then(rbx_mpmc_sender(tx), end);
    return rbx_tx_in_vain(tx);
}

/* Nothing is there, and nothing will come: then -EPIPE; but the last ones may have died with a
   message in hand: then 0. Not for good: one that lives may still die, or put a message back. */
static int ended(rbx_rx *rx, uint64_t head)
{
    /* Tail is the senders': who polls must not touch it for nothing. */
    if (rbx_likely(!(rbx_load_acquire(&rx->mpmc.shared->message.bits) & RBX_BELL_SHUT))) /* M5 */
        return -EAGAIN;
    if (rbx_slot_ahead(head, rbx_load_acquire(&rx->mpmc.shared->tail)) < 0)
        return rbx_slot_is_of_last_lap(rx->ring, head) ? rbx_ring_damaged(rx->ring) : -EAGAIN;
    if (rbx_mpmc_mind_the_dead(rx->ring) ||
        rbx_load_acquire(&rx->mpmc.shared->orphans) != rx->mpmc.orphans_seen)
        return -EAGAIN;
    return rbx_ring_is_shut(rx->ring);
}

int rbx_mpmc_no_message(rbx_rx *rx, uint64_t at, uint64_t word)
{
    struct rbx_mpmc_end *end = &rx->mpmc;
    uint64_t head = rbx_load_acquire(end->index);
    int err = 0;
    if (head != at)
        return 0;
    if (head & RBX_STATE_MASK) {
        give_up(end);
        return rbx_ring_damaged(rx->ring);
    }
    if (word == (head | RBX_SLOT_VOID))
        skip_all(rx->ring, end, at);
    else if (word == ((head - end->lap) | RBX_SLOT_ORPHAN)) /* who put it back has stopped there */
        end->orphans_seen = rbx_load_acquire(&end->shared->orphans) - 1;
    else if (end->strict)
        err = rbx_mpmc_move_on_head(rx, at, word);
    else if (word == head || rbx_slot_ahead(head, word) == (int64_t)end->lap)
        err = -EAGAIN;
    else if (rbx_load_acquire(rbx_slot_word(rx->ring, head)) == word &&
             rbx_load_acquire(end->index) == head)
        err = -EPROTO;
    if (err == 0)
        return 0;
    give_up(end);
    if (err != -EAGAIN)
        return rbx_ring_damaged(rx->ring);
    rbx_mpmc_mind_now_and_then(rbx_mpmc_receiver(rx), end);
    err = ended(rx, head);
    return err == -EAGAIN ? rbx_rx_in_vain(rx) : err;
}

int rbx_mpmc_tx_unlucky(rbx_tx *tx)
{
    give_up(&tx->mpmc);
    rbx_end_missed(rbx_mpmc_sender(tx));
    return -EAGAIN;
}

int rbx_mpmc_rx_unlucky(rbx_rx *rx)
{
    give_up(&rx->mpmc);
    rbx_end_missed(rbx_mpmc_receiver(rx));
    return -EAGAIN;
}

void rbx_mpmc_note_high_water(rbx_tx *tx, uint64_t at)
{
    struct rbx_mpmc *mpmc = tx->mpmc.shared;
    uint64_t waiting = (at - rbx_load_relaxed(&mpmc->head)) >> 8;
    if (waiting <= tx->mpmc.mask + 1 && waiting > rbx_load_relaxed(&mpmc->high_water))
        rbx_store_relaxed(&mpmc->high_water, waiting); /* for people: the higher of two may lose */
}

void rbx_mpmc_tx_answer_bell(rbx_tx *tx)
{
    rbx_end_wake(rbx_mpmc_sender(tx), tx->mpmc.bell);
}

void rbx_mpmc_rx_answer_bell(rbx_rx *rx)
{
    rbx_end_wake(rbx_mpmc_receiver(rx), rx->mpmc.bell);
}

/* --- Giving up what is held, and orphans --- */

int rbx_mpmc_abort(rbx_tx *tx, struct rbx_frame g)
{
    if (tx->hold != RBX_HOLD_PLACE)
        return rbx_tx_misuse(tx);
    uint64_t at = tx->mpmc.held, expected = at;
    rbx_atomic64 *word = rbx_mpmc_word(rbx_mpmc_slot(&tx->mpmc, at, g));
    tx->hold = RBX_HOLD_NONE;
    /* Refused in strict rings only: it has been passed over. */
    if (rbx_swap_if_seq_cst(word, &expected, at | RBX_SLOT_VOID)) {
        rbx_mpmc_sent(
            tx); /* receivers may wait for what comes after it, and senders for it to go */
        if (rbx_bell_after_publish(&tx->mpmc.shared->room))
            rbx_end_wake(rbx_mpmc_sender(tx), &tx->mpmc.shared->room);
    } else {
        rbx_mpmc_return_place(tx, at);
    }
    give_up(&tx->mpmc); /* another may hold this place from now on */
    return 0;
}

int rbx_mpmc_put_back(rbx_rx *rx)
{
    rbx_atomic64 *slot = rbx_slot_word(rx->ring, rx->mpmc.held);
    uint64_t word = rbx_load_acquire(slot);
    rx->hold = RBX_HOLD_NONE;
    /* Refused in strict rings only: a sender has just moved it on. */
    for (int tries = RBX_TRIES; tries > 0; tries--) {
        unsigned state = rbx_slot_state(word);
        if ((state != RBX_SLOT_FULL && state != RBX_SLOT_TAKEN) ||
            rbx_swap_if_seq_cst(slot, &word, rbx_slot_position(word) | RBX_SLOT_ORPHAN))
            break;
    }
    /* Who dies before this: a repair adds one, too. After it, another may hold the slot. */
    rbx_add_seq_cst(&rx->mpmc.shared->orphans, 1);
    give_up(&rx->mpmc);
    if (rbx_bell_after_publish(&rx->mpmc.shared->message))
        rbx_end_wake(rbx_mpmc_receiver(rx), &rx->mpmc.shared->message);
    return 0;
}

/* The orphan in a slot, which says `word`. */
static bool is_orphan(const struct rbx_mpmc_end *end, uint64_t index, uint64_t word)
{
    return rbx_slot_state(word) == RBX_SLOT_ORPHAN && ((word >> 8) & end->mask) == index;
}

bool rbx_mpmc_has_orphan(rbx_rx *rx)
{
    struct rbx_mpmc_end *end = &rx->mpmc;
    uint64_t seen = rbx_load_acquire(&end->shared->orphans);
    if (seen == end->orphans_seen)
        return false;
    for (uint64_t i = 0; i <= end->mask; i++)
        if (is_orphan(end, i, rbx_load_acquire(rbx_slot_word(rx->ring, i << 8))))
            return true;
    end->orphans_seen = seen;
    return false;
}

int rbx_mpmc_take_orphan(rbx_rx *rx, uint64_t *at)
{
    struct rbx_mpmc_end *end = &rx->mpmc;
    uint64_t seen = rbx_load_acquire(&end->shared->orphans);
    for (uint64_t i = 0; i <= end->mask; i++) {
        rbx_atomic64 *slot = rbx_slot_word(rx->ring, i << 8);
        uint64_t word = rbx_load_acquire(slot); /* M1 */
        *at = rbx_slot_position(word);
        if (!is_orphan(end, i, word))
            continue;
        rbx_mpmc_intend(end, *at, 1);
        if (rbx_swap_if_seq_cst(slot, &word, *at | RBX_SLOT_TAKEN))
            return 1;
    }
    end->orphans_seen = seen;
    return 0;
}

/* --- What all kinds of ring have --- */

static struct rbx_frame frame_for(size_t size, size_t alignment)
{
    return rbx_mpmc_frame_for(size, alignment);
}

/* A power of two, so that a position's slot is a mask away. */
static bool plan(struct rbx_ring_shape *shape)
{
    shape->frames = 1;
    while (shape->frames < shape->capacity)
        shape->frames *= 2;
    return true;
}

static bool is_sound(const struct rbx_ring_shape *shape)
{
    const struct rbx_frame *f = &shape->frame;
    return f->per_frame == 1 && f->stride == f->bytes && f->offset >= 8 &&
           f->bytes % (f->bytes < 64 ? 16 : 64) == 0 &&
           (uint64_t)f->offset + f->message_size <= f->bytes &&
           (shape->frames & (shape->frames - 1)) == 0 && shape->capacity <= shape->frames &&
           shape->frames <= UINT64_C(1) << 40;
}

static int format(void *memory, const struct rbx_ring_shape *shape)
{
    struct rbx_mpmc *mpmc = (void *)((char *)memory + RBX_RING_SHARED_AT);
    char *first = (char *)memory + rbx_ring_frames_at(shape);
    rbx_store_relaxed(&mpmc->tail, shape->first_frame << 8);
    rbx_store_relaxed(&mpmc->head, shape->first_frame << 8);
    for (uint64_t i = 0; i < shape->frames; i++) {
        uint64_t position = shape->first_frame + i;
        char *slot = first + (position & (shape->frames - 1)) * shape->frame.bytes;
        rbx_store_relaxed(rbx_mpmc_word(slot), position << 8);
    }
    return 0;
}

static int shut_down(rbx_ring *ring)
{
    bool before = rbx_or_seq_cst(&ring->mpmc->tail, RBX_TAIL_CLOSED) & RBX_TAIL_CLOSED;
    rbx_mpmc_finish_shutdown(ring);
    return before ? -EALREADY : 0;
}

static void bells(const rbx_ring *ring, rbx_bell **message, rbx_bell **room)
{
    *message = &ring->mpmc->message;
    *room = &ring->mpmc->room;
}

static void describe(const rbx_ring *ring, rbx_ring_info *info)
{
    const struct rbx_mpmc *mpmc = ring->mpmc;
    uint64_t start = ring->shape.first_frame << 8;
    uint64_t head = rbx_slot_position(rbx_load_acquire(&mpmc->head));
    uint64_t tail = rbx_load_acquire(&mpmc->tail);
    uint64_t passed = (head - start) >> 8, held = in_hand(ring, head);
    info->received = held < passed ? passed - held : 0;
    info->sent = (rbx_slot_position(tail) - start) >> 8;
    info->high_water = rbx_load_relaxed(&mpmc->high_water);
    info->shut = tail & RBX_TAIL_CLOSED;
    info->repaired = (rbx_repaired){
        .senders = rbx_count_of(&mpmc->mourning.died[RBX_TX]),
        .receivers = rbx_count_of(&mpmc->mourning.died[RBX_RX]),
        .tombstones = rbx_count_of(&mpmc->tombstones),
        .redelivered = rbx_count_of(&mpmc->redelivered),
        .dropped = rbx_count_of(&mpmc->dropped),
        .returned = rbx_count_of(&mpmc->returned),
    };
}

const struct rbx_kind rbx_kind_mpmc = {.name = "MPMC",
                                       .frame_for = frame_for,
                                       .plan = plan,
                                       .is_sound = is_sound,
                                       .format = format,
                                       .begin_tx = begin_tx,
                                       .begin_rx = begin_rx,
                                       .end_tx = end_tx,
                                       .end_rx = end_rx,
                                       .may_send = rbx_mpmc_may_send,
                                       .may_receive = rbx_mpmc_may_receive,
                                       .forsaken = rbx_mpmc_forsaken,
                                       .bells = bells,
                                       .shutdown = shut_down,
                                       .describe = describe,
                                       .repair = rbx_mpmc_repair};
