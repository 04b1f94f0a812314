/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * strict.c: the ring of many in which nobody waits for one that has stopped in the middle of a
 * call. docs/mpmc.md has the table that this follows. Who moves a word on does so before the index
 * (M-I4).
 *
 * All swaps here are of words that many may change at once; they are seq_cst for simplicity, as
 * the processor pays for the swap and not for its order.
 */
#include <errno.h>
#include <string.h>

#include "slot.h"

/* How long one that runs takes at most, from its ticket to its word. */
static bool changes_soon(const rbx_atomic64 *slot, uint64_t word)
{
    enum { LOOKS = 128 };
    for (int looks = LOOKS; looks > 0; looks--) {
        if (rbx_load_relaxed(slot) != word)
            return true;
        rbx_pause();
    }
    return false;
}

static void move_index(rbx_atomic64 *index, uint64_t at)
{
    uint64_t expected = at;
    (void)rbx_swap_if_seq_cst(index, &expected, at + RBX_POSITION);
}

void rbx_mpmc_give_back(const rbx_ring *ring, uint64_t at)
{
    rbx_atomic64 *slot = rbx_slot_word(ring, at);
    uint64_t word = rbx_load_acquire(slot);
    for (int tries = RBX_TRIES; tries > 0; tries--) {
        unsigned state = rbx_slot_state(word);
        if (state == RBX_SLOT_FREE || state == RBX_SLOT_ORPHAN)
            return; /* damage: this is not ours to write */
        uint64_t freed = rbx_slot_position(word) + rbx_slot_lap(ring);
        if (rbx_swap_if_seq_cst(slot, &word, freed)) /* M2 */
            return;
    }
}

/* --- Senders --- */

/* The slot at tail is in somebody's hands since the last lap: passes it over. */
static void overtake(const rbx_ring *ring, uint64_t at, uint64_t word)
{
    bool has_message =
        rbx_slot_state(word) == RBX_SLOT_FULL || rbx_slot_state(word) == RBX_SLOT_TAKEN;
    uint64_t expected = word, passed = at | (has_message ? RBX_SLOT_TAKEN : RBX_SLOT_PASSED);
    if (rbx_swap_if_seq_cst(rbx_slot_word(ring, at), &expected, passed))
        move_index(&ring->mpmc->tail, at);
}

/* As rbx_mpmc_move_on_tail, for one position. */
static int pass_place(const rbx_ring *ring, uint64_t at, uint64_t word)
{
    struct rbx_mpmc *mpmc = ring->mpmc;
    int64_t behind = rbx_slot_ahead(at, word), lap = (int64_t)rbx_slot_lap(ring);
    unsigned state = rbx_slot_state(word);
    /* Moved on at tail, and then given back for the next lap, is as far ahead as a word can be. To
       go after one that is further ahead would take tail round and round. */
    if (behind < -lap)
        return -EPROTO;
    if (behind < 0 || (behind == 0 && state > RBX_SLOT_VOID)) {
        move_index(&mpmc->tail, at);
        return 0;
    }
    if (behind != lap)
        return -EPROTO;
    if (state == RBX_SLOT_FREE || state == RBX_SLOT_ORPHAN)
        return -EAGAIN;
    if (state == RBX_SLOT_FULL || state == RBX_SLOT_VOID) {
        if (rbx_slot_ahead(rbx_load_acquire(&mpmc->head), word) <= 0)
            return -EAGAIN;
        if (changes_soon(rbx_slot_word(ring, at), word))
            return 0;
    }
    overtake(ring, at, word);
    return 0;
}

/* Whether there is any place ahead that could be taken, once the others are passed. Else tail stays
   where it is: it would go round and round. */
