/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* end.h: what the endpoints of all kinds of ring have in common. */
#ifndef RBX_RING_END_H
#define RBX_RING_END_H

#include <stdint.h>

#include "../wait.h"
#include "handle.h"

/* One end of a ring: what its waits and wakes need. */
struct rbx_end {
    rbx_ring *ring;
    enum rbx_ring_end which;
    unsigned seat;
};

/* This end has done what the other end's bell is for, and that bell had a bit. */
void rbx_end_wake(struct rbx_end end, rbx_bell *bell);

/* Somebody comes to an end of the ring, and has said who: tells those that are armed (peers.h). */
void rbx_end_knock(const rbx_ring *ring);

/* A call of this end found the ring full (or empty). How often that has been so. */
uint64_t rbx_end_missed(struct rbx_end end);

/* What a try answers that finds the ring full (or empty): -EAGAIN, or once -EOWNERDEAD, when that
   is what has woken this end (arm.h). */
int rbx_tx_in_vain(rbx_tx *tx);
int rbx_rx_in_vain(rbx_rx *rx);

/*
 * As rbx_wait_change, on this end's bell, for a timeout: *deadline is 0 at first, and then when it
 * ends. Slices are as long as `slice_ns` at most.
 */
int rbx_end_wait(struct rbx_end end, rbx_bell *bell, const struct rbx_awaited *awaited,
                 uint64_t slice_ns, uint64_t timeout_ns, uint64_t *deadline,
                 rbx_patience *patience);

/* After a wait that slept, as often as the patience counts more than `before`; or at the end of a
   slice. */
void rbx_end_woke(struct rbx_end end, rbx_patience *patience, uint32_t before, bool slice_is_over);

#endif
