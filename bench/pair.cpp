/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include "bench.h"

#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <sched.h>
#include <string>
#include <thread>

namespace
{

const cpu_set_t &allowed()
{
    static const cpu_set_t all = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        if (sched_getaffinity(0, sizeof set, &set) < 0)
            give_up("sched_getaffinity", std::strerror(errno));
        return set;
    }();
    return all;
}

const cpu_set_t &asked_at_start = allowed();
bool swapped;

} // namespace

namespace
{

/* What the kernel says of where a processor is; where it does not, each is somewhere else. */
int topology(int processor, const char *what)
{
    int number = -processor - 1;
    std::ifstream("/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/" +
                  what) >>
        number;
    return number;
}

bool on_one_core(int a, int b)
{
    return topology(a, "physical_package_id") == topology(b, "physical_package_id") &&
           topology(a, "core_id") == topology(b, "core_id");
}

/* The first, and the next that is not its other hardware thread, if there is one. */
Cores choose_cores()
{
    Cores cores = {-1, -1};
    bool are_one = true;
    for (int processor = 0; processor < CPU_SETSIZE && are_one; processor++) {
        if (!CPU_ISSET(processor, &asked_at_start))
            continue;
        if (cores.first < 0) {
            cores.first = processor;
        } else {
            are_one = on_one_core(cores.first, processor);
            if (!are_one || cores.second < 0)
                cores.second = processor;
        }
    }
    if (cores.second < 0)
        cores.second = cores.first;
    return cores;
}

} // namespace

bool share_a_core()
{
    const Cores cores = two_cores();
    return on_one_core(cores.first, cores.second);
}

Cores two_cores()
{
    static const Cores chosen = choose_cores();
    Cores cores = chosen;
    if (swapped)
        std::swap(cores.first, cores.second);
    return cores;
}

void change_sides(bool other_way_round)
{
    swapped = other_way_round;
}

void pin(int core)
{
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    if (sched_setaffinity(0, sizeof only, &only) < 0)
        give_up("sched_setaffinity", std::strerror(errno));
}

void unpin()
{
    if (sched_setaffinity(0, sizeof(cpu_set_t), &asked_at_start) < 0)
        give_up("sched_setaffinity", std::strerror(errno));
}

uint64_t stamp_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

double now_ns()
{
    return static_cast<double>(stamp_ns());
}

double together_ns(const std::function<void()> &first, const std::function<void()> &second)
{
    const Cores cores = two_cores();
    std::atomic<int> ready{0};
    double other_ended = 0; /* the end of the thread itself takes longer than some that is timed */
    std::thread other([&] {
        pin(cores.second);
        ready++;
        while (ready < 2)
            relax();
        second();
        other_ended = now_ns();
    });
    pin(cores.first);
    while (ready < 1)
        relax();
    const double begun = now_ns();
    ready++;
    first();
    const double ended = now_ns();
    other.join();
    return std::max(ended, other_ended) - begun;
}

namespace
{

struct alignas(128) Word {
    std::atomic<uint64_t> value{0};
};

constexpr unsigned line_words = 8;
constexpr unsigned block_lines = 64;
constexpr unsigned blocks = 64;

struct alignas(128) Block {
    std::atomic<uint64_t> filled{0};
    alignas(128) uint64_t words[block_lines * line_words];
};

void await(const std::atomic<uint64_t> &word, uint64_t wanted)
{
    while (word.load(std::memory_order_acquire) < wanted)
        relax();
}

/* The pause of relax() is longer than a round trip on some processors: a floor has none, or what
   is measured against it looks closer to it than it is. */
void await_busily(const std::atomic<uint64_t> &word, uint64_t wanted)
{
    while (word.load(std::memory_order_acquire) < wanted)
        ;
}

double trip_once_ns()
{
    constexpr uint64_t trips = 8000;
    Word there, back;
    double took = together_ns(
        [&] {
            for (uint64_t i = 1; i <= trips; i++) {
                there.value.store(i, std::memory_order_release);
                await_busily(back.value, i);
            }
        },
        [&] {
            for (uint64_t i = 1; i <= trips; i++) {
                await_busily(there.value, i);
                back.value.store(i, std::memory_order_release);
            }
        });
    return took / trips;
}

double line_once_ns()
{
    constexpr uint64_t total = 1000;
    auto ring = std::make_unique<Block[]>(blocks);
    Word emptied;
    double took = together_ns(
        [&] {
            for (uint64_t i = 0; i < total; i++) {
                if (i >= blocks)
                    await(emptied.value, i - blocks + 1);
                Block &block = ring[i % blocks];
                for (uint64_t &word : block.words)
                    word = i;
                block.filled.store(i + 1, std::memory_order_release);
            }
        },
        [&] {
            for (uint64_t i = 0; i < total; i++) {
                Block &block = ring[i % blocks];
                await(block.filled, i + 1);
                uint64_t sum = 0;
                for (uint64_t word : block.words)
                    sum += word;
                benchmark::DoNotOptimize(sum);
                emptied.value.store(i + 1, std::memory_order_release);
            }
        });
    return took / (total * block_lines);
}

} // namespace

Floor measure_floor()
{
    constexpr int tries = 3;
    Floor least = {trip_once_ns(), line_once_ns()};
    for (int i = 1; i < tries; i++) {
        least.trip_ns = std::min(least.trip_ns, trip_once_ns());
        least.line_ns = std::min(least.line_ns, line_once_ns());
    }
    return least;
}
