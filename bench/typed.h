/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * typed.h: our typed calls for every kind of ring and size of message that is measured, behind
 * Typed<kind, size>: what a template cannot get from a macro by itself. All in an unnamed
 * namespace: many-bare.cpp compiles the hot path in another way.
 */
#ifndef RBX_BENCH_TYPED_H
#define RBX_BENCH_TYPED_H

#include "bench.h"
#include "messages.h"

#include <ringbox/ringbox.h>

#include <cstddef>
#include <cstdint>

namespace
{

inline void must(int err)
{
    if (err < 0)
        give_up("ring", rbx_last_error());
}

template <rbx_ring_kind kind, size_t size> struct Typed;

#define TYPED(name, KIND, size)                                                                    \
    RBX_RING_TYPE(name, Message##size, KIND)                                                       \
    template <> struct Typed<RBX_##KIND, size> {                                                   \
        typedef Message##size Item;                                                                \
        typedef name##_tx Tx;                                                                      \
        typedef name##_rx Rx;                                                                      \
        static void open(rbx_ring **ring, const char *box, const rbx_ring_options *options)        \
        {                                                                                          \
            must(name##_open(ring, box, options));                                                 \
        }                                                                                          \
        static void open_end(Tx *tx, rbx_ring *ring)                                               \
        {                                                                                          \
            must(name##_tx_open(tx, ring));                                                        \
        }                                                                                          \
        static void open_end(Rx *rx, rbx_ring *ring)                                               \
        {                                                                                          \
            must(name##_rx_open(rx, ring));                                                        \
        }                                                                                          \
        static void close_end(Tx *tx)                                                              \
        {                                                                                          \
            name##_tx_close(tx);                                                                   \
        }                                                                                          \
        static void close_end(Rx *rx)                                                              \
        {                                                                                          \
            name##_rx_close(rx);                                                                   \
        }                                                                                          \
        static int try_send(Tx *tx, const Item *item)                                              \
        {                                                                                          \
            return name##_try_send(tx, item);                                                      \
        }                                                                                          \
        static int try_recv(Rx *rx, Item *item)                                                    \
        {                                                                                          \
            return name##_try_recv(rx, item);                                                      \
        }                                                                                          \
        static int send(Tx *tx, const Item *item)                                                  \
        {                                                                                          \
            return name##_send(tx, item);                                                          \
        }                                                                                          \
        static int recv(Rx *rx, Item *item)                                                        \
        {                                                                                          \
            return name##_recv(rx, item);                                                          \
        }                                                                                          \
        static int send_for(Tx *tx, const Item *item, uint64_t timeout_ns)                         \
        {                                                                                          \
            return name##_send_for(tx, item, timeout_ns);                                          \
        }                                                                                          \
        static int recv_for(Rx *rx, Item *item, uint64_t timeout_ns)                               \
        {                                                                                          \
            return name##_recv_for(rx, item, timeout_ns);                                          \
        }                                                                                          \
        static ptrdiff_t try_send_n(Tx *tx, const Item *items, size_t count)                       \
        {                                                                                          \
            return name##_try_send_n(tx, items, count);                                            \
        }                                                                                          \
        static ptrdiff_t try_recv_n(Rx *rx, Item *items, size_t most)                              \
        {                                                                                          \
            return name##_try_recv_n(rx, items, most);                                             \
        }                                                                                          \
        static int claim(Tx *tx, Item **place)                                                     \
        {                                                                                          \
            return name##_claim(tx, place);                                                        \
        }                                                                                          \
        static int commit(Tx *tx)                                                                  \
        {                                                                                          \
            return name##_commit(tx);                                                              \
        }                                                                                          \
        static int peek(Rx *rx, const Item **item)                                                 \
        {                                                                                          \
            return name##_peek(rx, item);                                                          \
        }                                                                                          \
        static int release(Rx *rx)                                                                 \
        {                                                                                          \
            return name##_release(rx);                                                             \
        }                                                                                          \
    };

TYPED(spsc8, SPSC, 8)
TYPED(spsc24, SPSC, 24)
TYPED(spsc56, SPSC, 56)
TYPED(spsc64, SPSC, 64)
TYPED(spsc120, SPSC, 120)
TYPED(spsc248, SPSC, 248)
TYPED(spsc1024, SPSC, 1024)
TYPED(spsc4096, SPSC, 4096)
TYPED(many8, MPMC, 8)
TYPED(many24, MPMC, 24)
TYPED(many56, MPMC, 56)
TYPED(many248, MPMC, 248)
TYPED(many1024, MPMC, 1024)
TYPED(locked8, LOCKED, 8)
TYPED(locked24, LOCKED, 24)
TYPED(locked56, LOCKED, 56)
TYPED(locked248, LOCKED, 248)
TYPED(locked1024, LOCKED, 1024)
#undef TYPED

} // namespace

#endif
