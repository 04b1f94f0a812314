/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pair.h: two threads on two cores, and how fast those cores can talk at all. */
#ifndef RBX_BENCH_PAIR_H
#define RBX_BENCH_PAIR_H

#include <cstdint>
#include <functional>

/* Two processors that this process may use; the second is the first where it has only one. */
struct Cores {
    int first, second;
};
Cores two_cores();
/* The two are hardware threads of one core, or one and the same: there was nothing better. */
bool share_a_core();

/* Which of the two is the first is for the runner to say, for a round at a time. */
void change_sides(bool swapped);

void pin(int core);
/* May use all again that the process might at its start. */
void unpin();

double now_ns();
uint64_t stamp_ns(); /* the same clock */

/* Runs both at once, each on its own core, and returns how long that took until both were done. */
double together_ns(const std::function<void()> &first, const std::function<void()> &second);

/* Of one call of `what`, by one thread that keeps its core. */
template <class What> double each_ns(uint64_t calls, const What &what)
{
    pin(two_cores().first);
    const double begun = now_ns();
    for (uint64_t i = 0; i < calls; i++)
        what();
    return (now_ns() - begun) / static_cast<double>(calls);
}

/*
 * What the two cores can do, whatever the code: the round trip of one word each way, and the time a
 * cache line takes when they go over in bulk. The least of a few tries.
 */
struct Floor {
    double trip_ns, line_ns;
};
Floor measure_floor();

/* What spinning does between two looks, for everyone here. */
inline void relax()
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
