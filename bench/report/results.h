/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* results.h: what a run of the bench wrote down. Times are in nanoseconds. */
#ifndef RBX_REPORT_RESULTS_H
#define RBX_REPORT_RESULTS_H

#include "../schema.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace report
{

struct Spread {
    double median = 0, min = 0, max = 0;
    std::vector<double> values; /* one per round, where they were written */
};

/* What the machine itself took: a word there and back, and a line one way in bulk. */
struct Floor {
    std::optional<Spread> round_trip, line;
};

/* How many of a hundred (thousand...) are worse than the value; "max" is all but none. */
struct Percentiles {
    std::vector<std::pair<double, double>> points; /* 1 / (1 - p), ns; in rising order */
    std::vector<std::string> names;                /* "p99.9", as written */
    double max = 0, count = 0;
};

struct Contender : Spread {
    std::string name;
    Role role = Role::note;
    bool keeps_order = true;
    std::optional<Percentiles> percentiles;
};

struct Case {
    std::string group, name, title, unit, kind;
    double size = 0, senders = 0, receivers = 0, batch = 0; /* 0: it has none */
    double repeated = 0,
           unsteady = 0; /* rounds that do not count, and that do, though the floor moved */
    Better better = Better::less;
    Floor floor;
    std::vector<Contender> contenders;
    std::string best_peer; /* empty: nobody to compare with */
    /* How many times better ours is than the best peer of the same round; 1 is a draw. */
    std::optional<Spread> ratio;
};

struct Target {
    std::string what, of;
    double value = 0, bound = 0;
    bool is_least = true, met = false;
};

struct Peer {
    std::string name;
    bool present = false;
};

struct Build {
    std::string name, compiler, flags;
};

struct Results {
    std::string file; /* where it was read from */
    std::string version, commit, began, mode, command;
    double took_s = 0;
    bool complete = false;
    std::string cpu, kernel, libc;
    std::vector<int> cores;
    bool one_core = false; /* these are hardware threads of one */
    std::vector<Build> builds;
    std::vector<Peer> peers;
    Floor floor;
    std::vector<Case> cases;
    std::vector<Target> targets;
};

/* Throws a Complaint that names the file and the place in it. */
Results read_results(const std::string &path);

/* What a reader of tables and pictures wants: ours by its name, and who keeps no order marked. */
void name_for_people(Results &results);

/* The contender that a case is about; null if the file has none. */
const Contender *ours(const Case &c);

/* The groups in the order in which they first appear. */
std::vector<std::string> groups(const Results &results);
std::vector<const Case *> cases_of(const Results &results, const std::string &group);

/* Whether smaller is better and it is a time a message: then a rate says the same. */
bool is_time_a_message(const Case &c);

/* "2 x 2, 24 bytes": what tells each from its neighbours; whole titles where that does not. */
std::vector<std::string> short_titles(const std::vector<const Case *> &cases);

/* The most rounds that a contender has. */
size_t rounds(const Results &results);

} // namespace report

#endif
