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
#include <string.h>

#include <ringbox/api.h>
#include <ringbox/atomic.h>
#include <ringbox/ring.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

#define RBX_INLINE static inline __attribute__((always_inline, unused))
#define rbx_likely(condition) __builtin_expect(!!(condition), 1)
#define rbx_unlikely(condition) __builtin_expect(!!(condition), 0)

/* One for each end. Others read it, relaxed: counters of nearly the same moment will do. */
struct rbx_spsc_seat {
    rbx_atomic64 at; /* sender: number of the frame in hand, << 8; receiver: its exact position */
    rbx_atomic64 missed;
    rbx_atomic64 sleeps;
    rbx_atomic64 wakes;
    rbx_atomic64 high_water; /* sender only: frames */
    rbx_atomic32 openings;   /* twice how often it was opened, less one while open */
    rbx_atomic32 pid;
    rbx_atomic32 only_core; /* 1 + the one core that its thread may use; 0: it may use several */
    rbx_atomic32 reserved;
    rbx_atomic64 start; /* pid, start and namespace: for people, and to tell a suspect */
    rbx_atomic64 pid_namespace;
};

/*
 * What both ends share, between the ring's constant header and its frames. Each group has two lines
 * of its own, since processors fetch lines in pairs.
 */
struct rbx_spsc {
    struct rbx_spsc_seat tx; /* the sender writes */
    uint8_t tx_pad[128 - sizeof(struct rbx_spsc_seat)];
    struct rbx_spsc_seat rx; /* the receiver writes; not on the sender's hot path */
    uint8_t rx_pad[128 - sizeof(struct rbx_spsc_seat)];
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
RBX_INLINE struct rbx_frame rbx_frame_for(size_t size, size_t alignment)
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
/* Why nothing can be sent (received) now: what `hold` says. */
RBX_API int rbx_tx_refuse(rbx_tx *tx);
RBX_API int rbx_rx_refuse(rbx_rx *rx);
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
/* commit without claim, release without peek, more than was peeked: -EINVAL. */
RBX_API int rbx_tx_misuse(rbx_tx *tx);
RBX_API int rbx_rx_misuse(rbx_rx *rx);

/*
 * For what a call should do at once: compilers that know the size of a copy from 64 bytes on may
 * make one instruction of it that takes long to begin.
 */
RBX_INLINE void rbx_copy_large(char *to, const char *from, size_t size)
{
    __asm__("" : "+r"(size));
    memcpy(to, from, size);
}

/*
 * Word by word: a wide load of what was just written field by field would have to wait until those
 * stores have left the store buffer, and with them for the line of the message before.
 */
RBX_INLINE void rbx_copy_in(char *to, const char *from, size_t size)
{
    size_t done = 0;
    if (size > 256) {
        rbx_copy_large(to, from, size);
        return;
    }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 8
#endif
    for (; done + 8 <= size; done += 8) {
        uint64_t word;
        memcpy(&word, from + done, 8);
        __asm__("" : "+r"(word)); /* else compilers join the words again */
        memcpy(to + done, &word, 8);
    }
    if (size & 4) {
        uint32_t word;
        memcpy(&word, from + done, 4);
        __asm__("" : "+r"(word));
        memcpy(to + done, &word, 4);
        done += 4;
    }
    if (size & 2) {
        memcpy(to + done, from + done, 2);
        done += 2;
    }
    if (size & 1)
        to[done] = from[done];
}

/* What another core wrote: wide loads are fine. */
RBX_INLINE void rbx_copy_out(char *to, const char *from, size_t size)
{
    if (size <= 32 || !__builtin_constant_p(size)) {
        memcpy(to, from, size);
    } else if (size <= 256) {
        size_t done = 0;
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 16
#endif
        for (; done + 16 <= size; done += 16) {
            memcpy(to + done, from + done, 16);
            __asm__("" ::: "memory"); /* else compilers make one copy of it again */
        }
        memcpy(to + size - 16, from + size - 16, 16);
    } else {
        rbx_copy_large(to, from, size);
    }
}

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

/*
 * The lines of a frame that was given back are still in the receiver's cache: asked for early, they
 * are there when they are written.
 */
RBX_INLINE void rbx_prefetch_to_write(const char *frame, size_t bytes)
{
#if defined(__x86_64__)
    for (size_t line = 0; line < bytes && line < 256; line += 64)
        __asm__ __volatile__("prefetchw %0" : : "m"(frame[line]));
#else
    for (size_t line = 0; line < bytes && line < 256; line += 64)
        __builtin_prefetch(frame + line, 1);
#endif
}

/* Called when at == limit: makes the next frame the one in hand. */
RBX_INLINE int rbx_spsc_next_frame(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->hold != RBX_HOLD_NONE))
        return rbx_tx_refuse(tx);
    if (rbx_unlikely(tx->credit == 0)) {
        int err = rbx_spsc_more_credit(tx);
        if (err < 0)
            return err;
    }
    tx->credit--;
    tx->head = rbx_spsc_after(tx->head, tx->first, tx->end, g);
    if (tx->credit > 0)
        rbx_prefetch_to_write(rbx_spsc_after(tx->head, tx->first, tx->end, g), g.bytes);
    tx->at = ((tx->at >> 8) + 1) << 8;
    tx->limit = tx->at + g.per_frame;
    rbx_store_relaxed(&tx->spsc->tx.at, tx->at); /* I4: the header's release (S1) comes after it */
    return 0;
}

