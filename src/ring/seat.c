/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "seat.h"

#include <errno.h>

#include "../box/handle.h"
#include "../error.h"
#include "../os/lock.h"
#include "../os/process.h"
#include "../os/thread.h"

/* Far from the box's own bytes, and no two of them neighbours (see src/box/header.h). */
static uint64_t lock_of(enum rbx_ring_end end, unsigned index)
{
    return RBX_LOCK_SEATS + 2 * ((uint64_t)end * RBX_SEATS_MAX + index);
}

static const char *noun(enum rbx_ring_end end)
{
    return end == RBX_TX ? "sender" : "receiver";
}

static int busy(const rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    if (ring->shape.seats[end] > 1)
        return rbx_fail(-EBUSY, "ring '%s' has %u living %ss, as many as it has seats for",
                        rbx_ring_name(ring), ring->shape.seats[end], noun(end));
    /* Relaxed: for people. */
    int pid = (int)rbx_load_relaxed(&rbx_seat_of(ring, end, index)->pid);
    return rbx_fail(-EBUSY, "ring '%s' has a living %s: process %d, by its own count",
                    rbx_ring_name(ring), noun(end), pid);
}

/* In memory of the caller's, that there is one sender and one receiver is the caller's to see to;
   of many, each has a seat of its own until it leaves it. */
static int take_without_lock(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    uint32_t nobody = 0;
    if (ring->shape.kind == RBX_SPSC ||
        rbx_swap_if_seq_cst(&rbx_seat_of(ring, end, index)->taken, &nobody, 1))
        return 0;
    return busy(ring, end, index);
}

static int lock(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    if (!ring->box)
        return take_without_lock(ring, end, index);
    int err = rbx_lock_try(ring->box->fd.fd, lock_of(end, index), RBX_LOCK_EXCLUSIVE);
    if (err == -EAGAIN)
        return busy(ring, end, index);
    return err < 0 ? rbx_fail(err, "cannot lock the %s's seat of ring '%s': %m", noun(end),
                              rbx_ring_name(ring))
                   : 0;
}

static uint32_t note_core(struct rbx_seat *seat)
{
    uint32_t core = (uint32_t)(rbx_thread_only_core() + 1);
    rbx_store_relaxed(&seat->only_core, core);
    return core;
}

void rbx_seat_note_core(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    note_core(rbx_seat_of(ring, end, index));
}

bool rbx_seat_shares_core(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    enum rbx_ring_end peer = rbx_other_end(end);
    uint32_t core = note_core(rbx_seat_of(ring, end, index));
    for (unsigned i = 0; core != 0 && i < ring->shape.seats[peer]; i++) /* relaxed: a hint */
        if (rbx_load_relaxed(&rbx_seat_of(ring, peer, i)->only_core) == core &&
            rbx_seat_is_open(ring, peer, i))
            return true;
    return false;
}

bool rbx_seat_is_ours(const rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    return atomic_load(&ring->chairs[end][index].taken) == rbx_thread_process() &&
           (!ring->box || rbx_handle_is_ours(ring->box));
}

/* For people, who do not mind the order; and for ends that are armed (peers.h). */
static void note_holder(struct rbx_seat *seat)
{
    struct rbx_process self = rbx_process_self();
    rbx_store_relaxed(&seat->start, self.start);
    rbx_store_relaxed(&seat->pid_namespace, self.pid_namespace);
    rbx_store_release(&seat->pid, (uint32_t)self.pid); /* P1: with the rest of it */
}

/* This handle's own lock, which its own description does not see. While it is being opened nobody
   lives there yet: then the lock says who has. */
static bool is_settled(const rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    return rbx_seat_is_ours(ring, end, index) && atomic_load(&ring->chairs[end][index].endpoint);
}

