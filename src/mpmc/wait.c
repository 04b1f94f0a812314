/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.c: waiting for a place or a message in the ring of many. */
#include <errno.h>

#include "../os/clock.h"
#include "../os/thread.h"
#include "../ring/mourning.h"
#include "../wait.h"
#include "slot.h"

/* Somebody has in hand what this end waits for. That takes a moment, as long as it runs: let it. */
static bool let_it_finish(const rbx_atomic64 *word, uint64_t seen)
{
    enum { YIELDS = 16 };
    for (int yields = YIELDS; yields > 0; yields--) {
        if (rbx_load_relaxed(word) != seen)
            return true;
        rbx_thread_yield();
    }
    return false;
}

/* The first slice of a wait for somebody who is in the middle of a call, and may have died there;
   each slice is twice as long as the one before. */
#define STUCK_SLICE_NS 2000000U

static uint64_t next_slice(bool stuck, uint64_t *stuck_slice)
{
    uint64_t slice = *stuck_slice;
    if (!stuck || slice > RBX_SLICE_NS)
        return RBX_SLICE_NS;
    *stuck_slice *= 2;
    return slice;
}

uint32_t rbx_mpmc_forsaken(rbx_ring *ring, enum rbx_ring_end end, uint32_t known)
{
    rbx_mpmc_mind_the_dead(ring);
    return rbx_mourning_for(ring, &ring->mpmc->mourning, rbx_other_end(end), known);
}

/* What a wait that has not ended well answers, `death` being what rbx_mpmc_forsaken() says. */
static int complain(struct rbx_end end, int err, uint32_t death, uint32_t *mourned)
{
    if (death != 0) {
        *mourned = death;
        return rbx_ring_forsaken(end.ring, end.which);
    }
    return err == -EINTR       ? rbx_ring_interrupted(end.ring)
           : err == -ETIMEDOUT ? rbx_ring_timed_out(end.ring, end.which)
                               : 0;
}

#ifndef SLIP_NS
#define SLIP_NS 800U
#endif

/*
 * Two ends of a stream that are about as quick as each other meet in one cache line, again and
 * again, and pull it to and fro for each message. So who has nothing to do lets some gather, and
 * looks then. Where that finds but one, somebody waits for an answer, or comes now and then: there
 * it is not soon repeated, and ever more rarely. Whether there is anything by now.
 */
static bool slip(struct rbx_mpmc_end *end, uint64_t at, unsigned state, struct rbx_frame g)
{
    enum { MANY = 4, SHORTEST_REST = 32, LONGEST_REST = 4096 };
    rbx_wait_a_little(SLIP_NS);
    uint64_t last = at + (MANY - 1) * RBX_POSITION;
    bool now = rbx_load_relaxed(rbx_mpmc_word(rbx_mpmc_slot(end, at, g))) == (at | state);
    bool many = rbx_load_relaxed(rbx_mpmc_word(rbx_mpmc_slot(end, last, g))) == (last | state);
    if (now && many) {
        end->rest = 0;
        return true;
    }
    end->rest = end->rest < SHORTEST_REST  ? SHORTEST_REST
                : end->rest < LONGEST_REST ? end->rest * 2
                                           : LONGEST_REST;
    end->no_slip = end->rest;
    return false;
}

/*
 * A wait begins. Whether it is worth to try again at once. Where there is no stream, an answer from
 * another core may come in a moment: then some waits are but a pause, since the caller's try is a
 * quicker look than any from here.
 */
static bool is_short(struct rbx_mpmc_end *end, const rbx_patience *patience, uint64_t at,
                     unsigned state, struct rbx_frame g)
{
    enum { POLLS = 64 };
    bool may_spin = patience->how != RBX_WAIT_SLEEP || patience->most_ns > 0;
    if (!may_spin)
        return false;
    if (end->no_slip == 0)
        return slip(end, at, state, g);
    end->no_slip--;
    if (!patience->same_core && end->polls++ < POLLS) {
        rbx_pause();
        return true;
    }
    end->polls = 0;
    return false;
}

/* There is something to try for, or soon will be. But if others are quicker, again and again, time
 * may be up. */
static int try_again(uint64_t timeout_ns, uint64_t *deadline)
{
    bool first = *deadline == 0;
    if (first)
        *deadline = timeout_ns == RBX_FOREVER ? RBX_FOREVER : rbx_wait_deadline(timeout_ns);
    return first || *deadline == RBX_FOREVER || rbx_clock_monotonic() < *deadline ? 0 : -ETIMEDOUT;
}

