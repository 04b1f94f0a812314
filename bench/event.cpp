/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an event costs, beside an eventfd: set and got through by one, and to wake another. */
#include "bench.h"
#include "pair.h"

#include <ringbox/ringbox.h>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace
{

int t1 = target("set and try_wait, futex", "event_pass<RBX_EVENT_FUTEX>", "bare_pass", 0.2);
int t2 = target("set and try_wait, busy", "event_pass<RBX_EVENT_BUSY>", "bare_pass", 0.2);
int t3 = target("set and try_wait, fd", "event_pass<RBX_EVENT_FD>", "bare_pass", 1.2);
int t4 = target_ratio("wake-up and back, event that never spins / eventfd and poll", "event_trip",
                      "ratio", at_most(1.0));
int t5 = target_ratio("wake-up and back, event by default / eventfd and poll", "event_trip",
                      "default_ratio", at_most(1.0));

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
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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

/* ---- By one -------------------------------------------------------------------------------- */

template <rbx_event_how how> void event_pass(benchmark::State &state)
{
    Event event(how);
    for (auto _ : state) {
        event.set();
        check(rbx_event_try_wait(event.event) == 0, "event");
    }
}

void bare_pass(benchmark::State &state)
{
    Bare bare;
    for (auto _ : state) {
        bare.set();
        check(bare.try_wait(), "eventfd");
    }
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

/* What a thread that is opening an event may use counts, and pin() has left this one a core. */
void unpin()
{
    Cores cores = two_cores();
    cpu_set_t both;
    CPU_ZERO(&both);
    CPU_SET(cores.first, &both);
    CPU_SET(cores.second, &both);
    check(sched_setaffinity(0, sizeof both, &both) == 0, "sched_setaffinity");
}

double event_trip_ns(rbx_event_how how, uint32_t spin_ns)
{
    unpin();
    Event there(how, spin_ns), back(how, spin_ns);
    return trip_ns(there, back);
}

void event_trip(benchmark::State &state)
{
    for (auto _ : state) {
        Bare there, back;
        double bare = trip_ns(there, back);
        double asleep = event_trip_ns(RBX_EVENT_FUTEX, RBX_NO_SPIN);
        double ours = event_trip_ns(RBX_EVENT_FUTEX, 0);
        double busy = event_trip_ns(RBX_EVENT_BUSY, 0);
        double fd = event_trip_ns(RBX_EVENT_FD, 0);
        state.SetIterationTime(asleep / 1e9);
        report(state, {{"bare", bare},
                       {"asleep", asleep},
                       {"default", ours},
                       {"busy", busy},
                       {"fd", fd},
                       {"ratio", asleep / bare},
                       {"default_ratio", ours / bare}});
    }
}

BENCHMARK_TEMPLATE(event_pass, RBX_EVENT_FUTEX);
BENCHMARK_TEMPLATE(event_pass, RBX_EVENT_BUSY);
BENCHMARK_TEMPLATE(event_pass, RBX_EVENT_FD);
BENCHMARK(bare_pass);
BENCHMARK(event_trip)->UseManualTime()->Iterations(1)->Repetitions(rounds);

} // namespace