/* Makes sure that there is room in the frame in hand. */
RBX_INLINE int rbx_spsc_has_room(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->at == tx->limit)) {
        int err = rbx_spsc_next_frame(tx, g);
        if (err < 0)
            return err;
    }
    /* Relaxed: whoever shuts down in another thread does so before this or after. */
    if (rbx_unlikely(rbx_load_relaxed(&tx->bell->bits) & RBX_BELL_SHUT))
        return rbx_tx_refuse(tx);
    return 0;
}

/* Publishes all messages before `at` in the frame in hand. */
RBX_INLINE void rbx_spsc_publish(rbx_tx *tx, char *head, uint64_t at)
{
    tx->at = at;
    rbx_store_release(rbx_spsc_header(head), at); /* S1 */
}

/* One message has been published. */
RBX_INLINE int rbx_spsc_sent(rbx_tx *tx)
{
    if (rbx_unlikely(rbx_bell_after_publish(tx->bell)))
        return rbx_spsc_answer_bell(tx, 1) == 1 ? 0 : -EPIPE;
    return 0;
}

RBX_INLINE int rbx_spsc_try_send(rbx_tx *tx, const void *message, struct rbx_frame g)
{
    int err = rbx_spsc_has_room(tx, g);
    if (rbx_unlikely(err < 0))
        return err;
    char *head = tx->head;
    uint64_t at = tx->at;
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
        char *head = tx->head;
        uint64_t at = tx->at;
        char *to = rbx_spsc_place(head, at, g);
        size_t n = (size_t)(tx->limit - at);
        if (n > count - sent)
            n = count - sent;
        rbx_copy_run_in(to, from, n, g);
        from += n * g.message_size;
        sent += n;
        rbx_spsc_publish(tx, head, at + n); /* once for all of them */
    }
    if (rbx_unlikely(sent == 0))
        return err;
    if (rbx_unlikely(rbx_bell_after_publish(tx->bell))) {
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
    *place = rbx_spsc_place(tx->head, tx->at, g);
    tx->hold = RBX_HOLD_PLACE;
    tx->limit = tx->at; /* so that every other call takes the closer look */
    return 0;
}

RBX_INLINE int rbx_spsc_abort(rbx_tx *tx, struct rbx_frame g)
{
    if (rbx_unlikely(tx->hold != RBX_HOLD_PLACE))
        return rbx_tx_misuse(tx);
    tx->hold = RBX_HOLD_NONE;
    tx->limit = (tx->at & ~(uint64_t)255) + g.per_frame;
    return 0;
}

