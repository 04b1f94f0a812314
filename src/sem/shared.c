/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shared.c: what is done to a set in shared memory. */
#include <errno.h>

#include "../error.h"
#include "../os/clock.h"
#include "../wait.h"
#include "set.h"

/* A member, and how many units of it. */
struct request {
    uint32_t index;
    uint32_t n;
    bool undo;
};

static uint32_t on_undo(const rbx_sem *sem, uint32_t index)
{
    return atomic_load_explicit(&sem->taken[index].undo, memory_order_relaxed);
}

/* ---- the lock ------------------------------------------------------------------------------ */

/* Who only tries waits a slice for one that is stopped with the lock in its hands. */
static uint64_t patience(uint64_t deadline)
{
    return deadline ? deadline : rbx_wait_deadline(RBX_SLICE_NS);
}

static int without_lock(const rbx_sem *sem, int err, uint64_t deadline)
{
    return err != -ETIMEDOUT
               ? err
               : rbx_fail(deadline ? -ETIMEDOUT : -EAGAIN,
                          "the lock of semaphore '%s' was in other hands for as long as this one "
                          "would wait",
                          rbx_sem_name(sem));
}

static int lock(rbx_sem *sem, uint64_t deadline)
{
    return without_lock(sem, rbx_sem_set_lock(sem, patience(deadline)), deadline);
}

static int bury(rbx_sem *sem, uint64_t deadline)
{
    return without_lock(sem, rbx_sem_seat_bury(sem, patience(deadline)), deadline);
}

/* ---- changes, all under the lock ----------------------------------------------------------- */

/* The member has so many units from now on; and so does this handle's account say, if it changes.
 */
static void change(rbx_sem *sem, uint32_t index, uint32_t value, bool on_account, uint32_t account)
{
    int32_t seat = atomic_load_explicit(&sem->seat, memory_order_relaxed);
    const struct rbx_sem_change change = {.member = index,
                                          .value = value,
                                          .seat = on_account ? (uint32_t)seat : RBX_SEM_NOBODY,
                                          .account = account};
    rbx_sem_set_change(sem, &change);
}

/* Whether this handle may have n units more on undo. */
static int check_undo(rbx_sem *sem, const struct request *request)
{
    if (!request->undo)
        return 0;
    if (request->n > RBX_SEM_MAX - on_undo(sem, request->index))
        return rbx_sem_too_many(sem, request->index, request->n, RBX_SEM_MAX);
    return rbx_sem_seat_take(sem);
}

/* -EAGAIN, without a sentence: there are too few units. */
static int take(rbx_sem *sem, const struct request *request)
{
    uint32_t index = request->index, n = request->n, value;
    int err = check_undo(sem, request);
    if (err < 0)
        return err;
    err = rbx_sem_set_value(sem, index, &value);
    if (err < 0)
        return err;
    if (value < n)
        return -EAGAIN;
    change(sem, index, value - n, request->undo, on_undo(sem, index) + n);
    rbx_sem_count(sem, index, rbx_sem_all(n, request->undo));
    return 0;
}

/* And nobody has died with units: looked at before, or after, it could be zero too soon, as others
   also see to what the dead had. */
static int is_zero(rbx_sem *sem, const struct request *request)
{
    uint32_t value;
    int err = rbx_sem_set_value(sem, request->index, &value);
    if (err == 0 && value == 0) {
        err = rbx_sem_seat_bury_now(sem);
        if (err > 0)
            err = rbx_sem_set_value(sem, request->index, &value);
    }
    return err < 0 || value == 0 ? err : -EAGAIN;
}

/* What the member has with n units more. */
static int sum(const rbx_sem *sem, const struct request *request, uint32_t *value)
{
    int err = rbx_sem_set_value(sem, request->index, value);
    if (err < 0)
        return err;
    if (request->n > RBX_SEM_MAX - *value)
        return rbx_sem_too_many(sem, request->index, request->n, RBX_SEM_MAX);
    *value += request->n;
    return 0;
}

static int put(rbx_sem *sem, const struct request *request)
{
    uint32_t value;
    int err = sum(sem, request, &value);
    if (err == 0)
        change(sem, request->index, value, false, 0);
    return err;
}

static int give(rbx_sem *sem, const struct request *request)
{
    uint32_t value, index = request->index;
    struct rbx_sem_parts parts;
    int err = rbx_sem_claim(sem, index, request->n, &parts);
    if (err < 0)
        return err;
    err = sum(sem, request, &value);
    if (err < 0)
        rbx_sem_count(sem, index, parts);
    else
        change(sem, index, value, parts.undo > 0, on_undo(sem, index));
    return err;
}

