/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mpmc.h: the ring of many senders and receivers, and its hot path. Use it through message.h.
 *
 * Positions are numbered on and on; slot p % slots serves position p, and its word says what it is
 * good for. A sender takes position p by a CAS on `tail`, writes, and publishes with the word; a
 * receiver takes it by a CAS on `head`, reads, and frees the slot for the next lap:
 *
 *     word     FREE p  -- send -->  FULL p  -- receive -->  FREE p + slots
 *
 * Before its CAS each endpoint stores the position as its intent, where others find it should it
 * die. docs/mpmc.md has all states, invariants and orders, and what is done about the dead.
 *
 * Order:
 *   M1  a sender stores FULL (release) after the message; the receiver loads it (acquire) before
 *       it reads the message
 *   M2  a receiver stores FREE (release) after it has read the message; the sender loads it
 *       (acquire) before it writes the next one
 *   M3  the intent is stored before the CAS of the index (release); who repairs loads the index
 *       (acquire) before the intents
 *   M4  a word is stored before the next intent (release); who repairs loads the intents (acquire)
 *       before it looks at the word again
 *   M5  who shuts down closes `tail` before it shuts the bell (release); a receiver that finds
 *       nothing loads the bell (acquire) before tail
 *   B1  whoever stores FULL or FREE then loads the bell; see wait.h
 */
#ifndef RINGBOX_MPMC_H
#define RINGBOX_MPMC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/atomic.h>
#include <ringbox/hot.h>
#include <ringbox/ring.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

/* What a slot's word says, below its position << 8. */
enum rbx_slot_state {
    RBX_SLOT_FREE = 0,   /* nothing; or taken by a sender that has not published yet */
    RBX_SLOT_FULL = 1,   /* a message; or taken by a receiver that has not released it yet */
    RBX_SLOT_VOID = 2,   /* a tombstone: to be skipped */
    RBX_SLOT_ORPHAN = 3, /* a message whose receiver has died: for the next one, out of turn */
    RBX_SLOT_TAKEN = 4,  /* a receiver has its message, and not by this position, which has none */
    RBX_SLOT_PASSED = 5, /* strict: in somebody's hands, without a message; nor has this position */
};

#define RBX_TAIL_CLOSED UINT64_C(0x80)  /* in `tail`: no more can be sent */
#define RBX_POSITION (UINT64_C(1) << 8) /* from one position to the next */
#define RBX_RUN_MAX 128U                /* messages that a batch takes at once */
#define RBX_TRIES 10000 /* by how many others a call may be overtaken before it says -EAGAIN */

/*
 * What all share, between the ring's constant header and its seats. Each group has two lines of its
 * own, since processors fetch lines in pairs.
 */
struct rbx_mpmc {
    rbx_atomic64 tail; /* the next position to be sent, << 8 */
    uint8_t tail_pad[120];
    rbx_atomic64 head;    /* the next position to be received, << 8 */
    rbx_atomic64 orphans; /* another value than before: there may be more */
    uint8_t head_pad[112];
    rbx_bell message; /* receivers sleep on it */
    uint8_t message_pad[124];
    rbx_bell room; /* senders sleep on it */
    uint8_t room_pad[124];
    /* Written on slow paths only. */
    rbx_atomic64 high_water;
    struct rbx_mourning mourning;
    rbx_atomic64 tombstones, redelivered, dropped, returned; /* so many << 32 | which was last */
    uint8_t slow_pad[56];
};

/* One message a slot; no slot straddles a line needlessly: 16, 32 or n x 64 bytes. */
RBX_INLINE struct rbx_frame rbx_mpmc_frame_for(size_t size, size_t alignment)
{
    size_t offset = alignment > 8 ? alignment : 8;
    size_t needed = offset + size;
    size_t bytes = needed <= 16 ? 16 : needed <= 32 ? 32 : (needed + 63) / 64 * 64;
    struct rbx_frame frame = {(uint32_t)size, (uint32_t)bytes, (uint32_t)offset, 1,
                              (uint32_t)bytes};
    return frame;
}

/* --- Out of line: once in a while. Each says what it answers; -errno otherwise. --- */

