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

/* A ring, with both its ends in this process. A name makes it a box; else it is private. */
template <rbx_ring_kind kind, size_t size> class Ring
{
  public:
    typedef Typed<kind, size> Calls;

    explicit Ring(const char *name = nullptr)
    {
        rbx_ring_options options = {};
        options.capacity = queue_capacity;
        Calls::open(&ring, name, &options);
        Calls::open_end(&tx, ring);
        Calls::open_end(&rx, ring);
    }
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;
    ~Ring()
    {
        Calls::close_end(&tx);
        Calls::close_end(&rx);
        rbx_ring_close(ring);
    }
    void wait_by(rbx_wait_how how, uint32_t spin_ns = 0)
    {
        rbx_wait_options options = {};
        options.how = how;
        options.spin_ns = spin_ns;
        must(rbx_tx_wait_by(&tx.end, &options));
        must(rbx_rx_wait_by(&rx.end, &options));
    }
    typename Calls::Tx *sender()
    {
        return &tx;
    }
    typename Calls::Rx *receiver()
    {
        return &rx;
    }
    void send(const Message<size> &message)
    {
        must(Calls::send(&tx, &message));
    }
    void recv(Message<size> &message)
    {
        must(Calls::recv(&rx, &message));
    }

  protected:
    rbx_ring *ring;
    typename Calls::Tx tx;
    typename Calls::Rx rx;
};

/* As most would use it: send and recv, which wait by the defaults. */
template <size_t size> using Ours = Ring<RBX_SPSC, size>;

/* Spinning outside of the library, as with the others. */
template <size_t size> struct OursPolling : Ring<RBX_SPSC, size> {
    typedef Typed<RBX_SPSC, size> Calls;
    void send(const Message<size> &message)
    {
        while (Calls::try_send(&this->tx, &message) != 0)
            relax();
    }
    void recv(Message<size> &message)
    {
        while (Calls::try_recv(&this->rx, &message) != 0)
            relax();
    }
};

/* The calls that know the size at run time only. */
template <size_t size> struct OursUntyped : Ring<RBX_SPSC, size> {
    void send(const Message<size> &message)
    {
        must(rbx_send(&this->tx.end, &message));
    }
    void recv(Message<size> &message)
    {
        must(rbx_recv(&this->rx.end, &message));
    }
};

/* The path that everything is measured against. */
template <size_t size> struct Mutex {
    Mutex()
    {
        rbx_ring_options options = {};
        options.kind = RBX_LOCKED;
        options.message_size = size;
        options.capacity = queue_capacity;
        must(rbx_ring_open(&ring, nullptr, &options));
        must(rbx_tx_open(&tx, ring));
        must(rbx_rx_open(&rx, ring));
    }
    Mutex(const Mutex &) = delete;
    Mutex &operator=(const Mutex &) = delete;
    ~Mutex()
    {
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        rbx_ring_close(ring);
    }
    void send(const Message<size> &message)
    {
        must(rbx_send(&tx, &message));
    }
    void recv(Message<size> &message)
    {
        must(rbx_recv(&rx, &message));
    }

  private:
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
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
 * Goes twice through all of its memory: no page fault should be timed. What is timed looks at a
 * message's ends only; this looks at all of it.
 */
template <class Queue, size_t size> void warm_up(Queue &queue)
{
    Message<size> sent, received;
    for (uint64_t i = 1; i <= 2 * queue_capacity; i++) {
        fill(sent, i);
        queue.send(sent);
        queue.recv(received);
        if (received.number != i || !is_filled(received))
            give_up("a queue", "a message came out as another than was sent");
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
    what("ours, polling", Role::variant, Type<OursPolling<size>>());
    what("ours, untyped", Role::variant, Type<OursUntyped<size>>());
    what("mutex ring", Role::baseline, Type<Mutex<size>>());
}

} // namespace

#endif