RBX_INLINE int rbx_spsc_commit(rbx_tx *tx, struct rbx_frame g)
{
    int err = rbx_spsc_abort(tx, g);
    if (rbx_unlikely(err < 0))
        return err;
    rbx_spsc_publish(tx, tx->head, tx->at + 1);
    return rbx_spsc_sent(tx);
}

/* --- Receiving --- */

/*
 * Called when at == seen: 0 when there are messages from `at` on, in the frame in hand. The cursor
 * is rx->now; or a batch's copy of it, which the compiler keeps in registers, and which counts at
 * the end of the batch only: who dies in it has received nothing. A batch that `has_some` ends
 * where it finds no more.
 */
RBX_INLINE int rbx_spsc_look(rbx_rx *rx, struct rbx_cursor *now, bool has_some, struct rbx_frame g)
{
    if (rbx_unlikely(rx->hold != RBX_HOLD_NONE))
        return rbx_rx_refuse(rx);
    if (rbx_spsc_index(now->at) == g.per_frame) {
        now->head = rbx_spsc_after(now->head, rx->first, rx->end, g);
        now->seen = now->at = ((now->at >> 8) + 1) << 8;
        if (rbx_unlikely(++rx->owed >= rx->lazy) &&
            now == &rx->now) /* I3; a batch does so at its end */
            rbx_spsc_give_back(rx);
    }
    uint64_t header = rbx_load_acquire(rbx_spsc_header(now->head)); /* S1 */
    /* One comparison for 'nothing', 'an earlier lap' and 'nonsense'. */
    if (rbx_unlikely(header - now->at - 1 >= g.per_frame - rbx_spsc_index(now->at))) {
        if (has_some)
            return -EAGAIN;
        rx->now = *now;
        int err = rbx_spsc_nothing_new(rx);
        *now = rx->now;
        return err;
    }
    now->seen = header;
    return 0;
}

/* Relaxed: a successor reads it after this process has died or closed, which orders everything. But
   neither before nor after what the caller does with the message. */
RBX_INLINE void rbx_spsc_advance(rbx_rx *rx, uint64_t at)
{
    rx->now.at = at;
    rbx_compiler_barrier();
    rbx_store_relaxed(rx->position, at);
    rbx_compiler_barrier();
}

RBX_INLINE int rbx_spsc_try_recv(rbx_rx *rx, void *message, struct rbx_frame g)
{
    if (rx->now.at == rx->now.seen) {
        int err = rbx_spsc_look(rx, &rx->now, false, g);
        if (rbx_unlikely(err < 0))
            return err;
    }
    uint64_t at = rx->now.at;
    rbx_copy_out((char *)message, rbx_spsc_place(rx->now.head, at, g), g.message_size);
    rbx_spsc_advance(rx, at + 1);
    return 0;
}

/* How many were received, up to `most`; an error only when none was. */
RBX_INLINE ptrdiff_t rbx_spsc_try_recv_n(rbx_rx *rx, void *messages, size_t most,
                                         struct rbx_frame g)
{
    char *to = (char *)messages;
    struct rbx_cursor now = rx->now;
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
    rx->now = now;
    if (rx->owed >= rx->lazy || (err < 0 && rx->owed > 0)) /* I3; or it has found no more */
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
    if (rx->now.at == rx->now.seen) {
        int err = rbx_spsc_look(rx, &rx->now, false, g);
        if (rbx_unlikely(err < 0))
            return err;
    }
    size_t n = (size_t)(rx->now.seen - rx->now.at);
    *messages = rbx_spsc_place(rx->now.head, rx->now.at, g);
    rx->hold = RBX_HOLD_PLACE;
    rx->shown = (uint32_t)(n < most ? n : most);
    rx->unshown = (uint32_t)(n - rx->shown);
    rx->now.seen = rx->now.at; /* so that every other call takes the closer look */
    return (ptrdiff_t)rx->shown;
}