static bool is_any_place_free(const rbx_ring *ring, uint64_t at)
{
    uint64_t head = rbx_load_acquire(&ring->mpmc->head);
    for (uint64_t i = 0; i < ring->shape.frames; i++, at += RBX_POSITION) {
        uint64_t word = rbx_load_acquire(rbx_slot_word(ring, at));
        unsigned state = rbx_slot_state(word);
        if (word == at)
            return true;
        bool is_unread =
            (state == RBX_SLOT_FULL || state == RBX_SLOT_VOID) && rbx_slot_ahead(head, word) <= 0;
        if (rbx_slot_ahead(at, word) > 0 &&
            (is_unread || state == RBX_SLOT_FREE || state == RBX_SLOT_ORPHAN))
            return false;
    }
    return false;
}

int rbx_mpmc_move_on_tail(rbx_tx *tx, uint64_t at, uint64_t word)
{
    const rbx_ring *ring = tx->ring;
    if (rbx_slot_ahead(at, word) == (int64_t)rbx_slot_lap(ring) && !is_any_place_free(ring, at))
        return -EAGAIN;
    for (uint64_t moves = 0; moves <= ring->shape.frames; moves++) {
        int err = pass_place(ring, at, word);
        uint64_t tail = rbx_load_acquire(&ring->mpmc->tail);
        if (err == -EPROTO && (tail != at || rbx_load_acquire(rbx_slot_word(ring, at)) != word))
            err = 0; /* that was the past */
        if (err < 0)
            return err;
        at = tail;
        word = rbx_load_acquire(rbx_slot_word(ring, at));
        if (word == at || at & RBX_TAIL_CLOSED)
            break;
    }
    /* Who is passed over may have died; in a ring that goes on nobody else would ask. */
    rbx_mpmc_mind_now_and_then(rbx_mpmc_sender(tx), &tx->mpmc);
    return 0;
}

void rbx_mpmc_return_place(rbx_tx *tx, uint64_t at)
{
    rbx_bell *room = &tx->mpmc.shared->room;
    rbx_mpmc_give_back(tx->ring, at);
    if (rbx_bell_after_publish(room))
        rbx_end_wake(rbx_mpmc_sender(tx), room);
}

static bool publish(const rbx_ring *ring, uint64_t at)
{
    uint64_t expected = at;
    return rbx_swap_if_seq_cst(rbx_slot_word(ring, at), &expected, at | RBX_SLOT_FULL); /* M1 */
}

/* Takes another place, as often as needed: 0, or why there is none. A death is none of its
   business: what was to be sent is still to be. */
static int send_again(rbx_tx *tx, const char *message)
{
    tx->bereaved = 0;
    for (int tries = RBX_TRIES; tries > 0; tries--) {
        uint64_t at = 0;
        ptrdiff_t taken = rbx_mpmc_take_places(tx, 1, &at, tx->frame);
        if (taken < 0)
            return (int)taken;
        memcpy((char *)rbx_slot_word(tx->ring, at) + tx->frame.offset, message,
               tx->frame.message_size);
        if (publish(tx->ring, at))
            return 0;
        rbx_mpmc_return_place(tx, at);
    }
    return rbx_mpmc_tx_unlucky(tx);
}

/* The place at `held` was passed over, and its message is nowhere else: that is owed until it is
   sent. */
static int send_from_place(rbx_tx *tx, uint64_t held)
{
    struct rbx_seat *seat = tx->ring->seats[RBX_TX] + tx->seat;
    rbx_store_release(&seat->owed, held | 1); /* before the intent names another */
    int err = send_again(tx, (char *)rbx_slot_word(tx->ring, held) + tx->frame.offset);
    if (err == -EAGAIN) {
        tx->hold = RBX_HOLD_PLACE;
        rbx_store_release(&seat->at, held | 1); /* before it is owed no more */
    } else {
        rbx_mpmc_return_place(tx, held);
    }
    rbx_store_release(&seat->owed, 0);
    return err;
}

int rbx_mpmc_publish_strictly(rbx_tx *tx, uint64_t at, const void *message)
{
    int err = 0;
    tx->hold = RBX_HOLD_NONE;
    if (publish(tx->ring, at)) {
        err = 0;
    } else if (message) {
        rbx_mpmc_return_place(tx, at);
        err = send_again(tx, message);
    } else {
        err = send_from_place(tx, at);
    }
    if (err == 0)
        rbx_mpmc_sent(tx);
    return err;
}

