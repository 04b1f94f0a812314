/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mourning.h: the deaths in a ring with many seats. A dead seat is buried by one process at a time,
 * whom the kind of ring sees to: that makes it free. An end whose last one has died without a
 * successor is in mourning, and the other end, which waits for it, is told once.
 */
#ifndef RBX_RING_MOURNING_H
#define RBX_RING_MOURNING_H

#include <stdbool.h>
#include <stdint.h>

#include <ringbox/mpmc.h>

#include "handle.h"
#include "seat.h"

/*
 * A count that a repair raises just before what it counts is done, with a tag that says what that
 * is: whoever does it again, because a repairer has died in between, finds the tag and counts it
 * once. count << 32 | tag.
 */
static inline uint64_t rbx_count_of(const rbx_atomic64 *counter)
{
    return rbx_load_relaxed(counter) >> 32;
}

static inline void rbx_count_once(rbx_atomic64 *counter, uint32_t tag)
{
    uint64_t count = rbx_load_relaxed(counter);
    if ((uint32_t)count != tag)
        rbx_store_relaxed(counter, ((count >> 32) + 1) << 32 | tag);
}

/* The seat whose opening of this number has died is nobody's from here on. */
static inline void rbx_mourning_bury(const rbx_ring *ring, struct rbx_mourning *mourning,
                                     enum rbx_ring_end end, unsigned index, uint32_t opening)
{
    rbx_count_once(&mourning->died[end], (uint32_t)index << 24 ^ opening);
    rbx_store_release(&mourning->last[end], rbx_count_of(&mourning->died[end]));
    rbx_store_release(&rbx_seat_of(ring, end, index)->openings, opening + 1);
}

/* Somebody opens this end. */
static inline void rbx_mourning_over(struct rbx_mourning *mourning, enum rbx_ring_end end)
{
    rbx_store_release(&mourning->last[end], 0);
}

/* The last death at this end, when nobody is left there and it is not the one that `known` says;
   else 0. */
static inline uint32_t rbx_mourning_for(const rbx_ring *ring, const struct rbx_mourning *mourning,
                                        enum rbx_ring_end end, uint32_t known)
{
    uint32_t death = (uint32_t)rbx_load_acquire(&mourning->last[end]);
    if (death == known)
        return 0;
    for (unsigned i = 0; i < ring->shape.seats[end]; i++)
        if (rbx_seat_is_open(ring, end, i))
            return 0;
    return death;
}

#endif
