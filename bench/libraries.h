/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libraries.h: what other libraries have to hand a message to another thread or process, behind the
 * face that sleepers.h describes. Those whose packages are not installed are left out.
 */
#ifndef RBX_BENCH_LIBRARIES_H
#define RBX_BENCH_LIBRARIES_H

#include "kernel.h"
#include "litter.h"
#include "messages.h"
#include "pair.h"
#include "shared.h"

#if defined(HAVE_ZMQ) || defined(HAVE_NNG) || defined(HAVE_NANOMSG)
#include "wires.h"
#endif
#ifdef HAVE_INTERPROCESS
#include <boost/interprocess/ipc/message_queue.hpp>
#endif
#ifdef HAVE_BOOST
#include <boost/lockfree/spsc_queue.hpp>
#endif
#ifdef HAVE_ICEORYX
#include "iceoryx.h"
#include "roudi.h"
#endif

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace sleepers
{

/* --- Messaging libraries over Unix sockets --- */

#if defined(HAVE_ZMQ) || defined(HAVE_NNG) || defined(HAVE_NANOMSG)
/* An address: a socket that the receiver makes in a directory of this program's own. */
inline std::string next_address()
{
    static const std::string directory = [] {
        std::string made = "/tmp/ringbox-bench.XXXXXX";
        require(mkdtemp(made.data()) != nullptr, "mkdtemp");
        return made;
    }();
    static const Litter litter = Litter::directory(directory);
    static unsigned made;
    return "ipc://" + directory + "/" + std::to_string(made++);
}

template <size_t size, const bench_wire &wire> class Wire
{
    const std::string address = next_address();

    class End
    {
      public:
        explicit End(bench_end *opened) : end(opened)
        {
            check(end != nullptr);
        }
        End(const End &) = delete;
        End &operator=(const End &) = delete;
        ~End()
        {
            wire.close(end);
        }
        static void check(bool worked)
        {
            if (!worked)
                fail("ipc", wire.why());
        }

      protected:
        bench_end *end;
    };

  public:
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    class Sender : End
    {
      public:
        explicit Sender(Wire &way) : End(wire.open_sender(way.address.c_str()))
        {
        }
        void send(const Message<size> &message)
        {
            End::check(wire.send(End::end, &message, size));
        }
    };

    class Receiver : End
    {
      public:
        explicit Receiver(Wire &way) : End(wire.open_receiver(way.address.c_str()))
        {
        }
        void recv(Message<size> &message)
        {
            End::check(wire.recv(End::end, &message, size));
        }
    };
};
#endif

#ifdef HAVE_ZMQ
constexpr bool have_zmq = true;
template <size_t size> struct ZeroMq : Wire<size, bench_zmq> {
    static constexpr const char *name = "ZeroMQ";
};
#else
constexpr bool have_zmq = false;
#endif

#ifdef HAVE_NNG
constexpr bool have_nng = true;
template <size_t size> struct Nng : Wire<size, bench_nng> {
    static constexpr const char *name = "nng";
};
#else
constexpr bool have_nng = false;
#endif

#ifdef HAVE_NANOMSG
constexpr bool have_nanomsg = true;
template <size_t size> struct Nanomsg : Wire<size, bench_nanomsg> {
    static constexpr const char *name = "nanomsg";
};
#else
constexpr bool have_nanomsg = false;
#endif

/* --- boost --- */

#ifdef HAVE_INTERPROCESS
constexpr bool have_interprocess = true;

/* Unlinked as soon as it is there: forked processes inherit the mapping. */
template <size_t size, bool polled> class BoostQueue : public Plain<BoostQueue<size, polled>, size>
{
    typedef boost::interprocess::message_queue Queue;

    class Name
    {
      public:
        const std::string text = "ringbox-bench." + std::to_string(getpid());
        ~Name()
        {
            Queue::remove(text.c_str());
        }
    };
    static Queue make()
    {
        const Name name;
        return Queue(boost::interprocess::create_only, name.text.c_str(), queue_capacity, size);
    }

    Queue queue = make();

  public:
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    /* All of one priority: it then searches no place for a message in its order. */
    void send(const Message<size> &message)
    {
        if constexpr (polled)
            while (!queue.try_send(&message, size, 0))
                relax();
        else
            queue.send(&message, size, 0);
    }
    void recv(Message<size> &message)
    {
        Queue::size_type got;
        unsigned priority;
        if constexpr (polled)
            while (!queue.try_receive(&message, size, got, priority))
                relax();
        else
            queue.receive(&message, size, got, priority);
    }
};
template <size_t size> struct Interprocess : BoostQueue<size, false> {
    static constexpr const char *name = "boost message_queue";
};
template <size_t size> struct InterprocessPolled : BoostQueue<size, true> {
    static constexpr const char *name = "boost message_queue, polled";
};
#else
constexpr bool have_interprocess = false;
#endif

#ifdef HAVE_BOOST
constexpr bool have_lockfree = true;

/* With its capacity known to the compiler it has no pointers: the whole of it can be shared. */
template <size_t size> class LockfreePolled
{
    typedef boost::lockfree::spsc_queue<Message<size>, boost::lockfree::capacity<queue_capacity>>
        Queue;
    Shared<Queue> queue;

  public:
    static constexpr const char *name = "boost spsc_queue, polled";
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;

    class Sender
    {
      public:
        explicit Sender(LockfreePolled &way) : queue(*way.queue)
        {
            way.queue.touch();
        }
        void send(const Message<size> &message)
        {
            while (!queue.push(message))
                relax();
        }

      private:
        Queue &queue;
    };

    class Receiver
    {
      public:
        explicit Receiver(LockfreePolled &way) : queue(*way.queue)
        {
            way.queue.touch();
        }
        void recv(Message<size> &message)
        {
            while (!queue.pop(message))
                relax();
        }

      private:
        Queue &queue;
    };
};
#else
constexpr bool have_lockfree = false;
#endif

/* --- iceoryx --- */

#ifdef HAVE_ICEORYX
constexpr bool have_iceoryx = true;

template <size_t size, bool polled> class IceoryxService
{
    static std::string next_service()
    {
        static unsigned made;
        roudi::need();
        return std::to_string(getpid()) + "." + std::to_string(made++);
    }
    const std::string service = next_service();

  public:
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;
    static constexpr bool in_place = true;

    class Sender
    {
      public:
        explicit Sender(IceoryxService &way) : end(way.service)
        {
        }
        Message<size> *claim()
        {
            return static_cast<Message<size> *>(end.loan(size));
        }
        void commit(Message<size> *message)
        {
            end.publish(message);
        }
        void send(const Message<size> &message)
        {
            Message<size> *place = claim();
            *place = message;
            commit(place);
        }

      private:
        iceoryx::Sender end;
    };

    class Receiver
    {
      public:
        explicit Receiver(IceoryxService &way) : end(way.service)
        {
        }
        const Message<size> *peek()
        {
            const void *message;
            if constexpr (polled)
                while (!(message = end.try_take()))
                    relax();
            else
                message = end.take();
            return static_cast<const Message<size> *>(message);
        }
        void release(const Message<size> *message)
        {
            end.release(message);
        }
        void recv(Message<size> &message)
        {
            const Message<size> *place = peek();
            message = *place;
            release(place);
        }

      private:
        iceoryx::Receiver end;
    };
};
template <size_t size> struct Iceoryx : IceoryxService<size, false> {
    static constexpr const char *name = "iceoryx";
};
template <size_t size> struct IceoryxPolled : IceoryxService<size, true> {
    static constexpr const char *name = "iceoryx, polled";
};
#else
constexpr bool have_iceoryx = false;
#endif

} // namespace sleepers

#endif
