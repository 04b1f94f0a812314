/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/message.h>

#include <errno.h>

#include "error.h"
#include "mpmc/slot.h"
#include "os/clock.h"
#include "os/thread.h"
#include "ring/end.h"
#include "ring/handle.h"
#include "ring/kind.h"
#include "ring/mourning.h"
#include "ring/seat.h"
#include "wait.h"

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
    if (rbx_seat_is_open(ring, which, seat))
        rbx_mpmc_mind_the_dead(ring);
    if (rbx_seat_is_open(ring, which, seat) && ring->box)
        return rbx_fail(-EAGAIN, "seat %u of ring '%s' is still being cleared of one that has died",
                        seat, rbx_ring_name(ring));
    uint64_t tail = rbx_load_acquire(&mpmc->tail), head = rbx_load_acquire(&mpmc->head);
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
 * and at the others when it has been stuck for some time.
 */
static void mind_now_and_then(struct rbx_end end, struct rbx_mpmc_end *own, uint64_t at)
{
    enum { LOOK_EVERY = 64 };
    const uint64_t stuck_for_ns = 10000000;
    if (rbx_end_missed(end) % LOOK_EVERY != 0)
        return;
    uint64_t now = rbx_clock_monotonic();
    if (own->stuck_at != at || own->stuck_since == 0) {
        own->stuck_at = at;
        own->stuck_since = now;
    } else if (now - own->stuck_since > stuck_for_ns) {
        own->stuck_since = now;
        rbx_mpmc_mind_the_dead(end.ring);
    }
}

int rbx_mpmc_no_place(rbx_tx *tx, uint64_t at, uint64_t word)
{
    struct rbx_mpmc_end *end = &tx->mpmc;
    uint64_t tail = rbx_load_acquire(end->index);
    int err = 0;
    if (tail & RBX_TAIL_CLOSED) {
        give_up(end);
        return rbx_tx_refuse(tx);
    }
    if (tail != at)
        return 0;
    if (end->strict)
        err = rbx_mpmc_move_on_tail(tx, at, word);
    else if (rbx_slot_ahead(tail, word) == (int64_t)end->lap)
        err = -EAGAIN;
    else if (rbx_load_acquire(rbx_slot_word(tx->ring, tail)) == word &&
             rbx_load_acquire(end->index) == tail)
        err = -EPROTO;
    if (err == 0)
        return 0;
    give_up(end);
    if (err != -EAGAIN)
        return rbx_ring_damaged(tx->ring);
    if (rbx_load_relaxed(&end->shared->high_water) < end->mask + 1)
        rbx_mpmc_note_high_water(tx, tail);
    mind_now_and_then(rbx_mpmc_sender(tx), end, tail);
    return err;
}

/* Takes a tombstone out of the way, unless another does. */
static void skip(rbx_rx *rx, uint64_t at)
{
    struct rbx_mpmc_end *end = &rx->mpmc;
    uint64_t expected = at;
    rbx_mpmc_intend(end, at, 1);
    if (rbx_swap_if_release(end->index, &expected, at + RBX_POSITION)) { /* M3 */
        rbx_mpmc_free(rx, at, rx->frame);
        rbx_mpmc_freed(rx);
    }
}

/* Nothing is there, and nothing will come: then -EPIPE; but the last ones may have died with a
   message in hand: then 0. Not for good: one that lives may still die, or put a message back. */
static int ended(rbx_rx *rx, uint64_t head)
{
    /* Tail is the senders': who polls must not touch it for nothing. */
    if (rbx_likely(!(rbx_load_acquire(&rx->mpmc.shared->message.bits) & RBX_BELL_SHUT)))
        return -EAGAIN;
    if (rbx_slot_ahead(head, rbx_load_acquire(&rx->mpmc.shared->tail)) < 0)
        return -EAGAIN;
    rbx_mpmc_mind_the_dead(rx->ring);
    if (rbx_load_acquire(&rx->mpmc.shared->orphans) != rx->mpmc.orphans_seen)
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
    if (word == (head | RBX_SLOT_VOID))
        skip(rx, at);
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
    mind_now_and_then(rbx_mpmc_receiver(rx), end, head);
    return ended(rx, head);
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
    if (rbx_swap_if_seq_cst(word, &expected, at | RBX_SLOT_VOID))
        rbx_mpmc_sent(tx); /* receivers may wait for what comes after it */
    else
        rbx_mpmc_return_place(tx, at);
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
    rbx_add_seq_cst(&rx->mpmc.shared->orphans, 1); /* who dies before: a repair adds one, too */
    if (rbx_bell_after_publish(&rx->mpmc.shared->message))
        rbx_end_wake(rbx_mpmc_receiver(rx), &rx->mpmc.shared->message);
    return 0;
}

