/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * seat.h: one of the seats that an object keeps for its handles, so that the others can tell what
 * each has in hand and whether it still lives.
 *
 * Whoever sits there holds a lock on a byte of the box, by a description of its handle's own; the
 * kernel drops it with the process. In memory that is in no box of ours nobody can tell: there only
 * `taken` says that a seat is not free, and a death is never seen.
 */
#ifndef RBX_SYNC_SEAT_H
#define RBX_SYNC_SEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "object.h"

/* Begins a line of the shared memory; what else is in the line is the object's. */
struct rbx_sync_seat {
    rbx_atomic32 openings; /* twice how often it was opened, less one while it is open */
    rbx_atomic32 taken;    /* where there are no locks */
    rbx_atomic32 pid;      /* pid, start and namespace: for people, and to tell a suspect */
    uint32_t reserved;
    rbx_atomic64 start;
    rbx_atomic64 pid_namespace;
};

_Static_assert(sizeof(struct rbx_sync_seat) == 32, "layout");

/*
 * Locks the seat for this handle: 0, -EBUSY without a sentence (another has it), or an error and a
 * sentence. Until it is settled in, it looks as its last holder left it: if that one died, this is
 * the moment to see to what it held.
 */
int rbx_sync_seat_take(const struct rbx_object *object, struct rbx_sync_seat *seat);
/* From here on the seat is open: returns the number of this opening, which is odd. */
uint32_t rbx_sync_seat_settle(struct rbx_sync_seat *seat);
void rbx_sync_seat_leave(const struct rbx_object *object, struct rbx_sync_seat *seat);
/* Gives up a seat that was taken but not settled in. */
void rbx_sync_seat_drop(const struct rbx_object *object, struct rbx_sync_seat *seat);

/* The number of the opening whose holder has died and whom nobody has followed; 0: none, as far as
   can be told. Not for one's own seat. */
uint32_t rbx_sync_seat_dead(const struct rbx_object *object, const struct rbx_sync_seat *seat);
/* Whether its process is gone although something still holds its lock: it is left alone. */
bool rbx_sync_seat_suspect(const struct rbx_object *object, const struct rbx_sync_seat *seat);

/* Whether somebody lives there, or has died there. */
static inline bool rbx_sync_seat_is_open(const struct rbx_sync_seat *seat)
{
    return rbx_load_acquire(&seat->openings) & 1;
}

#endif
