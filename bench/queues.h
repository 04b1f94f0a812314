/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * queues.h: the contenders for one sender and one receiver behind one face, each a few lines:
 * send(message) and recv(message), which wait until they can. Those whose packages are not
 * installed are left out.
 */
#ifndef RBX_BENCH_QUEUES_H
#define RBX_BENCH_QUEUES_H

#include "case.h"
#include "foreign.h"
#include "messages.h"
#include "pair.h"
#include "typed.h"

#ifdef HAVE_BOOST
#include <boost/lockfree/spsc_queue.hpp>
#endif
#ifdef HAVE_READERWRITERQUEUE
#include <readerwriterqueue/readerwriterqueue.h>
#endif
#ifdef HAVE_ATOMIC_QUEUE
#include <atomic_queue/atomic_queue.h>
#endif

#include <cstddef>
#include <cstdint>
#include <memory>

namespace
{

/* A ring without a name, with both its ends in this process. */
template <class Calls> class Ring
{
  public:
    typedef typename Calls::Item Item;

    Ring()
    {
        rbx_ring_options options = {};
        options.capacity = queue_capacity;
        ring_must(Calls::ring_open(&ring, nullptr, &options));
        ring_must(Calls::ring_tx_open(&tx, ring));
        ring_must(Calls::ring_rx_open(&rx, ring));
    }
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;
    ~Ring()
    {
        Calls::ring_tx_close(&tx);
        Calls::ring_rx_close(&rx);
        rbx_ring_close(ring);
    }
    void wait_by(rbx_wait_how how)
    {
        rbx_wait_options options = {};
        options.how = how;
        ring_must(Calls::ring_tx_wait_by(&tx, &options));
        ring_must(Calls::ring_rx_wait_by(&rx, &options));
    }
    typename Calls::ring_tx *sender()
    {
        return &tx;
    }
    typename Calls::ring_rx *receiver()
    {
        return &rx;
    }
    void send(const Item &message)
    {
        ring_must(Calls::ring_send(&tx, &message));
    }
    void recv(Item &message)
    {
        ring_must(Calls::ring_recv(&rx, &message));
    }
    bool try_send(const Item &message)
    {
        return Calls::ring_try_send(&tx, &message) == 0;
    }
    bool try_recv(Item &message)
    {
        return Calls::ring_try_recv(&rx, &message) == 0;
    }

  protected:
    rbx_ring *ring;
    typename Calls::ring_tx tx;
    typename Calls::ring_rx rx;
};

/* As most would use it: send and recv, which wait by the defaults. */
template <size_t size> using Ours = Ring<SpscCalls<size>>;

/* The path that everything is measured against. */
template <size_t size> using Mutex = Ring<LockedCalls<size>>;

/* The calls that know the size at run time only. */
template <size_t size> struct OursUntyped : Ours<size> {
    void send(const Message<size> &message)
    {
        ring_must(rbx_send(&this->tx.end, &message));
    }
    void recv(Message<size> &message)
    {
        ring_must(rbx_recv(&this->rx.end, &message));
    }
};

/* Spins by the queue's own try_send and try_recv. */
template <class Queue, size_t size> struct Tried : Queue {
    void send(const Message<size> &message)
    {
        while (!this->try_send(message))
            relax();
    }
    void recv(Message<size> &message)
    {
        while (!this->try_recv(message))
            relax();
    }
};

#ifdef HAVE_BOOST
template <size_t size> struct BoostPair {
    typedef boost::lockfree::spsc_queue<Message<size>, boost::lockfree::capacity<queue_capacity>>
        Queue;
    std::unique_ptr<Queue> queue{new Queue};
    bool try_send(const Message<size> &message)
    {
        return queue->push(message);
    }
    bool try_recv(Message<size> &message)
    {
        return queue->pop(message);
    }
};
#endif

#ifdef HAVE_READERWRITERQUEUE
template <size_t size> struct ReaderWriter {
    moodycamel::ReaderWriterQueue<Message<size>> queue{queue_capacity};
    bool try_send(const Message<size> &message)
    {
        return queue.try_enqueue(message);
    }
    bool try_recv(Message<size> &message)
    {
        return queue.try_dequeue(message);
    }
};
#endif

#ifdef HAVE_ATOMIC_QUEUE
template <size_t size> struct AtomicPair {
    /* minimise contention, maximise throughput, no total order, one producer and one consumer */
    typedef atomic_queue::AtomicQueue2<Message<size>, queue_capacity, true, true, false, true>
        Queue;
    std::unique_ptr<Queue> queue{new Queue};
    bool try_send(const Message<size> &message)
    {
        return queue->try_push(message);
    }
    bool try_recv(Message<size> &message)
    {
        return queue->try_pop(message);
    }
};
#endif

#ifdef HAVE_CK
template <size_t size> struct CkPair : CkMemory<size> {
    bool try_send(const Message<size> &message)
    {
        return CkCalls<size>::send(this->queue.get(), &message);
    }
    bool try_recv(Message<size> &message)
    {
        return CkCalls<size>::recv(this->queue.get(), &message);
    }
};
#endif

#ifdef HAVE_DPDK
template <size_t size> struct DpdkPair : DpdkMemory<size> {
    DpdkPair() : DpdkMemory<size>(RING_F_SP_ENQ | RING_F_SC_DEQ)
    {
    }
    bool try_send(const Message<size> &message)
    {
        return rte_ring_sp_enqueue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
    bool try_recv(Message<size> &message)
    {
        return rte_ring_sc_dequeue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
};
#endif

/*
 * Goes twice through all of its memory: no page fault should be timed. It is filled each time: one
 * that is a chain of blocks never leaves the first while it is nearly empty. What is timed looks at
 * a message's ends only; this looks at all of it.
 */
template <class Queue, size_t size> void warm_up(Queue &queue)
{
    constexpr uint64_t most = queue_capacity - 1; /* some keep a slot free */
    Message<size> sent, received;
    for (uint64_t lap = 0; lap < 2; lap++) {
        for (uint64_t i = lap * most; i < (lap + 1) * most; i++) {
            fill(sent, i);
            queue.send(sent);
        }
        for (uint64_t i = lap * most; i < (lap + 1) * most; i++) {
            queue.recv(received);
            check(received, i, i);
        }
    }
}

/* Does what(name, role, Type<Queue>) for ours first, and then for the others. */
template <size_t size, class What> void for_each_queue(What what)
{
    what("ours", Role::ours, Type<Ours<size>>());
#ifdef HAVE_BOOST
    what("boost::lockfree", Role::peer, Type<Tried<BoostPair<size>, size>>());
#endif
#ifdef HAVE_READERWRITERQUEUE
    what("readerwriterqueue", Role::peer, Type<Tried<ReaderWriter<size>, size>>());
#endif
#ifdef HAVE_ATOMIC_QUEUE
    what("atomic_queue", Role::peer, Type<Tried<AtomicPair<size>, size>>());
#endif
#ifdef HAVE_CK
    what("ck_ring", Role::peer, Type<Tried<CkPair<size>, size>>());
#endif
#ifdef HAVE_DPDK
    what("rte_ring", Role::peer, Type<Tried<DpdkPair<size>, size>>());
#endif
    what("ours, polling", Role::variant, Type<Tried<Ours<size>, size>>());
    what("ours, untyped", Role::variant, Type<OursUntyped<size>>());
    what("mutex ring", Role::baseline, Type<Mutex<size>>());
}

} // namespace

#endif
