/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * repair.c: seeing to the dead (docs/mpmc.md, Repair). Every step can be repeated, by whoever comes
 * next; the lock is there so that two do not count the same twice.
 */
#include <errno.h>

#include "../box/handle.h"
#include "../error.h"
#include "../os/lock.h"
#include "../os/thread.h"
#include "../ring/mourning.h"
#include "../ring/seat.h"
#include "../wait.h"
#include "slot.h"

/* --- One repair at a time --- */

static int begin(rbx_ring *ring)
{
    /* After fork() a repair of the parent's is not the child's. */
    int32_t self = rbx_thread_process(), holder = atomic_load(&ring->repairing);
    if (holder == self || !atomic_compare_exchange_strong(&ring->repairing, &holder, self))
        return -EAGAIN;
    int err = rbx_lock_try(ring->box->fd.fd, RBX_LOCK_REPAIR, RBX_LOCK_EXCLUSIVE);
    if (err < 0)
        atomic_store(&ring->repairing, 0);
    return err;
}

static void end(rbx_ring *ring)
{
    rbx_lock_drop(ring->box->fd.fd, RBX_LOCK_REPAIR);
    atomic_store(&ring->repairing, 0);
}

/* --- Who holds what --- */

/* A repair, and who it found dead when it began. */
struct repair {
    rbx_ring *ring;
    rbx_repaired *done;
    bool orphans;                           /* there are some that may not have been announced */
    uint32_t dead[RBX_ENDS][RBX_SEATS_MAX]; /* number of the opening; 0: not dead */
};

/* A claim to a slot: its position, and the end that makes it. */
struct claim {
    uint64_t at;
    enum rbx_ring_end end;
    bool is_void; /* the slot says VOID there: both ends may be out to skip it */
};

/* Of two claims to one slot the higher is the later: a receiver's of the same position too, since
   it has seen the position published; but where both may skip it, they are rivals. How much later,
   or 0: then one of them has lost its race, or will. */
static int64_t later_by(struct claim claim, struct claim other)
{
    int64_t ahead = rbx_slot_ahead(claim.at, other.at);
    return ahead != 0 || other.is_void ? ahead : (int64_t)claim.end - (int64_t)other.end;
}

/* The position in `note`, an intent or a debt, that is served by the same slot as `at`. */
static bool names_slot_of(const rbx_ring *ring, uint64_t note, uint64_t at, uint64_t *named)
{
    uint64_t mask = ring->shape.frames - 1;
    uint64_t offset = ((at >> 8) - (note >> 8)) & mask;
    *named = rbx_slot_position(note) + (offset << 8);
    return offset < (note & RBX_STATE_MASK);
}

/* What the claims of those who live say of a dead one's claim to a slot. */
enum cover {
    COVER_NONE,  /* nothing: nobody else has it in hand */
    COVER_EQUAL, /* one of them has it, or is about to see that it has not */
    COVER_LATER, /* one of them has come after the dead one, which so has given it back */
};

static enum cover cover_by(const struct repair *repair, enum rbx_ring_end end, unsigned seat,
                           struct claim claim)
{
    const struct rbx_seat *notes = rbx_seat_of(repair->ring, end, seat);
    const rbx_atomic64 *words[] = {&notes->at, &notes->owed};
    enum cover cover = COVER_NONE;
    for (int i = 0; i < 2; i++) {
        struct claim other = {.end = end};
        uint64_t note = rbx_load_acquire(words[i]); /* M4 */
        if (!names_slot_of(repair->ring, note, claim.at, &other.at))
            continue;
        int64_t later = later_by(other, claim);
        if (later > 0)
            return COVER_LATER;
        if (later == 0)
            cover = COVER_EQUAL;
    }
    return cover;
}

/* A seat that this repair has made free may be somebody else's by now. */
static bool is_alive(const struct repair *repair, enum rbx_ring_end end, unsigned seat)
{
    uint32_t opening = rbx_load_acquire(&rbx_seat_of(repair->ring, end, seat)->openings);
    return opening & 1 && opening != repair->dead[end][seat];
}

