/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "seat.h"

#include <errno.h>

#include "../box/handle.h"
#include "../error.h"
#include "../os/lock.h"
#include "../os/process.h"
#include "../os/thread.h"

/* Far from the box's own bytes, and no two of them neighbours (see src/box/header.h). */
static uint64_t lock_of(enum rbx_ring_end end)
{
    return RBX_LOCK_SEATS + 2 * (uint64_t)end;
}

static const char *noun(enum rbx_ring_end end)
{
    return end == RBX_TX ? "sender" : "receiver";
}

static int busy(const rbx_ring *ring, enum rbx_ring_end end)
{
    /* Relaxed: for people. */
    int pid = (int)rbx_load_relaxed(&rbx_seat_of(ring, end)->pid);
    return rbx_fail(-EBUSY, "ring '%s' has a living %s: process %d, by its own count",
                    rbx_ring_name(ring), noun(end), pid);
}

static int lock(rbx_ring *ring, enum rbx_ring_end end)
{
    if (!ring->box)
        return 0;
    int err = rbx_lock_try(ring->box->fd.fd, lock_of(end), RBX_LOCK_EXCLUSIVE);
    if (err == -EAGAIN)
        return busy(ring, end);
    return err < 0 ? rbx_fail(err, "cannot lock the %s's seat of ring '%s': %m", noun(end),
                              rbx_ring_name(ring))
                   : 0;
}

static uint32_t note_core(struct rbx_spsc_seat *seat)
{
    uint32_t core = (uint32_t)(rbx_thread_only_core() + 1);
    rbx_store_relaxed(&seat->only_core, core);
    return core;
}

void rbx_seat_note_core(rbx_ring *ring, enum rbx_ring_end end)
{
    note_core(rbx_seat_of(ring, end));
}

bool rbx_seat_shares_core(rbx_ring *ring, enum rbx_ring_end end)
{
    enum rbx_ring_end peer = end == RBX_TX ? RBX_RX : RBX_TX;
    uint32_t core = note_core(rbx_seat_of(ring, end));
    /* Relaxed: a hint. */
    return core != 0 && core == rbx_load_relaxed(&rbx_seat_of(ring, peer)->only_core);
}

bool rbx_seat_is_ours(const rbx_ring *ring, enum rbx_ring_end end)
{
    return atomic_load(&ring->taken[end]) == rbx_thread_process() &&
           (!ring->box || rbx_handle_is_ours(ring->box));
}

/* For people; relaxed, as they look at it. */
static void note_holder(struct rbx_spsc_seat *seat)
{
    struct rbx_process self = rbx_process_self();
    rbx_store_relaxed(&seat->pid, (uint32_t)self.pid);
    rbx_store_relaxed(&seat->start, self.start);
    rbx_store_relaxed(&seat->pid_namespace, self.pid_namespace);
}

int rbx_seat_take(rbx_ring *ring, enum rbx_ring_end end)
{
    if (ring->read_only)
        return rbx_fail(-EACCES, "ring '%s' was opened read-only: it has no %s's seat to take",
                        rbx_ring_name(ring), noun(end));
    int err = ring->box ? rbx_handle_check(ring->box) : 0;
    if (err < 0)
        return err;
    int32_t self = rbx_thread_process(), holder = atomic_load(&ring->taken[end]);
    if (holder == self || !atomic_compare_exchange_strong(&ring->taken[end], &holder, self))
        return busy(ring, end);
    err = lock(ring, end);
    if (err < 0)
        atomic_store(&ring->taken[end], 0);
    else
        note_holder(rbx_seat_of(ring, end));
    return err;
}

void rbx_seat_settle(rbx_ring *ring, enum rbx_ring_end end)
{
    struct rbx_spsc_seat *seat = rbx_seat_of(ring, end);
    note_core(seat);
    /* Release: who sees it open sees who opened it. */
    rbx_store_release(&seat->openings, (rbx_load_relaxed(&seat->openings) + 1) | 1);
}

void rbx_seat_drop(rbx_ring *ring, enum rbx_ring_end end)
{
    atomic_store(&ring->endpoint[end], NULL);
    if (ring->box)
        rbx_lock_drop(ring->box->fd.fd, lock_of(end));
    atomic_store(&ring->taken[end], 0);
}

void rbx_seat_leave(rbx_ring *ring, enum rbx_ring_end end)
{
    struct rbx_spsc_seat *seat = rbx_seat_of(ring, end);
    /* Before the lock goes: without it, open means dead. */
    rbx_store_release(&seat->openings, rbx_load_relaxed(&seat->openings) + 1);
    rbx_seat_drop(ring, end);
}

static rbx_end_state state_of(const rbx_ring *ring, enum rbx_ring_end end)
{
    const struct rbx_spsc_seat *seat = rbx_seat_of(ring, end);
    uint32_t opening = rbx_load_acquire(&seat->openings);
    if (!(opening & 1))
        return RBX_END_NONE;
    if (rbx_seat_is_ours(ring, end))
        return RBX_END_ALIVE; /* a description does not see its own lock */
    if (!ring->box || !rbx_handle_is_ours(ring->box))
        return RBX_END_UNKNOWN;
    int held = rbx_lock_held(ring->box->fd.fd, lock_of(end));
    if (held < 0)
        return RBX_END_UNKNOWN;
    uint32_t now = rbx_load_acquire(&seat->openings);
    if (now != opening) /* closed, or closed and opened, since we looked */
        return now & 1 ? RBX_END_ALIVE : RBX_END_NONE;
    if (held == 0)
        return RBX_END_DEAD;
    const struct rbx_process holder = {.pid = (int32_t)rbx_load_relaxed(&seat->pid),
                                       .start = rbx_load_relaxed(&seat->start),
                                       .pid_namespace = rbx_load_relaxed(&seat->pid_namespace)};
    return rbx_process_is_gone(&holder) ? RBX_END_SUSPECT : RBX_END_ALIVE;
}

uint32_t rbx_seat_dead(const rbx_ring *ring, enum rbx_ring_end end)
{
    uint32_t opening = rbx_load_acquire(&rbx_seat_of(ring, end)->openings);
    if (!(opening & 1) || rbx_seat_is_ours(ring, end) || !ring->box ||
        rbx_lock_held(ring->box->fd.fd, lock_of(end)) != 0)
        return 0;
    /* It may have left, and another may have come and gone, since we looked. */
    return rbx_load_acquire(&rbx_seat_of(ring, end)->openings) == opening ? opening : 0;
}

void rbx_seat_describe(const rbx_ring *ring, enum rbx_ring_end end, rbx_end_info *info)
{
    const struct rbx_spsc_seat *seat = rbx_seat_of(ring, end);
    *info = (rbx_end_info){.state = state_of(ring, end),
                           .pid = (int)rbx_load_relaxed(&seat->pid),
                           .opened = (rbx_load_relaxed(&seat->openings) + 1) / 2,
                           .missed = rbx_load_relaxed(&seat->missed),
                           .sleeps = rbx_load_relaxed(&seat->sleeps),
                           .wakes = rbx_load_relaxed(&seat->wakes)};
}
