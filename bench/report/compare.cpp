/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "compare.h"
#include "text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace report
{

namespace
{

constexpr double tenth = 1.1;       /* what medians must differ by */
constexpr double floor_moves = 1.5; /* from here on the bench repeats a round */
constexpr double rare = 1000;       /* chance alone, once in so many */

/* One ratio of one contender; `values` is per round, and larger is better. */
struct Ratio {
    std::string against;
    Spread spread;
    bool counted = false;  /* bytes: exact, in however many rounds */
    bool of_peers = false; /* means the same only among the same peers */
};

enum class Verdict { same, better, worse, noise, few, other_machine, other_peers };

const char *say(Verdict verdict)
{
    switch (verdict) {
    case Verdict::same:
        return "the same";
    case Verdict::better:
        return "better";
    case Verdict::worse:
        return "WORSE";
    case Verdict::noise:
        return "within the noise";
    case Verdict::few:
        return "not judged: too few rounds";
    case Verdict::other_machine:
        return "not judged: the floor moved";
    case Verdict::other_peers:
        return "not judged: other peers";
    }
    return "";
}

/* What of the floor a case stands on; null where it does not: what sleeps or is alone,
 * and the slowest of many, which is the scheduler's. */
const std::optional<Spread> *floor_of(const Results &results, const Case &c)
{
    static const std::set<std::string> bulk = {"stream", "batches", "place", "processes", "builds"};
    static const std::set<std::string> words = {"many", "trip", "rate"};
    auto pick = [&](auto which) -> const std::optional<Spread> * {
        return c.floor.*which ? &(c.floor.*which) : &(results.floor.*which);
    };
    if (c.unit.compare(0, 2, "ns") != 0)
        return nullptr;
    const std::optional<Spread> *floor = bulk.count(c.group)    ? pick(&Floor::line)
                                         : words.count(c.group) ? pick(&Floor::round_trip)
                                                                : nullptr;
    return floor && *floor && (*floor)->median > 0 ? floor : nullptr;
}

/* top / bottom, round by round. */
std::optional<Spread> per_round(const std::vector<double> &top, const std::vector<double> &bottom)
{
    if (top.empty() || top.size() != bottom.size())
        return std::nullopt;
    Spread ratio;
    for (size_t i = 0; i < top.size(); i++) {
        if (!(top[i] > 0 && bottom[i] > 0))
            return std::nullopt;
        ratio.values.push_back(top[i] / bottom[i]);
    }
    auto [least, most] = std::minmax_element(ratio.values.begin(), ratio.values.end());
    ratio.median = median(ratio.values);
    ratio.min = *least;
    ratio.max = *most;
    return ratio;
}

/* How many times better: `ours` took less, or did more, than `other`. */
std::optional<Spread> times_better(const Case &c, const std::vector<double> &other,
                                   const std::vector<double> &ours)
{
    return c.better == Better::more ? per_round(ours, other) : per_round(other, ours);
}

void against_floor(const Results &results, const Case &c, const Contender &of,
                   std::vector<Ratio> &to)
{
    const std::optional<Spread> *floor = floor_of(results, c);
    if (!floor)
        return;
    /* Without the floor of each round, that of the case: the floor's moves are then in the spread.
     */
    std::vector<double> values = (*floor)->values;
    if (values.size() != of.values.size())
        values.assign(of.values.size(), (*floor)->median);
    if (std::optional<Spread> ratio = times_better(c, values, of.values))
        to.push_back({"floor", *ratio, false, false});
}

void against_others(const Case &c, const Contender &of, std::vector<Ratio> &to)
{
    const Contender *it = ours(c);
    if (c.ratio && it && c.ratio->values.size() == of.values.size() &&
        it->values.size() == of.values.size()) {
        /* best / ours, times ours, is what the best took: the file does not say it otherwise. */
        std::vector<double> best = it->values;
        for (size_t i = 0; i < best.size(); i++)
            best[i] *= c.better == Better::more ? 1 / c.ratio->values[i] : c.ratio->values[i];
        if (std::optional<Spread> ratio = times_better(c, best, of.values))
            to.push_back({"best peer", *ratio, false, true});
    } else if (c.ratio && it == &of) {
        to.push_back({"best peer", *c.ratio, false, true});
    }
    if (c.ratio)
        return;
    for (const Contender &other : c.contenders)
        if (other.role == Role::baseline)
            if (std::optional<Spread> ratio = times_better(c, other.values, of.values)) {
                to.push_back({shortened(one_line(other.name), 20), *ratio, false, false});
                return;
            }
}

void against_itself(const Case &c, const Contender &of, std::vector<Ratio> &to)
{
    if (c.unit.compare(0, 4, "byte") == 0 && of.median > 0 && of.min > 0)
        to.push_back({"1 byte", {1 / of.median, 1 / of.max, 1 / of.min, {}}, true, false});
}

std::vector<Ratio> ratios(const Results &results, const Case &c, const Contender &of)
{
    std::vector<Ratio> all;
    if (c.better == Better::neither)
        return all;
    against_floor(results, c, of, all);
    against_others(c, of, all);
    against_itself(c, of, all);
    return all;
}

/* In one of how many orders of so many rounds of the same thing would all of the latter be below.
 */
double orders(size_t before, size_t after)
{
    double count = 1;
    for (size_t i = 1; i <= after; i++)
        count *= static_cast<double>(before + i) / static_cast<double>(i);
    return before && after ? count : 1;
}

Verdict judge_counted(const Spread &before, const Spread &after)
{
    if (after.max < before.min)
        return Verdict::worse;
    return after.min > before.max ? Verdict::better : Verdict::same;
}

Verdict judge(const Spread &before, const Spread &after)
{
    if (orders(before.values.size(), after.values.size()) < rare)
        return Verdict::few; /* could not be found worse: to call it the same would be no news */
    double change = after.median / before.median;
    if (change > 1 / tenth && change < tenth)
        return Verdict::same;
    if (after.max >= before.min && after.min <= before.max)
        return Verdict::noise;
    return change < 1 ? Verdict::worse : Verdict::better;
}

bool is_judged(const Contender &contender)
{
    return contender.role == Role::ours || contender.role == Role::variant;
}

const Contender *find(const Case &c, const Contender &like)
{
    for (const Contender &contender : c.contenders)
        if (contender.name == like.name && contender.role == like.role)
            return &contender;
    return nullptr;
}

bool floor_moved(const Results &before, const Case &a, const Results &after, const Case &b)
{
    const std::optional<Spread> *was = floor_of(before, a), *is = floor_of(after, b);
    if (!was || !is)
        return false;
    double move = (*is)->median / (*was)->median;
    return move > floor_moves || move < 1 / floor_moves;
}

std::set<std::string> peers_in(const Case &c)
{
    std::set<std::string> all;
    for (const Contender &contender : c.contenders)
        if (contender.role == Role::peer)
            all.insert(contender.name);
    return all;
}

std::string change_of(const Spread &before, const Spread &after)
{
    double percent = (after.median / before.median - 1) * 100;
    std::string shown = number(std::fabs(percent), percent < 10 && percent > -10 ? 2 : 3);
    return (percent < 0 ? "-" : "+") + shown + "%";
}

std::string range_of(const Spread &ratio)
{
    return number(ratio.min) + ".." + number(ratio.max);
}

/* The table and what is counted in it. */
class Table
{
  public:
    Table()
    {
        rows.push_back({"case", "whose", "against", "A", "A's rounds", "B", "B's rounds", "change",
                        "verdict"});
    }

    void add(const Case &c, const Contender &of, const Ratio &a, const Ratio &b, Verdict verdict)
    {
        counts[verdict]++;
        if (verdict == Verdict::worse)
            worse.push_back(one_line(c.name) + " (" + one_line(of.name) + ") against " + a.against +
                            ": " + number(a.spread.median) + " was, " + number(b.spread.median) +
                            " is");
        bool bytes = a.counted; /* these read better upright */
        auto upright = [&](const Spread &s) {
            return bytes ? Spread{1 / s.median, 1 / s.max, 1 / s.min, {}} : s;
        };
        rows.push_back({one_line(c.name), shortened(one_line(of.name), 24),
                        bytes ? "itself, bytes" : a.against, number(upright(a.spread).median),
                        range_of(upright(a.spread)), number(upright(b.spread).median),
                        range_of(upright(b.spread)),
                        change_of(upright(a.spread), upright(b.spread)), say(verdict)});
    }

    std::string text() const
    {
        return columns(rows, {false, false, false, true, true, true, true, true, false});
    }

    size_t judged() const
    {
        size_t sum = 0;
        for (Verdict v : {Verdict::same, Verdict::better, Verdict::worse, Verdict::noise})
            sum += count(v);
        return sum;
    }

    size_t count(Verdict verdict) const
    {
        auto found = counts.find(verdict);
        return found == counts.end() ? 0 : found->second;
    }

    std::vector<std::string> worse;

  private:
    std::vector<std::vector<std::string>> rows;
    std::map<Verdict, size_t> counts;
};

void compare_case(const Results &before, const Case &a, const Results &after, const Case &b,
                  Table &table, std::vector<std::string> &alone)
{
    bool moved = floor_moved(before, a, after, b), same_peers = peers_in(a) == peers_in(b);
    for (const Contender &was : a.contenders) {
        if (!is_judged(was))
            continue;
        const Contender *is = find(b, was);
        if (!is) {
            alone.push_back(one_line(a.name + ", " + was.name) + ": in A only");
            continue;
        }
        std::vector<Ratio> then = ratios(before, a, was), now = ratios(after, b, *is);
        for (const Ratio &old : then)
            for (const Ratio &current : now)
                if (old.against == current.against)
                    table.add(a, was, old, current,
                              old.counted ? judge_counted(old.spread, current.spread)
                              : moved     ? Verdict::other_machine
                              : old.of_peers && !same_peers ? Verdict::other_peers
                                                            : judge(old.spread, current.spread));
    }
    for (const Contender &is : b.contenders)
        if (is_judged(is) && !find(a, is))
            alone.push_back(one_line(b.name + ", " + is.name) + ": in B only");
}

const Case *find(const Results &results, const std::string &name)
{
    for (const Case &c : results.cases)
        if (c.name == name)
            return &c;
    return nullptr;
}

std::string head(const char *letter, const Results &results)
{
    std::string text = std::string(letter) + " is " + one_line(results.file) + ": ringbox " +
                       one_line(results.version) + ", commit " + one_line(results.commit) +
                       ", begun " + one_line(results.began) + ", on " + one_line(results.cpu) +
                       ", at most " + std::to_string(rounds(results)) + " rounds.\n";
    if (!results.complete)
        text += std::string(letter) +
                " is INCOMPLETE: the run was interrupted; what it has is compared.\n";
    return text;
}

std::string listed(const std::string &what, const std::vector<std::string> &items)
{
    std::string text = items.empty() ? "" : "\n" + what + "\n";
    for (const std::string &item : items)
        text += "  " + item + "\n";
    return text;
}

std::string differences(const Results &before, const Results &after)
{
    std::string text;
    if (before.cpu != after.cpu)
        text += "The machines differ: ratios may differ for that alone.\n";
    auto same = [](const Build &a, const Build &b) {
        return a.name == b.name && a.compiler == b.compiler && a.flags == b.flags;
    };
    if (!std::equal(before.builds.begin(), before.builds.end(), after.builds.begin(),
                    after.builds.end(), same))
        text += "The compilers or their flags differ: what differs may be theirs.\n";
    return text;
}

std::string summary(const Table &table)
{
    auto times = [&](Verdict v) { return std::to_string(table.count(v)); };
    size_t left = table.count(Verdict::few) + table.count(Verdict::other_machine) +
                  table.count(Verdict::other_peers);
    std::string text =
        "\n" + std::to_string(table.judged()) + " ratios judged: " + times(Verdict::worse) +
        " worse, " + times(Verdict::better) + " better, " + times(Verdict::same) + " the same, " +
        times(Verdict::noise) + " within the noise; " + std::to_string(left) + " not judged.\n";
    if (table.count(Verdict::few))
        text += "Too few rounds: seven in each file would do.\n";
    if (table.count(Verdict::other_machine))
        text += "The floor moved: it is more than 1.5 times the other's, as on other cores; run "
                "again.\n";
    if (table.judged() == 0)
        text += "Nothing could be judged, so nothing is known.\n";
    return text;
}

} // namespace

Comparison compare(const Results &before, const Results &after)
{
    Table table;
    std::vector<std::string> alone, undirected;
    for (const Case &a : before.cases) {
        const Case *b = find(after, a.name);
        if (!b)
            alone.push_back(one_line(a.name) + ": in A only");
        else if (a.unit != b->unit || a.better != b->better)
            alone.push_back(one_line(a.name) + ": not the same thing in A and B, by its unit");
        else if (a.better == Better::neither)
            undirected.push_back(one_line(a.name));
        else
            compare_case(before, a, after, *b, table, alone);
    }
    for (const Case &b : after.cases)
        if (!find(before, b.name))
            alone.push_back(one_line(b.name) + ": in B only");

    std::string text = head("A", before) + head("B", after) + differences(before, after) +
                       "Each number says how many times better ours is than what it is compared "
                       "with; larger is better, but for bytes.\n\n" +
                       table.text() + listed("Not in both:", alone) +
                       listed("Neither more nor less is better, so not compared:", undirected) +
                       summary(table) + listed("Worse:", table.worse);
    return {text, !table.worse.empty() ? 1 : table.judged() == 0 ? 2 : 0};
}

} // namespace report
