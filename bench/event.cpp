/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an event costs, beside an eventfd: set and got through by one, and to wake another. */
#include "bench.h"
#include "case.h"
#include "pair.h"

#include <ringbox/ringbox.h>

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace
{

void check(bool worked, const char *what)
{
    if (!worked)
        give_up(what, std::strerror(errno));
}

struct Event {
    rbx_event *event;
    explicit Event(rbx_event_how how, uint32_t spin_ns = 0)
    {
        rbx_event_options options = {};
        options.how = how;
        options.spin_ns = spin_ns;
        if (rbx_event_open(&event, nullptr, &options) < 0)
            give_up("event", rbx_last_error());
    }
    ~Event()
    {
        rbx_event_close(event);
    }
    Event(const Event &) = delete;
    Event &operator=(const Event &) = delete;
    void set()
    {
        rbx_event_set(event);
    }
    void wait()
    {
        rbx_event_wait(event);
    }
};

struct Bare {
    int fd;
    explicit Bare(int flags = EFD_NONBLOCK) : fd(eventfd(0, EFD_CLOEXEC | flags))
    {
        check(fd >= 0, "eventfd");
    }
    Bare(const Bare &) = delete;
    Bare &operator=(const Bare &) = delete;
    ~Bare()
    {
        close(fd);
    }
    void set()
    {
        uint64_t one = 1;
        check(write(fd, &one, sizeof one) == sizeof one, "eventfd");
    }
    bool try_wait()
    {
        uint64_t count;
        return read(fd, &count, sizeof count) == sizeof count;
    }
    void wait()
    {
        pollfd ready = {fd, POLLIN, 0};
        while (!try_wait())
            check(poll(&ready, 1, -1) == 1, "poll");
    }
};

/* One that nobody polls: a single system call waits. */
struct Blocking : Bare {
    Blocking() : Bare(0)
    {
    }
    void wait()
    {
        check(try_wait(), "eventfd");
    }
};

/* ---- By one -------------------------------------------------------------------------------- */

constexpr uint64_t passes = 100000;

double event_pass_ns(rbx_event_how how)
{
    Event event(how);
    return each_ns(passes, [&] {
        event.set();
        check(rbx_event_try_wait(event.event) == 0, "event");
    });
}

double bare_pass_ns()
{
    Bare bare;
    return each_ns(passes, [&] {
        bare.set();
        check(bare.try_wait(), "eventfd");
    });
}

/* ---- By two -------------------------------------------------------------------------------- */

template <class Flag> double trip_ns(Flag &there, Flag &back)
{
    constexpr int trips = 5000;
    double took = together_ns(
        [&] {
            for (int i = 0; i < trips; i++) {
                there.set();
                back.wait();
            }
        },
        [&] {
            for (int i = 0; i < trips; i++) {
                there.wait();
                back.set();
            }
        });
    return took / trips;
}

double event_trip_ns(rbx_event_how how, uint32_t spin_ns)
{
    Event there(how, spin_ns), back(how, spin_ns);
    return trip_ns(there, back);
}

template <class Eventfd> double bare_trip_ns()
{
    Eventfd there, back;
    return trip_ns(there, back);
}

int added = [] {
    Case &pass = add_case("sync", "sync/event", "an event, set and seen by one thread", "ns");
    pass.contend("ours", Role::ours, [] { return event_pass_ns(RBX_EVENT_FUTEX); });
    pass.contend("eventfd", Role::peer, bare_pass_ns);
    pass.contend("ours, busy", Role::variant, [] { return event_pass_ns(RBX_EVENT_BUSY); });
    pass.contend("ours, fd", Role::variant, [] { return event_pass_ns(RBX_EVENT_FD); });
    aim("set and see an event: ours / eventfd", pass.name, "ours", "eventfd", at_most(0.2));
    aim("set and see an event of the busy kind: ours / eventfd", pass.name, "ours, busy", "eventfd",
        at_most(0.2));
    aim("set and see an event of the fd kind: ours / eventfd", pass.name, "ours, fd", "eventfd",
        at_most(1.2));

    Case &trip = add_case("sync", "sync/event-trip", "two threads wake each other", "ns");
    trip.contend("ours, never spinning", Role::variant,
                 [] { return event_trip_ns(RBX_EVENT_FUTEX, RBX_NO_SPIN); });
    trip.contend("ours", Role::ours, [] { return event_trip_ns(RBX_EVENT_FUTEX, 0); });
    trip.contend("eventfd and poll", Role::peer, bare_trip_ns<Bare>);
    trip.contend("eventfd", Role::peer, bare_trip_ns<Blocking>);
    trip.contend("ours, busy", Role::variant, [] { return event_trip_ns(RBX_EVENT_BUSY, 0); });
    trip.contend("ours, fd", Role::variant, [] { return event_trip_ns(RBX_EVENT_FD, 0); });
    aim("wake-up and back, an event that never spins / eventfd and poll", trip.name,
        "ours, never spinning", "eventfd and poll", at_most(1));
    aim("wake-up and back, an event / eventfd and poll", trip.name, "ours", "eventfd and poll",
        at_most(1));
    return 0;
}();

} // namespace
