/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * spsc.h: the ring of one sender and one receiver, and its hot path. Use it through message.h.
 *
 * The cost of a message is the cache lines that cross between two cores. So messages come in
 * frames of whole lines, and the word that publishes a message lies in its own frame:
 *
 *     frame = header, messages           header = frame number << 8 | messages published in it
 *
 * The sender fills frame after frame, around and around. The receiver looks at one header only,
 * that of the frame it is in, and again only when it has taken all that it saw there. It gives
 * frames back a quarter of the ring at a time, when it finds the ring empty, and before it sleeps;
 * the sender looks what was given back only when it has used up what it knew of.
 *
 * Invariants (f: number of a frame; frames are numbered on and on, slot f % frames holds frame f):
 *   I1  the sender begins frame f only when freed + frames > f: slot f % frames was given back
 *   I2  the receiver has taken all messages of every frame before `freed`
 *   I3  between calls, fewer than `lazy` used-up frames are not given back;
 *       so when the sender finds no room, `capacity` messages or more are unread
 *   I4  the sender's seat names frame f before the first message in f is published;
 *       the next sender finds its place by that frame's header, or at its beginning while
 *       the header has another number
 *
 * Order:
 *   S1  the sender stores a header (release) after the messages that it counts;
 *       the receiver loads it (acquire) before it reads them
 *   S2  the receiver stores `freed` (release) after it has read the messages before it;
 *       the sender loads it (acquire) before it overwrites them
 *   B1  whoever publishes, by S1 or S2, then loads the bell; see wait.h
 */
#ifndef RINGBOX_SPSC_H
#define RINGBOX_SPSC_H

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

/*
 * What both ends share, between the ring's constant header and its frames. Each group has two lines
 * of its own, since processors fetch lines in pairs.
 */
struct rbx_spsc {
    struct rbx_seat tx; /* the sender writes */
    struct rbx_seat rx; /* the receiver writes; not on the sender's hot path */
    rbx_atomic64 freed; /* the receiver writes: the first frame that is not given back */
    uint8_t freed_pad[120];
    rbx_bell message; /* the receiver sleeps on it; read after each publication */
    uint8_t message_pad[124];
    rbx_bell room; /* the sender sleeps on it; read when frames are given back */
    uint8_t room_pad[124];
};

/*
 * How messages of a size and alignment are framed. A constant when the arguments are. The fewest
 * lines, but for what measurements (docs/rings.md) say is faster although it takes more of them:
 * two lines for small messages that do not fill one, when they hold more than twice as many; three
 * for two messages that would take two lines each.
 */
RBX_INLINE struct rbx_frame rbx_spsc_frame_for(size_t size, size_t alignment)
{
    size_t stride = (size + alignment - 1) / alignment * alignment;
    size_t offset = alignment > 8 ? alignment : 8;
    size_t lines = (offset + stride + 63) / 64;
    size_t fit = (lines * 64 - offset) / stride;
    if (lines == 1 && fit * stride < 56 && (128 - offset) / stride > 2 * fit)
        lines = 2;
    else if (lines == 2 && (192 - offset) / stride == 2)
        lines = 3;
    fit = (lines * 64 - offset) / stride;
    struct rbx_frame frame = {(uint32_t)size, (uint32_t)stride, (uint32_t)offset,
                              (uint32_t)(fit < 255 ? fit : 255), (uint32_t)(lines * 64)};
    return frame;
}

/* --- Out of line: once in a while. Each says what it answers; -errno otherwise. --- */

/* 0: there is credit now. -EAGAIN: full. */
RBX_API int rbx_spsc_more_credit(rbx_tx *tx);
/* After publishing `sent` messages, the bell had a bit: how many of them will be received. */
RBX_API ptrdiff_t rbx_spsc_answer_bell(rbx_tx *tx, size_t sent);
/* The header shows nothing new. 0: it does now. -EAGAIN: empty. */
RBX_API int rbx_spsc_nothing_new(rbx_rx *rx);
/* All frames before the one in hand; and stores the position. */
RBX_API void rbx_spsc_give_back(rbx_rx *rx);
/*
 * 0: there is room (a message), or the ring was shut down: try again. *deadline is 0 at first, and
 * then when the timeout ends.
 */
