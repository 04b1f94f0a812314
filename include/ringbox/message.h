/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message.h: the calls that send and receive.
 *
 *            now, or -EAGAIN  when it can  until a time-out
 *     send   try_send         send         send_for       copies a message in
 *            try_send_n       send_n       send_n_for     many, published in bulk
 *            try_claim        claim        claim_for      a place to write a message in, which
 *            commit, abort                                then sends it, or does not
 *     recv   try_recv         recv         recv_for       copies a message out
 *            try_recv_n       recv_n       recv_n_for     up to n; waits for the first
 *            try_peek         peek         peek_for       shows the next message where it is,
 *            try_peek_n       peek_n       peek_n_for     or the next few that lie in a row (1 to
 *                                                         7 for most sizes with RBX_SPSC, 1 with
 *                                                         RBX_MPMC), and
 *            release, release_n                           takes what was shown, or the first so
 *                                                         many of it: the others come again
 *
 * Each has the prefix rbx_ for messages of any size, or that of your RBX_RING_TYPE.
 * They answer 0, or how many for those with an n, and on failure
 *   -EAGAIN      full, or empty (try_ calls only)
 *   -ETIMEDOUT   not in time
 *   -EPIPE       the ring was shut down (and, to receive, is drained)
 *   -EOWNERDEAD  while it waited: whoever was at the other end, or the last of many, has died.
 *                Said once for each death, within RBX_SLICE_NS, unless a successor is there by
 *                then; wait again, and you wait for one
 *                (a try_ call says so only where a wait on many has been ended by it, any.h)
 *   -EINTR       a signal handler ran while it slept (event.h says how to be sure of an end)
 *   -EBUSY       between claim and commit or abort, or between peek and release
 *   -EINVAL      a closed endpoint; commit or abort without claim; release without peek, or of
 *                more than was shown
 *   -EPROTO      the shared memory says what no ring would
 *   -EDEADLK     RBX_LOCKED: this thread has claimed or peeked, and so has the lock
 *
 * send_n that fails after some messages, and recv_n, answer how many; the next call says why,
 * unless it was a time-out or a signal. What -EAGAIN means is plain: it leaves rbx_last_error() as
 * it was.
 *
 * commit never waits and never finds the ring full, but with RBX_STRICT: there the place may have
 * been passed over; then it takes another, says -EAGAIN while there is none (the claim stays:
 * commit again later), and -EPIPE when the ring was shut down meanwhile.
 *
 * With RBX_LOCKED a time-out does not count while another has the lock, and commit, abort and
 * release are for the thread that claimed or peeked.
 *
 * A handler that must be sure to end a wait sets a flag, and the waiter looks at it between
 * time-outs: a signal that comes just before it falls asleep does not wake it.
 *
 * RBX_RING_TYPE(ticks, struct tick, SPSC) makes all of these for one message type and kind of ring,
 * with sizes known to the compiler and endpoints of their own type: ticks_open, ticks_tx_open,
 * ticks_send and so on. The kind is the bare word SPSC, MPMC or LOCKED, not a macro that stands for
 * it; RBX_STRICT is one of the options' flags. What ticks_peek_n shows is an array (of one, with
 * MPMC). In a ticks_tx the rbx_tx is `end`.
 */
#ifndef RINGBOX_MESSAGE_H
#define RINGBOX_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/hot.h>
#include <ringbox/locked.h>
#include <ringbox/mpmc.h>
#include <ringbox/poll.h>
#include <ringbox/ring.h>
#include <ringbox/spsc.h>

RBX_BEGIN_DECLS