/* The place at `at` cannot be taken. 0: look again. -EAGAIN: full. */
RBX_API int rbx_mpmc_no_place(rbx_tx *tx, uint64_t at, uint64_t word);
/* There is nothing to receive at `at`. 0: look again. -EAGAIN: empty. */
RBX_API int rbx_mpmc_no_message(rbx_rx *rx, uint64_t at, uint64_t word);
/* `orphans` has changed. 1: *at is one, taken. 0: there is none. */
RBX_API int rbx_mpmc_take_orphan(rbx_rx *rx, uint64_t *at);
/* Overtaken too often. -EAGAIN. */
RBX_API int rbx_mpmc_tx_unlucky(rbx_tx *tx);
RBX_API int rbx_mpmc_rx_unlucky(rbx_rx *rx);
/* After publishing (releasing) the bell had a bit. */
RBX_API void rbx_mpmc_tx_answer_bell(rbx_tx *tx);
RBX_API void rbx_mpmc_rx_answer_bell(rbx_rx *rx);
/* A quarter of the ring is used up at `at`: see how many are waiting. */
RBX_API void rbx_mpmc_note_high_water(rbx_tx *tx, uint64_t at);
/* Strict rings: 0, or -EAGAIN when it was passed over and the ring is full now. Without `message`
   it is in the place at `at`. */
RBX_API int rbx_mpmc_publish_strictly(rbx_tx *tx, uint64_t at, const void *message);
RBX_API void rbx_mpmc_release_strictly(rbx_rx *rx, uint64_t at);
/* Gives up what is held: -EINVAL when nothing is. */
RBX_API int rbx_mpmc_abort(rbx_tx *tx, struct rbx_frame g);
RBX_API int rbx_mpmc_put_back(rbx_rx *rx);
/* 0: there may be room (a message), or the ring was shut down: try again. *deadline is 0 at first,
   and then when the timeout ends. */
RBX_API int rbx_mpmc_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline);
RBX_API int rbx_mpmc_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline);

RBX_INLINE char *rbx_mpmc_slot(const struct rbx_mpmc_end *end, uint64_t at, struct rbx_frame g)
{
    return end->slots + ((at >> 8) & end->mask) * g.bytes;
}

RBX_INLINE rbx_atomic64 *rbx_mpmc_word(char *slot)
{
    return (rbx_atomic64 *)(void *)slot;
}

/* `n` positions from `at` on, which this endpoint tries to take. */
RBX_INLINE void rbx_mpmc_intend(struct rbx_mpmc_end *end, uint64_t at, size_t n)
{
#ifndef RBX_BENCH_WITHOUT_INTENT            /* what it costs: the benchmark's only */
    rbx_store_release(end->intent, at | n); /* M3, M4 */
#else
    (void)end, (void)at, (void)n;
#endif
}

/* --- Sending --- */

/* How many places from `at` on are free, of up to `most`: so many sender tries to take. */
RBX_INLINE size_t rbx_mpmc_run(const struct rbx_mpmc_end *end, uint64_t at, uint64_t state,
                               size_t most, struct rbx_frame g)
{
    size_t n = 1;
    for (at += RBX_POSITION; n < most; n++, at += RBX_POSITION)
        if (rbx_load_acquire(rbx_mpmc_word(rbx_mpmc_slot(end, at, g))) != (at | state)) /* M1, M2 */
            break;
    return n;
}

/* Takes up to `most` places, 1 or more: how many, from *taken on. */
RBX_INLINE ptrdiff_t rbx_mpmc_take_places(rbx_tx *tx, size_t most, uint64_t *taken,
                                          struct rbx_frame g)
{
    struct rbx_mpmc_end *end = &tx->mpmc;
    if (rbx_unlikely(tx->hold != RBX_HOLD_NONE))
        return rbx_tx_refuse(tx);
    uint64_t at = rbx_load_relaxed(end->index);
    for (int tries = RBX_TRIES; tries > 0; tries--) {
        uint64_t word = rbx_load_acquire(rbx_mpmc_word(rbx_mpmc_slot(end, at, g))); /* M2 */
        if (rbx_unlikely(word != (at | RBX_SLOT_FREE))) {
            int err = rbx_mpmc_no_place(tx, at, word);
            if (err < 0)
                return err;
            at = rbx_load_relaxed(end->index);
            continue;
        }
        size_t n = rbx_mpmc_run(end, at, RBX_SLOT_FREE, most, g);
        rbx_mpmc_intend(end, at, n);
        if (rbx_likely(rbx_swap_if_release(end->index, &at, at + n * RBX_POSITION))) { /* M3 */
            if (rbx_unlikely((at & end->quarter) == 0))
                rbx_mpmc_note_high_water(tx, at);
            *taken = at;
            return (ptrdiff_t)n;
        }
    }
    return rbx_mpmc_tx_unlucky(tx);
}

RBX_INLINE void rbx_mpmc_sent(rbx_tx *tx)
{
    if (rbx_unlikely(rbx_bell_after_publish(tx->mpmc.bell)))
        rbx_mpmc_tx_answer_bell(tx);
}

