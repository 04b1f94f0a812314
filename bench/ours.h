/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ours.h: our rings by name, for threads or processes that each join them for themselves, behind
 * the face that sleepers.h describes. By the typed calls, for every size of message.
 */
#ifndef RBX_BENCH_OURS_H
#define RBX_BENCH_OURS_H

#include "litter.h"
#include "messages.h"
#include "pair.h"
#include "typed.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unistd.h>

namespace sleepers
{

/* A ring with a name, which is gone at the end, whatever that is. */
template <class Calls> class NamedRing
{
    static std::string next_name()
    {
        static unsigned made;
        return "bench." + std::to_string(getpid()) + "." + std::to_string(made++);
    }
    static rbx_ring *open(const std::string &name, rbx_box_how how)
    {
        rbx_ring_options options = {};
        options.capacity = queue_capacity;
        options.box.how = how;
        options.box.prefault = true; /* as page faults should have no part in what is timed */
        rbx_ring *ring;
        ring_must(Calls::ring_open(&ring, name.c_str(), &options));
        return ring;
    }

    const std::string name = next_name();
    rbx_ring *const made = open(name, RBX_CREATE_ONLY);
    const Litter litter = Litter::file("/dev/shm/ringbox." + name);

  public:
    NamedRing() = default;
    NamedRing(const NamedRing &) = delete;
    NamedRing &operator=(const NamedRing &) = delete;
    ~NamedRing()
    {
        rbx_ring_close(made);
    }
    rbx_ring *join() const
    {
        return open(name, RBX_OPEN_ONLY);
    }
};

/* With `asleep` it waits by the library's calls, and never spins before it sleeps when spin_ns is
   RBX_NO_SPIN; else it polls. */
template <class Calls, bool asleep, uint32_t spin_ns> class Ours
{
    typedef typename Calls::Item Item;
    static constexpr rbx_wait_options wait = {RBX_WAIT_SLEEP, spin_ns};
    NamedRing<Calls> ring;

  public:
    static constexpr size_t largest = 4096;
    static constexpr bool carries = true;
    static constexpr bool in_place = true;

    class Sender
    {
      public:
        explicit Sender(Ours &way) : ring(way.ring.join())
        {
            ring_must(Calls::ring_tx_open(&tx, ring));
            ring_must(Calls::ring_tx_wait_by(&tx, &wait));
        }
        Sender(const Sender &) = delete;
        Sender &operator=(const Sender &) = delete;
        ~Sender()
        {
            Calls::ring_tx_close(&tx);
            rbx_ring_close(ring);
        }
        void send(const Item &message)
        {
            if constexpr (asleep)
                ring_must(Calls::ring_send(&tx, &message));
            else
                while (Calls::ring_try_send(&tx, &message) != 0)
                    relax();
        }
        Item *claim()
        {
            Item *place;
            if constexpr (asleep)
                ring_must(Calls::ring_claim(&tx, &place));
            else
                while (Calls::ring_try_claim(&tx, &place) != 0)
                    relax();
            return place;
        }
        void commit(Item *)
        {
            ring_must(Calls::ring_commit(&tx));
        }

      private:
        rbx_ring *ring;
        typename Calls::ring_tx tx = {};
    };

    class Receiver
    {
      public:
        explicit Receiver(Ours &way) : ring(way.ring.join())
        {
            ring_must(Calls::ring_rx_open(&rx, ring));
            ring_must(Calls::ring_rx_wait_by(&rx, &wait));
        }
        Receiver(const Receiver &) = delete;
        Receiver &operator=(const Receiver &) = delete;
        ~Receiver()
        {
            Calls::ring_rx_close(&rx);
            rbx_ring_close(ring);
        }
        void recv(Item &message)
        {
            if constexpr (asleep)
                ring_must(Calls::ring_recv(&rx, &message));
            else
                while (Calls::ring_try_recv(&rx, &message) != 0)
                    relax();
        }
        const Item *peek()
        {
            const Item *message;
            if constexpr (asleep)
                ring_must(Calls::ring_peek(&rx, &message));
            else
                while (Calls::ring_try_peek(&rx, &message) != 0)
                    relax();
            return message;
        }
        void release(const Item *)
        {
            ring_must(Calls::ring_release(&rx));
        }

      private:
        rbx_ring *ring;
        typename Calls::ring_rx rx = {};
    };
};

/* As most would use it. */
template <size_t size> struct OursDefault : Ours<SpscCalls<size>, true, 0> {
    static constexpr const char *name = "ours";
};
template <size_t size> struct OursAsleep : Ours<SpscCalls<size>, true, RBX_NO_SPIN> {
    static constexpr const char *name = "ours, never spinning";
};
template <size_t size> struct OursPolled : Ours<SpscCalls<size>, false, 0> {
    static constexpr const char *name = "ours, polling";
};
/* The mutex ring: the baseline. */
template <size_t size> struct Locked : Ours<LockedCalls<size>, true, 0> {
    static constexpr const char *name = "mutex ring";
};

} // namespace sleepers

#endif
