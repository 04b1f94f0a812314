/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * seat.h: the seats at each end of a ring, each held by a lock that the kernel drops with its
 * process.
 *
 * The lock is a byte of the box that the ring lives in, held by the ring handle's open file
 * description. A ring outside of any box has no locks: there only the handle's own ends are known.
 */
#ifndef RBX_RING_SEAT_H
#define RBX_RING_SEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "handle.h"

/* Locks the seat: 0, or -EBUSY (somebody lives there), -EACCES, -EBADF, ... and a sentence. A death
   that was there to be seen still is. */
int rbx_seat_take(rbx_ring *ring, enum rbx_ring_end end, unsigned index);
/* Says who lives there now: from here on the seat is open, by `endpoint`. */
void rbx_seat_settle(rbx_ring *ring, enum rbx_ring_end end, unsigned index, void *endpoint);
/* Gives up a seat that was taken, but not settled in. */
void rbx_seat_drop(rbx_ring *ring, enum rbx_ring_end end, unsigned index);
void rbx_seat_leave(rbx_ring *ring, enum rbx_ring_end end, unsigned index);
/* Whether this process has the end open through this handle. */
bool rbx_seat_is_ours(const rbx_ring *ring, enum rbx_ring_end end, unsigned index);

/* The number of the opening that has died and that nobody has followed; 0: none. */
uint32_t rbx_seat_dead(const rbx_ring *ring, enum rbx_ring_end end, unsigned index);

/*
 * Whether this thread and one at the other end, as far as that is known, may both use the same
 * core only: then they should not spin for each other. To be asked now and then, by the thread that
 * waits: either may be pinned at any time.
 */
bool rbx_seat_shares_core(rbx_ring *ring, enum rbx_ring_end end, unsigned index);
/* Lets the other end know where this thread may run: before it is woken. */
void rbx_seat_note_core(rbx_ring *ring, enum rbx_ring_end end, unsigned index);

void rbx_seat_describe(const rbx_ring *ring, enum rbx_ring_end end, unsigned index,
                       rbx_end_info *info);

/* How many are held though their process is gone. */
uint64_t rbx_seat_suspects(const rbx_ring *ring);

static inline struct rbx_seat *rbx_seat_of(const rbx_ring *ring, enum rbx_ring_end end,
                                           unsigned index)
{
    return ring->seats[end] + index;
}

/* Whether somebody lives there, or has died there. */
static inline bool rbx_seat_is_open(const rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    return rbx_load_acquire(&rbx_seat_of(ring, end, index)->openings) & 1;
}

/* Counters have one writer, the seat's holder. Relaxed: others show them to people. */
static inline void rbx_seat_count(rbx_atomic64 *counter, uint64_t more)
{
    rbx_store_relaxed(counter, rbx_load_relaxed(counter) + more);
}

#endif
