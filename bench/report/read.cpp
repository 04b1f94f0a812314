/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The file comes from anywhere: what a later picture or ratio relies on is checked here, and what
 * is missing or of another kind is named with its place.
 */
#include "results.h"
#include "text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

namespace report
{

namespace
{

using nlohmann::json;

/* A value in the file and the way to it: cases[3].contenders[0].median. */
class Place
{
  public:
    Place(const json &there, std::string of, std::string to)
        : value(there), file(std::move(of)), way(std::move(to))
    {
    }

    [[noreturn]] void complain(const std::string &why) const
    {
        throw Complaint(one_line(file) + ": " + (way.empty() ? "the whole" : way) + " " + why +
                        ".");
    }

    /* The member, or null if there is none (or it is null itself). */
    Place operator[](const char *member) const
    {
        static const json null;
        if (!value.is_object())
            complain("should be an object");
        auto found = value.find(member);
        return {found == value.end() ? null : *found, file,
                way.empty() ? member : way + "." + member};
    }

    explicit operator bool() const
    {
        return !value.is_null();
    }

    double number() const
    {
        if (!value.is_number())
            complain(value.is_null() ? "is missing" : "should be a number");
        double n = value.get<double>();
        if (!(std::fabs(n) < 1e18)) /* in ns more than a lifetime */
            complain("is too large for a result");
        return n;
    }

    double number_or(double otherwise) const
    {
        return *this ? number() : otherwise;
    }

    bool truth_or(bool otherwise) const
    {
        if (!*this)
            return otherwise;
        if (!value.is_boolean())
            complain("should be true or false");
        return value.get<bool>();
    }

    std::string text() const
    {
        if (!value.is_string())
            complain(value.is_null() ? "is missing" : "should be a text");
        return value.get<std::string>();
    }

    std::string text_or(const char *otherwise) const
    {
        return *this ? text() : otherwise;
    }

    /* Its elements; none if it is null. */
    std::vector<Place> list() const
    {
        std::vector<Place> all;
        if (!*this)
            return all;
        if (!value.is_array())
            complain("should be a list");
        for (const json &element : value)
            all.emplace_back(element, file, way + "[" + std::to_string(all.size()) + "]");
        return all;
    }

    const json &raw() const
    {
        return value;
    }

