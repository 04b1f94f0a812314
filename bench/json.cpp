/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The results for other programs: bench/report shows and compares them. */
#include "results.h"

#include <ringbox/version.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <gnu/libc-version.h>
#include <sys/utsname.h>

using nlohmann::json;

namespace
{

json of(const Spread &spread)
{
    return {{"median", spread.median}, {"min", spread.least}, {"max", spread.most}};
}

json floor_of(const std::vector<double> &trips, const std::vector<double> &lines)
{
    json trip = of(spread_of(trips)), line = of(spread_of(lines));
    trip["values"] = trips;
    line["values"] = lines;
    return {{"round_trip_ns", trip}, {"line_ns", line}};
}

json percentiles(const Series &series)
{
    if (!series.times)
        return nullptr;
    const struct {
        const char *name;
        double share;
    } all[] = {{"p50", 0.5},     {"p90", 0.9},       {"p99", 0.99},
               {"p99.9", 0.999}, {"p99.99", 0.9999}, {"p99.999", 0.99999}};
    json answer = {{"max", series.times->most()}, {"count", series.times->count()}};
    for (const auto &one : all)
        answer[one.name] = series.times->at(one.share);
    return answer;
}

json contender(const Contender &one, const Series &series)
{
    json answer = of(spread_of(series.values));
    answer["name"] = one.name;
    answer["role"] = name_of(one.role);
    answer["keeps_order"] = one.keeps_order;
    answer["values"] = series.values;
    answer["percentiles"] = percentiles(series);
    return answer;
}

json of(const Outcome &outcome)
{
    const Case &one = *outcome.of;
    json contenders = json::array();
    json failed = json::array();
    for (size_t i = 0; i < outcome.series.size(); i++)
        if (outcome.has(i))
            contenders.push_back(contender(one.contenders[i], outcome.series[i]));
        else
            failed.push_back({{"name", one.contenders[i].name}, {"why", outcome.series[i].why}});
    json answer = {{"group", one.group},
                   {"name", one.name},
                   {"title", one.title},
                   {"unit", one.unit},
                   {"kind", one.kind},
                   {"size", one.size},
                   {"senders", one.senders},
                   {"receivers", one.receivers},
                   {"batch", one.batch},
                   {"better", name_of(one.better)},
                   {"repeated", outcome.repeated},
                   {"unsteady", outcome.unsteady},
                   {"floor", floor_of(outcome.figures(floor_trip), outcome.figures(floor_line))},
                   {"contenders", contenders},
                   {"failed", failed},
                   {"best_peer", nullptr},
                   {"ratio", nullptr}};
    if (outcome.best())
        answer["best_peer"] = outcome.best()->name;
    const std::vector<double> lead = outcome.lead();
    if (!lead.empty())
        answer["ratio"] = {{"median", spread_of(lead).median}, {"values", lead}};
    return answer;
}

std::string cpu_model()
{
    std::ifstream about("/proc/cpuinfo");
    for (std::string line; std::getline(about, line);)
        if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
            return line.substr(line.find(": ") + 2);
    return "unknown";
}

json machine()
{
    utsname system;
    uname(&system);
    return {{"cpu", cpu_model()},
            {"cores",
             {std::min(two_cores().first, two_cores().second),
              std::max(two_cores().first, two_cores().second)}},
            {"one_core", share_a_core()},
            {"kernel", std::string(system.sysname) + " " + system.release},
            {"libc", std::string("glibc ") + gnu_get_libc_version()}};
}

std::string utc(std::time_t when)
{
    char text[32];
    std::tm parts;
    gmtime_r(&when, &parts);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

} // namespace

bool write_json(const Results &results, const std::string &path)
{
    json all = {{"schema", schema},
                {"ringbox", RBX_VERSION_STRING},
                {"commit", results.commit},
                {"began", utc(results.began)},
                {"took_s", results.took_s},
                {"mode", results.mode},
                {"complete", results.is_complete},
                {"command", results.command},
                {"machine", machine()},
                {"builds", json::array()},
                {"peers", json::array()},
                {"cases", json::array()},
                {"targets", json::array()}};
    for (const Build &one : builds())
        all["builds"].push_back(
            {{"name", one.name}, {"compiler", one.compiler}, {"flags", one.flags}});
    for (const Peer &one : peers())
        all["peers"].push_back({{"name", one.name}, {"present", one.is_present}});
    if (!results.outcomes.empty())
        all["floor"] = floor_of(results.floors(&Floor::trip_ns), results.floors(&Floor::line_ns));
    for (const auto &outcome : results.outcomes)
        all["cases"].push_back(of(*outcome));
    for (const Verdict &one : results.verdicts())
        all["targets"].push_back({{"what", one.aim->what},
                                  {"case", one.aim->of},
                                  {"value", one.value},
                                  {"bound", one.aim->bound.value},
                                  {"is_least", one.aim->bound.is_least},
                                  {"met", one.is_met}});
    std::ofstream file(path);
    file << all.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
    file.close();
    return !file.fail();
}