int rbx_mpmc_take_orphan(rbx_rx *rx, uint64_t *at)
{
    struct rbx_mpmc_end *end = &rx->mpmc;
    uint64_t seen = rbx_load_acquire(&end->shared->orphans);
    for (uint64_t i = 0; i <= end->mask; i++) {
        rbx_atomic64 *slot = rbx_slot_word(rx->ring, i << 8);
        uint64_t word = rbx_load_acquire(slot); /* M1 */
        *at = rbx_slot_position(word);
        if (rbx_slot_state(word) != RBX_SLOT_ORPHAN || ((*at >> 8) & end->mask) != i)
            continue;
        rbx_mpmc_intend(end, *at, 1);
        if (rbx_swap_if_seq_cst(slot, &word, *at | RBX_SLOT_TAKEN))
            return 1;
    }
    end->orphans_seen = seen;
    return 0;
}

/* --- Waiting --- */

/* Somebody has in hand what this end waits for. That takes a moment, as long as it runs: let it. */
static bool let_it_finish(const rbx_atomic64 *word, uint64_t seen)
{
    enum { YIELDS = 16 };
    for (int yields = YIELDS; yields > 0; yields--) {
        if (rbx_load_relaxed(word) != seen)
            return true;
        rbx_thread_yield();
    }
    return false;
}

/* The first slice of a wait for somebody who is in the middle of a call, and may have died there;
   each slice is twice as long as the one before. */
#define STUCK_SLICE_NS 2000000U

static uint64_t next_slice(bool stuck, uint64_t *stuck_slice)
{
    uint64_t slice = *stuck_slice;
    if (!stuck || slice > RBX_SLICE_NS)
        return RBX_SLICE_NS;
    *stuck_slice *= 2;
    return slice;
}

/* A slice is over: sees to the dead. */
static uint32_t forsaken(struct rbx_end end, uint32_t mourned)
{
    rbx_mpmc_mind_the_dead(end.ring);
    return rbx_mourning_for(end.ring, &end.ring->mpmc->mourning, rbx_other_end(end.which), mourned);
}

/* What a wait that has not ended well answers, `death` being what forsaken() says. */
static int complain(struct rbx_end end, int err, uint32_t death, uint32_t *mourned)
{
    if (death != 0) {
        *mourned = death;
        return rbx_ring_forsaken(end.ring, end.which);
    }
    return err == -EINTR       ? rbx_ring_interrupted(end.ring)
           : err == -ETIMEDOUT ? rbx_ring_timed_out(end.ring, end.which)
                               : 0;
}

#ifndef SLIP_NS
#define SLIP_NS 800U
#endif

/*
 * Two ends of a stream that are about as quick as each other meet in one cache line, again and
 * again, and pull it to and fro for each message. So who has nothing to do lets some gather, and
 * looks then. Where that finds but one, somebody waits for an answer, or comes now and then: there
 * it is not soon repeated, and ever more rarely. Whether there is anything by now.
 */
static bool slip(struct rbx_mpmc_end *end, uint64_t at, unsigned state, struct rbx_frame g)
{
    enum { MANY = 4, SHORTEST_REST = 32, LONGEST_REST = 4096 };
    rbx_wait_a_little(SLIP_NS);
    uint64_t last = at + (MANY - 1) * RBX_POSITION;
    if (rbx_load_relaxed(rbx_mpmc_word(rbx_mpmc_slot(end, last, g))) == (last | state)) {
        end->rest = 0;
        return true;
    }
    end->rest = end->rest < SHORTEST_REST  ? SHORTEST_REST
                : end->rest < LONGEST_REST ? end->rest * 2
                                           : LONGEST_REST;
    end->no_slip = end->rest;
    return false;
}

/*
 * A wait begins. Whether it is worth to try again at once. Where there is no stream, an answer from
 * another core may come in a moment: then some waits are but a pause, since the caller's try is a
 * quicker look than any from here.
 */
static bool is_short(struct rbx_mpmc_end *end, const rbx_patience *patience, uint64_t at,
                     unsigned state, struct rbx_frame g)
{
    enum { POLLS = 64 };
    bool may_spin = patience->how != RBX_WAIT_SLEEP || patience->most_ns > 0;
    if (!may_spin)
        return false;
    if (end->no_slip == 0)
        return slip(end, at, state, g);
    end->no_slip--;
    if (!patience->same_core && end->polls++ < POLLS) {
        rbx_pause();
        return true;
    }
    end->polls = 0;
    return false;
}

static void begin_timeout(uint64_t timeout_ns, uint64_t *deadline)
{
    if (*deadline == 0)
        *deadline = timeout_ns == RBX_FOREVER ? RBX_FOREVER : rbx_wait_deadline(timeout_ns);
}

/* There is something to try for. But if others are quicker, again and again, time may be up. */
static int try_again(uint64_t timeout_ns, uint64_t *deadline)
{
    bool first = *deadline == 0;
    begin_timeout(timeout_ns, deadline);
    return first || *deadline == RBX_FOREVER || rbx_clock_monotonic() < *deadline ? 0 : -ETIMEDOUT;
}