int rbx_seat_take(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    if (ring->read_only)
        return rbx_fail(-EACCES, "ring '%s' was opened read-only: it has no %s's seat to take",
                        rbx_ring_name(ring), noun(end));
    int err = ring->box ? rbx_handle_check(ring->box) : 0;
    if (err < 0)
        return err;
    _Atomic int32_t *taken = &ring->chairs[end][index].taken;
    int32_t self = rbx_thread_process(), holder = atomic_load(taken);
    if (holder == self || !atomic_compare_exchange_strong(taken, &holder, self))
        return busy(ring, end, index);
    atomic_store(&ring->chairs[end][index].endpoint,
                 NULL); /* after fork() it may be the parent's */
    err = lock(ring, end, index);
    if (err < 0)
        atomic_store(taken, 0);
    else
        note_holder(rbx_seat_of(ring, end, index));
    return err;
}

void rbx_seat_settle(rbx_ring *ring, enum rbx_ring_end end, unsigned index, void *endpoint)
{
    struct rbx_seat *seat = rbx_seat_of(ring, end, index);
    note_core(seat);
    atomic_store(&ring->chairs[end][index].endpoint, endpoint);
    /* Release: who sees it open sees who opened it. */
    rbx_store_release(&seat->openings, (rbx_load_relaxed(&seat->openings) + 1) | 1);
}

void rbx_seat_drop(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    atomic_store(&ring->chairs[end][index].endpoint, NULL);
    if (ring->box)
        rbx_lock_drop(ring->box->fd.fd, lock_of(end, index));
    else
        rbx_store_release(&rbx_seat_of(ring, end, index)->taken, 0);
    atomic_store(&ring->chairs[end][index].taken, 0);
}

void rbx_seat_leave(rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    struct rbx_seat *seat = rbx_seat_of(ring, end, index);
    /* Before the lock goes: without it, open means dead. */
    rbx_store_release(&seat->openings, rbx_load_relaxed(&seat->openings) + 1);
    rbx_seat_drop(ring, end, index);
}

static rbx_end_state state_of(const rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    const struct rbx_seat *seat = rbx_seat_of(ring, end, index);
    uint32_t opening = rbx_load_acquire(&seat->openings);
    if (!(opening & 1))
        return RBX_END_NONE;
    if (is_settled(ring, end, index))
        return RBX_END_ALIVE;
    if (!ring->box || !rbx_handle_is_ours(ring->box))
        return RBX_END_UNKNOWN;
    int held = rbx_lock_held(ring->box->fd.fd, lock_of(end, index));
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

uint32_t rbx_seat_dead(const rbx_ring *ring, enum rbx_ring_end end, unsigned index)
{
    const struct rbx_seat *seat = rbx_seat_of(ring, end, index);
    uint32_t opening = rbx_load_acquire(&seat->openings);
    if (!(opening & 1) || is_settled(ring, end, index) || !ring->box ||
        !rbx_handle_is_ours(ring->box) || rbx_lock_held(ring->box->fd.fd, lock_of(end, index)) != 0)
        return 0;
    /* It may have left, and another may have come and gone, since we looked. */
    return rbx_load_acquire(&seat->openings) == opening ? opening : 0;
}

void rbx_seat_describe(const rbx_ring *ring, enum rbx_ring_end end, unsigned index,
                       rbx_end_info *info)
{
    const struct rbx_seat *seat = rbx_seat_of(ring, end, index);
    *info = (rbx_end_info){.state = state_of(ring, end, index),
                           .pid = (int)rbx_load_relaxed(&seat->pid),
                           .opened = (rbx_load_relaxed(&seat->openings) + 1) / 2,
                           .missed = rbx_load_relaxed(&seat->missed),
                           .sleeps = rbx_load_relaxed(&seat->sleeps),
                           .wakes = rbx_load_relaxed(&seat->wakes)};
}

uint64_t rbx_seat_suspects(const rbx_ring *ring)
{
    uint64_t suspects = 0;
    for (enum rbx_ring_end end = RBX_TX; end < RBX_ENDS; end++)
        for (unsigned i = 0; i < ring->shape.seats[end]; i++)
            suspects += state_of(ring, end, i) == RBX_END_SUSPECT;
    return suspects;
}