RBX_API int rbx_spsc_wait_for_room(rbx_tx *tx, uint64_t timeout_ns, uint64_t *deadline);
RBX_API int rbx_spsc_wait_for_message(rbx_rx *rx, uint64_t timeout_ns, uint64_t *deadline);
/* `n` messages, next to each other outside of the ring. A whole frame of small ones is the usual
   case of a batch: then the size is a constant of the typed calls. */
RBX_INLINE void rbx_copy_run_in(char *to, const char *from, size_t n, struct rbx_frame g)
{
    if (g.stride == g.message_size && n == g.per_frame)
        rbx_copy_in(to, from, (size_t)g.per_frame * g.message_size);
    else
        for (; n > 0; n--, to += g.stride, from += g.message_size)
            rbx_copy_in(to, from, g.message_size);
}

RBX_INLINE void rbx_copy_run_out(char *to, const char *from, size_t n, struct rbx_frame g)
{
    if (g.stride == g.message_size && n == g.per_frame)
        rbx_copy_out(to, from, (size_t)g.per_frame * g.message_size);
    else
        for (; n > 0; n--, to += g.message_size, from += g.stride)
            rbx_copy_out(to, from, g.message_size);
}

RBX_INLINE uint32_t rbx_spsc_index(uint64_t at)
{
    return (uint32_t)(at & 255);
}

RBX_INLINE rbx_atomic64 *rbx_spsc_header(char *frame)
{
    return (rbx_atomic64 *)(void *)frame;
}

RBX_INLINE char *rbx_spsc_after(char *frame, char *first, char *end, struct rbx_frame g)
{
    return frame + g.bytes == end ? first : frame + g.bytes;
}

RBX_INLINE char *rbx_spsc_place(char *frame, uint64_t at, struct rbx_frame g)
{
    return frame + g.offset + (size_t)rbx_spsc_index(at) * g.stride;
}

/* --- Sending --- */

/* Called when at == limit: makes the next frame the one in hand. */
RBX_INLINE int rbx_spsc_next_frame(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->hold != RBX_HOLD_NONE))
        return rbx_tx_refuse(tx);
    if (rbx_unlikely(tx->spsc.credit == 0)) {
        int err = rbx_spsc_more_credit(tx);
        if (err < 0)
            return err;
    }
    tx->spsc.credit--;
    tx->spsc.head = rbx_spsc_after(tx->spsc.head, tx->spsc.first, tx->spsc.end, g);
    if (tx->spsc.credit > 0)
        rbx_prefetch_to_write(rbx_spsc_after(tx->spsc.head, tx->spsc.first, tx->spsc.end, g),
                              g.bytes);
    tx->spsc.at = ((tx->spsc.at >> 8) + 1) << 8;
    tx->spsc.limit = tx->spsc.at + g.per_frame;
    rbx_store_relaxed(&tx->spsc.shared->tx.at,
                      tx->spsc.at); /* I4: the header's release (S1) comes after it */
    return 0;
}

/* Makes sure that there is room in the frame in hand. */
RBX_INLINE int rbx_spsc_has_room(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->spsc.at == tx->spsc.limit)) {
        int err = rbx_spsc_next_frame(tx, g);
        if (err < 0)
            return err;
    }
    /* Relaxed: whoever shuts down in another thread does so before this or after. */
    if (rbx_unlikely(rbx_load_relaxed(&tx->spsc.bell->bits) & RBX_BELL_SHUT))
        return rbx_tx_refuse(tx);
    return 0;
}

/* Publishes all messages before `at` in the frame in hand. */
RBX_INLINE void rbx_spsc_publish(rbx_tx *tx, char *head, uint64_t at)
{
    tx->spsc.at = at;
    rbx_store_release(rbx_spsc_header(head), at); /* S1 */
}

/* One message has been published. */
RBX_INLINE int rbx_spsc_sent(rbx_tx *tx)
{
    if (rbx_unlikely(rbx_bell_after_publish(tx->spsc.bell)))
        return rbx_spsc_answer_bell(tx, 1) == 1 ? 0 : -EPIPE;
    return 0;
}

