/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sleepers.h: ways to hand messages on, one after the other, to another thread or process: those
 * where the receiver sleeps until it is woken, and those where it polls.
 *
 * Each way is a class. It is made before threads are started or processes are forked; each side
 * then makes its end of it for itself:
 *
 *     template <size_t size> class Way {
 *       public:
 *         static constexpr const char *name;
 *         static constexpr size_t largest;  // bytes that a message may have
 *         static constexpr bool carries;    // false: it counts messages, and carries nothing
 *         Way();
 *         class Sender {
 *           public:
 *             explicit Sender(Way &);
 *             void send(const Message<size> &);
 *         };
 *         class Receiver {
 *           public:
 *             explicit Receiver(Way &);
 *             void recv(Message<size> &);
 *         };
 *     };
 *
 * send() and recv() wait: asleep, by whatever the way itself does, without spinning of ours; the
 * polled ones spin with relax(). One with `static constexpr bool in_place = true` has
 * Message<size> *claim() and commit(), const Message<size> *peek() and release(), too.
 *
 * They throw what they find wrong. An end is closed by its destructor; it is to live until the
 * other end has had all messages (Side::meet of processes.h), since some forget what they have not
 * handed on. Some have threads of their own, which keep the cores of whoever opens the end: pin the
 * thread afterwards. And some can be opened by no process whose parent has: so by forked processes
 * only, as in processes.h.
 */
#ifndef RBX_BENCH_SLEEPERS_H
#define RBX_BENCH_SLEEPERS_H

#include "kernel.h"
#include "libraries.h"
#include "messages.h"
#include "ours.h"

#include <cstddef>
#include <vector>

namespace sleepers
{

/* Both ends in one place, where no process is forked. */
template <class Way> class Both
{
  public:
    template <class Item> void send(const Item &message)
    {
        sender.send(message);
    }
    template <class Item> void recv(Item &message)
    {
        receiver.recv(message);
    }

  private:
    Way way;
    typename Way::Sender sender{way};
    typename Way::Receiver receiver{way};
};

/* Whether a package was there when this was configured; those of the system always are. */
struct Presence {
    const char *name;
    bool present;
};
inline std::vector<Presence> presence()
{
    return {{"eventfd", true},
            {"pipe", true},
            {"Unix socket", true},
            {"POSIX message queue", true},
            {"System V message queue", true},
            {"condition variable", true},
            {"ZeroMQ ipc", have_zmq},
            {"nng ipc", have_nng},
            {"nanomsg ipc", have_nanomsg},
            {"boost::interprocess::message_queue", have_interprocess},
            {"boost::lockfree::spsc_queue in shared memory", have_lockfree},
            {"iceoryx", have_iceoryx}};
}

namespace detail
{
template <template <size_t> class Way, size_t size, class Visit> void visit_one(Visit &&visit)
{
    if constexpr (size <= Way<size>::largest)
        visit(Type<Way<size>>());
}
} // namespace detail

/* Calls visit(Type<Way>()) for each way to sleep that is there and takes messages of this size. */
template <size_t size, class Visit> void for_each_sleeper(Visit &&visit)
{
    detail::visit_one<OursDefault, size>(visit);
    detail::visit_one<OursAsleep, size>(visit);
    detail::visit_one<Locked, size>(visit);
    detail::visit_one<EventFd, size>(visit);
    detail::visit_one<Pipe, size>(visit);
    detail::visit_one<UnixStream, size>(visit);
    detail::visit_one<UnixPackets, size>(visit);
    detail::visit_one<PosixQueue, size>(visit);
    detail::visit_one<SystemV, size>(visit);
    detail::visit_one<Condition, size>(visit);
#ifdef HAVE_ZMQ
    detail::visit_one<ZeroMq, size>(visit);
#endif
#ifdef HAVE_NNG
    detail::visit_one<Nng, size>(visit);
#endif
#ifdef HAVE_NANOMSG
    detail::visit_one<Nanomsg, size>(visit);
#endif
#ifdef HAVE_INTERPROCESS
    detail::visit_one<Interprocess, size>(visit);
#endif
#ifdef HAVE_ICEORYX
    detail::visit_one<Iceoryx, size>(visit);
#endif
}

/* The same for those that poll. */
template <size_t size, class Visit> void for_each_poller(Visit &&visit)
{
    detail::visit_one<OursPolled, size>(visit);
#ifdef HAVE_INTERPROCESS
    detail::visit_one<InterprocessPolled, size>(visit);
#endif
#ifdef HAVE_BOOST
    detail::visit_one<LockfreePolled, size>(visit);
#endif
#ifdef HAVE_ICEORYX
    detail::visit_one<IceoryxPolled, size>(visit);
#endif
}

} // namespace sleepers

#endif