RBX_INLINE int rbx_mpmc_try_send(rbx_tx *tx, const void *message, struct rbx_frame g)
{
    uint64_t at = 0;
    ptrdiff_t taken = rbx_mpmc_take_places(tx, 1, &at, g);
    if (rbx_unlikely(taken < 0))
        return (int)taken;
    char *slot = rbx_mpmc_slot(&tx->mpmc, at, g);
    rbx_copy_in(slot + g.offset, (const char *)message, g.message_size);
    if (rbx_unlikely(tx->mpmc.strict))
        return rbx_mpmc_publish_strictly(tx, at, message);
    rbx_store_release(rbx_mpmc_word(slot), at | RBX_SLOT_FULL); /* M1 */
    rbx_mpmc_sent(tx);
    return 0;
}

/* How many of `count` were sent; an error only when none was. */
RBX_INLINE ptrdiff_t rbx_mpmc_try_send_n(rbx_tx *tx, const void *messages, size_t count,
                                         struct rbx_frame g)
{
    const char *from = (const char *)messages;
    size_t sent = 0;
    ptrdiff_t taken = 0;
    while (sent < count) {
        if (rbx_unlikely(tx->mpmc.strict)) {
            taken = rbx_mpmc_try_send(tx, from + sent * g.message_size, g);
            if (taken < 0)
                break;
            sent++;
            continue;
        }
        size_t most = count - sent < RBX_RUN_MAX ? count - sent : RBX_RUN_MAX;
        uint64_t at = 0;
        taken = rbx_mpmc_take_places(tx, most, &at, g);
        if (rbx_unlikely(taken < 0))
            break;
        for (ptrdiff_t i = 0; i < taken; i++, at += RBX_POSITION) {
            char *slot = rbx_mpmc_slot(&tx->mpmc, at, g);
            rbx_copy_in(slot + g.offset, from + sent++ * g.message_size, g.message_size);
            rbx_store_release(rbx_mpmc_word(slot), at | RBX_SLOT_FULL); /* M1 */
        }
    }
    if (rbx_unlikely(sent == 0))
        return taken;
    if (rbx_unlikely(taken == -EOWNERDEAD))
        tx->mourned = 0; /* for a later call to say */
    if (!tx->mpmc.strict)
        rbx_mpmc_sent(tx);
    return (ptrdiff_t)sent;
}

RBX_INLINE int rbx_mpmc_try_claim(rbx_tx *tx, void **place, struct rbx_frame g)
{
    *place = NULL;
    uint64_t at = 0;
    ptrdiff_t taken = rbx_mpmc_take_places(tx, 1, &at, g);
    if (rbx_unlikely(taken < 0))
        return (int)taken;
    *place = rbx_mpmc_slot(&tx->mpmc, at, g) + g.offset;
    tx->mpmc.held = at;
    tx->hold = RBX_HOLD_PLACE;
    return 0;
}

RBX_INLINE int rbx_mpmc_commit(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->hold != RBX_HOLD_PLACE))
        return rbx_tx_misuse(tx);
    uint64_t at = tx->mpmc.held;
    if (rbx_unlikely(tx->mpmc.strict))
        return rbx_mpmc_publish_strictly(tx, at, NULL);
    tx->hold = RBX_HOLD_NONE;
    rbx_store_release(rbx_mpmc_word(rbx_mpmc_slot(&tx->mpmc, at, g)), at | RBX_SLOT_FULL); /* M1 */
    rbx_mpmc_sent(tx);
    return 0;
}

/* --- Receiving --- */

/* Takes up to `most` messages, 1 or more: how many, from *taken on. */
RBX_INLINE ptrdiff_t rbx_mpmc_take_messages(rbx_rx *rx, size_t most, uint64_t *taken,
                                            struct rbx_frame g)
{
    struct rbx_mpmc_end *end = &rx->mpmc;
    if (rbx_unlikely(rx->hold != RBX_HOLD_NONE))
        return rbx_rx_refuse(rx);
    uint64_t at = rbx_load_relaxed(end->index);
    for (int tries = RBX_TRIES; tries > 0; tries--) {
        /* Relaxed: whoever sees it late receives another message first. */
        if (rbx_unlikely(rbx_load_relaxed(&end->shared->orphans) != end->orphans_seen)) {
            uint64_t orphan = 0;
            if (rbx_mpmc_take_orphan(rx, &orphan)) {
                *taken = orphan;
                return 1;
            }
        }
        uint64_t word = rbx_load_acquire(rbx_mpmc_word(rbx_mpmc_slot(end, at, g))); /* M1 */
        if (rbx_unlikely(word != (at | RBX_SLOT_FULL))) {
            int err = rbx_mpmc_no_message(rx, at, word);
            if (err < 0)
                return err;
            at = rbx_load_relaxed(end->index);
            continue;
        }
        size_t n = rbx_mpmc_run(end, at, RBX_SLOT_FULL, most, g);
        rbx_mpmc_intend(end, at, n);
        if (rbx_likely(rbx_swap_if_release(end->index, &at, at + n * RBX_POSITION))) { /* M3 */
            *taken = at;
            return (ptrdiff_t)n;
        }
    }
    return rbx_mpmc_rx_unlucky(rx);
}

