/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * many.h: our rings of many senders and receivers, behind the face that crowd.h asks for. All in an
 * unnamed namespace: many-bare.cpp compiles the hot path in another way.
 */
#ifndef RBX_BENCH_MANY_H
#define RBX_BENCH_MANY_H

#include "bench.h"
#include "crowd.h"
#include "messages.h"

#include <ringbox/ringbox.h>

#include <cstddef>
#include <cstdint>

RBX_RING_TYPE(many8, Message8, MPMC)
RBX_RING_TYPE(many24, Message24, MPMC)
RBX_RING_TYPE(many56, Message56, MPMC)
RBX_RING_TYPE(locked8, Message8, LOCKED)

namespace
{
namespace many
{

inline void must(int err)
{
    if (err < 0)
        give_up("ring", rbx_last_error());
}

/*
 * A ring, with what every thread opens for itself. CALLS gives the typed calls of one ring type,
 * which a template cannot get from a macro by itself.
 */
#define CALLS(Name, ring_type, size)                                                               \
    struct Name {                                                                                  \
        typedef Message<size> Item;                                                                \
        typedef ring_type##_tx Tx;                                                                 \
        typedef ring_type##_rx Rx;                                                                 \
        static int open(rbx_ring **ring, const rbx_ring_options *options)                          \
        {                                                                                          \
            return ring_type##_open(ring, nullptr, options);                                       \
        }                                                                                          \
        static int tx_open(Tx *tx, rbx_ring *ring)                                                 \
        {                                                                                          \
            return ring_type##_tx_open(tx, ring);                                                  \
        }                                                                                          \
        static int rx_open(Rx *rx, rbx_ring *ring)                                                 \
        {                                                                                          \
            return ring_type##_rx_open(rx, ring);                                                  \
        }                                                                                          \
        static void tx_close(Tx *tx)                                                               \
        {                                                                                          \
            ring_type##_tx_close(tx);                                                              \
        }                                                                                          \
        static void rx_close(Rx *rx)                                                               \
        {                                                                                          \
            ring_type##_rx_close(rx);                                                              \
        }                                                                                          \
        static int try_send(Tx *tx, const Item *item)                                              \
        {                                                                                          \
            return ring_type##_try_send(tx, item);                                                 \
        }                                                                                          \
        static int try_recv(Rx *rx, Item *item)                                                    \
        {                                                                                          \
            return ring_type##_try_recv(rx, item);                                                 \
        }                                                                                          \
        static int send(Tx *tx, const Item *item)                                                  \
        {                                                                                          \
            return ring_type##_send(tx, item);                                                     \
        }                                                                                          \
        static int recv(Rx *rx, Item *item)                                                        \
        {                                                                                          \
            return ring_type##_recv(rx, item);                                                     \
        }                                                                                          \
        static int send_for(Tx *tx, const Item *item, uint64_t timeout_ns)                         \
        {                                                                                          \
            return ring_type##_send_for(tx, item, timeout_ns);                                     \
        }                                                                                          \
        static int recv_for(Rx *rx, Item *item, uint64_t timeout_ns)                               \
        {                                                                                          \
            return ring_type##_recv_for(rx, item, timeout_ns);                                     \
        }                                                                                          \
        static ptrdiff_t try_send_n(Tx *tx, const Item *items, size_t count)                       \
        {                                                                                          \
            return ring_type##_try_send_n(tx, items, count);                                       \
        }                                                                                          \
        static ptrdiff_t try_recv_n(Rx *rx, Item *items, size_t most)                              \
        {                                                                                          \
            return ring_type##_try_recv_n(rx, items, most);                                        \
        }                                                                                          \
    };
template <size_t size> struct Many;
CALLS(Many8, many8, 8)
CALLS(Many24, many24, 24)
CALLS(Many56, many56, 56)
CALLS(Locked8, locked8, 8)
#undef CALLS
template <> struct Many<8> : Many8 {
};
template <> struct Many<24> : Many24 {
};
template <> struct Many<56> : Many56 {
};

/* How a thread of a crowd, which must see that time is up, uses the calls. */
enum class Use { waiting, polling };
constexpr uint64_t wait_ns = 1000000;

template <class Calls, unsigned flags = 0, Use use = Use::waiting> class Queue
{
  public:
    typedef typename Calls::Item Item;

    Queue()
    {
        rbx_ring_options options = {};
        options.capacity = queue_capacity;
        options.flags = flags;
        must(Calls::open(&ring, &options));
    }
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;
    ~Queue()
    {
        must(rbx_ring_close(ring));
    }

    class Sender
    {
      public:
        explicit Sender(Queue &queue)
        {
            must(Calls::tx_open(&tx, queue.ring));
        }
        Sender(const Sender &) = delete;
        Sender &operator=(const Sender &) = delete;
        ~Sender()
        {
            Calls::tx_close(&tx);
        }
        bool try_send(const Item &item)
        {
            return (use == Use::waiting ? Calls::send_for(&tx, &item, wait_ns)
                                        : Calls::try_send(&tx, &item)) == 0;
        }
        size_t try_send_n(const Item *items, size_t count)
        {
            ptrdiff_t sent = Calls::try_send_n(&tx, items, count);
            return sent > 0 ? static_cast<size_t>(sent) : 0;
        }
        void send(const Item &item)
        {
            must(Calls::send(&tx, &item));
        }

      private:
        typename Calls::Tx tx;
    };

    class Receiver
    {
      public:
        explicit Receiver(Queue &queue)
        {
            must(Calls::rx_open(&rx, queue.ring));
        }
        Receiver(const Receiver &) = delete;
        Receiver &operator=(const Receiver &) = delete;
        ~Receiver()
        {
            Calls::rx_close(&rx);
        }
        bool try_recv(Item &item)
        {
            return (use == Use::waiting ? Calls::recv_for(&rx, &item, wait_ns)
                                        : Calls::try_recv(&rx, &item)) == 0;
        }
        size_t try_recv_n(Item *items, size_t most)
        {
            ptrdiff_t received = Calls::try_recv_n(&rx, items, most);
            return received > 0 ? static_cast<size_t>(received) : 0;
        }
        void recv(Item &item)
        {
            must(Calls::recv(&rx, &item));
        }

      private:
        typename Calls::Rx rx;
    };

  private:
    rbx_ring *ring;
};

template <size_t size> using Ours = Queue<Many<size>>;
template <size_t size> using Polled = Queue<Many<size>, 0, Use::polling>;
template <size_t size> using Strict = Queue<Many<size>, RBX_STRICT>;
using Mutex = Queue<Locked8>;

} // namespace many
} // namespace

#endif