/* --- Receivers --- */

/* There is something later. */
bool rbx_mpmc_could_move_head(const rbx_ring *ring, uint64_t at, uint64_t tail)
{
    uint64_t end = at + rbx_slot_lap(ring);
    if (rbx_slot_ahead(tail, end) < 0)
        end = rbx_slot_position(tail);
    for (at += RBX_POSITION; rbx_slot_ahead(end, at) > 0; at += RBX_POSITION) {
        uint64_t word = rbx_load_acquire(rbx_slot_word(ring, at));
        if (word == (at | RBX_SLOT_FULL) || word == (at | RBX_SLOT_VOID))
            return true;
    }
    return false;
}

/* Nothing will ever be received at `at`, which head still says. */
static void pass_position(const rbx_ring *ring, uint64_t at)
{
    uint64_t tail = rbx_load_acquire(&ring->mpmc->tail);
    if (rbx_slot_ahead(tail, at) == 0)
        move_index(&ring->mpmc->tail, tail); /* the word was moved on, and tail not yet */
    move_index(&ring->mpmc->head, at);
}

/* That slot will never have anything to receive for this position. */
static bool has_nothing(uint64_t head, uint64_t word)
{
    int64_t behind = rbx_slot_ahead(head, word);
    return behind < 0 || (behind == 0 && rbx_slot_state(word) > RBX_SLOT_VOID);
}

bool rbx_mpmc_could_move_tail(const rbx_ring *ring, uint64_t tail)
{
    uint64_t head = rbx_load_acquire(&ring->mpmc->head);
    uint64_t word = rbx_load_acquire(rbx_slot_word(ring, head));
    return is_any_place_free(ring, tail) || word == (head | RBX_SLOT_VOID) ||
           has_nothing(head, word);
}

bool rbx_mpmc_pass_nothing(const rbx_ring *ring)
{
    bool passed = false;
    for (uint64_t i = 0; i <= ring->shape.frames; i++) {
        uint64_t head = rbx_load_acquire(&ring->mpmc->head);
        if (!has_nothing(head, rbx_load_acquire(rbx_slot_word(ring, head))))
            return passed;
        pass_position(ring, head);
        passed = true;
    }
    return false; /* all the way round: every slot is in somebody's hands, or says so */
}

int rbx_mpmc_move_on_head(rbx_rx *rx, uint64_t at, uint64_t word)
{
    const rbx_ring *ring = rx->ring;
    struct rbx_mpmc *mpmc = ring->mpmc;
    rbx_atomic64 *slot = rbx_slot_word(ring, at);
    int64_t behind = rbx_slot_ahead(at, word);
    if (behind == (int64_t)rbx_slot_lap(ring))
        return -EAGAIN;
    if (behind > 0)
        return rbx_load_acquire(slot) == word && rbx_load_acquire(&mpmc->head) == at ? -EPROTO : 0;
    if (behind == 0 && rbx_slot_state(word) == RBX_SLOT_FULL)
        return 0; /* only just */
    if (behind == 0 && rbx_slot_state(word) == RBX_SLOT_FREE) {
        uint64_t tail = rbx_load_acquire(&mpmc->tail);
        if (rbx_slot_ahead(tail, at) <= 0 || !rbx_mpmc_could_move_head(ring, at, tail))
            return -EAGAIN;
        if (changes_soon(slot, word) || !rbx_swap_if_seq_cst(slot, &word, at | RBX_SLOT_PASSED))
            return 0;
        move_index(&mpmc->head, at);
        return 0;
    }
    pass_position(ring, at);
    return 0;
}

void rbx_mpmc_release_strictly(rbx_rx *rx, uint64_t at)
{
    rbx_mpmc_give_back(rx->ring, at);
}
