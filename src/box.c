/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/box.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "box/handle.h"
#include "box/life.h"
#include "error.h"
#include "os/lock.h"

static rbx_box_policy policy_of(const struct rbx_box *box)
{
    /* Relaxed: a hint; who removes the name decides under GATE. */
    return (rbx_box_policy)atomic_load_explicit(&box->header->policy, memory_order_relaxed);
}

/*
 * Whether the name might have nobody left to remove it once this handle is gone. One that only
 * looks leaves a dead owner's box as it is.
 */
static bool might_be_last(const struct rbx_box *box)
{
    if (box->name.backing == RBX_MEMFD)
        return false;
    switch (policy_of(box)) {
    case RBX_LAST_ONE_OUT:
        return true;
    case RBX_OWNER_UNLINKS:
        return !box->only_looks && rbx_lock_held(box->fd.fd, RBX_LOCK_OWNER) == 0;
    default:
        return false;
    }
}

/* Detaches, and then removes the name if nobody else is attached. Waits for others that remove it:
   they may have counted this handle, and left the name to it. */
static int leave(struct rbx_box *box)
{
    bool is_duty = policy_of(box) == RBX_LAST_ONE_OUT;
    rbx_handle_detach(box);
    int err = rbx_life_reclaim(&box->name, &box->id, RBX_PATIENCE_NS);
    if (err == -EBUSY || err == -ENOENT || !is_duty)
        return 0; /* used, gone, or a favour to an owner that died */
    if (err == -EAGAIN)
        err = -ETIMEDOUT; /* -EBUSY is for a handle that lives on */
    return err < 0 ? rbx_fail(err, "cannot remove box '%s' as its last user: %m", box->name.text)
                   : 0;
}

int rbx_box_close(rbx_box *box)
{
    int err = 0;
    if (!box)
        return 0;
    unsigned users = rbx_handle_is_ours(box) ? atomic_load(&box->users) : 0;
    if (users > 0)
        return rbx_fail(-EBUSY, "box '%s' still has locks, events or the like attached here: %u",
                        box->name.text, users);
    if (!box->raw && rbx_handle_is_ours(box)) {
        if (box->owner && box->name.backing != RBX_MEMFD)
            err = rbx_life_remove(box);
        else if (might_be_last(box))
            err = leave(box);
    }
    rbx_handle_free(box);
    return err;
}

void *rbx_box_data(const rbx_box *box)
{
    return box->data;
}

size_t rbx_box_size(const rbx_box *box)
{
    return box->size;
}

const char *rbx_box_name(const rbx_box *box)
{
    return box->name.text;
}

bool rbx_box_is_owner(const rbx_box *box)
{
    return box->owner && rbx_handle_is_ours(box);
}

bool rbx_box_was_created(const rbx_box *box)
{
    return box->created;
}

void *rbx_box_fit(const rbx_box *box, size_t size, size_t alignment)
{
    if (size > box->size) {
        rbx_fail(-EPROTO, "box '%s' has %zu bytes; this program asks for something of %zu",
                 box->name.text, box->size, size);
        return NULL;
    }
    if (alignment > 1 && (uintptr_t)box->data % alignment) {
        rbx_fail(-EPROTO, "the data of box '%s' is not aligned to %zu bytes", box->name.text,
                 alignment);
        return NULL;
    }
    return box->data;
}

static int check_range(const rbx_box *box, size_t offset, const void *buffer, size_t size)
{
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    if (!buffer && size > 0)
        return rbx_fail(-EINVAL, "no buffer for %zu bytes of box '%s'", size, box->name.text);
    if (offset > box->size || size > box->size - offset)
        return rbx_fail(-ERANGE, "box '%s' has %zu bytes, not %zu from %zu on", box->name.text,
                        box->size, size, offset);
    return 0;
}

