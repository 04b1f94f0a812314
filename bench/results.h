/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* results.h: what the rounds said so far, and what follows from it. */
#ifndef RBX_BENCH_RESULTS_H
#define RBX_BENCH_RESULTS_H

#include "case.h"
#include "pair.h"

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct Spread {
    double median, least, most;
};
/* Of at least one. */
Spread spread_of(const std::vector<double> &values);

struct Series {
    std::vector<double> values;       /* one a round */
    std::unique_ptr<Histogram> times; /* of all rounds */
    std::string why;                  /* it does not work here: it takes no part; else "" */
};

/* A case's rounds. */
struct Outcome {
    const Case *of;
    std::vector<Floor> floors;  /* one a round */
    std::vector<Series> series; /* as of->contenders */
    unsigned repeated = 0;      /* rounds that did not count, since the floor moved */
    unsigned unsteady = 0;      /* that count though it did: it had each time */

    explicit Outcome(const Case &one) : of(&one), series(one.contenders.size())
    {
    }
    size_t rounds() const
    {
        return floors.size();
    }
    const Series *find(const std::string &contender) const;

    /* What contender `which` has, unless it takes no part. */
    bool has(size_t which) const
    {
        return series[which].why.empty();
    }

    /* The figures of a contender, or of what case.h has names for; none where there is no such. */
    std::vector<double> figures(const std::string &who) const;
    /* Round by round; none where one of the two was not measured. */
    std::vector<double> ratios(const std::string &over, const std::string &under) const;
    /* How often ours is as good as the best peer: more is better, whatever the unit. */
    std::vector<double> lead() const;
    /* The peer with the best median; NULL without any. */
    const Contender *best() const;
};

struct Verdict {
    const Aim *aim;
    double value;
    bool is_met;
};

struct Results {
    std::string mode;            /* "full", "quick", or "some" of the cases */
    std::string command, commit; /* what made them, of what */
    std::time_t began;
    double took_s = 0;
    bool is_complete = false;
    unsigned rounds = 0; /* as many as there should be */
    std::vector<std::unique_ptr<Outcome>> outcomes;

    Outcome &outcome(const Case &one);
    std::vector<Verdict> verdicts() const;
    /* Over all rounds of all cases. */
    std::vector<double> floors(double Floor::*which) const;
};

void print_table(const Results &results);
/* False, with errno, when that could not be written. */
bool write_json(const Results &results, const std::string &path);

/* A build that the figures of some variants come from: this one is the first. */
struct Build {
    std::string name, compiler, flags;
};
const Build &this_build();
const std::vector<Build> &builds();

#endif
