/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* foreign.h: two of the others that take more than a line to set up, for many and for two. */
#ifndef RBX_BENCH_FOREIGN_H
#define RBX_BENCH_FOREIGN_H

#include "bench.h"
#include "messages.h"

#ifdef HAVE_CK
#include "ck.h"
#endif
#ifdef HAVE_DPDK
#include <rte_ring.h>
#include <rte_ring_elem.h>
#endif

#include <cstddef>
#include <cstdlib>
#include <memory>

#ifdef HAVE_CK
template <size_t size> struct CkCalls;
#define CK_CALLS(size)                                                                             \
    template <> struct CkCalls<size> {                                                             \
        static constexpr auto send = bench_ck_send_##size;                                         \
        static constexpr auto recv = bench_ck_recv_##size;                                         \
        static constexpr auto send_many = bench_ck_send_many_##size;                               \
        static constexpr auto recv_many = bench_ck_recv_many_##size;                               \
    };
CK_CALLS(8)
CK_CALLS(24)
CK_CALLS(56)
CK_CALLS(64)
CK_CALLS(120)
CK_CALLS(248)
CK_CALLS(1024)
CK_CALLS(4096)
#undef CK_CALLS

template <size_t size> struct CkMemory {
    std::unique_ptr<bench_ck, void (*)(bench_ck *)> queue{bench_ck_new(size, queue_capacity),
                                                          bench_ck_free};
    CkMemory()
    {
        if (!queue)
            give_up("ck_ring", "out of memory");
    }
};
#endif

#ifdef HAVE_DPDK
/* On memory of our own, it needs none of DPDK's set-up. */
template <size_t size> class DpdkMemory
{
  public:
    explicit DpdkMemory(unsigned flags)
    {
        const auto bytes = static_cast<size_t>(rte_ring_get_memsize_elem(size, queue_capacity));
        ring.reset(static_cast<rte_ring *>(std::aligned_alloc(128, (bytes + 127) / 128 * 128)));
        if (!ring || rte_ring_init(ring.get(), "bench", queue_capacity, flags) < 0)
            give_up("rte_ring", "could not be made");
    }

  protected:
    std::unique_ptr<rte_ring, void (*)(void *)> ring{nullptr, std::free};
};
#endif

#endif
