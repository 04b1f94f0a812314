/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* slot.h: the words of the ring of many, off the hot path. docs/mpmc.md has what they mean. */
#ifndef RBX_MPMC_SLOT_H
#define RBX_MPMC_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include <ringbox/mpmc.h>

#include "../ring/end.h"
#include "../ring/handle.h"
#include "../ring/kind.h"

#define RBX_STATE_MASK (RBX_POSITION - 1)

static inline uint64_t rbx_slot_position(uint64_t word)
{
    return word & ~RBX_STATE_MASK;
}

static inline unsigned rbx_slot_state(uint64_t word)
{
    return (unsigned)(word & RBX_STATE_MASK);
}

/* How far `at` is ahead of `other`, or behind: positions go on and on, modulo 2^64. */
static inline int64_t rbx_slot_ahead(uint64_t at, uint64_t other)
{
    return (int64_t)(rbx_slot_position(at) - rbx_slot_position(other));
}

static inline uint64_t rbx_slot_lap(const rbx_ring *ring)
{
    return ring->shape.frames << 8;
}

static inline rbx_atomic64 *rbx_slot_word(const rbx_ring *ring, uint64_t at)
{
    uint64_t index = (at >> 8) & (ring->shape.frames - 1);
    return (void *)(ring->first + index * ring->shape.frame.bytes);
}

/* Whether the slot at `head`, which tail has been seen to have passed, still has a word of the lap
   before. That is damage: whoever moved tail on had seen, or stored, a later one, and so does who
   has seen tail moved on. */
static inline bool rbx_slot_is_of_last_lap(const rbx_ring *ring, uint64_t head)
{
    uint64_t word = rbx_load_acquire(rbx_slot_word(ring, head));
    return rbx_slot_ahead(head, word) == (int64_t)rbx_slot_lap(ring);
}

static inline struct rbx_end rbx_mpmc_sender(const rbx_tx *tx)
{
    return (struct rbx_end){tx->ring, RBX_TX, tx->seat};
}

static inline struct rbx_end rbx_mpmc_receiver(const rbx_rx *rx)
{
    return (struct rbx_end){rx->ring, RBX_RX, rx->seat};
}

/* Once tail is closed: tells everybody, if that is not done. */
void rbx_mpmc_finish_shutdown(rbx_ring *ring);

/* Whether there is one, as rbx_mpmc_take_orphan would find it. */
bool rbx_mpmc_has_orphan(rbx_rx *rx);

/* --- Waiting (wait.c): of struct rbx_kind --- */

bool rbx_mpmc_may_send(rbx_tx *tx, struct rbx_outlook *outlook);
bool rbx_mpmc_may_receive(rbx_rx *rx, struct rbx_outlook *outlook);
uint32_t rbx_mpmc_forsaken(rbx_ring *ring, enum rbx_ring_end end, uint32_t known);

/* --- Strict mode (strict.c) --- */

/*
 * A sender (a receiver) at `at` is not served by this word. 0: something has moved on; look again.
 * -EAGAIN: nothing has, and it is to wait.
 */
int rbx_mpmc_move_on_tail(rbx_tx *tx, uint64_t at, uint64_t word);
int rbx_mpmc_move_on_head(rbx_rx *rx, uint64_t at, uint64_t word);
/* Whether the first of them would get on, where the slot at tail is not free: look, and touch
   nothing. */
bool rbx_mpmc_could_move_tail(const rbx_ring *ring, uint64_t tail);
/* The second, where head says that a sender has this position. */
bool rbx_mpmc_could_move_head(const rbx_ring *ring, uint64_t head, uint64_t tail);
/* Moves head past positions that have nothing to receive, once round at most: whether it did, and
   came to one that has, or may have. */
bool rbx_mpmc_pass_nothing(const rbx_ring *ring);
/* Gives a slot back that is in the caller's hands, whatever it has been moved on to. */
void rbx_mpmc_give_back(const rbx_ring *ring, uint64_t at);
/* Gives a place back that has been passed over. */
void rbx_mpmc_return_place(rbx_tx *tx, uint64_t at);

/* --- The dead (repair.c) --- */

int rbx_mpmc_repair(rbx_ring *ring, rbx_repaired *repaired);
/* Does so if anybody has died; without a sentence. Whether there are dead that it could not clear.
 */
bool rbx_mpmc_mind_the_dead(rbx_ring *ring);
/* From a call that cannot do what it should: now and then. */
void rbx_mpmc_mind_now_and_then(struct rbx_end end, struct rbx_mpmc_end *own);

#endif
