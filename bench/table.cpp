/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The results for a terminal: group by group, case by case, ours before the others. */
#include "results.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace
{

constexpr int name_width = 30;

std::string number(double value)
{
    char text[32];
    std::snprintf(text, sizeof text, value < 100 ? "%.3g" : value < 1e6 ? "%.0f" : "%.3g", value);
    return text;
}

void print_contender(const Outcome &outcome, size_t which)
{
    const Contender &one = outcome.of->contenders[which];
    const Series &series = outcome.series[which];
    if (!outcome.has(which)) {
        std::printf("  %-*s takes no part: %s\n", name_width, one.name.c_str(), series.why.c_str());
        return;
    }
    const Spread spread = spread_of(series.values);
    std::printf("  %-*s %9s  %9s to %-9s", name_width, one.name.c_str(),
                number(spread.median).c_str(), number(spread.least).c_str(),
                number(spread.most).c_str());
    if (series.times)
        for (double share : {0.5, 0.99, 0.999, 0.9999, 0.99999})
            std::printf(" %8s", number(series.times->at(share)).c_str());
    if (one.role == Role::peer && !one.keeps_order)
        std::printf("  may reorder");
    std::printf("\n");
}

void print_case(const Outcome &outcome)
{
    const Case &one = *outcome.of;
    const Spread trip = spread_of(outcome.figures(floor_trip));
    const Spread line = spread_of(outcome.figures(floor_line));
    std::printf("\n%s: %s, in %s\n", one.name.c_str(), one.title.c_str(), one.unit.c_str());
    std::printf("  %-*s %9s  %9s to %-9s", name_width, "", "median", "least", "most");
    const auto has_times = [](const Series &series) { return series.times != nullptr; };
    if (std::any_of(outcome.series.begin(), outcome.series.end(), has_times))
        std::printf(" %8s %8s %8s %8s %8s", "p50", "p99", "p99.9", "p99.99", "p99.999");
    std::printf("\n");
    for (size_t i = 0; i < outcome.series.size(); i++)
        print_contender(outcome, i);
    const std::vector<double> lead = outcome.lead();
    if (!lead.empty()) {
        const Spread times = spread_of(lead);
        std::printf("  best peer of each round / ours: %s (%s to %s; by the median: %s)%s;",
                    number(times.median).c_str(), number(times.least).c_str(),
                    number(times.most).c_str(), outcome.best()->name.c_str(),
                    one.better == Better::more ? ", upside down, since more is better" : "");
    } else {
        std::printf(" ");
    }
    std::printf(" floor: round trip %s, line %s ns; %zu round%s", number(trip.median).c_str(),
                number(line.median).c_str(), outcome.rounds(), outcome.rounds() == 1 ? "" : "s");
    if (outcome.repeated)
        std::printf(", %u more did not count: the floor moved", outcome.repeated);
    if (outcome.unsteady)
        std::printf(", but it did in %u of these, too", outcome.unsteady);
    std::printf("\n");
}

} // namespace

void print_table(const Results &results)
{
    if (results.outcomes.empty()) {
        std::printf("nothing was measured\n");
        return;
    }
    for (const auto &outcome : results.outcomes)
        print_case(*outcome);
    std::printf("\n");
    size_t met = 0;
    const std::vector<Verdict> verdicts = results.verdicts();
    for (const Verdict &one : verdicts) {
        std::printf("%-6s  %s: %s (%s %s)\n", one.is_met ? "met" : "MISSED", one.aim->what.c_str(),
                    number(one.value).c_str(), one.aim->bound.is_least ? "at least" : "at most",
                    number(one.aim->bound.value).c_str());
        met += one.is_met;
    }
    const Spread trip = spread_of(results.floors(&Floor::trip_ns));
    const Spread line = spread_of(results.floors(&Floor::line_ns));
    std::printf("%zu of %zu targets met. The machine's floor: a word there and back %s ns (%s to "
                "%s), a line in bulk %s ns (%s to %s).\n",
                met, verdicts.size(), number(trip.median).c_str(), number(trip.least).c_str(),
                number(trip.most).c_str(), number(line.median).c_str(), number(line.least).c_str(),
                number(line.most).c_str());
    for (const Peer &one : peers())
        if (!one.is_present)
            std::printf("MISSING: %s, which was not installed when this was built\n",
                        one.name.c_str());
    if (share_a_core())
        std::printf("NOTE: both processors are hardware threads of one core: to them a line does "
                    "not cross, and nothing here is about two cores\n");
    if (!results.is_complete)
        std::printf("INCOMPLETE: stopped after %.0f s; there should have been %u rounds\n",
                    results.took_s, results.rounds);
}