/* Takes the first `count` of what is shown, and leaves the rest. */
RBX_INLINE int rbx_spsc_release_n(rbx_rx *rx, size_t count)
{
    if (rbx_unlikely(rx->hold != RBX_HOLD_PLACE || count > rx->shown))
        return rbx_rx_misuse(rx);
    rx->hold = RBX_HOLD_NONE;
    rx->now.seen = rx->now.at + rx->shown + rx->unshown;
    rbx_spsc_advance(rx, rx->now.at + count);
    return 0;
}

/* --- Waiting. With one endpoint on each side what was waited for is still there afterwards, but a
   wait may also have ended because the ring was shut down. --- */

RBX_INLINE int rbx_spsc_send_for(rbx_tx *tx, const void *message, uint64_t timeout_ns,
                                 struct rbx_frame g)
{
    uint64_t deadline = 0;
    for (;;) {
        int err = rbx_spsc_try_send(tx, message, g);
        if (rbx_likely(err != -EAGAIN))
            return err;
        err = rbx_spsc_wait_for_room(tx, timeout_ns, &deadline);
        if (err < 0)
            return err;
    }
}

/* All of them, unless there is an error: then how many, or the error when none. */
RBX_INLINE ptrdiff_t rbx_spsc_send_n_for(rbx_tx *tx, const void *messages, size_t count,
                                         uint64_t timeout_ns, struct rbx_frame g)
{
    const char *from = (const char *)messages;
    uint64_t deadline = 0;
    size_t sent = 0;
    while (sent < count) {
        ptrdiff_t n = rbx_spsc_try_send_n(tx, from + sent * g.message_size, count - sent, g);
        if (n == -EAGAIN)
            n = rbx_spsc_wait_for_room(tx, timeout_ns, &deadline);
        if (n < 0 && sent > 0) {
            tx->mourned = n == -EOWNERDEAD ? 0 : tx->mourned; /* for the next call to say */
            return (ptrdiff_t)sent;
        }
        if (n < 0)
            return n;
        sent += (size_t)n;
    }
    return (ptrdiff_t)sent;
}

RBX_INLINE int rbx_spsc_claim_for(rbx_tx *tx, void **place, uint64_t timeout_ns, struct rbx_frame g)
{
    uint64_t deadline = 0;
    for (;;) {
        int err = rbx_spsc_try_claim(tx, place, g);
        if (rbx_likely(err != -EAGAIN))
            return err;
        err = rbx_spsc_wait_for_room(tx, timeout_ns, &deadline);
        if (err < 0)
            return err;
    }
}

RBX_INLINE int rbx_spsc_recv_for(rbx_rx *rx, void *message, uint64_t timeout_ns, struct rbx_frame g)
{
    uint64_t deadline = 0;
    for (;;) {
        int err = rbx_spsc_try_recv(rx, message, g);
        if (rbx_likely(err != -EAGAIN))
            return err;
        err = rbx_spsc_wait_for_message(rx, timeout_ns, &deadline);
        if (err < 0)
            return err;
    }
}

/* Waits for the first message only. */
RBX_INLINE ptrdiff_t rbx_spsc_recv_n_for(rbx_rx *rx, void *messages, size_t most,
                                         uint64_t timeout_ns, struct rbx_frame g)
{
    uint64_t deadline = 0;
    for (;;) {
        ptrdiff_t n = rbx_spsc_try_recv_n(rx, messages, most, g);
        if (rbx_likely(n != -EAGAIN))
            return n;
        n = rbx_spsc_wait_for_message(rx, timeout_ns, &deadline);
        if (n < 0)
            return n;
    }
}

RBX_INLINE ptrdiff_t rbx_spsc_peek_n_for(rbx_rx *rx, const void **messages, size_t most,
                                         uint64_t timeout_ns, struct rbx_frame g)
{
    uint64_t deadline = 0;
    for (;;) {
        ptrdiff_t n = rbx_spsc_try_peek_n(rx, messages, most, g);
        if (rbx_likely(n != -EAGAIN))
            return n;
        n = rbx_spsc_wait_for_message(rx, timeout_ns, &deadline);
        if (n < 0)
            return n;
    }
}

RBX_END_DECLS

#endif
