/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * typed.h: the typed calls of each kind of ring, for any size of message, as functions of a class.
 * many-bare.cpp compiles the hot path in another way, and so has functions of another name.
 */
#ifndef RBX_BENCH_TYPED_H
#define RBX_BENCH_TYPED_H

#include "fail.h"
#include "messages.h"

#include <ringbox/ringbox.h>

#include <cstddef>
#include <cstdint>

#ifdef RBX_BENCH_WITHOUT_INTENT
inline namespace bare
#else
inline namespace usual
#endif
{

inline void ring_must(int err)
{
    if (err < 0)
        fail("ring", rbx_last_error());
}

template <size_t size> struct SpscCalls {
    typedef Message<size> Item;
    RBX_RING_TYPE(ring, Item, SPSC)
};
template <size_t size> struct MpmcCalls {
    typedef Message<size> Item;
    RBX_RING_TYPE(ring, Item, MPMC)
};
template <size_t size> struct LockedCalls {
    typedef Message<size> Item;
    RBX_RING_TYPE(ring, Item, LOCKED)
};

} // namespace bare, or usual

#endif
