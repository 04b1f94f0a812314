/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* compare.cpp: bench-report compare finds what is worse, and nothing else. */
#include "runs.h"

#include <sstream>

using nlohmann::json;

namespace
{

Outcome compare(const json &before, const json &after)
{
    return bench_report(
        {"compare", written("a.json", before.dump()), written("b.json", after.dump())});
}

void ends(int code, const Outcome &outcome)
{
    expect(outcome.exit_code == code, "it should exit with " + std::to_string(code), outcome);
}

/* What the table says about a contender of a case against a yardstick. */
void judges(const Outcome &outcome, const std::string &of, const std::string &whose,
            const std::string &against, const std::string &verdict)
{
    std::istringstream lines(outcome.out);
    auto cell = [](const std::string &line, const std::string &text) {
        return line.find(text + "  ") != std::string::npos;
    };
    for (std::string line; std::getline(lines, line);)
        if (line.compare(0, of.size() + 2, of + "  ") == 0 && cell(line, "  " + whose) &&
            cell(line, "  " + against)) {
            size_t at = line.rfind("  ");
            expect(line.substr(at + 2) == verdict,
                   of + ", " + whose + ", against " + against + " should be '" + verdict + "'",
                   outcome);
            return;
        }
    expect(false, "there should be a line on " + of + ", " + whose + ", against " + against,
           outcome);
}

void rounds_are(json &one_case, const std::string &contender, const std::vector<double> &values)
{
    contender_of(one_case, contender)["values"] = values;
    refresh(one_case);
}

void slow_all_down(json &results, double factor)
{
    for (json &one : results["cases"]) {
        for (const char *which : {"round_trip_ns", "line_ns"})
            for (json *floor : {&one["floor"][which]}) {
                for (const char *what : {"median", "min", "max"})
                    (*floor)[what] = (*floor)[what].get<double>() * factor;
                for (json &value : (*floor)["values"])
                    value = value.get<double>() * factor;
            }
        if (one["unit"].get<std::string>().compare(0, 2, "ns") == 0)
            for (json &contender : one["contenders"])
                slow_down(one, contender["name"], factor);
    }
}

void nothing_new()
{
    Outcome outcome = compare(sample(), sample());
    ends(0, outcome);
    expect_in(": 0 worse, 0 better, ", outcome.out);
    expect_in(" the same, 0 within the noise; 0 not judged.", outcome.out);
}

void slower()
{
    json after = sample();
    slow_down(case_of(after, "stream/24"), "ours", 2);
    Outcome outcome = compare(sample(), after);
    ends(1, outcome);
    judges(outcome, "stream/24", "ours", "floor", "WORSE");
    judges(outcome, "stream/24", "ours", "best peer", "WORSE");
    judges(outcome, "stream/24", "ours, typed", "floor", "the same");
    judges(outcome, "stream/24", "ours, typed", "best peer", "the same");
    expect_in(": 2 worse, 0 better, ", outcome.out);
}

void faster()
{
    json after = sample();
    slow_down(case_of(after, "stream/24"), "ours", 0.5);
    Outcome outcome = compare(sample(), after);
    ends(0, outcome);
    judges(outcome, "stream/24", "ours", "floor", "better");
    judges(outcome, "stream/24", "ours", "best peer", "better");
    expect_in(": 0 worse, 2 better, ", outcome.out);
}

void slower_variant()
{
    json after = sample();
    slow_down(case_of(after, "many/2x2/8"), "ours, strict", 2);
    Outcome outcome = compare(sample(), after);
    ends(1, outcome);
    judges(outcome, "many/2x2/8", "ours", "floor", "the same");
    judges(outcome, "many/2x2/8", "ours, strict", "floor", "WORSE");
    judges(outcome, "many/2x2/8", "ours, strict", "best peer", "WORSE");
}

void one_round_that_overlaps()
{
    json before = sample(), after = sample();
    /* One round in seven as quick as before, of all the others half as quick. */
    rounds_are(case_of(before, "asleep/threads"), "ours", {100, 101, 102, 103, 104, 105, 106});
    rounds_are(case_of(after, "asleep/threads"), "ours", {200, 201, 202, 100, 204, 205, 206});
    for (json *file : {&before, &after})
        for (json &contender : case_of(*file, "asleep/threads")["contenders"])
            if (contender["role"] == "peer")
                rounds_are(case_of(*file, "asleep/threads"), contender["name"],
                           std::vector<double>(7, 150));
    Outcome outcome = compare(before, after);
    ends(0, outcome);
    judges(outcome, "asleep/threads", "ours", "best peer", "within the noise");

    rounds_are(case_of(after, "asleep/threads"), "ours", {200, 201, 202, 107, 204, 205, 206});
    outcome = compare(before, after);
    ends(1, outcome);
    judges(outcome, "asleep/threads", "ours", "best peer", "WORSE");
}

void less_than_a_tenth()
{
    json before = sample(), after = sample();
    for (json *file : {&before, &after})
        for (json &contender : case_of(*file, "asleep/threads")["contenders"])
            rounds_are(case_of(*file, "asleep/threads"), contender["name"],
                       std::vector<double>(7, 100));
    rounds_are(case_of(after, "asleep/threads"), "ours", std::vector<double>(7, 109));
    Outcome outcome = compare(before, after);
    ends(0, outcome);
    judges(outcome, "asleep/threads", "ours", "best peer", "the same");

    rounds_are(case_of(after, "asleep/threads"), "ours", std::vector<double>(7, 111));
    outcome = compare(before, after);
    ends(1, outcome);
    judges(outcome, "asleep/threads", "ours", "best peer", "WORSE");
}

void slower_machine()
{
    json after = sample();
    slow_all_down(after, 1.4);
    Outcome outcome = compare(sample(), after);
    ends(0, outcome);
    expect_in(": 0 worse, 0 better, ", outcome.out);
    expect_in("; 0 not judged.", outcome.out);
}

void other_cores()
{
    json after = sample();
    slow_all_down(after, 3);
    slow_down(case_of(after, "stream/24"), "ours", 4);
    Outcome outcome = compare(sample(), after);
    ends(0, outcome);
    judges(outcome, "stream/24", "ours", "floor", "not judged: the floor moved");
    judges(outcome, "stream/24", "ours", "best peer", "not judged: the floor moved");
    judges(outcome, "asleep/threads", "ours", "best peer", "the same");
    expect_in("The floor moved: ", outcome.out);
}

void few_rounds()
{
    json after = sample();
    for (json &one : after["cases"]) {
        if (one["unit"] == "bytes")
            continue;
        for (json &contender : one["contenders"])
            contender["values"].get_ref<json::array_t &>().resize(3);
        for (const char *which : {"round_trip_ns", "line_ns"})
            one["floor"][which]["values"].get_ref<json::array_t &>().resize(3);
        refresh(one);
        slow_down(one, "ours", 3);
    }
    Outcome outcome = compare(sample(), after);
    ends(0, outcome);
    judges(outcome, "stream/24", "ours", "floor", "not judged: too few rounds");
    judges(outcome, "stream/24", "ours", "best peer", "not judged: too few rounds");
    judges(outcome, "memory/spsc/24", "ours", "itself, bytes", "the same");

    json bare = sample();
    bare["cases"] = {case_of(bare, "stream/24")};
    outcome = compare(bare, after);
    ends(2, outcome);
    expect_in("Nothing could be judged", outcome.out);
}

void other_peers()
{
    json after = sample();
    json &one = case_of(after, "stream/24");
    for (size_t i = 0; i < one["contenders"].size(); i++)
        if (one["contenders"][i]["name"] == "moodycamel readerwriterqueue")
            one["contenders"].erase(i--);
    refresh(one);
    Outcome outcome = compare(sample(), after);
    ends(0, outcome);
    judges(outcome, "stream/24", "ours", "floor", "the same");
    judges(outcome, "stream/24", "ours", "best peer", "not judged: other peers");
}

void a_byte_more()
{
    json after = sample();
    json &ring = contender_of(case_of(after, "memory/spsc/24"), "ours");
    ring["values"][0] = ring["values"][0].get<double>() + 1;
    refresh(case_of(after, "memory/spsc/24"));
    Outcome outcome = compare(sample(), after);
    ends(1, outcome);
    judges(outcome, "memory/spsc/24", "ours", "itself, bytes", "WORSE");
    outcome = compare(after, sample());
    ends(0, outcome);
    judges(outcome, "memory/spsc/24", "ours", "itself, bytes", "better");
}

void more_is_better()
{
    json after = sample();
    slow_down(case_of(after, "novel/throughput"), "ours", 0.5);
    Outcome outcome = compare(sample(), after);
    ends(1, outcome);
    judges(outcome, "novel/throughput", "ours", "best peer", "WORSE");
    outcome = compare(after, sample());
    ends(0, outcome);
    judges(outcome, "novel/throughput", "ours", "best peer", "better");
}

void against_the_baseline()
{
    json after = sample();
    slow_down(case_of(after, "idle/receiver"), "ours", 5);
    Outcome outcome = compare(sample(), after);
    ends(1, outcome);
    judges(outcome, "idle/receiver", "ours", "condition variable", "WORSE");
}

void in_one_only()
{
    json before = sample(), after = sample();
    before["cases"].erase(0);
    after["cases"].erase(1);
    case_of(after, "novel/throughput")["unit"] = "ns";
    after["complete"] = false;
    Outcome outcome = compare(before, after);
    ends(0, outcome);
    expect_in("  stream/8: in B only\n", outcome.out);
    expect_in("  stream/24: in A only\n", outcome.out);
    expect_in("  novel/throughput: not the same thing in A and B, by its unit\n", outcome.out);
    expect_in("B is INCOMPLETE", outcome.out);
    expect(outcome.out.find("A is INCOMPLETE") == std::string::npos, "A should be complete",
           outcome);
}

void cut_short()
{
    std::string whole = sample().dump();
    std::string good = written("good.json", whole);
    for (size_t end = 0; end < whole.size(); end += end < 200 ? 1 : 487) {
        std::string cut = written("cut.json", whole.substr(0, end));
        Outcome outcome = bench_report({"compare", good, cut});
        ends(2, outcome);
        expect_in("cut.json is no whole JSON: it ends or goes wrong at byte", outcome.err);
    }
}

void not_these_results()
{
    std::string good = written("good.json", sample().dump());
    auto refused = [&](const json &bad, const std::string &why) {
        Outcome outcome = bench_report({"compare", written("bad.json", bad.dump()), good});
        ends(2, outcome);
        expect_in(why, outcome.err);
        expect(outcome.out.empty(), "nothing should be compared", outcome);
    };
    json bad = sample();
    bad["schema"] = 2;
    refused(bad, "bad.json has schema 2, and this program reads schema 1");
    bad.erase("schema");
    refused(bad, "it names no schema");
    refused(json::array({1}), "it names no schema");
    bad = sample();
    bad.erase("cases");
    refused(bad, "bad.json: cases is missing.");
    bad = sample();
    bad["cases"][1]["contenders"][2]["median"] = "fast";
    refused(bad, "bad.json: cases[1].contenders[2].median should be a number.");
    bad = sample();
    bad["cases"][1]["contenders"][2]["median"] = 1e300;
    refused(bad, "bad.json: cases[1].contenders[2].median is too large for a result.");
    bad = sample();
    bad["cases"][1]["contenders"][2].erase("role");
    refused(bad, "bad.json: cases[1].contenders[2].role is missing.");
    bad = sample();
    bad["cases"][1]["contenders"] = 5;
    refused(bad, "bad.json: cases[1].contenders should be a list.");
    bad = sample();
    bad["cases"][0]["ratio"]["values"][0] = 0;
    refused(bad, "bad.json: cases[0].ratio.values should be above 0");
    bad = sample();
    bad["cases"][1]["name"] = bad["cases"][0]["name"];
    refused(bad, "bad.json: cases[1].name is 'stream/8', as that of an earlier case.");

    for (const std::string &no_file : {scratch("no.json"), std::string("/")}) {
        Outcome outcome = bench_report({"compare", no_file, good});
        ends(2, outcome);
        expect_in("Cannot read " + no_file + ": ", outcome.err);
    }
}

} // namespace

int main(int count, char **arguments)
{
    return run_tests(
        count, arguments,
        {{"results are the same as themselves", nothing_new},
         {"ours is worse if it takes twice as long in every round", slower},
         {"ours is better if it takes half as long in every round", faster},
         {"a variant is worse if it alone takes longer", slower_variant},
         {"one round that was as quick as before makes it noise", one_round_that_overlaps},
         {"less than a tenth is the same, however steady", less_than_a_tenth},
         {"a machine that is slower for all is no change", slower_machine},
         {"on cores with another floor nothing is judged that depends on it", other_cores},
         {"too few rounds are not judged, and nothing judged is no success", few_rounds},
         {"the best of other peers is not compared", other_peers},
         {"a byte more is worse", a_byte_more},
         {"where more is better, less is worse", more_is_better},
         {"where there is no peer, the baseline counts", against_the_baseline},
         {"what is in one of them only is listed, and an incomplete run named", in_one_only},
         {"results that were cut short anywhere are refused", cut_short},
         {"what is no result of this schema is refused by its place", not_these_results}});
}
