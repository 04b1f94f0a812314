/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pair.h: two threads on two cores, and how fast those cores can talk at all. */
#ifndef RBX_BENCH_PAIR_H
#define RBX_BENCH_PAIR_H

#include <cstdint>
#include <functional>
#include <initializer_list>

#include <benchmark/benchmark.h>

/* Two processors that this process may use; the second is the first where it has only one. */
struct Cores {
    int first, second;
};
Cores two_cores();
void pin(int core);

double now_ns();

/* Runs both at once, each on its own core, and returns how long that took until both were done.
   The cores change sides from call to call. */
double together_ns(const std::function<void()> &first, const std::function<void()> &second);

/*
 * What the two cores can do, whatever the code: the round trip of one word each way, and the time a
 * cache line takes when they go over in bulk.
 */
double floor_round_trip_ns();
double floor_bulk_line_ns();

/* What spinning does between two looks, for everyone here. */
inline void relax()
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* One figure of a round for each name; google-benchmark takes the medians over the rounds. */
struct Figure {
    const char *name;
    double value;
};
inline void report(benchmark::State &state, std::initializer_list<Figure> figures)
{
    for (const Figure &figure : figures)
        state.counters[figure.name] = figure.value;
}

/* Enough rounds for a median, the same contenders one after the other in each. */
constexpr int rounds = 15;

#endif
