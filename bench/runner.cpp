/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "runner.h"

#include "bench.h"
#include "progress.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <exception>
#include <optional>

namespace
{

/* google-benchmark runs them; what came out is kept here, and shown at the end. */
class Quiet : public benchmark::BenchmarkReporter
{
  public:
    bool ReportContext(const Context &) override
    {
        return true;
    }
    void ReportRuns(const std::vector<Run> &) override
    {
    }
};

/* --- A round of a case --- */

constexpr double steady = 1.5; /* a floor that moves by more is another machine */
constexpr unsigned most_repeats = 3;

bool has_moved(const Floor &before, const Floor &after)
{
    auto moved = [](double a, double b) { return std::max(a, b) > steady * std::min(a, b); };
    return moved(before.trip_ns, after.trip_ns) || moved(before.line_ns, after.line_ns);
}

Floor between(const Floor &before, const Floor &after)
{
    return {(before.trip_ns + after.trip_ns) / 2, (before.line_ns + after.line_ns) / 2};
}

/* Who comes first in one round comes last in the next, and cores change sides every second one: so
   a drift of the machine's, or a core's own speed, is nobody's gain. */
std::vector<size_t> order_of(size_t count, unsigned round)
{
    std::vector<size_t> order(count);
    for (size_t i = 0; i < count; i++)
        order[i] = round % 2 ? count - 1 - i : i;
    return order;
}

/* False: told to stop. */
bool try_round(Outcome &outcome, unsigned round, std::vector<std::optional<Sample>> &samples)
{
    const Case &one = *outcome.of;
    samples.assign(one.contenders.size(), std::nullopt);
    for (size_t i : order_of(samples.size(), round)) {
        if (is_told_to_stop())
            return false;
        if (!outcome.has(i))
            continue;
        unpin();
        try {
            samples[i] = one.contenders[i].run();
        } catch (const std::exception &error) {
            if (is_told_to_stop())
                return false;
            if (one.contenders[i].role != Role::peer)
                give_up(one.contenders[i].name.c_str(), error.what());
            outcome.series[i] = {};
            outcome.series[i].why = error.what();
        }
    }
    return true;
}

void run_round(Outcome &outcome, unsigned round)
{
    change_sides(round / 2 % 2);
    for (unsigned repeats = 0;; repeats++) {
        const Floor before = measure_floor();
        std::vector<std::optional<Sample>> samples;
        if (!try_round(outcome, round, samples))
            return;
        const Floor after = measure_floor();
        if (has_moved(before, after) && repeats < most_repeats) {
            outcome.repeated++;
            continue;
        }
        outcome.unsteady += has_moved(before, after);
        outcome.floors.push_back(between(before, after));
        for (size_t i = 0; i < samples.size(); i++) {
            Series &series = outcome.series[i];
            if (!outcome.has(i))
                continue;
            series.values.push_back(samples[i]->figure);
            if (!samples[i]->times)
                continue;
            if (!series.times)
                series.times = std::make_unique<Histogram>();
            series.times->add(*samples[i]->times);
        }
        return;
    }
}

} // namespace

void run_rounds(Results &results, unsigned rounds, const std::vector<const Case *> &chosen)
{
    unsigned round = 0;
    Progress progress(rounds);
    for (const Case *one : chosen) {
        auto run = [&, one](benchmark::State &state) {
            for (auto _ : state) {
                if (is_told_to_stop() || (one->most_rounds && round >= one->most_rounds))
                    continue;
                progress.begin(one->name, round);
                run_round(results.outcome(*one), round);
                progress.end();
            }
        };
        benchmark::RegisterBenchmark(one->name.c_str(), run)->Iterations(1)->UseRealTime();
        progress.expect(one->name, one->most_rounds ? std::min(one->most_rounds, rounds) : rounds);
    }
    Quiet quiet;
    for (; round < rounds && !is_told_to_stop(); round++)
        benchmark::RunSpecifiedBenchmarks(&quiet);
    progress.clear();
    results.rounds = rounds;
    results.is_complete = !is_told_to_stop();
    results.took_s = progress.seconds();
    auto is_empty = [](const auto &outcome) { return outcome->rounds() == 0; };
    results.outcomes.erase(
        std::remove_if(results.outcomes.begin(), results.outcomes.end(), is_empty),
        results.outcomes.end());
}