  private:
    const json &value; /* lives as long as the document */
    std::string file, way;
};

void read_values(const Place &from, Spread &to)
{
    for (const Place &value : from["values"].list())
        to.values.push_back(value.number());
}

void read_spread(const Place &from, Spread &to)
{
    to.median = from["median"].number();
    to.min = from["min"].number();
    to.max = from["max"].number();
    read_values(from, to);
}

std::optional<Spread> spread_if_any(const Place &from)
{
    if (!from)
        return std::nullopt;
    Spread spread;
    read_spread(from, spread);
    return spread;
}

Floor read_floor(const Place &from)
{
    if (!from)
        return {};
    return {spread_if_any(from["round_trip_ns"]), spread_if_any(from["line_ns"])};
}

/* Which of these names it has. */
template <class Enum, class Names> Enum read_one_of(const Place &from, const Names &names)
{
    const std::string text = from.text();
    const auto found = std::find(names.begin(), names.end(), text);
    if (found != names.end())
        return static_cast<Enum>(found - names.begin());
    std::string all;
    for (std::size_t i = 0; i < names.size(); i++)
        all += std::string(i == 0 ? "" : i + 1 < names.size() ? ", " : " or ") + names[i];
    from.complain("is '" + one_line(text) + "', and should be " + all);
}

std::optional<Percentiles> read_percentiles(const Place &from)
{
    if (!from)
        return std::nullopt;
    if (!from.raw().is_object())
        from.complain("should be an object");
    Percentiles all;
    std::vector<std::pair<double, std::string>> named;
    for (const auto &member : from.raw().items()) {
        if (member.key().size() < 2 || member.key()[0] != 'p')
            continue;
        char *end;
        double percent = std::strtod(member.key().c_str() + 1, &end);
        if (*end || !(percent >= 0 && percent < 100))
            from.complain("has a percentile '" + one_line(member.key()) +
                          "', which is none from p0 to below p100");
        named.emplace_back(percent, member.key());
    }
    std::sort(named.begin(), named.end());
    for (const auto &[percent, key] : named) {
        all.names.push_back(key);
        all.points.emplace_back(100 / (100 - percent), from[key.c_str()].number());
    }
    all.max = from["max"].number();
    all.count = from["count"].number();
    return all;
}

Contender read_contender(const Place &from)
{
    Contender contender;
    contender.name = from["name"].text();
    contender.role = read_one_of<Role>(from["role"], role_names);
    contender.keeps_order = from["keeps_order"].truth_or(true);
    contender.percentiles = read_percentiles(from["percentiles"]);
    read_spread(from, contender);
    return contender;
}

/* Its values alone are of the file: what the median of them is, and the ends, follows. */
std::optional<Spread> read_ratio(const Place &from)
{
    if (!from)
        return std::nullopt;
    Spread ratio;
    ratio.median = from["median"].number();
    read_values(from, ratio);
    ratio.min = ratio.max = ratio.median;
    for (double value : ratio.values) {
        if (!(value > 0))
            from["values"].complain("should be above 0: they are ratios of times");
        ratio.min = std::min(ratio.min, value);
        ratio.max = std::max(ratio.max, value);
    }
    if (!(ratio.median > 0))
        from["median"].complain("should be above 0: it is a ratio of times");
    return ratio;
}

Case read_case(const Place &from)
{
    Case c;
    c.name = from["name"].text();
    c.group = from["group"].text();
    c.title = from["title"].text_or(c.name.c_str());
    c.unit = from["unit"].text();
    c.kind = from["kind"].text_or("");
    c.size = from["size"].number_or(0);
    c.senders = from["senders"].number_or(0);
    c.receivers = from["receivers"].number_or(0);
    c.batch = from["batch"].number_or(0);
    c.repeated = from["repeated"].number_or(0);
    c.unsteady = from["unsteady"].number_or(0);
    if (from["better"])
        c.better = read_one_of<Better>(from["better"], better_names);
    c.floor = read_floor(from["floor"]);
    for (const Place &contender : from["contenders"].list())
        c.contenders.push_back(read_contender(contender));
    c.best_peer = from["best_peer"].text_or("");
    c.ratio = read_ratio(from["ratio"]);
    return c;
}

void read_head(const Place &from, Results &results)
{
    results.version = from["ringbox"].text_or("unknown");
    results.commit = from["commit"].text_or("unknown");
    results.began = from["began"].text_or("unknown");
    results.took_s = from["took_s"].number_or(0);
    results.mode = from["mode"].text_or("unknown");
    results.complete = from["complete"].truth_or(false);
    results.command = from["command"].text_or("./dev bench");
    if (Place machine = from["machine"]) {
        results.cpu = machine["cpu"].text_or("unknown");
        results.kernel = machine["kernel"].text_or("unknown");
        results.libc = machine["libc"].text_or("unknown");
        for (const Place &core : machine["cores"].list())
            results.cores.push_back(static_cast<int>(core.number()));
        results.one_core = machine["one_core"].truth_or(false);
    }
    for (const Place &build : from["builds"].list())
        results.builds.push_back(
            {build["name"].text(), build["compiler"].text_or(""), build["flags"].text_or("")});
    for (const Place &peer : from["peers"].list())
        results.peers.push_back({peer["name"].text(), peer["present"].truth_or(false)});
    results.floor = read_floor(from["floor"]);
}

Target read_target(const Place &from)
{
    return {from["what"].text(),    from["case"].text_or(""),        from["value"].number(),
            from["bound"].number(), from["is_least"].truth_or(true), from["met"].truth_or(false)};
}

json parse(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Complaint("Cannot read " + one_line(path) + ": " + std::strerror(errno) + ".");
    try {
        return json::parse(file);
    } catch (const json::parse_error &wrong) {
        throw Complaint(one_line(path) + " is no whole JSON: it ends or goes wrong at byte " +
                        std::to_string(wrong.byte) +
                        ". Was it cut short, or is it something else?");
    } catch (const std::ios_base::failure &) {
        throw Complaint("Cannot read " + one_line(path) + ": it is no file with text in it.");
    } catch (const json::out_of_range &) {
        throw Complaint(one_line(path) + " holds a number that is too large to be a result.");
    }
}

} // namespace

Results read_results(const std::string &path)
{
    json document = parse(path);
    Place root(document, path, "");
    if (!document.is_object() || !root["schema"])
        throw Complaint(one_line(path) +
                        " is no result of ./dev bench --json: it names no schema.");
    if (double written = root["schema"].number(); written != schema)
        throw Complaint(one_line(path) + " has schema " + plain(written) +
                        ", and this program reads schema " + std::to_string(schema) +
                        ": use the one that came with the bench that wrote the file.");

    Results results;
    results.file = path;
    read_head(root, results);
    if (!root["cases"])
        root["cases"].complain("is missing");
    std::set<std::string> names;
    for (const Place &from : root["cases"].list()) {
        results.cases.push_back(read_case(from));
        if (!names.insert(results.cases.back().name).second)
            from["name"].complain("is '" + one_line(results.cases.back().name) +
                                  "', as that of an earlier case");
    }
    for (const Place &from : root["targets"].list())
        results.targets.push_back(read_target(from));
    return results;
}

} // namespace report
