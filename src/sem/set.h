/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * set.h: a set of semaphores in shared memory: its layout, its lock, and how it changes.
 *
 * Everything happens under the lock. Who changes something first says in the journal, in absolute
 * numbers, what is to be: so whoever gets the lock after a death does the change anew, as often as
 * it takes, and nothing is ever half done.
 *
 *     header | lock | journal | members | seats | one account for each seat
 */
#ifndef RBX_SEM_SET_H
#define RBX_SEM_SET_H

#include <stddef.h>
#include <stdint.h>

#include <ringbox/atomic.h>

#include "../os/mutex.h"
#include "../sync/seat.h"
#include "handle.h"

/* All below is written under the lock, but for the part of a seat that is seat.h's. Relaxed
   accesses: the lock orders them. They are atomic because a peer may write without the lock what it
   likes: each is read once, and checked. */

#define RBX_SEM_NOBODY UINT32_MAX

/* The one change that is under way. */
struct rbx_sem_journal {
    rbx_atomic32 valid; /* 0: none */
    rbx_atomic32 member;
    rbx_atomic32 value;   /* its units from now on */
    rbx_atomic32 seat;    /* whose account changes too, or RBX_SEM_NOBODY */
    rbx_atomic32 account; /* the units of this member in it from now on */
    uint32_t reserved[11];
};

struct rbx_sem_member {
    rbx_atomic32 value;
    /* What its waiters sleep on: twice how often the value has changed, and one more while somebody
       might sleep. */
    rbx_atomic32 bell;
};

struct rbx_sem_set {
    struct rbx_object_header header;
    struct rbx_os_mutex lock;
    struct rbx_sem_journal journal;
    struct rbx_sem_member members[]; /* as many as there are, and padding to the next line */
};

struct rbx_sem_seat {
    struct rbx_sync_seat seat;
    uint8_t reserved[32];
};

_Static_assert(sizeof(struct rbx_os_mutex) == 64, "layout");
_Static_assert(sizeof(struct rbx_sem_journal) == 64, "layout");
_Static_assert(sizeof(struct rbx_sem_member) == 8, "layout");
_Static_assert(sizeof(struct rbx_sem_seat) == 64, "layout");
_Static_assert(offsetof(struct rbx_sem_set, journal) == 128, "layout");
_Static_assert(offsetof(struct rbx_sem_set, members) == 192, "layout");

/* Of a whole set; both numbers are in their range. */
uint64_t rbx_sem_set_size(uint32_t members, uint32_t seats);
struct rbx_sem_seat *rbx_sem_set_seat(const rbx_sem *sem, uint32_t seat);
/* The units of each member that a seat's holder has on undo. */
rbx_atomic32 *rbx_sem_set_account(const rbx_sem *sem, uint32_t seat);

static inline struct rbx_sem_set *rbx_sem_set_of(const rbx_sem *sem)
{
    return (struct rbx_sem_set *)sem->object.memory;
}

static inline struct rbx_sem_member *rbx_sem_set_member(const rbx_sem *sem, uint32_t index)
{
    return &rbx_sem_set_of(sem)->members[index];
}

/* Done is what a holder that died had begun. -ETIMEDOUT without a sentence; -EPROTO: damaged. */
int rbx_sem_set_lock(rbx_sem *sem, uint64_t deadline);
void rbx_sem_set_unlock(rbx_sem *sem);

/* Under the lock: a checked number of units, or -EPROTO and a sentence. */
int rbx_sem_set_value(const rbx_sem *sem, uint32_t index, uint32_t *value);
int rbx_sem_set_on_undo(const rbx_sem *sem, uint32_t seat, uint32_t index, uint32_t *account);

/* Under the lock. `seat` may be RBX_SEM_NOBODY. */
struct rbx_sem_change {
    uint32_t member;
    uint32_t value;
    uint32_t seat;
    uint32_t account;
};
void rbx_sem_set_change(rbx_sem *sem, const struct rbx_sem_change *change);

/* Under the lock: announces a sleep on this member, and returns what its bell says until then. */
uint32_t rbx_sem_set_announce(rbx_sem *sem, uint32_t index);
/* Without the lock, after the announcement; 0 (perhaps for no reason), -ETIMEDOUT or -EINTR. */
int rbx_sem_set_sleep(rbx_sem *sem, uint32_t index, uint32_t bell, uint64_t until);

/* ---- seats (seat.c) ---- */

/* Under the lock: this handle sits down, if it does not sit; -EBUSY: there is no seat left. */
int rbx_sem_seat_take(rbx_sem *sem);
/* Without the lock: the units of everybody who has died come back: 1 when there were any, 0, or as
   for rbx_sem_set_lock. */
int rbx_sem_seat_bury(rbx_sem *sem, uint64_t deadline);
/* The same, under the lock. */
int rbx_sem_seat_bury_now(rbx_sem *sem);
/* Without the lock: this handle's units come back, and it sits no more. */
void rbx_sem_seat_leave(rbx_sem *sem);

#endif
