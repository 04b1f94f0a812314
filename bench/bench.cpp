/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bench.h"

#include <benchmark/benchmark.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{

struct Target {
    const char *what;
    const char *ours;
    const char *bare;
    double factor;
};

struct RatioTarget {
    std::string what;
    std::string name;
    std::string counter;
    Bound bound;
};

/* Other files add to them before main(). */
std::vector<RatioTarget> &ratio_targets()
{
    static std::vector<RatioTarget> all;
    return all;
}

std::vector<Target> &targets()
{
    static std::vector<Target> all;
    return all;
}

/* The console's table, and a note of each median. */
class Reporter : public benchmark::ConsoleReporter
{
  public:
    Reporter() : ConsoleReporter(OO_None)
    {
    }

    void ReportRuns(const std::vector<Run> &runs) override
    {
        ConsoleReporter::ReportRuns(runs);
        for (const Run &run : runs)
            if (run.aggregate_name == "median") {
                counters[run.run_name.function_name] = run.counters;
                medians[run.run_name.function_name] =
                    run.GetAdjustedRealTime() / benchmark::GetTimeUnitMultiplier(run.time_unit) *
                    1e6;
            }
    }

    void report_targets() const
    {
        for (const Target &t : targets()) {
            auto ours = medians.find(t.ours), bare = medians.find(t.bare);
            if (ours == medians.end() || bare == medians.end())
                continue;
            double ratio = ours->second / bare->second;
            std::printf("%s: %.1f us, bare %.1f us, ratio %.1f", t.what, ours->second, bare->second,
                        ratio);
            if (t.factor > 0)
                std::printf(" (target < %g%s)", t.factor, ratio < t.factor ? "" : ": MISSED");
            std::printf("\n");
        }
        for (const RatioTarget &t : ratio_targets()) {
            auto run = counters.find(t.name);
            if (run == counters.end() || run->second.count(t.counter) == 0)
                continue;
            double value = run->second.at(t.counter);
            bool met = t.bound.is_least ? value >= t.bound.value : value <= t.bound.value;
            std::printf("%s: %.3g (target %s %g%s)\n", t.what.c_str(), value,
                        t.bound.is_least ? ">=" : "<=", t.bound.value, met ? "" : ": MISSED");
        }
    }

  private:
    std::map<std::string, double> medians; /* in microseconds */
    std::map<std::string, benchmark::UserCounters> counters;
};

/* For the signal handler: fixed before the first benchmark runs, so it needs no lock. */
constexpr int most_paths = 16;
const char *volatile paths[most_paths];

void unlink_all()
{
    for (const char *path : paths)
        if (path)
            unlink(path);
}

void unlink_and_die(int number)
{
    unlink_all();
    std::signal(number, SIG_DFL);
    std::raise(number);
}

} // namespace

int target(const char *what, const char *ours, const char *bare, double factor)
{
    targets().push_back({what, ours, bare, factor});
    return 0;
}

int target_ratio(const std::string &what, const std::string &name, const std::string &counter,
                 Bound bound)
{
    ratio_targets().push_back({what, name, counter, bound});
    return 0;
}

const std::string &unlink_at_end(const std::string &path)
{
    static std::deque<std::string> kept; /* its elements stay where they are */
    if (kept.size() == most_paths)
        give_up(path.c_str(), "too many paths");
    kept.push_back(path);
    paths[kept.size() - 1] = kept.back().c_str();
    return kept.back();
}

void give_up(const char *what, const char *why)
{
    std::fprintf(stderr, "bench: %s: %s\n", what, why);
    unlink_all();
    std::_Exit(1);
}

/* Ours and bare by turns, often enough that the medians mean something; arguments override. */
int main(int count, char **arguments)
{
    std::string defaults[] = {"--benchmark_enable_random_interleaving=true",
                              "--benchmark_repetitions=7",
                              "--benchmark_report_aggregates_only=true"};
    std::vector<char *> all{arguments[0]};
    for (std::string &argument : defaults)
        all.push_back(argument.data());
    all.insert(all.end(), arguments + 1, arguments + count);
    int total = static_cast<int>(all.size());
    all.push_back(nullptr);
    benchmark::Initialize(&total, all.data());
    if (benchmark::ReportUnrecognizedArguments(total, all.data()))
        return 2;

    for (int number : {SIGINT, SIGTERM, SIGHUP})
        std::signal(number, unlink_and_die);
    Reporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    unlink_all();
    reporter.report_targets();
}
