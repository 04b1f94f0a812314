/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include "bench.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <sched.h>
#include <thread>

Cores two_cores()
{
    static const Cores found = [] {
        cpu_set_t allowed;
        CPU_ZERO(&allowed);
        if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
            give_up("sched_getaffinity", std::strerror(errno));
        Cores cores = {-1, -1};
        for (int core = 0; core < CPU_SETSIZE && cores.second < 0; core++)
            if (CPU_ISSET(core, &allowed))
                (cores.first < 0 ? cores.first : cores.second) = core;
        if (cores.second < 0)
            cores.second = cores.first;
        return cores;
    }();
    return found;
}

void pin(int core)
{
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    if (sched_setaffinity(0, sizeof only, &only) < 0)
        give_up("sched_setaffinity", std::strerror(errno));
}

double now_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double together_ns(const std::function<void()> &first, const std::function<void()> &second)
{
    static bool swapped;
    Cores cores = two_cores();
    if (swapped)
        std::swap(cores.first, cores.second);
    swapped = !swapped;
    std::atomic<int> ready{0};
    std::thread other([&] {
        pin(cores.second);
        ready++;
        while (ready < 2)
            relax();
        second();
    });
    pin(cores.first);
    while (ready < 1)
        relax();
    double begun = now_ns();
    ready++;
    first();
    other.join();
    return now_ns() - begun;
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

} // namespace

double floor_round_trip_ns()
{
    constexpr uint64_t trips = 20000;
    Word there, back;
    double took = together_ns(
        [&] {
            for (uint64_t i = 1; i <= trips; i++) {
                there.value.store(i, std::memory_order_release);
                await(back.value, i);
            }
        },
        [&] {
            for (uint64_t i = 1; i <= trips; i++) {
                await(there.value, i);
                back.value.store(i, std::memory_order_release);
            }
        });
    return took / trips;
}

double floor_bulk_line_ns()
{
    constexpr uint64_t total = 2000;
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