int rbx_box_read(const rbx_box *box, size_t offset, void *buffer, size_t size)
{
    int err = check_range(box, offset, buffer, size);
    if (err == 0 && size > 0)
        memcpy(buffer, (const char *)box->data + offset, size);
    return err;
}

int rbx_box_write(rbx_box *box, size_t offset, const void *buffer, size_t size)
{
    int err = check_range(box, offset, buffer, size);
    if (err == 0 && box->read_only)
        return rbx_fail(-EACCES, "box '%s' was opened read-only", box->name.text);
    if (err == 0 && size > 0)
        memcpy((char *)box->data + offset, buffer, size);
    return err;
}

/* What can be said only of a box with a header and a name, and by a handle of this process. */
static int check_named(const struct rbx_box *box, const char *what)
{
    if (box->raw)
        return rbx_fail(-ENOTSUP, "'%s' is mapped raw: there is no %s", box->name.text, what);
    if (box->name.backing == RBX_MEMFD)
        return rbx_fail(-ENOTSUP, "box '%s' is a memfd, without a name: there is no %s",
                        box->name.text, what);
    return rbx_handle_check(box);
}

int rbx_box_leak(rbx_box *box)
{
    int err = check_named(box, "ownership");
    if (err < 0)
        return err;
    if (!box->owner)
        return rbx_fail(-EPERM, "this handle does not own box '%s', and so cannot leak it",
                        box->name.text);
    /* The policy first: while OWNER is held nobody judges by it. */
    atomic_store_explicit(&box->header->policy, RBX_KEEP, memory_order_relaxed);
    box->owner = false;
    rbx_lock_drop(box->fd.fd, RBX_LOCK_OWNER);
    return 0;
}

int rbx_box_own(rbx_box *box)
{
    int err = check_named(box, "ownership");
    if (err < 0 || box->owner)
        return err;
    if (box->read_only)
        return rbx_fail(-EACCES, "a read-only handle cannot own box '%s'", box->name.text);
    err = rbx_handle_take_ownership(box);
    if (err == -EAGAIN)
        return rbx_fail(-EBUSY, "box '%s' has a living owner: process %d, by its own count",
                        box->name.text,
                        (int)atomic_load_explicit(&box->header->owner_pid, memory_order_relaxed));
    if (err < 0)
        return rbx_fail(err, "cannot own box '%s': %m", box->name.text);
    int means = rbx_name_means(&box->name, &box->id);
    if (means <= 0) {
        box->owner = false;
        rbx_lock_drop(box->fd.fd, RBX_LOCK_OWNER);
        return means < 0 ? rbx_fail(means, "cannot own box '%s': %m", box->name.text)
                         : rbx_fail(-ESTALE, "the name of box '%s' is gone or means another box",
                                    box->name.text);
    }
    /* Relaxed: attached as we are, nobody judges by the policy but at our death. */
    atomic_store_explicit(&box->header->policy, RBX_OWNER_UNLINKS, memory_order_relaxed);
    return 0;
}

int rbx_box_attached(const rbx_box *box)
{
    if (box->raw)
        return rbx_fail(-ENOTSUP, "'%s' is mapped raw: nobody knows who else has it",
                        box->name.text);
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    int others = rbx_handle_count(box->fd.fd, RBX_ATTACHED_MAX);
    return others < 0 ? rbx_fail(others, "cannot count the handles of box '%s': %m", box->name.text)
                      : others + 1;
}

int rbx_box_stale(const rbx_box *box)
{
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    if (box->name.backing == RBX_MEMFD)
        return 0;
    if (box->raw && box->name.backing == RBX_SYSV)
        return rbx_fail(-ENOTSUP, "'%s' is mapped raw: its key is not watched", box->name.text);
    int means = rbx_name_means(&box->name, &box->id);
    if (means < 0)
        return rbx_fail(means, "cannot look up the name of box '%s': %m", box->name.text);
    return !means || (box->header && rbx_life_lost_segment(box->header));
}