static enum cover cover_of(const struct repair *repair, struct claim claim)
{
    enum cover cover = COVER_NONE;
    for (enum rbx_ring_end end = RBX_TX; end < RBX_ENDS; end++)
        for (unsigned i = 0; i < repair->ring->shape.seats[end]; i++)
            if (is_alive(repair, end, i)) {
                enum cover one = cover_by(repair, end, i, claim);
                cover = one > cover ? one : cover;
            }
    return cover;
}

/* Whether the slot that says `word` is in the hands of whoever took it with this claim. M3: the
   index is read after the word, and before the others' intents. */
static bool is_held(const rbx_ring *ring, uint64_t word, struct claim claim)
{
    int64_t ahead = rbx_slot_ahead(word, claim.at);
    switch (rbx_slot_state(word)) {
    case RBX_SLOT_FREE:
        return claim.end == RBX_TX && ahead == 0 &&
               rbx_slot_ahead(rbx_load_acquire(&ring->mpmc->tail), word) > 0;
    case RBX_SLOT_FULL:
    case RBX_SLOT_VOID: /* a sender may skip it, too */
        return (claim.end == RBX_RX || rbx_slot_state(word) == RBX_SLOT_VOID) && ahead == 0 &&
               rbx_slot_ahead(rbx_load_acquire(&ring->mpmc->head), word) > 0;
    case RBX_SLOT_TAKEN:
        return claim.end == RBX_RX && ahead >= 0;
    case RBX_SLOT_PASSED:
        return ahead >= 0;
    default:
        return false;
    }
}

/* --- What becomes of it --- */

/* As long as nobody has died in here, the next thing to be counted has another tag. Never 0. */
static uint32_t tag_of(struct claim claim)
{
    return (uint32_t)(claim.at >> 7) | 1;
}

/* Before the word: who repairs after a death in here finds it as it was, or settled and counted. */
static bool swap_and_count(rbx_atomic64 *slot, uint64_t word, uint64_t settled, struct claim claim,
                           rbx_atomic64 *total, uint64_t *of_this_one)
{
    rbx_count_once(total, tag_of(claim));
    if (!rbx_swap_if_seq_cst(slot, &word, settled))
        return false;
    ++*of_this_one;
    return true;
}

/*
 * Settles one slot of a dead seat; false: it must wait for one that lives. A message that is put
 * back and taken again leaves the word as it was; but then `orphans` has changed, since whoever
 * puts one back adds to it before it gives up its intent.
 */
static bool settle(struct repair *repair, struct claim claim)
{
    rbx_ring *ring = repair->ring;
    struct rbx_mpmc *mpmc = ring->mpmc;
    rbx_atomic64 *slot = rbx_slot_word(ring, claim.at);
    for (int tries = RBX_TRIES; tries > 0; tries--) {
        uint64_t orphans = rbx_load_acquire(&mpmc->orphans);
        uint64_t word = rbx_load_acquire(slot), position = rbx_slot_position(word);
        if (rbx_slot_state(word) == RBX_SLOT_ORPHAN)
            repair->orphans = true; /* of this one, and whoever made it one may have died since */
        if (!is_held(ring, word, claim))
            return true;
        claim.is_void = rbx_slot_state(word) == RBX_SLOT_VOID;
        enum cover cover = cover_of(repair, claim);
        if (rbx_load_acquire(&mpmc->orphans) != orphans)
            continue;
        if (cover != COVER_NONE)
            return cover == COVER_LATER;
        unsigned state = rbx_slot_state(word);
        bool has_message = state == RBX_SLOT_FULL || state == RBX_SLOT_TAKEN;
        uint64_t freed = position + rbx_slot_lap(ring);
        rbx_repaired *done = repair->done;
        bool settled;
        if (has_message && !(ring->shape.flags & RBX_DROP)) {
            repair->orphans = true;
            settled = swap_and_count(slot, word, position | RBX_SLOT_ORPHAN, claim,
                                     &mpmc->redelivered, &done->redelivered);
        } else if (has_message) {
            settled = swap_and_count(slot, word, freed, claim, &mpmc->dropped, &done->dropped);
        } else if (state == RBX_SLOT_FREE) {
            settled = swap_and_count(slot, word, position | RBX_SLOT_VOID, claim, &mpmc->tombstones,
                                     &done->tombstones);
        } else {
            settled = swap_and_count(slot, word, freed, claim, &mpmc->returned, &done->returned);
        }
        if (settled)
            return true;
    }
    return false;
}