RBX_INLINE int rbx_spsc_try_send(rbx_tx *tx, const void *message, struct rbx_frame g)
{
    int err = rbx_spsc_has_room(tx, g);
    if (rbx_unlikely(err < 0))
        return err;
    char *head = tx->spsc.head;
    uint64_t at = tx->spsc.at;
    rbx_copy_in(rbx_spsc_place(head, at, g), (const char *)message, g.message_size);
    rbx_spsc_publish(tx, head, at + 1);
    return rbx_spsc_sent(tx);
}

/* How many of `count` were sent; an error only when none was. */
RBX_INLINE ptrdiff_t rbx_spsc_try_send_n(rbx_tx *tx, const void *messages, size_t count,
                                         struct rbx_frame g)
{
    const char *from = (const char *)messages;
    size_t sent = 0;
    int err = 0;
    while (sent < count) {
        err = rbx_spsc_has_room(tx, g);
        if (rbx_unlikely(err < 0))
            break;
        char *head = tx->spsc.head;
        uint64_t at = tx->spsc.at;
        char *to = rbx_spsc_place(head, at, g);
        size_t n = (size_t)(tx->spsc.limit - at);
        if (n > count - sent)
            n = count - sent;
        rbx_copy_run_in(to, from, n, g);
        from += n * g.message_size;
        sent += n;
        rbx_spsc_publish(tx, head, at + n); /* once for all of them */
    }
    if (rbx_unlikely(sent == 0))
        return err;
    if (rbx_unlikely(rbx_bell_after_publish(tx->spsc.bell))) {
        ptrdiff_t received = rbx_spsc_answer_bell(tx, sent);
        return received == 0 ? -EPIPE : received;
    }
    return (ptrdiff_t)sent;
}

RBX_INLINE int rbx_spsc_try_claim(rbx_tx *tx, void **place, struct rbx_frame g)
{
    *place = NULL;
    int err = rbx_spsc_has_room(tx, g);
    if (rbx_unlikely(err < 0))
        return err;
    *place = rbx_spsc_place(tx->spsc.head, tx->spsc.at, g);
    tx->hold = RBX_HOLD_PLACE;
    tx->spsc.limit = tx->spsc.at; /* so that every other call takes the closer look */
    return 0;
}

RBX_INLINE int rbx_spsc_abort(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->hold != RBX_HOLD_PLACE))
        return rbx_tx_misuse(tx);
    tx->hold = RBX_HOLD_NONE;
    tx->spsc.limit = (tx->spsc.at & ~(uint64_t)255) + g.per_frame;
    return 0;
}

RBX_INLINE int rbx_spsc_commit(rbx_tx *tx, struct rbx_frame g)
{
    int err = rbx_spsc_abort(tx, g);
    if (rbx_unlikely(err < 0))
        return err;
    rbx_spsc_publish(tx, tx->spsc.head, tx->spsc.at + 1);
    return rbx_spsc_sent(tx);
}

/* --- Receiving --- */

/*
 * Called when at == seen: 0 when there are messages from `at` on, in the frame in hand. The cursor
 * is rx->spsc.now; or a batch's copy of it, which the compiler keeps in registers, and which counts
 * at the end of the batch only: who dies in it has received nothing. A batch that `has_some` ends
 * where it finds no more.
 */
RBX_INLINE int rbx_spsc_look(rbx_rx *rx, struct rbx_cursor *now, bool has_some, struct rbx_frame g)
{
    if (rbx_unlikely(rx->hold != RBX_HOLD_NONE))
        return rbx_rx_refuse(rx);
    if (rbx_spsc_index(now->at) == g.per_frame) {
        now->head = rbx_spsc_after(now->head, rx->spsc.first, rx->spsc.end, g);
        now->seen = now->at = ((now->at >> 8) + 1) << 8;
        if (rbx_unlikely(++rx->spsc.owed >= rx->spsc.lazy) &&
            now == &rx->spsc.now) /* I3; a batch does so at its end */
            rbx_spsc_give_back(rx);
    }
    uint64_t header = rbx_load_acquire(rbx_spsc_header(now->head)); /* S1 */
    /* One comparison for 'nothing', 'an earlier lap' and 'nonsense'. */
    if (rbx_unlikely(header - now->at - 1 >= g.per_frame - rbx_spsc_index(now->at))) {
        if (has_some)
            return -EAGAIN;
        rx->spsc.now = *now;
        int err = rbx_spsc_nothing_new(rx);
        *now = rx->spsc.now;
        return err;
    }
    now->seen = header;
    return 0;
}

