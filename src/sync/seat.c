/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "seat.h"

#include <errno.h>

#include "../error.h"
#include "../os/lock.h"
#include "../os/process.h"

/* Whether the kernel knows who lives: not outside of a box, nor in somebody else's memory. */
static bool has_locks(const struct rbx_object *object)
{
    return object->box && !object->box->raw;
}

static int description(const struct rbx_object *object)
{
    return object->owns_box ? object->box->fd.fd : object->locks.fd;
}

static uint64_t byte_of(const struct rbx_object *object, const struct rbx_sync_seat *seat)
{
    const char *payload = rbx_box_data(object->box);
    return RBX_LOCK_PAYLOAD + (uint64_t)((const char *)seat - payload);
}

int rbx_sync_seat_take(const struct rbx_object *object, struct rbx_sync_seat *seat)
{
    int err = rbx_object_check(object);
    if (err < 0)
        return err;
    if (!has_locks(object)) {
        uint32_t free_seat = 0;
        return rbx_swap_if_seq_cst(&seat->taken, &free_seat, 1) ? 0 : -EBUSY;
    }
    err = rbx_lock_try(description(object), byte_of(object, seat), RBX_LOCK_EXCLUSIVE);
    if (err == -EAGAIN)
        return -EBUSY;
    return err < 0 ? rbx_fail(err, "cannot lock a seat of %s '%s': %m", object->noun,
                              rbx_object_name(object))
                   : 0;
}

uint32_t rbx_sync_seat_settle(struct rbx_sync_seat *seat)
{
    struct rbx_process self = rbx_process_self();
    uint32_t opening = (rbx_load_relaxed(&seat->openings) + 1) | 1; /* relaxed: its only writer */
    rbx_store_relaxed(&seat->pid, (uint32_t)self.pid);
    rbx_store_relaxed(&seat->start, self.start);
    rbx_store_relaxed(&seat->pid_namespace, self.pid_namespace);
    /* Release: who sees it open sees who opened it. */
    rbx_store_release(&seat->openings, opening);
    return opening;
}

void rbx_sync_seat_drop(const struct rbx_object *object, struct rbx_sync_seat *seat)
{
    if (!has_locks(object))
        rbx_store_release(&seat->taken, 0);
    else if (rbx_object_check(object) == 0)
        rbx_lock_drop(description(object), byte_of(object, seat));
}

void rbx_sync_seat_leave(const struct rbx_object *object, struct rbx_sync_seat *seat)
{
    if (rbx_object_check(object) < 0)
        return; /* the parent's, or what it left when it died */
    /* Before the lock goes: without it, open means dead. Relaxed load: its only writer. */
    rbx_store_release(&seat->openings, rbx_load_relaxed(&seat->openings) + 1);
    rbx_sync_seat_drop(object, seat);
}

uint32_t rbx_sync_seat_dead(const struct rbx_object *object, const struct rbx_sync_seat *seat)
{
    uint32_t opening = rbx_load_acquire(&seat->openings);
    if (!(opening & 1) || !has_locks(object) || rbx_object_check(object) < 0 ||
        rbx_lock_held(description(object), byte_of(object, seat)) != 0)
        return 0;
    /* It may have left, and another may have come and gone, since we looked. */
    return rbx_load_acquire(&seat->openings) == opening ? opening : 0;
}

bool rbx_sync_seat_suspect(const struct rbx_object *object, const struct rbx_sync_seat *seat)
{
    const struct rbx_process holder = {.pid = (int32_t)rbx_load_relaxed(&seat->pid),
                                       .start = rbx_load_relaxed(&seat->start),
                                       .pid_namespace = rbx_load_relaxed(&seat->pid_namespace)};
    return has_locks(object) && rbx_sync_seat_is_open(seat) &&
           rbx_lock_held(description(object), byte_of(object, seat)) == 1 &&
           rbx_process_is_gone(&holder);
}
