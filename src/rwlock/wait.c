/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.c: what a lock that cannot be had at once does until it can; and what the dead leave. */
#include "words.h"

#include <errno.h>

#include "../os/clock.h"
#include "../os/futex.h"

/* Looks before a sleep: about what a short hold takes. */
#define SPINS 100

static void sleep_on(const struct rbx_rwlock *lock, const void *word, uint32_t value,
                     uint64_t deadline)
{
    uint64_t slice_ends = rbx_clock_monotonic() + RBX_SLICE_NS;
    /* Whatever ends it, the caller looks again. */
    (void)rbx_futex_wait(word, value, slice_ends < deadline ? slice_ends : deadline,
                         lock->object.in_process);
}

/* Why to wait no longer: -EBUSY, -ETIMEDOUT; or 0. */
static int late(uint64_t deadline)
{
    if (deadline == RBX_RW_AT_ONCE)
        return -EBUSY;
    return deadline != RBX_FOREVER && rbx_clock_monotonic() >= deadline ? -ETIMEDOUT : 0;
}

/* The half of `turn` that has the flags and the seat. */
static const void *lower_half(const rbx_atomic64 *turn)
{
    return (const char *)turn + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
}

/* ---- the turn of another --------------------------------------------------------------------- */

/* Readers that wait and were granted nothing look again. Never wrong, however late. */
static void send_back_readers(const struct rbx_rwlock *lock)
{
    for (uint32_t i = 0, used = rbx_rwlock_used(lock); i < used; i++) {
        rbx_atomic32 *state = &lock->seats[i].state;
        uint32_t seen = rbx_load_seq_cst(state); /* W */
        if (rbx_state_does(seen) == RBX_RW_WAITING &&
            rbx_swap_if_seq_cst(state, &seen, rbx_state_tag(seen) << RBX_RW_TAG_SHIFT))
            rbx_futex_wake(state, lock->object.in_process);
    }
}

/* The turn is free, which it was not when it had these flags. */
static void wake_waiting(const struct rbx_rwlock *lock, uint64_t flags)
{
    if (flags & RBX_TURN_READERS_WAIT)
        send_back_readers(lock);
    if (flags & RBX_TURN_WRITERS_WAIT)
        rbx_futex_wake(lower_half(&lock->shared->turn), lock->object.in_process);
}

/*
 * `turn` names `seat`, whose holder is dead: it is `heir`'s now, or free (0). False: somebody else
 * was faster.
 */
static bool take_turn(const struct rbx_rwlock *lock, uint64_t turn, uint64_t heir)
{
    const uint64_t dead = rbx_turn_writer(turn);
    /* K: relaxed, for all that the dead did is visible to who knows it. It is as the dead left it,
       if the CAS finds the turn so: who changes the state has changed the turn before. */
    uint32_t state = rbx_load_relaxed(&lock->seats[rbx_turn_seat(turn)].state);
    bool broke = rbx_state_does(state) == RBX_RW_WRITING &&
                 rbx_state_tag(state) == turn >> RBX_TURN_TAG_SHIFT;
    uint64_t kept = RBX_TURN_BROKEN | RBX_TURN_LOST;
    if (heir)
        kept |= RBX_TURN_READERS_WAIT | RBX_TURN_WRITERS_WAIT;
    while (rbx_turn_writer(turn) == dead)
        if (rbx_swap_if_seq_cst(&lock->shared->turn, &turn, /* D for an heir; T, W */
                                heir | (turn & kept) | (broke ? RBX_TURN_BROKEN : 0))) {
            if (!heir)
                wake_waiting(lock, turn);
            return true;
        }
    return false;
}

enum writer { LIVES, HAS_CHANGED, IS_DEAD, IS_NONSENSE };

static enum writer look_at_writer(const struct rbx_rwlock *lock, uint64_t turn)
{
    if (rbx_turn_seat(turn) >= lock->count)
        return IS_NONSENSE;
    const struct rbx_sync_seat *who = &lock->seats[rbx_turn_seat(turn)].who;
    uint32_t tag = (uint32_t)(turn >> RBX_TURN_TAG_SHIFT);
    uint32_t dead = rbx_sync_seat_dead(&lock->object, who);
    if (dead && rbx_rwlock_tag(dead) == tag && who != &lock->own->who)
        return IS_DEAD;
    /* S: who has settled there has seen to the turn before. */
    uint32_t opening = rbx_load_acquire(&who->openings);
    if (rbx_rwlock_tag(opening) == tag && who != &lock->own->who)
        return LIVES;
    uint64_t now = rbx_load_acquire(&lock->shared->turn);
    return rbx_turn_writer(now) == rbx_turn_writer(turn) ? IS_NONSENSE : HAS_CHANGED;
}

