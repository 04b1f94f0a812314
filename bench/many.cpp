/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How fast many threads can send to many, on two cores: ns a message, ours and the others one after
 * the other in each round, so that a round's ratio holds whatever the machine did meanwhile.
 */
#include "bench.h"
#include "crowd.h"
#include "many-bare.h"
#include "many.h"
#include "pair.h"
#include "rivals.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace
{

constexpr uint64_t messages = 1000000;
constexpr Shape shapes[] = {{1, 1}, {2, 2}, {4, 4}, {4, 1}};

template <class Queue, size_t size, size_t batch = 1>
double ordered_ns(const char *name, Shape shape, uint64_t total = messages)
{
    const Crossing crossing = cross<Queue, Message<size>, batch>(name, shape, total);
    if (crossing.behind > 0)
        give_up(name, "messages overtook others of the same sender");
    return crossing.ns;
}

struct Contender {
    std::string name;
    bool is_rival, keeps_order;
    std::function<double()> ns;
};

template <size_t size> std::vector<Contender> contenders(Shape shape)
{
    std::vector<Contender> all;
    auto ours = [&](const char *name, auto type) {
        typedef typename decltype(type)::type Queue;
        all.push_back({name, false, true, [=] { return ordered_ns<Queue, size>(name, shape); }});
    };
    ours("ours", Type<many::Ours<size>>());
    rivals::for_each<size>(shape.senders, [&](const char *name, bool keeps_order, auto type) {
        typedef typename decltype(type)::type Queue;
        all.push_back({name, true, keeps_order, [=] {
                           return keeps_order
                                      ? ordered_ns<Queue, size>(name, shape)
                                      : cross<Queue, Message<size>>(name, shape, messages).ns;
                       }});
    });
    ours("polling", Type<many::Polled<size>>());
    ours("strict", Type<many::Strict<size>>());
    if constexpr (size == 8)
        ours("mutex", Type<many::Mutex>());
    return all;
}

/* All of them twice, forth and back, so that a drift of the machine's in that second or two is
   nobody's gain. */
template <size_t size> void table(benchmark::State &state, Shape shape)
{
    const std::vector<Contender> all = contenders<size>(shape);
    for (auto _ : state) {
        std::map<std::string, double> ns;
        for (auto one = all.begin(); one != all.end(); one++)
            ns[one->name] += one->ns() / 2;
        for (auto one = all.rbegin(); one != all.rend(); one++)
            ns[one->name] += one->ns() / 2;
        const double ours = ns.at("ours");
        double best = std::numeric_limits<double>::infinity(), best_in_order = best;
        for (const Contender &one : all) {
            const double figure = ns.at(one.name);
            state.counters[one.name] = figure;
            if (one.is_rival)
                best = std::min(best, figure);
            if (one.is_rival && one.keeps_order)
                best_in_order = std::min(best_in_order, figure);
        }
        state.SetIterationTime(ours * messages / 1e9);
        report(state, {{"best", best},
                       {"best_in_order", best_in_order},
                       {"ratio", best / ours},
                       {"in_order_ratio", best_in_order / ours},
                       {"strict_ratio", ours / ns.at("strict")}});
        if (size == 8)
            report(state, {{"mutex_ratio", ns.at("mutex") / ours}});
    }
}

/* Batches of 16, on both sides. */
void batches(benchmark::State &state, Shape shape)
{
    for (auto _ : state) {
        double single = ordered_ns<many::Ours<8>, 8>("ours", shape);
        double batched = ordered_ns<many::Ours<8>, 8, 16>("batches", shape);
        state.SetIterationTime(batched * messages / 1e9);
        report(state, {{"single", single}, {"batches", batched}, {"ratio", single / batched}});
    }
}

/* What the intent costs: little beside what one run differs from the next by, so there are many, by
   turns. */
void intent(benchmark::State &state, Shape shape)
{
    constexpr int pairs = 61;
    constexpr uint64_t some = messages / 2;
    for (auto _ : state) {
        double ours = 0, bare = 0;
        for (int i = 0; i < 2 * pairs; i++)
            if (i % 4 == 0 || i % 4 == 3)
                ours += ordered_ns<many::Ours<8>, 8>("ours", shape, some) / pairs;
            else
                bare += cross_bare(shape, some).ns / pairs;
        state.SetIterationTime(ours * some / 1e9);
        report(state, {{"ours", ours}, {"bare", bare}, {"ratio", ours / bare}});
    }
}

/* --- Their names, and what we aim at --- */

template <class Run> void add(const std::string &name, Run run)
{
    benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(1);
}

template <size_t size> void add_table()
{
    for (Shape shape : shapes) {
        const std::string what = shape_name(shape) + ", " + std::to_string(size) + " bytes: ";
        const std::string name = "many/" + std::to_string(size) + "/" + shape_name(shape);
        add(name, [shape](benchmark::State &state) { table<size>(state, shape); });
        if (size == 8) {
            target_ratio(what + "best rival / ours", name, "ratio", at_least(1.3));
            target_ratio(what + "messages a second, strict / default", name, "strict_ratio",
                         at_least(0.4));
            target_ratio(what + "mutex / ours", name, "mutex_ratio", at_least(5));
        } else {
            target_ratio(what + "best rival that keeps the order / ours", name, "in_order_ratio",
                         at_least(1));
        }
    }
}

int added = [] {
    add_table<8>();
    add_table<24>();
    add_table<56>();
    for (Shape shape : {shapes[0], shapes[1]}) {
        const std::string what = shape_name(shape) + ", 8 bytes: ";
        const std::string batched = "many/batches/" + shape_name(shape);
        add(batched, [shape](benchmark::State &state) { batches(state, shape); });
        target_ratio(what + "single / batches of 16", batched, "ratio", at_least(2));
        const std::string name = "many/intent/" + shape_name(shape);
        add(name, [shape](benchmark::State &state) { intent(state, shape); });
        target_ratio(what + "with the intent / without", name, "ratio", at_most(1.05));
    }
    return 0;
}();

} // namespace
