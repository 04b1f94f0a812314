/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * words.h: the read-write lock's shared words, its handle, and the half of it that waits. What they
 * mean, and the order of accesses (D, T, G, R, K, S, W): docs/sync.md.
 */
#ifndef RBX_RWLOCK_WORDS_H
#define RBX_RWLOCK_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/rwlock.h>

#include "../sync/object.h"
#include "../sync/seat.h"

/* Of `turn`: who writes, and flags. */
#define RBX_TURN_READERS_WAIT UINT64_C(1)
#define RBX_TURN_WRITERS_WAIT UINT64_C(2)
#define RBX_TURN_BROKEN                                                                            \
    UINT64_C(4)                   /* a writer has died with the lock, and nobody has put it right */
#define RBX_TURN_LOST UINT64_C(8) /* nobody has, for good */
#define RBX_TURN_FLAGS UINT64_C(0xffff)
#define RBX_TURN_SEAT_SHIFT 16
#define RBX_TURN_SEAT_MASK UINT64_C(0xffff)
#define RBX_TURN_TAG_SHIFT 32

/* Of a state. */
enum rbx_rwlock_does {
    RBX_RW_IDLE = 0,
    RBX_RW_READING = 1,
    RBX_RW_WAITING = 2, /* to read */
    RBX_RW_WRITING = 3,
    RBX_RW_DOES = 7,
    RBX_RW_WATCHED = 8, /* with READING: a writer sleeps on it */
};
#define RBX_RW_TAG_SHIFT 4
#define RBX_RW_TAG_MASK (UINT32_MAX >> RBX_RW_TAG_SHIFT)

struct rbx_rwlock_shared {
    rbx_atomic64 turn;
    rbx_atomic32 used; /* seats; it only grows */
    uint8_t reserved[52];
};

struct rbx_rwlock_seat {
    struct rbx_sync_seat who;
    rbx_atomic32 state;
    uint8_t reserved[28];
};

_Static_assert(sizeof(struct rbx_rwlock_shared) == 64 &&
                   offsetof(struct rbx_rwlock_shared, used) == 8,
               "layout");
_Static_assert(sizeof(struct rbx_rwlock_seat) == 64 &&
                   offsetof(struct rbx_rwlock_seat, state) == 32,
               "layout");
_Static_assert(sizeof(struct rbx_object_header) + sizeof(struct rbx_rwlock_shared) +
                       RBX_RWLOCK_SEATS_MAX * sizeof(struct rbx_rwlock_seat) ==
                   RBX_RWLOCK_BYTES(RBX_RWLOCK_SEATS_MAX),
               "layout");

enum rbx_rwlock_held { RBX_RW_HOLDS_NOTHING, RBX_RW_HOLDS_READ, RBX_RW_HOLDS_WRITE };

struct rbx_rwlock {
    struct rbx_object object;
    struct rbx_rwlock_shared *shared;
    struct rbx_rwlock_seat *seats, *own;
    uint32_t count; /* of seats, checked */
    uint32_t tag;   /* of this opening, where it is in a state */
    uint64_t me;    /* in `turn` */
    enum rbx_rwlock_held held;
};

/* Its opening as the words have it. */
static inline uint32_t rbx_rwlock_tag(uint32_t opening)
{
    return opening & RBX_RW_TAG_MASK;
}

static inline uint64_t rbx_turn_writer(uint64_t turn)
{
    return turn & ~RBX_TURN_FLAGS;
}

static inline bool rbx_turn_is_free(uint64_t turn)
{
    return (turn >> RBX_TURN_SEAT_SHIFT & RBX_TURN_SEAT_MASK) == 0;
}

/* The writer's seat. Not if the turn is free. */
static inline uint32_t rbx_turn_seat(uint64_t turn)
{
    return (uint32_t)(turn >> RBX_TURN_SEAT_SHIFT & RBX_TURN_SEAT_MASK) - 1;
}

static inline uint64_t rbx_turn_of(uint32_t seat, uint32_t opening)
{
    return (uint64_t)rbx_rwlock_tag(opening) << RBX_TURN_TAG_SHIFT | (uint64_t)(seat + 1)
                                                                         << RBX_TURN_SEAT_SHIFT;
}

static inline uint32_t rbx_state_tag(uint32_t state)
{
    return state >> RBX_RW_TAG_SHIFT;
}

static inline enum rbx_rwlock_does rbx_state_does(uint32_t state)
{
    return (enum rbx_rwlock_does)(state & RBX_RW_DOES);
}

/* How many seats there are to look at, whatever the word says. */
static inline uint32_t rbx_rwlock_used(const struct rbx_rwlock *lock)
{
    uint32_t used = rbx_load_seq_cst(&lock->shared->used); /* D */
    return used < lock->count ? used : lock->count;
}

/* For deadlines: at once or not at all. */
#define RBX_RW_AT_ONCE UINT64_C(0)

/*
 * The rest of a call whose first try has failed; the own state says IDLE. 0 or -EOWNERDEAD: it is
 * in. Else -EBUSY, -ETIMEDOUT, -ENOTRECOVERABLE, -EPROTO. No sentences.
 */
int rbx_rwlock_wait_to_read(struct rbx_rwlock *lock, uint64_t deadline);
int rbx_rwlock_wait_to_write(struct rbx_rwlock *lock, uint64_t deadline);
/* The rest of a write that has taken the turn. */
int rbx_rwlock_wait_for_readers(struct rbx_rwlock *lock, uint64_t deadline);
/* Whether some seat reads whose holder is not dead. */
bool rbx_rwlock_has_readers(struct rbx_rwlock *lock);

/* Says IDLE, and wakes the writer that watches. */
void rbx_rwlock_stop_reading(struct rbx_rwlock *lock);
/* Gives up the turn, with flags in it, to those who wait. -EPROTO: it was not ours. */
int rbx_rwlock_hand_over(struct rbx_rwlock *lock, bool loses);
/* What the last holder of this seat left, who has died; the seat is taken and not settled. */
void rbx_rwlock_bury(struct rbx_rwlock *lock, struct rbx_rwlock_seat *seat);

#endif
