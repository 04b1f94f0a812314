/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* many.h: our rings of many senders and receivers, behind the face that crowd.h asks for. */
#ifndef RBX_BENCH_MANY_H
#define RBX_BENCH_MANY_H

#include "bench.h"
#include "crowd.h"
#include "messages.h"
#include "typed.h"

#include <cstddef>
#include <cstdint>

namespace
{
namespace many
{

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
        ring_must(Calls::ring_open(&ring, nullptr, &options));
    }
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;
    ~Queue()
    {
        ring_must(rbx_ring_close(ring));
    }

    class Sender
    {
      public:
        explicit Sender(Queue &queue)
        {
            ring_must(Calls::ring_tx_open(&tx, queue.ring));
        }
        Sender(const Sender &) = delete;
        Sender &operator=(const Sender &) = delete;
        ~Sender()
        {
            Calls::ring_tx_close(&tx);
        }
        bool try_send(const Item &item)
        {
            return (use == Use::waiting ? Calls::ring_send_for(&tx, &item, wait_ns)
                                        : Calls::ring_try_send(&tx, &item)) == 0;
        }
        size_t try_send_n(const Item *items, size_t count)
        {
            ptrdiff_t sent = Calls::ring_try_send_n(&tx, items, count);
            return sent > 0 ? static_cast<size_t>(sent) : 0;
        }
        void send(const Item &item)
        {
            ring_must(Calls::ring_send(&tx, &item));
        }

      private:
        typename Calls::ring_tx tx;
    };

    class Receiver
    {
      public:
        explicit Receiver(Queue &queue)
        {
            ring_must(Calls::ring_rx_open(&rx, queue.ring));
        }
        Receiver(const Receiver &) = delete;
        Receiver &operator=(const Receiver &) = delete;
        ~Receiver()
        {
            Calls::ring_rx_close(&rx);
        }
        bool try_recv(Item &item)
        {
            return (use == Use::waiting ? Calls::ring_recv_for(&rx, &item, wait_ns)
                                        : Calls::ring_try_recv(&rx, &item)) == 0;
        }
        size_t try_recv_n(Item *items, size_t most)
        {
            ptrdiff_t received = Calls::ring_try_recv_n(&rx, items, most);
            return received > 0 ? static_cast<size_t>(received) : 0;
        }
        void recv(Item &item)
        {
            ring_must(Calls::ring_recv(&rx, &item));
        }

      private:
        typename Calls::ring_rx rx;
    };

  private:
    rbx_ring *ring;
};

template <size_t size> using Ours = Queue<MpmcCalls<size>>;
template <size_t size> using Polled = Queue<MpmcCalls<size>, 0, Use::polling>;
template <size_t size> using Strict = Queue<MpmcCalls<size>, RBX_STRICT>;
template <size_t size> using Mutex = Queue<LockedCalls<size>>;

} // namespace many
} // namespace

#endif
