/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How much memory a queue of 4096 messages takes: the same in every run. */
#include "case.h"
#include "queues.h"
#include "rivals.h"

#include <string>

namespace
{

double ours_bytes(rbx_ring_kind kind, size_t size)
{
    rbx_ring_options options = {};
    options.kind = kind;
    options.message_size = size;
    options.capacity = queue_capacity;
    uint64_t bytes;
    ring_must(rbx_ring_bytes(&options, &bytes));
    return static_cast<double>(bytes);
}

template <size_t size> void add_memory()
{
    const std::string bytes = std::to_string(size);
    Case &one = add_case("memory", "memory/" + bytes,
                         "4096 messages of " + bytes + " bytes: the queue's memory", "bytes");
    one.size = size;
    one.most_rounds = 1;
    one.contend("SPSC", Role::ours, [] { return ours_bytes(RBX_SPSC, size); });
    one.contend("MPMC", Role::variant, [] { return ours_bytes(RBX_MPMC, size); });
    one.contend("mutex ring", Role::baseline, [] { return ours_bytes(RBX_LOCKED, size); });
#ifdef HAVE_BOOST
    one.contend("boost::lockfree, SPSC", Role::peer,
                [] { return static_cast<double>(sizeof(typename BoostPair<size>::Queue)); });
#endif
#ifdef HAVE_ATOMIC_QUEUE
    one.contend("atomic_queue", Role::peer,
                [] { return static_cast<double>(sizeof(typename AtomicPair<size>::Queue)); });
#endif
#ifdef HAVE_DPDK
    one.contend("rte_ring", Role::peer, [] {
        return static_cast<double>(rte_ring_get_memsize_elem(size, queue_capacity));
    });
#endif
}

int added = [] {
    add_memory<8>();
    add_memory<24>();
    add_memory<56>();
    add_memory<248>();
    return 0;
}();

} // namespace
