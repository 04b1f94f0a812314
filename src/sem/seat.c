/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* seat.c: who holds units on undo, and how they come back from the dead. */
#include <errno.h>

#include "../box/life.h"
#include "../error.h"
#include "../wait.h"
#include "set.h"

static struct rbx_sync_seat *sync_seat(const rbx_sem *sem, uint32_t seat)
{
    return &rbx_sem_set_seat(sem, seat)->seat;
}

static bool is_own(const rbx_sem *sem, uint32_t seat)
{
    return (int32_t)seat == atomic_load_explicit(&sem->seat, memory_order_relaxed);
}

/* Under the lock: empties an account. A member that others have filled meanwhile stays full. */
static int give_back(rbx_sem *sem, uint32_t seat)
{
    for (uint32_t i = 0; i < sem->members; i++) {
        uint32_t value, account;
        int err = rbx_sem_set_on_undo(sem, seat, i, &account);
        if (err < 0)
            return err;
        if (account == 0)
            continue;
        err = rbx_sem_set_value(sem, i, &value);
        if (err < 0)
            return err;
        const struct rbx_sem_change change = {
            .member = i,
            .value = account < RBX_SEM_MAX - value ? value + account : RBX_SEM_MAX,
            .seat = seat};
        rbx_sem_set_change(sem, &change);
    }
    return 0;
}

/* Under the lock, of a seat that looks dead: 1, or 0 when it is not. Whoever dies on the way leaves
   it looking dead. */
static int bury(rbx_sem *sem, uint32_t seat)
{
    struct rbx_sync_seat *dead = sync_seat(sem, seat);
    if (is_own(sem, seat) || !rbx_sync_seat_dead(&sem->object, dead))
        return 0;
    int err = rbx_sync_seat_take(&sem->object, dead);
    if (err < 0)
        return err == -EBUSY ? 0 : err;
    err = give_back(sem, seat);
    if (err < 0)
        rbx_sync_seat_drop(&sem->object, dead);
    else
        rbx_sync_seat_leave(&sem->object, dead);
    return err < 0 ? err : 1;
}

int rbx_sem_seat_bury(rbx_sem *sem, uint64_t deadline)
{
    int found = 0;
    for (uint32_t i = 0; i < sem->seats; i++) {
        /* A guess, since we may just be sitting down there; looked at again under the lock. */
        if (is_own(sem, i) || !rbx_sync_seat_dead(&sem->object, sync_seat(sem, i)))
            continue;
        int err = rbx_sem_set_lock(sem, deadline);
        if (err < 0)
            return err;
        err = bury(sem, i);
        rbx_sem_set_unlock(sem);
        if (err < 0)
            return err;
        found |= err;
    }
    return found;
}

int rbx_sem_seat_bury_now(rbx_sem *sem)
{
    int found = 0;
    for (uint32_t i = 0; i < sem->seats; i++) {
        int err = bury(sem, i);
        if (err < 0)
            return err;
        found |= err;
    }
    return found;
}

/* Sits down where `seat` is locked for us: its last holder may have died there. */
static int settle(rbx_sem *sem, uint32_t seat)
{
    struct rbx_sync_seat *ours = sync_seat(sem, seat);
    int err = rbx_sync_seat_is_open(ours) ? give_back(sem, seat) : 0;
    if (err < 0) {
        rbx_sync_seat_drop(&sem->object, ours);
        return err;
    }
    rbx_sync_seat_settle(ours);
    atomic_store_explicit(&sem->seat, (int32_t)seat, memory_order_relaxed);
    return 0;
}

int rbx_sem_seat_take(rbx_sem *sem)
{
    if (atomic_load_explicit(&sem->seat, memory_order_relaxed) != RBX_SEM_NO_SEAT)
        return 0;
    for (uint32_t i = 0; i < sem->seats; i++) {
        int err = rbx_sync_seat_take(&sem->object, sync_seat(sem, i));
        if (err == 0)
            return settle(sem, i);
        if (err != -EBUSY)
            return err;
    }
    return rbx_fail(-EBUSY,
                    "semaphore '%s' has %u living handles that have taken units with RBX_SEM_UNDO, "
                    "as many as it has seats for",
                    rbx_sem_name(sem), sem->seats);
}

void rbx_sem_seat_leave(rbx_sem *sem)
{
    int32_t seat = atomic_load_explicit(&sem->seat, memory_order_relaxed);
    if (seat == RBX_SEM_NO_SEAT)
        return;
    /* Where another is stopped with the lock in its hands, the seat is left as if by a death, which
       others see to; unless nobody can tell. */
    bool others_see_to_it = sem->object.box && !sem->object.box->raw;
    uint64_t deadline = others_see_to_it ? rbx_wait_deadline(RBX_PATIENCE_NS) : RBX_FOREVER;
    if (rbx_sem_set_lock(sem, deadline) < 0)
        return;
    if (give_back(sem, (uint32_t)seat) == 0)
        rbx_sync_seat_leave(&sem->object, sync_seat(sem, (uint32_t)seat));
    atomic_store_explicit(&sem->seat, RBX_SEM_NO_SEAT, memory_order_relaxed);
    rbx_sem_set_unlock(sem);
}
