/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hot.h: what the hot paths of all kinds of ring share: copies, hints, and what to say when a call
   makes no sense. */
#ifndef RINGBOX_HOT_H
#define RINGBOX_HOT_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ringbox/api.h>
#include <ringbox/ring.h>

RBX_BEGIN_DECLS

#define RBX_INLINE static inline __attribute__((always_inline, unused))
#define rbx_likely(condition) __builtin_expect(!!(condition), 1)
#define rbx_unlikely(condition) __builtin_expect(!!(condition), 0)

/* Why nothing can be sent (received) now: what `hold` says. */
RBX_API int rbx_tx_refuse(rbx_tx *tx);
RBX_API int rbx_rx_refuse(rbx_rx *rx);
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

/*
 * The lines of a place that was given back are still in the receiver's cache: asked for early, they
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

/*
 * The calls that wait, for the kind of ring whose try_ calls are rbx_KIND_try_send and so on: they
 * try, wait for room or a message, and try again, as what was waited for may have gone to another.
 * They answer 0 or how many, all or nothing but for an error: then how many, or the error when
 * none. Receivers wait for the first message only.
 */
#define RBX_WAITING_CALLS(kind)                                                                    \
    RBX_INLINE int rbx_##kind##_send_for(rbx_tx *tx, const void *message, uint64_t timeout_ns,     \
                                         struct rbx_frame g)                                       \
    {                                                                                              \
        uint64_t deadline = 0;                                                                     \
        for (;;) {                                                                                 \
            int err = rbx_##kind##_try_send(tx, message, g);                                       \
            if (rbx_likely(err != -EAGAIN))                                                        \
                return err;                                                                        \
            err = rbx_##kind##_wait_for_room(tx, timeout_ns, &deadline);                           \
            if (err < 0)                                                                           \
                return err;                                                                        \
        }                                                                                          \
    }                                                                                              \
    RBX_INLINE ptrdiff_t rbx_##kind##_send_n_for(rbx_tx *tx, const void *messages, size_t count,   \
                                                 uint64_t timeout_ns, struct rbx_frame g)          \
    {                                                                                              \
        const char *from = (const char *)messages;                                                 \
        uint64_t deadline = 0;                                                                     \
        size_t sent = 0;                                                                           \
        while (sent < count) {                                                                     \
            ptrdiff_t n =                                                                          \
                rbx_##kind##_try_send_n(tx, from + sent * g.message_size, count - sent, g);        \
            if (n == -EAGAIN)                                                                      \
                n = rbx_##kind##_wait_for_room(tx, timeout_ns, &deadline);                         \
            if (n < 0 && sent > 0) {                                                               \
                tx->mourned = n == -EOWNERDEAD ? 0 : tx->mourned; /* for the next call to say */   \
                return (ptrdiff_t)sent;                                                            \
            }                                                                                      \
            if (n < 0)                                                                             \
                return n;                                                                          \
            sent += (size_t)n;                                                                     \
        }                                                                                          \
        return (ptrdiff_t)sent;                                                                    \
    }                                                                                              \
    RBX_INLINE int rbx_##kind##_claim_for(rbx_tx *tx, void **place, uint64_t timeout_ns,           \
                                          struct rbx_frame g)                                      \
    {                                                                                              \
        uint64_t deadline = 0;                                                                     \
        for (;;) {                                                                                 \
            int err = rbx_##kind##_try_claim(tx, place, g);                                        \
            if (rbx_likely(err != -EAGAIN))                                                        \
                return err;                                                                        \
            err = rbx_##kind##_wait_for_room(tx, timeout_ns, &deadline);                           \
            if (err < 0)                                                                           \
                return err;                                                                        \
        }                                                                                          \
    }                                                                                              \
    RBX_INLINE int rbx_##kind##_recv_for(rbx_rx *rx, void *message, uint64_t timeout_ns,           \
                                         struct rbx_frame g)                                       \
    {                                                                                              \
        uint64_t deadline = 0;                                                                     \
        for (;;) {                                                                                 \
            int err = rbx_##kind##_try_recv(rx, message, g);                                       \
            if (rbx_likely(err != -EAGAIN))                                                        \
                return err;                                                                        \
            err = rbx_##kind##_wait_for_message(rx, timeout_ns, &deadline);                        \
            if (err < 0)                                                                           \
                return err;                                                                        \
        }                                                                                          \
    }                                                                                              \
    RBX_INLINE ptrdiff_t rbx_##kind##_recv_n_for(rbx_rx *rx, void *messages, size_t most,          \
                                                 uint64_t timeout_ns, struct rbx_frame g)          \
    {                                                                                              \
        uint64_t deadline = 0;                                                                     \
        for (;;) {                                                                                 \
            ptrdiff_t n = rbx_##kind##_try_recv_n(rx, messages, most, g);                          \
            if (rbx_likely(n != -EAGAIN))                                                          \
                return n;                                                                          \
            n = rbx_##kind##_wait_for_message(rx, timeout_ns, &deadline);                          \
            if (n < 0)                                                                             \
                return n;                                                                          \
        }                                                                                          \
    }                                                                                              \
    RBX_INLINE ptrdiff_t rbx_##kind##_peek_n_for(rbx_rx *rx, const void **messages, size_t most,   \
                                                 uint64_t timeout_ns, struct rbx_frame g)          \
    {                                                                                              \
        uint64_t deadline = 0;                                                                     \
        for (;;) {                                                                                 \
            ptrdiff_t n = rbx_##kind##_try_peek_n(rx, messages, most, g);                          \
            if (rbx_likely(n != -EAGAIN))                                                          \
                return n;                                                                          \
            n = rbx_##kind##_wait_for_message(rx, timeout_ns, &deadline);                          \
            if (n < 0)                                                                             \
                return n;                                                                          \
        }                                                                                          \
    }

RBX_END_DECLS

#endif
