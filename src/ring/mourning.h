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

/* The seat whose opening of this number has died is nobody's from here on. */
static inline void rbx_mourning_bury(const rbx_ring *ring, struct rbx_mourning *mourning,
                                     enum rbx_ring_end end, unsigned index, uint32_t opening)
{
    uint64_t died = rbx_load_relaxed(&mourning->died[end]) + 1;
    rbx_store_relaxed(&mourning->died[end], died);
    rbx_store_release(&mourning->last[end], died);
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