/* Relaxed: a successor reads it after this process has died or closed, which orders everything. But
   neither before nor after what the caller does with the message. */
RBX_INLINE void rbx_spsc_advance(rbx_rx *rx, uint64_t at)
{
    rx->spsc.now.at = at;
    rbx_compiler_barrier();
    rbx_store_relaxed(rx->spsc.position, at);
    rbx_compiler_barrier();
}

RBX_INLINE int rbx_spsc_try_recv(rbx_rx *rx, void *message, struct rbx_frame g)
{
    if (rx->spsc.now.at == rx->spsc.now.seen) {
        int err = rbx_spsc_look(rx, &rx->spsc.now, false, g);
        if (rbx_unlikely(err < 0))
            return err;
    }
    uint64_t at = rx->spsc.now.at;
    rbx_copy_out((char *)message, rbx_spsc_place(rx->spsc.now.head, at, g), g.message_size);
    rbx_spsc_advance(rx, at + 1);
    return 0;
}

/* How many were received, up to `most`; an error only when none was. */
RBX_INLINE ptrdiff_t rbx_spsc_try_recv_n(rbx_rx *rx, void *messages, size_t most,
                                         struct rbx_frame g)
{
    char *to = (char *)messages;
    struct rbx_cursor now = rx->spsc.now;
    size_t received = 0;
    int err = 0;
    while (received < most) {
        if (now.at == now.seen) {
            err = rbx_spsc_look(rx, &now, received > 0, g);
            if (err < 0)
                break;
        }
        size_t n = (size_t)(now.seen - now.at);
        if (n > most - received)
            n = most - received;
        rbx_copy_run_out(to, rbx_spsc_place(now.head, now.at, g), n, g);
        to += n * g.message_size;
        received += n;
        now.at += n;
    }
    if (rbx_unlikely(received == 0))
        return err;
    rx->spsc.now = now;
    if (rx->spsc.owed >= rx->spsc.lazy ||
        (err < 0 && rx->spsc.owed > 0)) /* I3; or it has found no more */
        rbx_spsc_give_back(rx);
    else
        rbx_spsc_advance(rx, now.at);
    return (ptrdiff_t)received;
}

/* Shows up to `most` messages of one frame, `stride` apart: how many. They stay until released. */
RBX_INLINE ptrdiff_t rbx_spsc_try_peek_n(rbx_rx *rx, const void **messages, size_t most,
                                         struct rbx_frame g)
{
    *messages = NULL;
    if (rbx_unlikely(most == 0))
        return 0;
    if (rx->spsc.now.at == rx->spsc.now.seen) {
        int err = rbx_spsc_look(rx, &rx->spsc.now, false, g);
        if (rbx_unlikely(err < 0))
            return err;
    }
    size_t n = (size_t)(rx->spsc.now.seen - rx->spsc.now.at);
    *messages = rbx_spsc_place(rx->spsc.now.head, rx->spsc.now.at, g);
    rx->hold = RBX_HOLD_PLACE;
    rx->shown = (uint32_t)(n < most ? n : most);
    rx->spsc.unshown = (uint32_t)(n - rx->shown);
    rx->spsc.now.seen = rx->spsc.now.at; /* so that every other call takes the closer look */
    return (ptrdiff_t)rx->shown;
}

/* Takes the first `count` of what is shown, and leaves the rest. */
RBX_INLINE int rbx_spsc_release_n(rbx_rx *rx, size_t count, struct rbx_frame g)
{
    (void)g;
    if (rbx_unlikely(rx->hold != RBX_HOLD_PLACE || count > rx->shown))
        return rbx_rx_misuse(rx);
    rx->hold = RBX_HOLD_NONE;
    rx->spsc.now.seen = rx->spsc.now.at + rx->shown + rx->spsc.unshown;
    rbx_spsc_advance(rx, rx->spsc.now.at + count);
    return 0;
}

/* With one endpoint on each side what was waited for is still there afterwards, but a wait may also
   have ended because the ring was shut down. */
RBX_WAITING_CALLS(spsc)

RBX_END_DECLS

#endif