static bool settle_all(struct repair *repair, enum rbx_ring_end end, uint64_t note)
{
    bool settled = true;
    uint64_t n = note & RBX_STATE_MASK, at = rbx_slot_position(note);
    for (; n > 0; n--, at += RBX_POSITION)
        settled &= settle(repair, (struct claim){.at = at, .end = end});
    return settled;
}

/*
 * Settles a dead seat, if nobody who lives stands in the way, and then makes it free: in this
 * order, so that whoever repairs after a death in here finds what is left to do. Orphans are
 * announced once they are there, and before the seat is forgotten.
 */
static void clear(struct repair *repair, enum rbx_ring_end end, unsigned index)
{
    rbx_ring *ring = repair->ring;
    struct rbx_seat *seat = rbx_seat_of(ring, end, index);
    bool settled = settle_all(repair, end, rbx_load_acquire(&seat->at));
    settled &= settle_all(repair, end, rbx_load_acquire(&seat->owed));
    if (repair->orphans)
        rbx_add_seq_cst(&ring->mpmc->orphans, 1);
    repair->orphans = false;
    if (!settled)
        return;
    rbx_store_relaxed(&seat->at, 0);
    rbx_store_relaxed(&seat->owed, 0);
    if (end == RBX_TX)
        repair->done->senders++;
    else
        repair->done->receivers++;
    rbx_mourning_bury(ring, &ring->mpmc->mourning, end, index, repair->dead[end][index]);
}

static unsigned find_dead(struct repair *repair)
{
    unsigned found = 0;
    for (enum rbx_ring_end end = RBX_TX; end < RBX_ENDS; end++)
        for (unsigned i = 0; i < repair->ring->shape.seats[end]; i++)
            found += (repair->dead[end][i] = rbx_seat_dead(repair->ring, end, i)) != 0;
    return found;
}

static int repair_now(rbx_ring *ring, rbx_repaired *repaired)
{
    int err = begin(ring);
    if (err < 0)
        return err;
    struct repair repair = {.ring = ring, .done = repaired};
    if (find_dead(&repair) > 0) {
        for (enum rbx_ring_end which = RBX_TX; which < RBX_ENDS; which++)
            for (unsigned i = 0; i < ring->shape.seats[which]; i++)
                if (repair.dead[which][i])
                    clear(&repair, which, i);
        rbx_bell_ring(&ring->mpmc->message, ring->in_process);
        rbx_bell_ring(&ring->mpmc->room, ring->in_process);
    }
    end(ring);
    return 0;
}

int rbx_mpmc_repair(rbx_ring *ring, rbx_repaired *repaired)
{
    int err = repair_now(ring, repaired);
    if (err == -EAGAIN)
        return rbx_fail(err, "somebody else is repairing ring '%s'", rbx_ring_name(ring));
    if (err < 0)
        return rbx_fail(err, "cannot lock ring '%s' for a repair: %m", rbx_ring_name(ring));
    repaired->suspect = rbx_seat_suspects(ring);
    return 0;
}

static bool is_anyone_dead(rbx_ring *ring)
{
    for (enum rbx_ring_end which = RBX_TX; which < RBX_ENDS; which++)
        for (unsigned i = 0; i < ring->shape.seats[which]; i++)
            if (rbx_seat_dead(ring, which, i))
                return true;
    return false;
}

bool rbx_mpmc_mind_the_dead(rbx_ring *ring)
{
    if (!ring->box || ring->read_only || !rbx_handle_is_ours(ring->box) || !is_anyone_dead(ring))
        return false;
    rbx_repaired unwanted = {0};
    return repair_now(ring, &unwanted) < 0 || is_anyone_dead(ring);
}