static int under_lock(rbx_sem *sem, int (*step)(rbx_sem *sem, const struct request *request),
                      const struct request *request)
{
    int err = lock(sem, RBX_FOREVER);
    if (err < 0)
        return err;
    err = step(sem, request);
    rbx_sem_set_unlock(sem);
    return err;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/*
 * Tries `step` until it answers other than -EAGAIN, and sleeps in between. Before the first sleep,
 * and every slice from then on, it looks who has died: their units come back.
 */
static int wait_until(rbx_sem *sem, int (*step)(rbx_sem *sem, const struct request *request),
                      const struct request *request, uint64_t deadline)
{
    uint64_t next_look = 0;
    for (bool looked = false, last = deadline == 0;;) {
        int err = lock(sem, deadline);
        if (err < 0)
            return err;
        err = step(sem, request);
        bool sleeps = err == -EAGAIN && looked && !last;
        uint32_t bell = sleeps ? rbx_sem_set_announce(sem, request->index) : 0;
        rbx_sem_set_unlock(sem);
        if (err != -EAGAIN)
            return err;
        if (looked && last)
            return rbx_sem_too_few(sem, request->index, request->n, deadline);
        if (sleeps) {
            err = rbx_sem_set_sleep(sem, request->index, bell,
                                    next_look < deadline ? next_look : deadline);
            if (err == -EINTR)
                return rbx_sem_interrupted(sem, request->index);
            uint64_t now = rbx_clock_monotonic();
            last = now >= deadline;
            looked = now < next_look && !last;
        }
        if (!looked) {
            err = bury(sem, deadline);
            if (err < 0)
                return err;
            looked = true;
            next_look = rbx_wait_deadline(RBX_SLICE_NS);
        }
    }
}

/* ---- the calls ----------------------------------------------------------------------------- */

static int shared_add(rbx_sem *sem, uint32_t index, uint32_t n)
{
    return under_lock(sem, put, &(struct request){.index = index, .n = n});
}

static int shared_take(rbx_sem *sem, uint32_t index, uint32_t n, bool undo, uint64_t deadline)
{
    return wait_until(sem, take, &(struct request){.index = index, .n = n, .undo = undo}, deadline);
}

static int shared_give(rbx_sem *sem, uint32_t index, uint32_t n)
{
    return under_lock(sem, give, &(struct request){.index = index, .n = n});
}

static int shared_wait_zero(rbx_sem *sem, uint32_t index, uint64_t deadline)
{
    return wait_until(sem, is_zero, &(struct request){.index = index}, deadline);
}

static int shared_value(rbx_sem *sem, uint32_t index)
{
    uint32_t value;
    int err = lock(sem, RBX_FOREVER);
    if (err < 0)
        return err;
    err = rbx_sem_set_value(sem, index, &value);
    rbx_sem_set_unlock(sem);
    return err < 0 ? err : (int)value;
}

/* All that a seat's holder has on undo. */
static int sum_up(const rbx_sem *sem, uint32_t seat, uint64_t *sum)
{
    *sum = 0;
    for (uint32_t i = 0; i < sem->members; i++) {
        uint32_t account;
        int err = rbx_sem_set_on_undo(sem, seat, i, &account);
        if (err < 0)
            return err;
        *sum += account;
    }
    return 0;
}

static int count_holders(const rbx_sem *sem, rbx_sem_info *info)
{
    for (uint32_t i = 0; i < sem->seats; i++) {
        const struct rbx_sync_seat *seat = &rbx_sem_set_seat(sem, i)->seat;
        uint64_t units = 0;
        int err = rbx_sync_seat_is_open(seat) ? sum_up(sem, i, &units) : 0;
        if (err < 0)
            return err;
        if (units == 0)
            continue;
        info->holders++;
        info->undo_units += units;
        info->suspects += rbx_sync_seat_suspect(&sem->object, seat);
    }
    return 0;
}

static int shared_describe(rbx_sem *sem, rbx_sem_info *info)
{
    info->seats = sem->seats;
    int err = bury(sem, RBX_FOREVER);
    if (err >= 0)
        err = lock(sem, RBX_FOREVER);
    if (err < 0)
        return err;
    err = count_holders(sem, info);
    rbx_sem_set_unlock(sem);
    return err;
}

static int shared_close(rbx_sem *sem)
{
    rbx_sem_seat_leave(sem);
    return 0;
}

const struct rbx_sem_kind rbx_sem_shared = {
    .add = shared_add,
    .take = shared_take,
    .give = shared_give,
    .wait_zero = shared_wait_zero,
    .value = shared_value,
    .describe = shared_describe,
    .close = shared_close,
};