int rbx_mpmc_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline)
{
    struct rbx_mpmc *mpmc = tx->mpmc.shared;
    const struct rbx_end end = rbx_mpmc_sender(tx);
    uint64_t stuck_slice = STUCK_SLICE_NS;
    if (timeout_ns > SLIP_NS &&
        is_short(&tx->mpmc, &tx->patience, rbx_slot_position(rbx_load_relaxed(&mpmc->tail)),
                 RBX_SLOT_FREE, tx->frame))
        return 0;
    for (;;) {
        uint64_t tail = rbx_load_acquire(&mpmc->tail);
        const rbx_atomic64 *slot = rbx_slot_word(tx->ring, tail);
        uint64_t word = rbx_load_acquire(slot);
        bool full = rbx_slot_ahead(tail, word) == (int64_t)tx->mpmc.lap;
        if (tail & RBX_TAIL_CLOSED)
            return 0;
        /* In somebody's hands: taken, and not published or not released. */
        bool stuck = rbx_slot_state(word) != RBX_SLOT_ORPHAN &&
                     (rbx_slot_state(word) == RBX_SLOT_FREE ||
                      rbx_slot_ahead(rbx_load_acquire(&mpmc->head), word) > 0);
        int err;
        if (!full || (stuck && let_it_finish(slot, word)))
            err = try_again(timeout_ns, deadline);
        else
            err = rbx_end_wait(end, &mpmc->room, slot, word, next_slice(stuck, &stuck_slice),
                               timeout_ns, deadline, &tx->patience);
        if (err == 0)
            return 0;
        uint32_t death = forsaken(end, tx->mourned);
        if (rbx_load_acquire(&mpmc->tail) != tail || rbx_load_acquire(slot) != word)
            death = 0; /* it may have died just after */
        err = complain(end, err, death, &tx->mourned);
        if (err != 0)
            return err;
    }
}

int rbx_mpmc_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline)
{
    const uint64_t nap_ns = 100000;
    struct rbx_mpmc *mpmc = rx->mpmc.shared;
    const struct rbx_end end = rbx_mpmc_receiver(rx);
    uint64_t stuck_slice = STUCK_SLICE_NS;
    if (timeout_ns > SLIP_NS &&
        is_short(&rx->mpmc, &rx->patience, rbx_load_relaxed(&mpmc->head), RBX_SLOT_FULL, rx->frame))
        return 0;
    for (;;) {
        uint64_t head = rbx_load_acquire(&mpmc->head);
        const rbx_atomic64 *slot = rbx_slot_word(rx->ring, head);
        uint64_t word = rbx_load_acquire(slot);
        bool empty = word == head || rbx_slot_ahead(head, word) == (int64_t)rx->mpmc.lap;
        uint64_t tail = rbx_load_acquire(&mpmc->tail);
        bool stuck = word == head && rbx_slot_ahead(tail, head) > 0;
        if (rbx_load_relaxed(&mpmc->orphans) != rx->mpmc.orphans_seen)
            return 0;
        int err;
        if (!empty || (stuck && let_it_finish(slot, word))) {
            err = try_again(timeout_ns, deadline);
        } else if (tail & RBX_TAIL_CLOSED) {
            if (!stuck)
                return 0;
            /* The last messages are in senders' hands, and no bell says more than that. */
            begin_timeout(timeout_ns, deadline);
            rbx_clock_pause(nap_ns);
            err = rbx_clock_monotonic() < *deadline ? -EAGAIN : -ETIMEDOUT;
        } else {
            err = rbx_end_wait(end, &mpmc->message, slot, word, next_slice(stuck, &stuck_slice),
                               timeout_ns, deadline, &rx->patience);
        }
        if (err == 0)
            return 0;
        uint32_t death = forsaken(end, rx->mourned);
        if (rbx_load_acquire(&mpmc->head) != head || rbx_load_acquire(slot) != word ||
            rbx_load_relaxed(&mpmc->orphans) != rx->mpmc.orphans_seen)
            return 0;
        err = complain(end, err, death, &rx->mourned);
        if (err != 0)
            return err;
    }
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

static bool shut_down(rbx_ring *ring)
{
    struct rbx_mpmc *mpmc = ring->mpmc;
    if (rbx_or_seq_cst(&mpmc->tail, RBX_TAIL_CLOSED) & RBX_TAIL_CLOSED)
        return false;
    rbx_or_seq_cst(&mpmc->message.bits, RBX_BELL_SHUT);
    rbx_or_seq_cst(&mpmc->room.bits, RBX_BELL_SHUT);
    rbx_bell_ring(&mpmc->message, ring->in_process);
    rbx_bell_ring(&mpmc->room, ring->in_process);
    return true;
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
        .senders = rbx_load_relaxed(&mpmc->mourning.died[RBX_TX]),
        .receivers = rbx_load_relaxed(&mpmc->mourning.died[RBX_RX]),
        .tombstones = rbx_load_relaxed(&mpmc->tombstones),
        .redelivered = rbx_load_relaxed(&mpmc->redelivered),
        .dropped = rbx_load_relaxed(&mpmc->dropped),
        .returned = rbx_load_relaxed(&mpmc->returned),
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
                                       .shutdown = shut_down,
                                       .describe = describe,
                                       .repair = rbx_mpmc_repair};