/* In a strict ring what stands in the way may be passed, for reasons that no watched word tells: so
   the caller tries again after every slice, which is short. */
static uint64_t slice_of(bool strict, bool stuck, uint64_t *stuck_slice)
{
    return strict && stuck ? STUCK_SLICE_NS : next_slice(stuck, stuck_slice);
}

/* --- What an end sees --- */

struct sight {
    uint64_t at; /* tail (head), as it says */
    uint64_t word;
    const rbx_atomic64 *slot;
    bool in_vain; /* full (empty), and somebody must do something about it */
    bool closed;
    struct rbx_outlook outlook;
};

static struct sight see_room(const rbx_tx *tx)
{
    struct rbx_mpmc *mpmc = tx->mpmc.shared;
    uint64_t tail = rbx_load_acquire(&mpmc->tail);
    const rbx_atomic64 *slot = rbx_slot_word(tx->ring, tail);
    uint64_t word = rbx_load_acquire(slot), head = rbx_load_acquire(&mpmc->head);
    unsigned state = rbx_slot_state(word);
    bool is_tombstone = state == RBX_SLOT_VOID && rbx_slot_ahead(head, word) == 0;
    /* In somebody's hands: taken, and not published or not released. */
    bool stuck =
        state == RBX_SLOT_FREE || (state != RBX_SLOT_ORPHAN && rbx_slot_ahead(head, word) > 0);
    return (struct sight){.at = tail,
                          .word = word,
                          .slot = slot,
                          .in_vain =
                              rbx_slot_ahead(tail, word) == (int64_t)tx->mpmc.lap && !is_tombstone,
                          .closed = tail & RBX_TAIL_CLOSED,
                          .outlook = {.bell = &mpmc->room,
                                      .words = {{slot, word}, {&mpmc->head, head}},
                                      .count = tx->mpmc.strict ? 2 : 1,
                                      .stuck = stuck,
                                      .strict = tx->mpmc.strict}};
}

static struct sight see_message(const rbx_rx *rx)
{
    struct rbx_mpmc *mpmc = rx->mpmc.shared;
    uint64_t head = rbx_load_acquire(&mpmc->head);
    const rbx_atomic64 *slot = rbx_slot_word(rx->ring, head);
    uint64_t word = rbx_load_acquire(slot), tail = rbx_load_acquire(&mpmc->tail);
    /* After a shutdown the last messages may be in the hands of others, who will ring. */
    bool closed = tail & RBX_TAIL_CLOSED;
    /* With a later message a strict ring goes on, too. */
    return (struct sight){
        .at = head,
        .word = word,
        .slot = slot,
        .in_vain = word == head || rbx_slot_ahead(head, word) == (int64_t)rx->mpmc.lap,
        .closed = closed,
        .outlook = {
            .bell = &mpmc->message,
            .words = {{slot, word}, {&mpmc->orphans, rx->mpmc.orphans_seen}, {&mpmc->tail, tail}},
            .count = rx->mpmc.strict ? 3 : 2,
            .known_shut = closed,
            .stuck = word == head && rbx_slot_ahead(tail, head) > 0,
            .strict = rx->mpmc.strict}};
}

static struct rbx_awaited awaits(const struct rbx_outlook *outlook)
{
    return (struct rbx_awaited){
        .words = outlook->words, .count = outlook->count, .known_shut = outlook->known_shut};
}

bool rbx_mpmc_may_send(rbx_tx *tx, struct rbx_outlook *outlook)
{
    const struct sight sight = see_room(tx);
    if (sight.closed)
        rbx_mpmc_finish_shutdown(tx->ring);
    if (sight.closed || !sight.in_vain ||
        (tx->mpmc.strict && rbx_mpmc_could_move_tail(tx->ring, sight.at)))
        return true;
    *outlook = sight.outlook;
    return false;
}