/* Sets a flag as long as a writer has the turn; what it then is. W: one that another has set does
   as well, if it is there later than the own state. */
static uint64_t ask(const struct rbx_rwlock *lock, uint64_t flag)
{
    uint64_t turn = rbx_load_seq_cst(&lock->shared->turn); /* W, T */
    while (!rbx_turn_is_free(turn) && !(turn & flag))
        if (rbx_swap_if_seq_cst(&lock->shared->turn, &turn, turn | flag))
            turn |= flag;
    return turn;
}

/*
 * Until the turn seems free, for a while at most. 0: look again; 1: it was taken for `heir`, or
 * made free for nobody; or an error.
 */
static int await_turn(const struct rbx_rwlock *lock, uint64_t heir, uint64_t deadline, int *spins)
{
    if (deadline != RBX_RW_AT_ONCE)
        for (; *spins > 0; --*spins) {
            /* Relaxed: only whether to look again. */
            if (rbx_turn_is_free(rbx_load_relaxed(&lock->shared->turn)))
                return 0;
            rbx_pause();
        }
    uint64_t turn = rbx_load_acquire(&lock->shared->turn); /* T */
    if (rbx_turn_is_free(turn))
        return 0;
    switch (look_at_writer(lock, turn)) {
    case IS_NONSENSE:
        return -EPROTO;
    case HAS_CHANGED:
        return 0;
    case IS_DEAD:
        return take_turn(lock, turn, heir);
    case LIVES:
        break;
    }
    int err = late(deadline);
    return err < 0 ? err : -EAGAIN;
}

/* ---- reading --------------------------------------------------------------------------------- */

void rbx_rwlock_stop_reading(struct rbx_rwlock *lock)
{
    rbx_atomic32 *state = &lock->own->state;
    if (rbx_exchange_release(state, lock->tag | RBX_RW_IDLE) & RBX_RW_WATCHED) /* R */
        rbx_futex_wake(state, lock->object.in_process);
}

/* The own state says READING, rightly. */
static int is_in_to_read(struct rbx_rwlock *lock)
{
    /* W-I5: its flags stay. Acquire: G, T. */
    uint64_t turn = rbx_load_acquire(&lock->shared->turn);
    if (turn & RBX_TURN_LOST) {
        rbx_rwlock_stop_reading(lock);
        return -ENOTRECOVERABLE;
    }
    lock->held = RBX_RW_HOLDS_READ;
    return turn & RBX_TURN_BROKEN ? -EOWNERDEAD : 0;
}

/* Whether to wait on for the writer that had the turn. */
static bool is_worth_waiting(const struct rbx_rwlock *lock, uint64_t turn, uint64_t deadline)
{
    if (rbx_turn_is_free(turn) || late(deadline) < 0)
        return false;
    enum writer writer = look_at_writer(lock, turn);
    return writer == LIVES || writer == HAS_CHANGED;
}

/*
 * Waits for the end of a writer's turn. Whether it was granted. Who wakes it may have meant an
 * earlier wait: as long as it says WAITING it keeps its place (W-I7).
 */
static bool sleep_to_read(const struct rbx_rwlock *lock, uint64_t deadline)
{
    rbx_atomic32 *state = &lock->own->state;
    uint32_t waiting = lock->tag | RBX_RW_WAITING;
    uint64_t turn;
    rbx_exchange_seq_cst(state, waiting); /* W: before READERS_WAIT */
    do {
        turn = ask(lock, RBX_TURN_READERS_WAIT);
        if (!rbx_turn_is_free(turn))
            sleep_on(lock, state, waiting, deadline);
        /* Relaxed: the CAS below knows better. */
    } while (rbx_load_relaxed(state) == waiting && is_worth_waiting(lock, turn, deadline));
    if (rbx_swap_if_seq_cst(state, &waiting, lock->tag | RBX_RW_IDLE))
        return false;
    /* G. Else it says IDLE already, unless it is damaged. */
    if ((waiting & ~(uint32_t)RBX_RW_WATCHED) == (lock->tag | RBX_RW_READING))
        return true;
    rbx_store_relaxed(state, lock->tag | RBX_RW_IDLE); /* as nobody was granted anything */
    return false;
}

