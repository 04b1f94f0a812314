/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Round trips: one message there and one back, spinning; and asleep, beside what programs use for
 * that otherwise. And what a receiver costs that has nothing to do.
 */
#include "bench.h"
#include "crowd.h"
#include "many.h"
#include "pair.h"
#include "queues.h"

#include <benchmark/benchmark.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <mutex>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace
{

template <class Queue, class Item>
[[gnu::noinline]] double trips_ns(Queue &there, Queue &back, uint64_t trips)
{
    double took = together_ns(
        [&] {
            Item item = {};
            for (uint64_t i = 0; i < trips; i++) {
                there.send(item);
                back.recv(item);
            }
        },
        [&] {
            Item item;
            for (uint64_t i = 0; i < trips; i++) {
                there.recv(item);
                back.send(item);
            }
        });
    return took / static_cast<double>(trips);
}

/* --- Spinning --- */

template <class Queue, size_t size> double trip_ns()
{
    Queue there, back;
    warm_up<Queue, Message<size>>(there);
    warm_up<Queue, Message<size>>(back);
    return trips_ns<Queue, Message<size>>(there, back, 20000);
}

template <size_t size> void round_trip(benchmark::State &state)
{
    for (auto _ : state) {
        double floor = floor_round_trip_ns();
        double ours = trip_ns<Ours<size>, size>();
        double best = best_peer<size>(
            state, [](auto t) { return trip_ns<typename decltype(t)::type, size>(); });
        double polling = trip_ns<OursPolling<size>, size>();
        state.SetIterationTime(ours / 1e9);
        report(state, {{"floor", floor},
                       {"ours", ours},
                       {"polling", polling},
                       {"ratio", ours / best},
                       {"of_floor", ours / floor}});
    }
}

int t1 = target_ratio("round trip of 8 bytes: ours / best peer", "round_trip<8>", "ratio",
                      at_most(0.85));
int t2 = target_ratio("round trip of 24 bytes: ours / best peer", "round_trip<24>", "ratio",
                      at_most(0.85));
int t3 = target_ratio("round trip of 248 bytes: ours / best peer", "round_trip<248>", "ratio",
                      at_most(0.85));
int t4 = target_ratio("round trip of 24 bytes: ours / bare words", "round_trip<24>", "of_floor",
                      at_most(1.6));

/* --- Spinning, in a ring that could have many senders and receivers, beside those for two --- */

/* Each of these is what crowd.h asks of a queue, with send and recv, and has been warmed up. */
template <class Queue> struct Waiting : Queue {
    Waiting()
    {
        warm_up_all<Queue, Message8>(*this, {1, 1});
    }
};

template <class Queue> struct Polling : Waiting<Queue> {
    struct Sender : Queue::Sender {
        using Queue::Sender::Sender;
        void send(const Message8 &message)
        {
            while (!this->try_send(message))
                relax();
        }
    };
    struct Receiver : Queue::Receiver {
        using Queue::Receiver::Receiver;
        void recv(Message8 &message)
        {
            while (!this->try_recv(message))
                relax();
        }
    };
};

template <class Queue> struct ForTwo {
    Queue queue;
    ForTwo()
    {
        warm_up<Queue, Message8>(queue);
    }
    struct End {
        Queue &queue;
        explicit End(ForTwo &all) : queue(all.queue)
        {
        }
        void send(const Message8 &message)
        {
            queue.send(message);
        }
        void recv(Message8 &message)
        {
            queue.recv(message);
        }
    };
    typedef End Sender;
    typedef End Receiver;
};

template <class Queue> double many_trip_ns()
{
    constexpr uint64_t trips = 20000;
    Queue there, back;
    Crowd crowd({1, 1});
    auto ask = [&](Member &self) {
        typename Queue::Sender sender(there);
        typename Queue::Receiver receiver(back);
        Message8 message = {};
        self.begin();
        for (uint64_t i = 0; i < trips; i++) {
            sender.send(message);
            receiver.recv(message);
        }
        self.end();
    };
    auto answer = [&](Member &self) {
        typename Queue::Sender sender(back);
        typename Queue::Receiver receiver(there);
        Message8 message = {};
        self.begin();
        for (uint64_t i = 0; i < trips; i++) {
            receiver.recv(message);
            sender.send(message);
        }
        self.end();
    };
    crowd.run(ask, answer, std::chrono::seconds(2));
    return crowd.took_ns() / trips;
}

void many_round_trip(benchmark::State &state)
{
    for (auto _ : state) {
        double floor = floor_round_trip_ns();
        double ours = many_trip_ns<Waiting<many::Ours<8>>>();
        double best = best_peer<8>(
            state, [](auto t) { return many_trip_ns<ForTwo<typename decltype(t)::type>>(); });
        double polling = many_trip_ns<Polling<many::Polled<8>>>();
        double strict = many_trip_ns<Waiting<many::Strict<8>>>();
        state.SetIterationTime(ours / 1e9);
        report(state, {{"floor", floor},
                       {"ours", ours},
                       {"polling", polling},
                       {"strict", strict},
                       {"ratio", ours / best}});
    }
}

int t8 = target_ratio("round trip of 8 bytes, ring of many: ours / best peer for two",
                      "many_round_trip", "ratio", at_most(1.1));

/* --- Asleep --- */

void check(bool worked, const char *what)
{
    if (!worked)
        give_up(what, std::strerror(errno));
}

struct EventFd {
    int fd = eventfd(0, EFD_CLOEXEC);
    ~EventFd()
    {
        close(fd);
    }
    void send(const uint64_t &)
    {
        uint64_t one = 1;
        check(write(fd, &one, sizeof one) == sizeof one, "eventfd");
    }
    void recv(uint64_t &item)
    {
        check(read(fd, &item, sizeof item) == sizeof item, "eventfd");
    }
};

struct Pipe {
    int fds[2];
    Pipe()
    {
        check(pipe(fds) == 0, "pipe");
    }
    ~Pipe()
    {
        close(fds[0]);
        close(fds[1]);
    }
    void send(const uint64_t &item)
    {
        check(write(fds[1], &item, sizeof item) == sizeof item, "pipe");
    }
    void recv(uint64_t &item)
    {
        check(read(fds[0], &item, sizeof item) == sizeof item, "pipe");
    }
};

struct Condition {
    std::mutex mutex;
    std::condition_variable filled;
    uint64_t items = 0;
    void send(const uint64_t &)
    {
        std::lock_guard<std::mutex> lock(mutex);
        items++;
        filled.notify_one();
    }
    void recv(uint64_t &)
    {
        std::unique_lock<std::mutex> lock(mutex);
        filled.wait(lock, [&] { return items > 0; });
        items--;
    }
};

template <class Queue, class Item> double asleep_ns()
{
    Queue there, back;
    return trips_ns<Queue, Item>(there, back, 3000);
}

double ours_asleep_ns(uint32_t spin_ns)
{
    Ours<8> there, back;
    there.wait_by(RBX_WAIT_SLEEP, spin_ns);
    back.wait_by(RBX_WAIT_SLEEP, spin_ns);
    return trips_ns<Ours<8>, Message8>(there, back, 3000);
}

void sleep_and_wake(benchmark::State &state)
{
    for (auto _ : state) {
        double event = asleep_ns<EventFd, uint64_t>();
        double ours = ours_asleep_ns(RBX_NO_SPIN);
        double pipe = asleep_ns<Pipe, uint64_t>();
        double condition = asleep_ns<Condition, uint64_t>();
        double spinning_first = ours_asleep_ns(0);
        double best = std::min({event, pipe, condition});
        state.SetIterationTime(ours / 1e9);
        report(state, {{"ours", ours},
                       {"spins_first", spinning_first},
                       {"eventfd", event},
                       {"pipe", pipe},
                       {"condition", condition},
                       {"ratio", ours / best},
                       {"default_ratio", spinning_first / best}});
    }
}

int t5 = target_ratio("sleep and wake, never spinning: ours / best other", "sleep_and_wake",
                      "ratio", at_most(0.8));
int t6 = target_ratio("sleep and wake, by default: ours / best other", "sleep_and_wake",
                      "default_ratio", at_most(0.8));

/* --- Idle --- */

double thread_cpu_ns()
{
    timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

void idle(benchmark::State &state)
{
    constexpr uint64_t wait_ns = 2000000000;
    for (auto _ : state) {
        Ours<8> ring;
        Message8 message;
        double begun = now_ns(), cpu = thread_cpu_ns();
        while (ring8_recv_for(ring.typed_receiver(), &message, wait_ns) != -ETIMEDOUT)
            ;
        cpu = thread_cpu_ns() - cpu;
        double took = now_ns() - begun;
        state.SetIterationTime(took / 1e9);
        report(state, {{"cpu_percent", 100 * cpu / took}});
    }
}

int t7 = target_ratio("percent of a core that an idle receiver takes", "idle", "cpu_percent",
                      at_most(0.1));

BENCHMARK_TEMPLATE(round_trip, 8)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(round_trip, 24)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(round_trip, 248)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK(many_round_trip)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK(sleep_and_wake)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK(idle)->UseManualTime()->Iterations(1)->Repetitions(3);

} // namespace
