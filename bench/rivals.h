/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rivals.h: other queues of many senders and receivers, behind the face that crowd.h asks for, each
 * a few lines. Those whose packages are not installed are left out.
 */
#ifndef RBX_BENCH_RIVALS_H
#define RBX_BENCH_RIVALS_H

#include "foreign.h"
#include "messages.h"

#ifdef HAVE_BOOST
#include <boost/lockfree/queue.hpp>
#endif
#ifdef HAVE_XENIUM
#include <xenium/vyukov_bounded_queue.hpp>
#endif
#ifdef HAVE_ATOMIC_QUEUE
#include <atomic_queue/atomic_queue.h>
#endif
#ifdef HAVE_TBB
#include <tbb/concurrent_queue.h>
#endif
#ifdef HAVE_CONCURRENTQUEUE
#include <concurrentqueue/concurrentqueue.h>
#endif
#include <cstddef>
#include <memory>

namespace rivals
{

/* For those that keep nothing for a thread. */
template <class Queue, size_t size> class Plain
{
    class End
    {
      public:
        explicit End(Queue &all) : queue(all)
        {
        }
        bool try_send(const Message<size> &message)
        {
            return queue.try_send(message);
        }
        bool try_recv(Message<size> &message)
        {
            return queue.try_recv(message);
        }

      private:
        Queue &queue;
    };

  public:
    typedef End Sender;
    typedef End Receiver;
};

#ifdef HAVE_BOOST
/* A list, whose nodes are made in advance. */
template <size_t size> struct Boost : Plain<Boost<size>, size> {
    typedef boost::lockfree::queue<Message<size>, boost::lockfree::capacity<queue_capacity>> Queue;
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

#ifdef HAVE_XENIUM
/* The weak calls: the others spin for as long as somebody is half-way, however long. */
template <size_t size> struct Xenium : Plain<Xenium<size>, size> {
    xenium::vyukov_bounded_queue<Message<size>> queue{queue_capacity};
    bool try_send(const Message<size> &message)
    {
        return queue.try_push_weak(message);
    }
    bool try_recv(Message<size> &message)
    {
        return queue.try_pop_weak(message);
    }
};
#endif

#ifdef HAVE_ATOMIC_QUEUE
/* Out of order when a sender is stopped half-way: one that is a lap ahead takes its slot. */
template <size_t size> struct AtomicQueue : Plain<AtomicQueue<size>, size> {
    /* minimise contention, maximise throughput, total order */
    typedef atomic_queue::AtomicQueue2<Message<size>, queue_capacity, true, true, true> Queue;
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

#ifdef HAVE_TBB
template <size_t size> struct Tbb : Plain<Tbb<size>, size> {
    tbb::concurrent_bounded_queue<Message<size>> queue;
    Tbb()
    {
        queue.set_capacity(queue_capacity);
    }
    bool try_send(const Message<size> &message)
    {
        return queue.try_push(message);
    }
    bool try_recv(Message<size> &message)
    {
        return queue.try_pop(message);
    }
};
#endif

#ifdef HAVE_CONCURRENTQUEUE
/* It is a queue for each sender, which receivers go round: so the senders share the capacity. */
template <size_t size, unsigned senders> struct Concurrent {
    struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
        static constexpr size_t MAX_SUBQUEUE_SIZE = queue_capacity / senders;
    };
    typedef moodycamel::ConcurrentQueue<Message<size>, Traits> Queue;
    Queue queue{queue_capacity};
    class Sender
    {
      public:
        explicit Sender(Concurrent &all) : queue(all.queue), token(all.queue)
        {
        }
        bool try_send(const Message<size> &message)
        {
            return queue.enqueue(token, message);
        }

      private:
        Queue &queue;
        moodycamel::ProducerToken token;
    };
    class Receiver
    {
      public:
        explicit Receiver(Concurrent &all) : queue(all.queue), token(all.queue)
        {
        }
        bool try_recv(Message<size> &message)
        {
            return queue.try_dequeue(token, message);
        }

      private:
        Queue &queue;
        moodycamel::ConsumerToken token;
    };
};
#endif

#ifdef HAVE_CK
template <size_t size> struct Ck : CkMemory<size>, Plain<Ck<size>, size> {
    bool try_send(const Message<size> &message)
    {
        return CkCalls<size>::send_many(this->queue.get(), &message);
    }
    bool try_recv(Message<size> &message)
    {
        return CkCalls<size>::recv_many(this->queue.get(), &message);
    }
};
#endif

#ifdef HAVE_DPDK
template <size_t size> struct Dpdk : DpdkMemory<size>, Plain<Dpdk<size>, size> {
    Dpdk() : DpdkMemory<size>(0)
    {
    }
    bool try_send(const Message<size> &message)
    {
        return rte_ring_mp_enqueue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
    bool try_recv(Message<size> &message)
    {
        return rte_ring_mc_dequeue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
};

/* What its manual advises where there are more threads than cores: head and tail in one word. */
template <size_t size> struct DpdkTogether : DpdkMemory<size>, Plain<DpdkTogether<size>, size> {
    DpdkTogether() : DpdkMemory<size>(RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)
    {
    }
    bool try_send(const Message<size> &message)
    {
        return rte_ring_mp_hts_enqueue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
    bool try_recv(Message<size> &message)
    {
        return rte_ring_mc_hts_dequeue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
};

/* And the other one: a tail that waits for nobody. */
template <size_t size> struct DpdkRelaxed : DpdkMemory<size>, Plain<DpdkRelaxed<size>, size> {
    DpdkRelaxed() : DpdkMemory<size>(RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)
    {
    }
    bool try_send(const Message<size> &message)
    {
        return rte_ring_mp_rts_enqueue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
    bool try_recv(Message<size> &message)
    {
        return rte_ring_mc_rts_dequeue_bulk_elem(this->ring.get(), &message, size, 1, nullptr) == 1;
    }
};
#endif

/*
 * Does what(name, whether messages stay in the order in which they were sent, Type<Queue>) for each
 * that can be measured with so many threads. In a call to some, whoever finds another in the middle
 * of its own spins until that one is done: with more threads than cores, until it has its core
 * back, which has taken minutes. Their manuals say so: they are measured where each has its core.
 */
template <size_t size, class What> void for_each(unsigned senders, unsigned receivers, What what)
{
    const bool has_core_each = senders + receivers <= 2;
    (void)has_core_each;
    (void)what;
#ifdef HAVE_BOOST
    what("boost::lockfree", true, Type<Boost<size>>());
#endif
#ifdef HAVE_XENIUM
    what("xenium vyukov", true, Type<Xenium<size>>());
#endif
#ifdef HAVE_ATOMIC_QUEUE
    what("atomic_queue", false, Type<AtomicQueue<size>>());
#endif
#ifdef HAVE_TBB
    what("tbb bounded", true, Type<Tbb<size>>());
#endif
#ifdef HAVE_CK
    if (has_core_each)
        what("ck_ring", true, Type<Ck<size>>());
#endif
#ifdef HAVE_DPDK
    if (has_core_each)
        what("rte_ring", true, Type<Dpdk<size>>());
    what("rte_ring hts", true, Type<DpdkTogether<size>>());
    what("rte_ring rts", true, Type<DpdkRelaxed<size>>());
#endif
#ifdef HAVE_CONCURRENTQUEUE
    if (senders == 1)
        what("concurrentqueue", false, Type<Concurrent<size, 1>>());
    else if (senders == 2)
        what("concurrentqueue", false, Type<Concurrent<size, 2>>());
    else if (senders == 4)
        what("concurrentqueue", false, Type<Concurrent<size, 4>>());
    if constexpr (size == 8) /* so many send nothing else */
        if (senders == 8)
            what("concurrentqueue", false, Type<Concurrent<size, 8>>());
#endif
}

} // namespace rivals

#endif