int rbx_rwlock_wait_to_read(struct rbx_rwlock *lock, uint64_t deadline)
{
    int spins = SPINS;
    for (;;) {
        int err = await_turn(lock, 0, deadline, &spins);
        if (err == -EAGAIN) {
            if (sleep_to_read(lock, deadline))
                return is_in_to_read(lock);
        } else if (err < 0) {
            return err;
        } else {
            rbx_exchange_seq_cst(&lock->own->state, lock->tag | RBX_RW_READING); /* D */
            if (rbx_turn_is_free(rbx_load_seq_cst(&lock->shared->turn)))         /* D, T */
                return is_in_to_read(lock);
            rbx_rwlock_stop_reading(lock);
            err = late(deadline);
            if (err < 0)
                return err;
        }
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Whether nobody reads there: its holder has died, or it has none. */
static bool is_forsaken(const struct rbx_rwlock *lock, const struct rbx_rwlock_seat *seat,
                        uint32_t state)
{
    uint32_t dead = rbx_sync_seat_dead(&lock->object, &seat->who);
    if (dead && rbx_rwlock_tag(dead) == rbx_state_tag(state))
        return true;
    /* S: it says IDLE before another settles there, and READING only once it is settled. */
    return rbx_rwlock_tag(rbx_load_acquire(&seat->who.openings)) != rbx_state_tag(state);
}

/* Until this seat does not read: 0, -EBUSY or -ETIMEDOUT. */
static int await_reader(const struct rbx_rwlock *lock, struct rbx_rwlock_seat *seat,
                        uint64_t deadline, int *spins)
{
    for (;;) {
        uint32_t state = rbx_load_seq_cst(&seat->state); /* D, R */
        if (rbx_state_does(state) != RBX_RW_READING)
            return 0;
        if (deadline != RBX_RW_AT_ONCE && *spins > 0) {
            --*spins;
            rbx_pause();
            continue;
        }
        uint32_t seen = state;
        if (is_forsaken(lock, seat, state) &&
            rbx_swap_if_seq_cst(&seat->state, &seen, rbx_state_tag(state) << RBX_RW_TAG_SHIFT))
            return 0;
        int err = late(deadline);
        if (err < 0)
            return err;
        uint32_t watched = state | RBX_RW_WATCHED;
        if (state == watched || rbx_swap_if_seq_cst(&seat->state, &state, watched))
            sleep_on(lock, &seat->state, watched, deadline);
    }
}

static int await_readers(const struct rbx_rwlock *lock, uint64_t deadline)
{
    int spins = SPINS, err = 0;
    for (uint32_t i = 0, used = rbx_rwlock_used(lock); err == 0 && i < used; i++)
        err = await_reader(lock, &lock->seats[i], deadline, &spins);
    return err;
}

bool rbx_rwlock_has_readers(struct rbx_rwlock *lock)
{
    return await_readers(lock, RBX_RW_AT_ONCE) < 0;
}

int rbx_rwlock_wait_for_readers(struct rbx_rwlock *lock, uint64_t deadline)
{
    int err = await_readers(lock, deadline);
    /* Relaxed: its BROKEN and LOST are ours to change, and were there when we took it. */
    uint64_t turn = rbx_load_relaxed(&lock->shared->turn);
    if (err == 0 && turn & RBX_TURN_LOST)
        err = -ENOTRECOVERABLE;
    if (err < 0) {
        rbx_rwlock_hand_over(lock, false);
        return err;
    }
    /* K: relaxed, as only who finds this handle dead needs to see it. */
    rbx_store_relaxed(&lock->own->state, lock->tag | RBX_RW_WRITING);
    rbx_compiler_barrier();
    lock->held = RBX_RW_HOLDS_WRITE;
    return turn & RBX_TURN_BROKEN ? -EOWNERDEAD : 0;
}

int rbx_rwlock_wait_to_write(struct rbx_rwlock *lock, uint64_t deadline)
{
    int spins = SPINS, tries = 2, err;
    for (;;) {
        uint64_t turn = rbx_load_acquire(&lock->shared->turn); /* T */
        if (turn & RBX_TURN_LOST)
            return -ENOTRECOVERABLE;
        if (rbx_turn_is_free(turn)) {
            if (rbx_swap_if_seq_cst(&lock->shared->turn, &turn, /* D, T */
                                    lock->me | (turn & RBX_TURN_BROKEN)))
                break;
            err = late(deadline);
            if (err < 0)
                return err;
            continue;
        }
        err = await_turn(lock, lock->me, deadline, &spins);
        /* However often a peer writes there something else. */
        if (err == 0 && (deadline != RBX_RW_AT_ONCE || --tries == 0))
            err = late(deadline);
        if (err == 1)
            break;
        if (err == -EAGAIN) {
            turn = ask(lock, RBX_TURN_WRITERS_WAIT);
            if (!rbx_turn_is_free(turn))
                sleep_on(lock, lower_half(&lock->shared->turn), (uint32_t)turn, deadline);
        } else if (err < 0) {
            return err;
        }
    }
    return rbx_rwlock_wait_for_readers(lock, deadline);
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

/* All that wait to read have it. The turn is still ours, so no writer is in before them. */
static void grant(const struct rbx_rwlock *lock)
{
    for (uint32_t i = 0, used = rbx_rwlock_used(lock); i < used; i++) {
        rbx_atomic32 *state = &lock->seats[i].state;
        uint32_t seen = rbx_load_seq_cst(state); /* W */
        if (rbx_state_does(seen) == RBX_RW_WAITING &&
            rbx_swap_if_seq_cst(state, &seen, /* G */
                                rbx_state_tag(seen) << RBX_RW_TAG_SHIFT | RBX_RW_READING))
            rbx_futex_wake(state, lock->object.in_process);
    }
}

int rbx_rwlock_hand_over(struct rbx_rwlock *lock, bool loses)
{
    /* The second for those that came during the first; the rest look for themselves. */
    int grants = 2;
    uint64_t turn = rbx_load_acquire(&lock->shared->turn);
    while (rbx_turn_writer(turn) == lock->me) {
        if (loses && turn & RBX_TURN_BROKEN && !(turn & RBX_TURN_LOST)) {
            /* Before anybody is granted it. */
            rbx_or_seq_cst(&lock->shared->turn, RBX_TURN_LOST);
            turn |= RBX_TURN_LOST; /* if it is not so now, the CAS tells */
        } else if (turn & RBX_TURN_READERS_WAIT && grants > 0) {
            grants--;
            rbx_and_seq_cst(&lock->shared->turn, ~RBX_TURN_READERS_WAIT); /* W */
            grant(lock);
            turn = rbx_load_acquire(&lock->shared->turn);
        } else if (rbx_swap_if_seq_cst(&lock->shared->turn, &turn, /* T, W */
                                       turn & (RBX_TURN_BROKEN | RBX_TURN_LOST))) {
            wake_waiting(lock, turn);
            return 0;
        }
    }
    return -EPROTO;
}

/* ---- who opens the seat of a dead one -------------------------------------------------------- */

void rbx_rwlock_bury(struct rbx_rwlock *lock, struct rbx_rwlock_seat *seat)
{
    /* The turn first: what becomes of it depends on the state. Relaxed: all that the dead did is
       visible, and so is what was done with its turn. */
    uint64_t turn = rbx_load_relaxed(&lock->shared->turn);
    if (!rbx_turn_is_free(turn) && rbx_turn_seat(turn) == (uint32_t)(seat - lock->seats))
        take_turn(lock, turn, 0);
    /* R: handed on by sit_down, to a writer that sees only what that says. */
    uint32_t state = rbx_load_acquire(&seat->state);
    uint32_t idle = rbx_state_tag(state) << RBX_RW_TAG_SHIFT;
    if (state != idle && rbx_exchange_seq_cst(&seat->state, idle) & RBX_RW_WATCHED)
        rbx_futex_wake(&seat->state, lock->object.in_process);
}