/* For untyped calls: what rbx_KIND_verb answers. The kind is the endpoint's own note of it. */
#define RBX_BY_KIND(end, verb, ...)                                                                \
    (rbx_likely((end)->kind == RBX_SPSC)   ? rbx_spsc_##verb(end, __VA_ARGS__)                     \
     : rbx_likely((end)->kind == RBX_MPMC) ? rbx_mpmc_##verb(end, __VA_ARGS__)                     \
                                           : rbx_locked_##verb(end, __VA_ARGS__))

/* In place, message i lies at (char *)first + i * stride. */
RBX_INLINE size_t rbx_stride(const rbx_rx *rx)
{
    return rx->frame.stride;
}

RBX_INLINE int rbx_try_send(rbx_tx *tx, const void *message)
{
    return RBX_BY_KIND(tx, try_send, message, tx->frame);
}

RBX_INLINE int rbx_send_for(rbx_tx *tx, const void *message, uint64_t timeout_ns)
{
    return RBX_BY_KIND(tx, send_for, message, timeout_ns, tx->frame);
}

RBX_INLINE int rbx_send(rbx_tx *tx, const void *message)
{
    return rbx_send_for(tx, message, RBX_FOREVER);
}

RBX_INLINE ptrdiff_t rbx_try_send_n(rbx_tx *tx, const void *messages, size_t count)
{
    return RBX_BY_KIND(tx, try_send_n, messages, count, tx->frame);
}

RBX_INLINE ptrdiff_t rbx_send_n_for(rbx_tx *tx, const void *messages, size_t count,
                                    uint64_t timeout_ns)
{
    return RBX_BY_KIND(tx, send_n_for, messages, count, timeout_ns, tx->frame);
}

RBX_INLINE ptrdiff_t rbx_send_n(rbx_tx *tx, const void *messages, size_t count)
{
    return rbx_send_n_for(tx, messages, count, RBX_FOREVER);
}

RBX_INLINE int rbx_try_claim(rbx_tx *tx, void **place)
{
    return RBX_BY_KIND(tx, try_claim, place, tx->frame);
}

RBX_INLINE int rbx_claim_for(rbx_tx *tx, void **place, uint64_t timeout_ns)
{
    return RBX_BY_KIND(tx, claim_for, place, timeout_ns, tx->frame);
}

RBX_INLINE int rbx_claim(rbx_tx *tx, void **place)
{
    return rbx_claim_for(tx, place, RBX_FOREVER);
}

RBX_INLINE int rbx_commit(rbx_tx *tx)
{
    return RBX_BY_KIND(tx, commit, tx->frame);
}

RBX_INLINE int rbx_abort(rbx_tx *tx)
{
    return RBX_BY_KIND(tx, abort, tx->frame);
}

RBX_INLINE int rbx_try_recv(rbx_rx *rx, void *message)
{
    return RBX_BY_KIND(rx, try_recv, message, rx->frame);
}

RBX_INLINE int rbx_recv_for(rbx_rx *rx, void *message, uint64_t timeout_ns)
{
    return RBX_BY_KIND(rx, recv_for, message, timeout_ns, rx->frame);
}

RBX_INLINE int rbx_recv(rbx_rx *rx, void *message)
{
    return rbx_recv_for(rx, message, RBX_FOREVER);
}

RBX_INLINE ptrdiff_t rbx_try_recv_n(rbx_rx *rx, void *messages, size_t most)
{
    return RBX_BY_KIND(rx, try_recv_n, messages, most, rx->frame);
}

RBX_INLINE ptrdiff_t rbx_recv_n_for(rbx_rx *rx, void *messages, size_t most, uint64_t timeout_ns)
{
    return RBX_BY_KIND(rx, recv_n_for, messages, most, timeout_ns, rx->frame);
}

RBX_INLINE ptrdiff_t rbx_recv_n(rbx_rx *rx, void *messages, size_t most)
{
    return rbx_recv_n_for(rx, messages, most, RBX_FOREVER);
}

RBX_INLINE ptrdiff_t rbx_try_peek_n(rbx_rx *rx, const void **messages, size_t most)
{
    return RBX_BY_KIND(rx, try_peek_n, messages, most, rx->frame);
}

RBX_INLINE ptrdiff_t rbx_peek_n_for(rbx_rx *rx, const void **messages, size_t most,
                                    uint64_t timeout_ns)
{
    return RBX_BY_KIND(rx, peek_n_for, messages, most, timeout_ns, rx->frame);
}

RBX_INLINE ptrdiff_t rbx_peek_n(rbx_rx *rx, const void **messages, size_t most)
{
    return rbx_peek_n_for(rx, messages, most, RBX_FOREVER);
}

RBX_INLINE int rbx_try_peek(rbx_rx *rx, const void **message)
{
    ptrdiff_t shown = rbx_try_peek_n(rx, message, 1);
    return shown < 0 ? (int)shown : 0;
}

RBX_INLINE int rbx_peek_for(rbx_rx *rx, const void **message, uint64_t timeout_ns)
{
    ptrdiff_t shown = rbx_peek_n_for(rx, message, 1, timeout_ns);
    return shown < 0 ? (int)shown : 0;
}

RBX_INLINE int rbx_peek(rbx_rx *rx, const void **message)
{
    return rbx_peek_for(rx, message, RBX_FOREVER);
}

RBX_INLINE int rbx_release_n(rbx_rx *rx, size_t count)
{
    return RBX_BY_KIND(rx, release_n, count, rx->frame);
}

/* All that was shown. */
RBX_INLINE int rbx_release(rbx_rx *rx)
{
    return RBX_BY_KIND(rx, release_n, rx->shown, rx->frame);
}

/* For RBX_RING_TYPE: opens, and refuses with -EPROTO messages of another kind, size or framing. */
RBX_API int rbx_ring_open_as(rbx_ring **ring, const char *name, const rbx_ring_options *options,
                             rbx_ring_kind kind, size_t size, size_t alignment);
RBX_API int rbx_tx_open_as(rbx_tx *tx, rbx_ring *ring, rbx_ring_kind kind, struct rbx_frame frame);
RBX_API int rbx_rx_open_as(rbx_rx *rx, rbx_ring *ring, rbx_ring_kind kind, struct rbx_frame frame);

#ifdef __cplusplus
#define RBX_ALIGNOF(type) alignof(type)
#define RBX_ASSERT_MESSAGE(type)                                                                   \
    static_assert(__is_trivially_copyable(type), "messages are copied byte by byte");              \
    static_assert(sizeof(type) <= RBX_MESSAGE_SIZE_MAX, "a message has at most 1 MiB");            \
    static_assert(alignof(type) <= RBX_MESSAGE_ALIGNMENT_MAX, "messages are aligned to 64 at "     \
                                                              "most")
#define RBX_CAST(type, value) static_cast<type>(value)
#else
#define RBX_ALIGNOF(type) _Alignof(type)
#define RBX_ASSERT_MESSAGE(type)                                                                   \
    _Static_assert(sizeof(type) <= RBX_MESSAGE_SIZE_MAX, "a message has at most 1 MiB");           \
    _Static_assert(_Alignof(type) <= RBX_MESSAGE_ALIGNMENT_MAX,                                    \
                   "messages are aligned to 64 at most")
#define RBX_CAST(type, value) ((type)(value))
#endif

/* The kind of ring as RBX_RING_TYPE is given it, and the calls that it means. */
#define RBX_CALL_SPSC(verb) rbx_spsc_##verb
#define RBX_CALL_MPMC(verb) rbx_mpmc_##verb
#define RBX_CALL_LOCKED(verb) rbx_locked_##verb

/*
 * At file scope, without a semicolon. `type` is copied byte by byte, between processes: no pointers
 * in it that mean anything to one process only.
 */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in them. */
#define RBX_RING_TYPE(name, type, KIND)                                                            \
    typedef struct name##_tx {                                                                     \
        rbx_tx end;                                                                                \
    } name##_tx;                                                                                   \
    typedef struct name##_rx {                                                                     \
        rbx_rx end;                                                                                \
    } name##_rx;                                                                                   \
    RBX_INLINE struct rbx_frame name##_frame(void)                                                 \
    {                                                                                              \
        RBX_ASSERT_MESSAGE(type);                                                                  \
        return RBX_CALL_##KIND(frame_for)(sizeof(type), RBX_ALIGNOF(type));                        \
    }                                                                                              \
    RBX_INLINE int name##_open(rbx_ring **ring, const char *ring_name,                             \
                               const rbx_ring_options *options)                                    \
    {                                                                                              \
        return rbx_ring_open_as(ring, ring_name, options, RBX_##KIND, sizeof(type),                \
                                RBX_ALIGNOF(type));                                                \
    }                                                                                              \
    RBX_INLINE int name##_tx_open(name##_tx *tx, rbx_ring *ring)                                   \
    {                                                                                              \
        return rbx_tx_open_as(&tx->end, ring, RBX_##KIND, name##_frame());                         \
    }                                                                                              \
    RBX_INLINE void name##_tx_close(name##_tx *tx)                                                 \
    {                                                                                              \
        rbx_tx_close(&tx->end);                                                                    \
    }                                                                                              \
    RBX_INLINE int name##_rx_open(name##_rx *rx, rbx_ring *ring)                                   \
    {                                                                                              \
        return rbx_rx_open_as(&rx->end, ring, RBX_##KIND, name##_frame());                         \
    }                                                                                              \
    RBX_INLINE void name##_rx_close(name##_rx *rx)                                                 \
    {                                                                                              \
        rbx_rx_close(&rx->end);                                                                    \
    }                                                                                              \
    RBX_INLINE int name##_tx_fd(name##_tx *tx)                                                     \
    {                                                                                              \
        return rbx_tx_fd(&tx->end);                                                                \
    }                                                                                              \
    RBX_INLINE int name##_rx_fd(name##_rx *rx)                                                     \
    {                                                                                              \
        return rbx_rx_fd(&rx->end);                                                                \
    }                                                                                              \
    RBX_INLINE int name##_tx_arm(name##_tx *tx)                                                    \
    {                                                                                              \
        return rbx_tx_arm(&tx->end);                                                               \
    }                                                                                              \
    RBX_INLINE int name##_rx_arm(name##_rx *rx)                                                    \
    {                                                                                              \
        return rbx_rx_arm(&rx->end);                                                               \
    }                                                                                              \
    RBX_INLINE int name##_tx_wait_by(name##_tx *tx, const rbx_wait_options *options)               \
    {                                                                                              \
        return rbx_tx_wait_by(&tx->end, options);                                                  \
    }                                                                                              \
    RBX_INLINE int name##_rx_wait_by(name##_rx *rx, const rbx_wait_options *options)               \
    {                                                                                              \
        return rbx_rx_wait_by(&rx->end, options);                                                  \
    }                                                                                              \
    RBX_INLINE int name##_try_send(name##_tx *tx, const type *message)                             \
    {                                                                                              \
        return RBX_CALL_##KIND(try_send)(&tx->end, message, name##_frame());                       \
    }                                                                                              \
    RBX_INLINE int name##_send_for(name##_tx *tx, const type *message, uint64_t timeout_ns)        \
    {                                                                                              \
        return RBX_CALL_##KIND(send_for)(&tx->end, message, timeout_ns, name##_frame());           \
    }                                                                                              \
    RBX_INLINE int name##_send(name##_tx *tx, const type *message)                                 \
    {                                                                                              \
        return name##_send_for(tx, message, RBX_FOREVER);                                          \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_try_send_n(name##_tx *tx, const type *messages, size_t count)      \
    {                                                                                              \
        return RBX_CALL_##KIND(try_send_n)(&tx->end, messages, count, name##_frame());             \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_send_n_for(name##_tx *tx, const type *messages, size_t count,      \
                                           uint64_t timeout_ns)                                    \
    {                                                                                              \
        return RBX_CALL_##KIND(send_n_for)(&tx->end, messages, count, timeout_ns, name##_frame()); \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_send_n(name##_tx *tx, const type *messages, size_t count)          \
    {                                                                                              \
        return name##_send_n_for(tx, messages, count, RBX_FOREVER);                                \
    }                                                                                              \
    RBX_INLINE int name##_claim_for(name##_tx *tx, type **place, uint64_t timeout_ns)              \
    {                                                                                              \
        void *at;                                                                                  \
        int err = RBX_CALL_##KIND(claim_for)(&tx->end, &at, timeout_ns, name##_frame());           \
        *place = RBX_CAST(type *, at);                                                             \
        return err;                                                                                \
    }                                                                                              \
    RBX_INLINE int name##_claim(name##_tx *tx, type **place)                                       \
    {                                                                                              \
        return name##_claim_for(tx, place, RBX_FOREVER);                                           \
    }                                                                                              \
    RBX_INLINE int name##_try_claim(name##_tx *tx, type **place)                                   \
    {                                                                                              \
        void *at;                                                                                  \
        int err = RBX_CALL_##KIND(try_claim)(&tx->end, &at, name##_frame());                       \
        *place = RBX_CAST(type *, at);                                                             \
        return err;                                                                                \
    }                                                                                              \
    RBX_INLINE int name##_commit(name##_tx *tx)                                                    \
    {                                                                                              \
        return RBX_CALL_##KIND(commit)(&tx->end, name##_frame());                                  \
    }                                                                                              \
    RBX_INLINE int name##_abort(name##_tx *tx)                                                     \
    {                                                                                              \
        return RBX_CALL_##KIND(abort)(&tx->end, name##_frame());                                   \
    }                                                                                              \
    RBX_INLINE int name##_try_recv(name##_rx *rx, type *message)                                   \
    {                                                                                              \
        return RBX_CALL_##KIND(try_recv)(&rx->end, message, name##_frame());                       \
    }                                                                                              \
    RBX_INLINE int name##_recv_for(name##_rx *rx, type *message, uint64_t timeout_ns)              \
    {                                                                                              \
        return RBX_CALL_##KIND(recv_for)(&rx->end, message, timeout_ns, name##_frame());           \
    }                                                                                              \
    RBX_INLINE int name##_recv(name##_rx *rx, type *message)                                       \
    {                                                                                              \
        return name##_recv_for(rx, message, RBX_FOREVER);                                          \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_try_recv_n(name##_rx *rx, type *messages, size_t most)             \
    {                                                                                              \
        return RBX_CALL_##KIND(try_recv_n)(&rx->end, messages, most, name##_frame());              \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_recv_n_for(name##_rx *rx, type *messages, size_t most,             \
                                           uint64_t timeout_ns)                                    \
    {                                                                                              \
        return RBX_CALL_##KIND(recv_n_for)(&rx->end, messages, most, timeout_ns, name##_frame());  \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_recv_n(name##_rx *rx, type *messages, size_t most)                 \
    {                                                                                              \
        return name##_recv_n_for(rx, messages, most, RBX_FOREVER);                                 \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_try_peek_n(name##_rx *rx, const type **messages, size_t most)      \
    {                                                                                              \
        const void *at;                                                                            \
        ptrdiff_t n = RBX_CALL_##KIND(try_peek_n)(&rx->end, &at, most, name##_frame());            \
        *messages = RBX_CAST(const type *, at);                                                    \
        return n;                                                                                  \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_peek_n_for(name##_rx *rx, const type **messages, size_t most,      \
                                           uint64_t timeout_ns)                                    \
    {                                                                                              \
        const void *at;                                                                            \
        ptrdiff_t n =                                                                              \
            RBX_CALL_##KIND(peek_n_for)(&rx->end, &at, most, timeout_ns, name##_frame());          \
        *messages = RBX_CAST(const type *, at);                                                    \
        return n;                                                                                  \
    }                                                                                              \
    RBX_INLINE ptrdiff_t name##_peek_n(name##_rx *rx, const type **messages, size_t most)          \
    {                                                                                              \
        return name##_peek_n_for(rx, messages, most, RBX_FOREVER);                                 \
    }                                                                                              \
    RBX_INLINE int name##_try_peek(name##_rx *rx, const type **message)                            \
    {                                                                                              \
        ptrdiff_t shown = name##_try_peek_n(rx, message, 1);                                       \
        return shown < 0 ? RBX_CAST(int, shown) : 0;                                               \
    }                                                                                              \
    RBX_INLINE int name##_peek_for(name##_rx *rx, const type **message, uint64_t timeout_ns)       \
    {                                                                                              \
        ptrdiff_t shown = name##_peek_n_for(rx, message, 1, timeout_ns);                           \
        return shown < 0 ? RBX_CAST(int, shown) : 0;                                               \
    }                                                                                              \
    RBX_INLINE int name##_peek(name##_rx *rx, const type **message)                                \
    {                                                                                              \
        return name##_peek_for(rx, message, RBX_FOREVER);                                          \
    }                                                                                              \
    RBX_INLINE int name##_release_n(name##_rx *rx, size_t count)                                   \
    {                                                                                              \
        return RBX_CALL_##KIND(release_n)(&rx->end, count, name##_frame());                        \
    }                                                                                              \
    RBX_INLINE int name##_release(name##_rx *rx)                                                   \
    {                                                                                              \
        return name##_release_n(rx, rx->end.shown);                                                \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

RBX_END_DECLS

#endif
