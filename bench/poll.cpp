/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rings in an event loop, beside an eventfd in one; and one wait on many rings, beside one on one.
 */
#include "case.h"
#include "ours.h"
#include "processes.h"

#include <cerrno>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace
{

typedef SpscCalls<8> Calls;

/* An epoll set of one descriptor, which is waited for level by level. */
class Loop
{
  public:
    explicit Loop(int fd) : set(epoll_create1(EPOLL_CLOEXEC))
    {
        epoll_event event = {};
        event.events = EPOLLIN;
        require(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll");
    }
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;
    ~Loop()
    {
        close(set);
    }
    void wait() const
    {
        epoll_event event;
        require(epoll_wait(set, &event, 1, -1) == 1, "epoll_wait");
    }

  private:
    int set;
};

int check_fd(int fd)
{
    ring_must(fd);
    return fd;
}

/* An end of its own, of a ring that is joined by its name. */
template <class End> class Joined
{
  public:
    explicit Joined(const sleepers::NamedRing<Calls> &named) : ring(named.join())
    {
        open(&end);
    }
    Joined(const Joined &) = delete;
    Joined &operator=(const Joined &) = delete;
    ~Joined()
    {
        close(&end);
        rbx_ring_close(ring);
    }
    End end = {};

  private:
    void open(Calls::ring_tx *tx)
    {
        ring_must(Calls::ring_tx_open(tx, ring));
    }
    void open(Calls::ring_rx *rx)
    {
        rbx_wait_options options = {};
        options.spin_ns = RBX_NO_SPIN;
        ring_must(Calls::ring_rx_open(rx, ring));
        ring_must(Calls::ring_rx_wait_by(rx, &options));
    }
    static void close(Calls::ring_tx *tx)
    {
        Calls::ring_tx_close(tx);
    }
    static void close(Calls::ring_rx *rx)
    {
        Calls::ring_rx_close(rx);
    }
    rbx_ring *ring;
};

/* --- In an event loop --- */

template <rbx_poll_by by> struct Polled {
    sleepers::NamedRing<Calls> ring;

    struct Sender {
        Joined<Calls::ring_tx> tx;
        explicit Sender(Polled &way) : tx(way.ring)
        {
        }
        void send(const Message8 &message)
        {
            ring_must(Calls::ring_send(&tx.end, &message));
        }
    };
    struct Receiver {
        Joined<Calls::ring_rx> rx;
        Loop loop;
        explicit Receiver(Polled &way) : rx(way.ring), loop(check_fd(rbx_rx_fd_by(&rx.end.end, by)))
        {
        }
        void recv(Message8 &message)
        {
            while (Calls::ring_try_recv(&rx.end, &message) == -EAGAIN) {
                const int ready = rbx_rx_arm(&rx.end.end);
                ring_must(ready);
                if (ready == 0)
                    loop.wait();
            }
        }
    };
};

/* By hand: the message goes by the ring, and an eventfd says that it is there. */
struct ByHand {
    sleepers::NamedRing<Calls> ring;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ~ByHand()
    {
        close(fd);
    }

    struct Sender {
        Joined<Calls::ring_tx> tx;
        int fd;
        explicit Sender(ByHand &way) : tx(way.ring), fd(way.fd)
        {
        }
        void send(const Message8 &message)
        {
            ring_must(Calls::ring_send(&tx.end, &message));
            const uint64_t one = 1;
            require(write(fd, &one, sizeof one) == sizeof one, "eventfd");
        }
    };
    struct Receiver {
        Joined<Calls::ring_rx> rx;
        int fd;
        Loop loop;
        explicit Receiver(ByHand &way) : rx(way.ring), fd(way.fd), loop(fd)
        {
        }
        void recv(Message8 &message)
        {
            while (Calls::ring_try_recv(&rx.end, &message) == -EAGAIN) {
                loop.wait();
                uint64_t count;
                require(read(fd, &count, sizeof count) == sizeof count, "eventfd");
            }
        }
    };
};

/* --- One wait on many --- */

template <unsigned rings> struct Any {
    sleepers::NamedRing<Calls> ring[rings];

    struct Sender {
        std::deque<Joined<Calls::ring_tx>> tx;
        explicit Sender(Any &way)
        {
            for (const auto &one : way.ring)
                tx.emplace_back(one);
        }
        /* Each ring in its turn. */
        void send(const Message8 &message)
        {
            ring_must(Calls::ring_send(&tx[message.number % rings].end, &message));
        }
    };
    struct Receiver {
        std::deque<Joined<Calls::ring_rx>> rx;
        rbx_any ends[rings] = {};
        explicit Receiver(Any &way)
        {
            for (const auto &one : way.ring) {
                rx.emplace_back(one);
                ends[rx.size() - 1].rx = &rx.back().end.end;
            }
        }
        void recv(Message8 &message)
        {
            for (;;) {
                ring_must(rbx_wait_any(ends, rings, RBX_FOREVER));
                for (unsigned i = 0; i < rings; i++)
                    if (ends[i].ready && Calls::ring_try_recv(&rx[i].end, &message) == 0)
                        return;
            }
        }
    };
};

constexpr uint64_t trips = 2000, few = 500;

template <class Way> Sample trip()
{
    const Crossed crossed = trips_apart<Way, 8>(Apart::PROCESSES, trips, few);
    if (!crossed.why.empty())
        throw std::runtime_error(crossed.why);
    return crossed.ns;
}

/* --- Armed, and nothing comes --- */

/* How often the threads of this process have gone to sleep, or been sent to. */
double switches()
{
    double all = 0;
    for (const auto &task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream status(task.path() / "status");
        for (std::string word; status >> word;)
            if (word == "voluntary_ctxt_switches:" && status >> word)
                all += std::stod(word);
    }
    return all;
}

/* In a process of its own: this one has threads that do other things. */
Sample armed_wakes(rbx_poll_by by)
{
    Shared<double> counted(0.0);
    sleepers::NamedRing<Calls> ring;
    const std::string why = run_apart(
        Apart::PROCESSES,
        [&](Side &side) {
            Joined<Calls::ring_tx> tx(ring);
            side.meet();
            side.meet();
        },
        [&](Side &side) {
            side.meet();
            Joined<Calls::ring_rx> rx(ring);
            check_fd(rbx_rx_fd_by(&rx.end.end, by));
            ring_must(rbx_rx_arm(&rx.end.end));
            constexpr std::chrono::milliseconds settled{100}, second{1000};
            std::this_thread::sleep_for(settled);
            const double before = switches();
            std::this_thread::sleep_for(second);
            *counted = switches() - before - 1; /* that one sleep */
            side.meet();
        });
    if (!why.empty())
        throw std::runtime_error(why);
    return *counted;
}

int added = [] {
    const std::string by_uring = "ours, by io_uring", by_thread = "ours, by a thread";
    Case &loop =
        add_case("poll", "poll/trip", "8 bytes to a process that sleeps in epoll, and back", "ns");
    loop.is_quick = true;
    loop.contend("ours", Role::ours, trip<Polled<RBX_POLL_BY_ANY>>);
    loop.contend("eventfd by hand", Role::peer, trip<ByHand>);
    loop.contend(by_uring, Role::variant, trip<Polled<RBX_POLL_BY_URING>>);
    loop.contend(by_thread, Role::variant, trip<Polled<RBX_POLL_BY_THREAD>>);
    aim("through epoll, by io_uring: ours / eventfd by hand", loop.name, by_uring, best_peer,
        at_most(1));
    aim("through epoll, by a thread: ours / eventfd by hand", loop.name, by_thread, best_peer,
        at_most(1.6));

    Case &any =
        add_case("poll", "poll/any",
                 "8 bytes to a process that sleeps on so many rings at once, and back", "ns");
    any.contend("1", Role::note, trip<Any<1>>);
    any.contend("8", Role::variant, trip<Any<8>>);
    any.contend("64", Role::ours, trip<Any<64>>);
    aim("rbx_wait_any: 64 rings / 1", any.name, "64", "1", at_most(1.5));

    Case &idle = add_case("poll", "poll/idle", "armed, and nothing comes", "wake-ups a second");
    idle.most_rounds = 3;
    idle.contend(by_uring, Role::variant, [] { return armed_wakes(RBX_POLL_BY_URING); });
    idle.contend(by_thread, Role::variant, [] { return armed_wakes(RBX_POLL_BY_THREAD); });
    aim("armed and idle, by io_uring: wake-ups a second", idle.name, by_uring, itself, at_most(0));
    aim("armed and idle, by a thread: wake-ups a second", idle.name, by_thread, itself, at_most(0));
    return 0;
}();

} // namespace
