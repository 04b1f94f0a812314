/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "results.h"

#include <algorithm>
#include <functional>

Spread spread_of(const std::vector<double> &values)
{
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    return {median(values), *least, *most};
}

const Series *Outcome::find(const std::string &contender) const
{
    for (size_t i = 0; i < series.size(); i++)
        if (of->contenders[i].name == contender && has(i))
            return &series[i];
    return nullptr;
}

/* The best figure of each round, among those that `counts` says. */
static std::vector<double> best_of(const Outcome &outcome,
                                   const std::function<bool(const Contender &)> &counts)
{
    std::vector<double> best;
    for (size_t i = 0; i < outcome.series.size(); i++) {
        const std::vector<double> &values = outcome.series[i].values;
        if (!outcome.has(i) || !counts(outcome.of->contenders[i]))
            continue;
        if (best.empty())
            best = values;
        for (size_t round = 0; round < best.size(); round++)
            best[round] = outcome.of->better == Better::more ? std::max(best[round], values[round])
                                                             : std::min(best[round], values[round]);
    }
    return best;
}

std::vector<double> Outcome::figures(const std::string &who) const
{
    if (who == best_peer)
        return best_of(*this, [](const Contender &one) { return one.role == Role::peer; });
    if (who == best_in_order)
        return best_of(
            *this, [](const Contender &one) { return one.role == Role::peer && one.keeps_order; });
    std::vector<double> all;
    if (who == itself)
        all.assign(rounds(), 1);
    else if (who == floor_trip || who == floor_line)
        for (const Floor &floor : floors)
            all.push_back(who == floor_trip ? floor.trip_ns : floor.line_ns);
    else if (const Series *one = find(who))
        all = one->values;
    return all;
}

std::vector<double> Outcome::ratios(const std::string &over, const std::string &under) const
{
    std::vector<double> all = figures(over), below = figures(under);
    if (below.size() != all.size())
        return {};
    for (size_t round = 0; round < all.size(); round++)
        all[round] /= below[round];
    return all;
}

std::vector<double> Outcome::lead() const
{
    const auto ours = std::find_if(of->contenders.begin(), of->contenders.end(),
                                   [](const Contender &one) { return one.role == Role::ours; });
    if (ours == of->contenders.end() || of->better == Better::neither)
        return {};
    return of->better == Better::more ? ratios(ours->name, best_peer)
                                      : ratios(best_peer, ours->name);
}

const Contender *Outcome::best() const
{
    const Contender *best = nullptr;
    double least = 0;
    for (size_t i = 0; i < series.size(); i++) {
        if (of->contenders[i].role != Role::peer || !has(i))
            continue;
        const double median = spread_of(series[i].values).median;
        if (!best || (of->better == Better::more ? median > least : median < least)) {
            best = &of->contenders[i];
            least = median;
        }
    }
    return best;
}

Outcome &Results::outcome(const Case &one)
{
    for (auto &outcome : outcomes)
        if (outcome->of == &one)
            return *outcome;
    outcomes.push_back(std::make_unique<Outcome>(one));
    return *outcomes.back();
}

std::vector<Verdict> Results::verdicts() const
{
    std::vector<Verdict> all;
    for (const Aim &one : aims())
        for (const auto &outcome : outcomes) {
            if (outcome->of->name != one.of)
                continue;
            const std::vector<double> ratios = outcome->ratios(one.over, one.under);
            if (ratios.empty())
                continue;
            const double value = spread_of(ratios).median;
            all.push_back(
                {&one, value,
                 one.bound.is_least ? value >= one.bound.value : value <= one.bound.value});
        }
    return all;
}

std::vector<double> Results::floors(double Floor::*which) const
{
    std::vector<double> all;
    for (const auto &outcome : outcomes)
        for (const Floor &floor : outcome->floors)
            all.push_back(floor.*which);
    return all;
}