RBX_INLINE void rbx_mpmc_free(rbx_rx *rx, uint64_t at, struct rbx_frame g)
{
    if (rbx_unlikely(rx->mpmc.strict))
        rbx_mpmc_release_strictly(rx, at);
    else
        rbx_store_release(rbx_mpmc_word(rbx_mpmc_slot(&rx->mpmc, at, g)),
                          at + rx->mpmc.lap); /* M2 */
}

RBX_INLINE void rbx_mpmc_freed(rbx_rx *rx)
{
    if (rbx_unlikely(rbx_bell_after_publish(rx->mpmc.bell)))
        rbx_mpmc_rx_answer_bell(rx);
}

RBX_INLINE int rbx_mpmc_try_recv(rbx_rx *rx, void *message, struct rbx_frame g)
{
    uint64_t at = 0;
    ptrdiff_t taken = rbx_mpmc_take_messages(rx, 1, &at, g);
    if (rbx_unlikely(taken < 0))
        return (int)taken;
    rbx_copy_out((char *)message, rbx_mpmc_slot(&rx->mpmc, at, g) + g.offset, g.message_size);
    rbx_mpmc_free(rx, at, g);
    rbx_mpmc_freed(rx);
    return 0;
}

/*
 * How many were received, up to `most` and RBX_RUN_MAX; an error only when none was. All are copied
 * before the first is released, so that who dies in between leaves them all.
 */
RBX_INLINE ptrdiff_t rbx_mpmc_try_recv_n(rbx_rx *rx, void *messages, size_t most,
                                         struct rbx_frame g)
{
    uint64_t at = 0;
    if (rbx_unlikely(most == 0))
        return 0;
    ptrdiff_t taken = rbx_mpmc_take_messages(rx, most < RBX_RUN_MAX ? most : RBX_RUN_MAX, &at, g);
    for (ptrdiff_t i = 0; i < taken; i++)
        rbx_copy_out((char *)messages + (size_t)i * g.message_size,
                     rbx_mpmc_slot(&rx->mpmc, at + (uint64_t)i * RBX_POSITION, g) + g.offset,
                     g.message_size);
    for (ptrdiff_t i = 0; i < taken; i++, at += RBX_POSITION)
        rbx_mpmc_free(rx, at, g);
    if (taken > 0)
        rbx_mpmc_freed(rx);
    return taken;
}

/* Shows one message, since there is one in a slot: it stays until released. */
RBX_INLINE ptrdiff_t rbx_mpmc_try_peek_n(rbx_rx *rx, const void **messages, size_t most,
                                         struct rbx_frame g)
{
    *messages = NULL;
    if (rbx_unlikely(most == 0))
        return 0;
    uint64_t at = 0;
    ptrdiff_t taken = rbx_mpmc_take_messages(rx, 1, &at, g);
    if (rbx_unlikely(taken < 0))
        return taken;
    *messages = rbx_mpmc_slot(&rx->mpmc, at, g) + g.offset;
    rx->mpmc.held = at;
    rx->hold = RBX_HOLD_PLACE;
    rx->shown = 1;
    return 1;
}

/* Takes what is shown; or gives it back, for whoever comes next. */
RBX_INLINE int rbx_mpmc_release_n(rbx_rx *rx, size_t count, struct rbx_frame g)
{
    if (rbx_unlikely(rx->hold != RBX_HOLD_PLACE || count > 1))
        return rbx_rx_misuse(rx);
    if (rbx_unlikely(count == 0))
        return rbx_mpmc_put_back(rx);
    rx->hold = RBX_HOLD_NONE;
    rbx_mpmc_free(rx, rx->mpmc.held, g);
    rbx_mpmc_freed(rx);
    return 0;
}

RBX_WAITING_CALLS(mpmc)

RBX_END_DECLS

#endif
