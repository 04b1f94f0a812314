/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * case.h: what is measured. A case is one question ("24-byte messages from one thread to another:
 * how long?") that several contenders answer, one after the other in every round; a round's figures
 * so belong together, whatever the machine did in the next one.
 *
 * Files of benchmarks add their cases, and what we aim at, before main():
 *
 *     int added = [] {
 *         Case &one = add_case("stream", "stream/24", "SPSC, 24 bytes", "ns/message");
 *         one.contend("ours", Role::ours, [] { return stream_ns<Ours<24>>(); });
 *         one.contend("boost", Role::peer, [] { return stream_ns<Boost<24>>(); });
 *         aim("24 bytes: best peer / ours", "stream/24", best_peer, "ours", at_least(2));
 *         return 0;
 *     }();
 */
#ifndef RBX_BENCH_CASE_H
#define RBX_BENCH_CASE_H

#include "histogram.h"
#include "schema.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/* What a contender answers in one round; it throws when it does not work here. */
struct Sample {
    double figure;
    std::shared_ptr<const Histogram> times; /* in nanoseconds, where there are many; or NULL */

    Sample(double one, std::shared_ptr<const Histogram> many = nullptr)
        : figure(one), times(std::move(many))
    {
    }
    /* The figure is the time that this share of all does not exceed. */
    Sample(std::shared_ptr<const Histogram> many, double share)
        : figure(many->at(share)), times(std::move(many))
    {
    }
};

struct Contender {
    std::string name;
    Role role;
    bool keeps_order; /* messages of one sender reach a receiver in their order */
    std::function<Sample()> run;
};

struct Case {
    std::string group, name, title, unit;
    Better better = Better::less;
    const char *kind = ""; /* of ring */
    size_t size = 0;       /* bytes of a message; 0 where that means nothing */
    unsigned senders = 0, receivers = 0, batch = 1;
    bool is_quick = false;    /* a part of the short run, too */
    bool in_builds = false;   /* ours is measured as other compilers build it, too */
    unsigned most_rounds = 0; /* where more would show no more; 0: as many as there are */
    std::deque<Contender> contenders;

    void contend(const std::string &contender, Role role, std::function<Sample()> run,
                 bool keeps_order = true)
    {
        contenders.push_back({contender, role, keeps_order, std::move(run)});
    }
};

Case &add_case(const std::string &group, const std::string &name, const std::string &title,
               const std::string &unit);
std::deque<Case> &cases();

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

/* In the place of a contender's name: the quickest peer of each round, and of those that keep the
   order; the machine's own round trip, and its time for a line in bulk; and 1. */
constexpr const char *best_peer = "best peer";
constexpr const char *best_in_order = "best peer that keeps the order";
constexpr const char *floor_trip = "floor, round trip";
constexpr const char *floor_line = "floor, line";
constexpr const char *itself = "itself";

/* What the median over the rounds of `over` / `under` should be. */
struct Aim {
    std::string what, of, over, under;
    Bound bound;
};
void aim(const std::string &what, const std::string &of, const std::string &over,
         const std::string &under, Bound bound);
const std::deque<Aim> &aims();

/* Which of the others could be built in. */
struct Peer {
    std::string name;
    bool is_present;
};
const std::vector<Peer> &peers();

#endif
