/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the slowest messages take when eight threads send to eight others on two cores. */
#include "bench.h"
#include "many.h"
#include "pair.h"
#include "tail.h"

#include <benchmark/benchmark.h>

#include <string>

namespace
{

constexpr Shape shape = {8, 8};
constexpr std::chrono::milliseconds duration{1000};

template <class Queue> double tail_us(benchmark::State &state, const std::string &prefix)
{
    const Histogram all = delays<Queue>(shape, duration);
    struct Share {
        const char *name;
        double share;
    };
    for (Share one : {Share{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}})
        state.counters[prefix + one.name] = all.at(one.share) / 1e3;
    state.counters[prefix + "max"] = all.most() / 1e3;
    state.counters[prefix + "messages"] = all.count();
    return all.at(0.9999) / 1e3;
}

/* In microseconds. */
void tail(benchmark::State &state)
{
    for (auto _ : state) {
        double usual = tail_us<many::Ours<8>>(state, "");
        double strict = tail_us<many::Strict<8>>(state, "strict_");
        state.SetIterationTime(usual / 1e6);
        report(state, {{"ratio", strict / usual}});
    }
}

int t1 = target_ratio("8x8, 99.99th percentile: strict / default", "tail", "ratio", at_most(0.5));

BENCHMARK(tail)->UseManualTime()->Iterations(1);

} // namespace
