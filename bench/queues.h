/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * queues.h: the contenders behind one face, each a few lines: send(message) and recv(message),
 * which spin until they can. Those whose packages are not installed are left out.
 */
#ifndef RBX_BENCH_QUEUES_H
#define RBX_BENCH_QUEUES_H

#include "bench.h"
#include "messages.h"
#include "pair.h"

#include <ringbox/ringbox.h>

#ifdef HAVE_BOOST
#include <boost/lockfree/spsc_queue.hpp>
#endif
#ifdef HAVE_READERWRITERQUEUE
#include <readerwriterqueue/readerwriterqueue.h>
#endif
#ifdef HAVE_ATOMIC_QUEUE
#include <atomic_queue/atomic_queue.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

RBX_RING_TYPE(ring8, Message8, SPSC)
RBX_RING_TYPE(ring24, Message24, SPSC)
RBX_RING_TYPE(ring56, Message56, SPSC)
RBX_RING_TYPE(ring64, Message64, SPSC)
RBX_RING_TYPE(ring120, Message120, SPSC)
RBX_RING_TYPE(ring248, Message248, SPSC)

/* The typed calls of a message size: all that a template cannot get from a macro by itself. */
template <size_t size> struct Typed;
#define TYPED(size)                                                                                \
    template <> struct Typed<size> {                                                               \
        typedef ring##size##_tx Tx;                                                                \
        typedef ring##size##_rx Rx;                                                                \
        static int open(rbx_ring **ring, const char *name, const rbx_ring_options *options)        \
        {                                                                                          \
            return ring##size##_open(ring, name, options);                                         \
        }                                                                                          \
        static int tx_open(Tx *tx, rbx_ring *ring)                                                 \
        {                                                                                          \
            return ring##size##_tx_open(tx, ring);                                                 \
        }                                                                                          \
        static int rx_open(Rx *rx, rbx_ring *ring)                                                 \
        {                                                                                          \
            return ring##size##_rx_open(rx, ring);                                                 \
        }                                                                                          \
        static int try_send(Tx *tx, const Message<size> *message)                                  \
        {                                                                                          \
            return ring##size##_try_send(tx, message);                                             \
        }                                                                                          \
        static int try_recv(Rx *rx, Message<size> *message)                                        \
        {                                                                                          \
            return ring##size##_try_recv(rx, message);                                             \
        }                                                                                          \
        static int send(Tx *tx, const Message<size> *message)                                      \
        {                                                                                          \
            return ring##size##_send(tx, message);                                                 \
        }                                                                                          \
        static int recv(Rx *rx, Message<size> *message)                                            \
        {                                                                                          \
            return ring##size##_recv(rx, message);                                                 \
        }                                                                                          \
    };
TYPED(8)
TYPED(24)
TYPED(56)
TYPED(64)
TYPED(120)
TYPED(248)
#undef TYPED

inline void must(int err)
{
    if (err < 0)
        give_up("ring", rbx_last_error());
}

/* A ring, with both its ends in this process. A name makes it a box; else it is private. */
template <size_t size> class Ring
{
  public:
    explicit Ring(const char *name = nullptr)
    {
        rbx_ring_options options = {};
        options.capacity = queue_capacity;
        must(Typed<size>::open(&ring, name, &options));
        must(Typed<size>::tx_open(&tx, ring));
        must(Typed<size>::rx_open(&rx, ring));
    }
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;
    ~Ring()
    {
        rbx_tx_close(&tx.end);
        rbx_rx_close(&rx.end);
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
    rbx_tx *sender()
    {
        return &tx.end;
    }
    rbx_rx *receiver()
    {
        return &rx.end;
    }
    typename Typed<size>::Rx *typed_receiver()
    {
        return &rx;
    }

  protected:
    rbx_ring *ring;
    typename Typed<size>::Tx tx;
    typename Typed<size>::Rx rx;
};

/* Spinning outside of the library, as with the others. */
template <size_t size> struct OursPolling : Ring<size> {
    using Ring<size>::Ring;
    void send(const Message<size> &message)
    {
        while (Typed<size>::try_send(&this->tx, &message) != 0)
            relax();
    }
    void recv(Message<size> &message)
    {
        while (Typed<size>::try_recv(&this->rx, &message) != 0)
            relax();
    }
};

/* As most would use it: send and recv, which wait by the defaults. */
template <size_t size> struct Ours : Ring<size> {
    using Ring<size>::Ring;
    void send(const Message<size> &message)
    {
        must(Typed<size>::send(&this->tx, &message));
    }
    void recv(Message<size> &message)
    {
        must(Typed<size>::recv(&this->rx, &message));
    }
};

/* The calls that know the size at run time only. */
template <size_t size> struct OursUntyped : Ring<size> {
    using Ring<size>::Ring;
    void send(const Message<size> &message)
    {
        while (rbx_try_send(&this->tx.end, &message) != 0)
            relax();
    }
    void recv(Message<size> &message)
    {
        while (rbx_try_recv(&this->rx.end, &message) != 0)
            relax();
    }
};

#ifdef HAVE_BOOST
template <size_t size> struct Boost {
    typedef boost::lockfree::spsc_queue<Message<size>, boost::lockfree::capacity<queue_capacity>>
        Queue;
    std::unique_ptr<Queue> queue{new Queue};
    void send(const Message<size> &message)
    {
        while (!queue->push(message))
            relax();
    }
    void recv(Message<size> &message)
    {
        while (!queue->pop(message))
            relax();
    }
};
#endif

#ifdef HAVE_READERWRITERQUEUE
template <size_t size> struct ReaderWriter {
    moodycamel::ReaderWriterQueue<Message<size>> queue{queue_capacity};
    void send(const Message<size> &message)
    {
        while (!queue.try_enqueue(message))
            relax();
    }
    void recv(Message<size> &message)
    {
        while (!queue.try_dequeue(message))
            relax();
    }
};
#endif

#ifdef HAVE_ATOMIC_QUEUE
template <size_t size> struct AtomicQueue {
    /* minimise contention, maximise throughput, no total order, one producer and one consumer */
    typedef atomic_queue::AtomicQueue2<Message<size>, queue_capacity, true, true, false, true>
        Queue;
    std::unique_ptr<Queue> queue{new Queue};
    void send(const Message<size> &message)
    {
        while (!queue->try_push(message))
            relax();
    }
    void recv(Message<size> &message)
    {
        while (!queue->try_pop(message))
            relax();
    }
};
#endif

/* Goes once through all of its memory, which no page fault should have a part in what is timed. */
template <class Queue, class Item> void warm_up(Queue &queue)
{
    Item item = {};
    for (size_t i = 0; i < 2 * queue_capacity; i++) {
        queue.send(item);
        queue.recv(item);
    }
}

/*
 * The figure of the quickest of the others, and a counter for each. `measure` is given a
 * Type<Queue> and answers a time.
 */
template <size_t size, class Measure> double best_peer(benchmark::State &state, Measure measure)
{
    double best = std::numeric_limits<double>::infinity();
    auto take = [&](const char *name, double figure) {
        state.counters[name] = figure;
        best = std::min(best, figure);
    };
    (void)take;
    (void)measure;
#ifdef HAVE_BOOST
    take("boost", measure(Type<Boost<size>>()));
#endif
#ifdef HAVE_READERWRITERQUEUE
    take("rwq", measure(Type<ReaderWriter<size>>()));
#endif
#ifdef HAVE_ATOMIC_QUEUE
    take("atomic_queue", measure(Type<AtomicQueue<size>>()));
#endif
    return best;
}

#endif