bool rbx_mpmc_may_receive(rbx_rx *rx, struct rbx_outlook *outlook)
{
    bool has_orphan = rbx_mpmc_has_orphan(rx);
    const struct sight sight = see_message(rx);
    uint64_t head = sight.at, tail = rbx_load_acquire(&rx->mpmc.shared->tail);
    bool is_sent = rbx_slot_ahead(tail, head) > 0; /* or is about to be */
    if (sight.closed)
        rbx_mpmc_finish_shutdown(rx->ring);
    if (has_orphan || !sight.in_vain || sight.word == ((head - rx->mpmc.lap) | RBX_SLOT_ORPHAN))
        return true;
    if (rx->mpmc.strict && sight.word == head && is_sent &&
        rbx_mpmc_could_move_head(rx->ring, head, tail))
        return true;
    if (sight.closed && is_sent && rbx_slot_is_of_last_lap(rx->ring, head)) /* -EPROTO */
        return true;
    if (sight.closed && !is_sent && !rbx_mpmc_mind_the_dead(rx->ring))
        return true;
    *outlook = sight.outlook;
    outlook->stuck |= sight.closed;
    return false;
}

/* --- Waiting --- */

int rbx_mpmc_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline)
{
    struct rbx_mpmc *mpmc = tx->mpmc.shared;
    const struct rbx_end end = rbx_mpmc_sender(tx);
    uint64_t stuck_slice = STUCK_SLICE_NS;
    if (timeout_ns > SLIP_NS &&
        is_short(&tx->mpmc, &tx->patience, rbx_slot_position(rbx_load_relaxed(&mpmc->tail)),
                 RBX_SLOT_FREE, tx->frame))
        return complain(end, try_again(timeout_ns, deadline), 0, &tx->mourned);
    for (;;) {
        const struct sight sight = see_room(tx);
        if (sight.closed) {
            rbx_mpmc_finish_shutdown(tx->ring);
            return 0;
        }
        bool stuck = sight.outlook.stuck;
        const struct rbx_awaited awaited = awaits(&sight.outlook);
        int err = 0;
        if (sight.in_vain && !(stuck && let_it_finish(sight.slot, sight.word)))
            err = rbx_end_wait(end, &mpmc->room, &awaited,
                               slice_of(tx->mpmc.strict, stuck, &stuck_slice), timeout_ns, deadline,
                               &tx->patience);
        if (err == 0)
            return complain(end, try_again(timeout_ns, deadline), 0, &tx->mourned);
        uint32_t death = rbx_mpmc_forsaken(end.ring, RBX_TX, tx->mourned);
        if (rbx_load_acquire(&mpmc->tail) != sight.at || rbx_load_acquire(sight.slot) != sight.word)
            death = 0; /* it may have died just after */
        err = complain(end, err, death, &tx->mourned);
        if (err != 0 || tx->mpmc.strict)
            return err;
    }
}

int rbx_mpmc_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline)
{
    struct rbx_mpmc *mpmc = rx->mpmc.shared;
    const struct rbx_end end = rbx_mpmc_receiver(rx);
    uint64_t stuck_slice = STUCK_SLICE_NS;
    if (timeout_ns > SLIP_NS &&
        is_short(&rx->mpmc, &rx->patience, rbx_load_relaxed(&mpmc->head), RBX_SLOT_FULL, rx->frame))
        return complain(end, try_again(timeout_ns, deadline), 0, &rx->mourned);
    for (;;) {
        const struct sight sight = see_message(rx);
        bool stuck = sight.outlook.stuck, closed = sight.closed;
        const struct rbx_awaited awaited = awaits(&sight.outlook);
        if (closed)
            rbx_mpmc_finish_shutdown(rx->ring);
        int err = 0;
        if (sight.in_vain && rbx_load_relaxed(&mpmc->orphans) == rx->mpmc.orphans_seen &&
            !(stuck && let_it_finish(sight.slot, sight.word))) {
            if (closed && !stuck && !rbx_mpmc_mind_the_dead(rx->ring)) /* the try finds the end */
                return complain(end, try_again(timeout_ns, deadline), 0, &rx->mourned);
            err = rbx_end_wait(end, &mpmc->message, &awaited,
                               slice_of(rx->mpmc.strict, stuck || closed, &stuck_slice), timeout_ns,
                               deadline, &rx->patience);
        }
        if (err == 0)
            return complain(end, try_again(timeout_ns, deadline), 0, &rx->mourned);
        uint32_t death = rbx_mpmc_forsaken(end.ring, RBX_RX, rx->mourned);
        if (rbx_load_acquire(&mpmc->head) != sight.at ||
            rbx_load_acquire(sight.slot) != sight.word ||
            rbx_load_relaxed(&mpmc->orphans) != rx->mpmc.orphans_seen)
            death = 0; /* it may have died just after; or has left something */
        err = complain(end, err, death, &rx->mourned);
        if (err != 0 || rx->mpmc.strict)
            return err;
    }
}
