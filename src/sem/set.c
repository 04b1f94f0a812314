/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "set.h"

#include <errno.h>

#include "../error.h"
#include "../os/futex.h"

enum { LINE = 64, SLEEPERS = 1, CHANGED = 2 };

/* ---- layout -------------------------------------------------------------------------------- */

static uint64_t lines(uint64_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static uint64_t seats_begin(uint32_t members)
{
    return offsetof(struct rbx_sem_set, members) + lines(members * sizeof(struct rbx_sem_member));
}

static uint64_t account_size(uint32_t members)
{
    return lines(members * sizeof(rbx_atomic32));
}

static uint64_t accounts_begin(uint32_t members, uint32_t seats)
{
    return seats_begin(members) + seats * sizeof(struct rbx_sem_seat);
}

uint64_t rbx_sem_set_size(uint32_t members, uint32_t seats)
{
    return accounts_begin(members, seats) + seats * account_size(members);
}

static void *at(const rbx_sem *sem, uint64_t offset)
{
    return (char *)sem->object.memory + offset;
}

struct rbx_sem_seat *rbx_sem_set_seat(const rbx_sem *sem, uint32_t seat)
{
    return at(sem, seats_begin(sem->members) + seat * sizeof(struct rbx_sem_seat));
}

rbx_atomic32 *rbx_sem_set_account(const rbx_sem *sem, uint32_t seat)
{
    return at(sem, accounts_begin(sem->members, sem->seats) + seat * account_size(sem->members));
}

/* ---- reading ------------------------------------------------------------------------------- */

static int damaged(const rbx_sem *sem, const char *what, uint32_t index, uint32_t value)
{
    return rbx_fail(-EPROTO, "semaphore '%s' is damaged: %s %u says %u", rbx_sem_name(sem), what,
                    index, value);
}

int rbx_sem_set_value(const rbx_sem *sem, uint32_t index, uint32_t *value)
{
    *value = rbx_load_relaxed(&rbx_sem_set_member(sem, index)->value);
    return *value <= RBX_SEM_MAX ? 0 : damaged(sem, "member", index, *value);
}

int rbx_sem_set_on_undo(const rbx_sem *sem, uint32_t seat, uint32_t index, uint32_t *account)
{
    *account = rbx_load_relaxed(&rbx_sem_set_account(sem, seat)[index]);
    return *account <= RBX_SEM_MAX ? 0 : damaged(sem, "the account of seat", seat, *account);
}

/* ---- changing ------------------------------------------------------------------------------ */

/* Returns whether somebody might sleep. */
static bool apply(rbx_sem *sem, const struct rbx_sem_change *change)
{
    struct rbx_sem_member *member = rbx_sem_set_member(sem, change->member);
    rbx_store_relaxed(&member->value, change->value);
    if (change->seat != RBX_SEM_NOBODY)
        rbx_store_relaxed(&rbx_sem_set_account(sem, change->seat)[change->member], change->account);
    uint32_t bell = rbx_load_relaxed(&member->bell);
    rbx_store_relaxed(&member->bell, (bell & ~(uint32_t)SLEEPERS) + CHANGED);
    return bell & SLEEPERS;
}

static void wake(const rbx_sem *sem, uint32_t index)
{
    if (index != RBX_SEM_NONE)
        rbx_futex_wake(&rbx_sem_set_member(sem, index)->bell, sem->object.in_process);
}

/* They are woken when they can have the lock, or, for a second member, at once. */
static void wake_later(rbx_sem *sem, uint32_t index)
{
    if (sem->to_wake != index)
        wake(sem, sem->to_wake);
    sem->to_wake = index;
}

/*
 * J1: the journal is valid as long as a step of the change may be missing. Whoever reads it after a
 * death sees all that the dead one had stored, since the kernel hands on the lock; but the compiler
 * must keep the order of the stores, to which a release is a fence from one side only.
 */
void rbx_sem_set_change(rbx_sem *sem, const struct rbx_sem_change *change)
{
    struct rbx_sem_journal *journal = &rbx_sem_set_of(sem)->journal;
    rbx_store_relaxed(&journal->member, change->member);
    rbx_store_relaxed(&journal->value, change->value);
    rbx_store_relaxed(&journal->seat, change->seat);
    rbx_store_relaxed(&journal->account, change->account);
    rbx_store_release(&journal->valid, 1); /* J1: publishes the line; pairs with J1 in replay */
    rbx_compiler_barrier();
    bool sleepers = apply(sem, change);
    rbx_store_release(&journal->valid, 0); /* J1: after the change; pairs with J1 in replay */
    rbx_compiler_barrier();
    if (sleepers)
        wake_later(sem, change->member);
}

/* Does what one who died has begun. */
static int replay(rbx_sem *sem)
{
    struct rbx_sem_journal *journal = &rbx_sem_set_of(sem)->journal;
    if (!rbx_load_acquire(&journal->valid)) /* J1 */
        return 0;
    const struct rbx_sem_change change = {.member = rbx_load_relaxed(&journal->member),
                                          .value = rbx_load_relaxed(&journal->value),
                                          .seat = rbx_load_relaxed(&journal->seat),
                                          .account = rbx_load_relaxed(&journal->account)};
    if (change.member >= sem->members || change.value > RBX_SEM_MAX ||
        (change.seat != RBX_SEM_NOBODY &&
         (change.seat >= sem->seats || change.account > RBX_SEM_MAX)))
        return damaged(sem, "its journal for member", change.member, change.value);
    apply(sem, &change);
    rbx_store_release(&journal->valid, 0); /* J1: after the change; pairs with J1 in replay */
    wake_later(sem, change.member);        /* whom the dead one may not have woken */
    return 0;
}

/* ---- the lock ------------------------------------------------------------------------------ */

/* We hold it after a death. What cannot be put right stays locked away from everybody. */
static int recover(rbx_sem *sem)
{
    struct rbx_sem_set *set = rbx_sem_set_of(sem);
    sem->to_wake = RBX_SEM_NONE; /* in case that a thread of ours has died */
    int err = replay(sem);
    if (err == 0)
        rbx_os_mutex_consistent(&set->lock);
    else
        rbx_os_mutex_unlock(&set->lock);
    return err;
}

int rbx_sem_set_lock(rbx_sem *sem, uint64_t deadline)
{
    struct rbx_os_mutex *lock = &rbx_sem_set_of(sem)->lock;
    int err = rbx_os_mutex_lock_until(lock, deadline);
    switch (err) {
    case 0:
    case -ETIMEDOUT:
        return err;
    case -EOWNERDEAD:
        return recover(sem);
    case -EDEADLK:
        return rbx_fail(err,
                        "this thread is in a call on semaphore '%s' already: is this a signal "
                        "handler?",
                        rbx_sem_name(sem));
    default:
        return rbx_fail(-EPROTO, "semaphore '%s' is damaged: its lock cannot be had: %m",
                        rbx_sem_name(sem));
    }
}

void rbx_sem_set_unlock(rbx_sem *sem)
{
    uint32_t index = sem->to_wake;
    sem->to_wake = RBX_SEM_NONE;
    rbx_os_mutex_unlock(&rbx_sem_set_of(sem)->lock);
    wake(sem, index);
}

/* ---- sleeping ------------------------------------------------------------------------------ */

/* Nobody changes the member between this and the unlock: a later change finds SLEEPERS, and an
   earlier one was seen. */
uint32_t rbx_sem_set_announce(rbx_sem *sem, uint32_t index)
{
    rbx_atomic32 *bell = &rbx_sem_set_member(sem, index)->bell;
    uint32_t asleep = rbx_load_relaxed(bell) | SLEEPERS;
    rbx_store_relaxed(bell, asleep);
    return asleep;
}

int rbx_sem_set_sleep(rbx_sem *sem, uint32_t index, uint32_t bell, uint64_t until)
{
    int err =
        rbx_futex_wait(&rbx_sem_set_member(sem, index)->bell, bell, until, sem->object.in_process);
    return err == -EAGAIN ? 0 : err;
}
