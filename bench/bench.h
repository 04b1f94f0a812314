/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench.h: what the benchmarks share: targets, and leaving nothing behind. */
#ifndef RBX_BENCH_BENCH_H
#define RBX_BENCH_BENCH_H

#include <string>

/*
 * The median time of benchmark `ours` should be less than `factor` times that of `bare`, taken in
 * the same run; the last lines of a run say whether it is. A factor of 0 is no target: the line
 * only reports. Returns a number, so that a variable at file scope can call it.
 */
int target(const char *what, const char *ours, const char *bare, double factor);

/*
 * The same for a ratio (or share) that benchmark `name` reports as a counter: its median over the
 * rounds should be so.
 */
struct Bound {
    bool is_least;
    double value;
};
inline Bound at_least(double value)
{
    return {true, value};
}
inline Bound at_most(double value)
{
    return {false, value};
}
int target_ratio(const std::string &what, const std::string &name, const std::string &counter,
                 Bound bound);

/* A path that is unlinked at the end, also when a signal is the end. Gives it back. */
const std::string &unlink_at_end(const std::string &path);

/* Ends the program, saying why. */
[[noreturn]] void give_up(const char *what, const char *why);

#endif
