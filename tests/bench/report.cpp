/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report.cpp: bench-report's page, pictures and tables hold what was measured, whatever its names.
 */
#include "runs.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

using nlohmann::json;

namespace
{

void needs(const char *program, const char *package)
{
    try {
        if (run({program, "--version"}).exit_code == 0)
            return;
    } catch (const std::runtime_error &) {
        /* not there */
    }
    throw Skip(std::string("it takes ") + program + ", which is in " + package);
}

void needs_gnuplot()
{
    needs("gnuplot", "gnuplot-nox");
}

std::string page_of(const json &results)
{
    needs_gnuplot();
    std::string page = scratch("page.html");
    Outcome outcome = bench_report({"html", written("results.json", results.dump()), "-o", page});
    expect(outcome.exit_code == 0 && outcome.err.empty(), "it should make a page", outcome);
    return read_all(page);
}

std::string picture_of(const json &results, const std::string &name)
{
    needs_gnuplot();
    std::string picture = scratch("picture.svg");
    Outcome outcome =
        bench_report({"svg", written("results.json", results.dump()), name, "-o", picture});
    expect(outcome.exit_code == 0, "it should draw " + name, outcome);
    return read_all(picture);
}

void is_xml(const std::string &text)
{
    needs("xmllint", "libxml2-utils");
    Outcome outcome = run({"xmllint", "--noout", "--nonet", written("xml", text)});
    expect(outcome.exit_code == 0, "it should be well-formed", outcome);
}

void refuses(const std::vector<std::string> &arguments, const std::string &why,
             const std::vector<std::string> &setting = {})
{
    Outcome outcome = bench_report(arguments, setting);
    expect(outcome.exit_code == 2, "it should exit with 2", outcome);
    expect_in(why, outcome.err);
    expect(outcome.err.back() == '\n' &&
               std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1,
           "it should say why in one line", outcome);
}

/* Or to the unit: nobody reads exponents of nanoseconds. */
std::string six_digits(double value)
{
    char text[64];
    std::snprintf(text, sizeof text, value < 1e6 ? "%.6g" : "%.0f", value);
    return text;
}

/* The row of the table of every number that begins so. */
std::string row_of(const std::string &page, const std::string &of, const std::string &whose)
{
    std::string start = "<tr><th scope=\"row\">" + of + "</th><td>" + whose + "</td>";
    const size_t at = page.find(start);
    if (at != std::string::npos)
        return page.substr(at, page.find("</tr>", at) - at);
    throw std::runtime_error("the page has no row for " + of + ", " + whose);
}

std::string for_people(const json &contender)
{
    std::string name = contender["name"];
    if (name.compare(0, 4, "ours") == 0)
        name = "ringbox" + name.substr(4);
    return contender["keeps_order"] == false ? name + "*" : name;
}

void every_number()
{
    json results = sample();
    std::string page = page_of(results);
    for (const json &one : results["cases"]) {
        expect_in("<th scope=\"row\">" + one["name"].get<std::string>() + "</th>", page);
        for (const json &contender : one["contenders"]) {
            std::string row = row_of(page, one["name"], for_people(contender));
            for (const char *what : {"median", "min", "max"})
                expect_in(">" + six_digits(contender[what]) + "<", row);
            std::string rounds;
            for (const json &value : contender["values"])
                rounds += (rounds.empty() ? ">" : " ") + six_digits(value);
            expect_in(rounds + "<", row);
            if (!contender["percentiles"].is_null())
                for (const auto &member : contender["percentiles"].items())
                    expect_in(">" + (member.key() == "count"
                                         ? std::to_string(member.value().get<long>())
                                         : six_digits(member.value())),
                              page);
        }
    }
}

void well_formed()
{
    is_xml(page_of(sample()));
}

void needs_no_other_file()
{
    std::string page = page_of(sample());
    std::regex reference("((src|href)\\s*=\\s*[\"'](?!#)|url\\(|@import)[^>]{0,40}");
    for (std::sregex_iterator at(page.begin(), page.end(), reference), end; at != end; ++at)
        throw std::runtime_error("the page refers to " + at->str());
    expect_in("<svg ", page);
}

void pictures()
{
    for (const char *name : {"headline", "strip", "stream", "many", "many/scaling", "trip",
                             "trip/percentiles", "rate/percentiles", "asleep", "tail", "novel"}) {
        std::string picture = picture_of(sample(), name);
        is_xml(picture);
        expect_in("role=\"img\"", picture);
        std::regex title("<title id=\"p-t\">[^<]+</title>\\s*<desc id=\"p-x\">[^<]+</desc>");
        if (!std::regex_search(picture, title))
            throw std::runtime_error(std::string(name) + " has no title and description");
    }
}

void dark_twins()
{
    for (const char *name : {"headline", "strip", "many/scaling", "trip/percentiles", "tail"}) {
        std::string picture = picture_of(sample(), name);
        size_t end_of_rules = picture.find("</style>");
        std::string rules = picture.substr(0, end_of_rules), body = picture.substr(end_of_rules);
        std::regex colour("(fill|stroke|color) ?= ?[\"'](#[0-9a-f]{6})[\"']");
        std::set<std::string> seen;
        for (std::sregex_iterator at(body.begin(), body.end(), colour), end; at != end; ++at)
            seen.insert((*at)[1].str() + "=\"" + (*at)[2].str() + "\"");
        if (seen.size() < 3)
            throw std::runtime_error(std::string(name) + " has hardly any colours");
        for (const std::string &one : seen)
            expect_in(".plot [" + one + "]", rules);
        /* What is spelt otherwise no rule would find. */
        for (const char *other : {"rgb(", "fill=\"black\"", "stroke='black'"})
            if (body.find(other) != std::string::npos)
                throw std::runtime_error(std::string(name) + " has a colour spelt " + other);
    }
}

/* Whatever text there is, in all its places. */
void rename_all(json &of, const std::string &text)
{
    static const std::set<std::string> fixed = {"unit", "role", "better", "group", "mode"};
    for (auto &member : of.items()) {
        if (member.value().is_string() && !fixed.count(member.key()))
            member.value() =
                text + (member.key() == "name" ? member.value().get<std::string>() : "");
        else if (member.value().is_structured())
            rename_all(member.value(), text);
    }
}

json hostile(const std::string &text)
{
    json results = sample();
    json some = json::array(); /* enough for each kind of picture */
    for (const char *name :
         {"stream/24", "many/1x1/8", "many/2x2/8", "trip/24", "novel/throughput"})
        some.push_back(case_of(results, name));
    results["cases"] = some;
    rename_all(results, text);
    for (json &one : results["cases"])
        if (one["group"] == "novel") {
            one["group"] = text;
            one["unit"] = text;
        }
    return results;
}

void hostile_names()
{
    const std::string touched = scratch("touched");
    const std::string names[] = {"<script>alert(1)</script>&amp;\"'",
                                 "']]>--><b>",
                                 "' ; system('touch " + touched + "') #",
                                 "`touch " + touched + "`",
                                 "\"; system(\"touch " + touched + "\"); \"",
                                 "EOD\nsystem('touch " + touched + "')\nunset multiplot\n",
                                 "\\",
                                 "%s%n%5$s%d",
                                 "{/:Bold x}_^@~",
                                 "$(touch " + touched + ")",
                                 std::string("a\x01"
                                             "b\x1f\x7f\t\r\n c"),
                                 "\xEF\xBF\xBE\xEF\xBF\xBF",
                                 "\xE2\x82\xAC\xF0\x9F\x98\x80",
                                 "",
                                 std::string(5000, 'w')};
    for (const std::string &name : names) {
        std::string page = page_of(hostile(name));
        is_xml(page);
        for (const char *markup : {"<script", "<b>", "]]>"})
            if (page.find(markup) != std::string::npos)
                throw std::runtime_error("the page lets " + name + " through");
        is_xml(picture_of(hostile(name), "strip"));
        if (std::filesystem::exists(touched))
            throw std::runtime_error("a command was run: " + name);
    }
    expect_in("<text>%s%n%5$s%d", picture_of(hostile("%s%n%5$s%d"), "stream"));
    expect_in("&lt;script&gt;", picture_of(hostile("<script>"), "stream"));
}

/* The lines with bars must have as many columns as their head: escaped ones are none. */
void hostile_markdown()
{
    json results = sample();
    rename_all(results, "a|b\n`c`<d>*e*|");
    Outcome outcome = bench_report({"markdown", written("results.json", results.dump())});
    expect(outcome.exit_code == 0, "it should print tables", outcome);
    std::istringstream lines(outcome.out);
    size_t wanted = 0, tables = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.compare(0, 1, "|") != 0) {
            wanted = 0;
            continue;
        }
        size_t bars = 0;
        for (size_t i = 0; i < line.size(); i++)
            bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
        tables += wanted == 0;
        wanted = wanted ? wanted : bars;
        expect(bars == wanted, "this should have as many cells as its head: " + line, outcome);
        expect(line.find('<') == std::string::npos || line.find("\\<") != std::string::npos,
               "it should hold no markup: " + line, outcome);
    }
    expect(tables == 4, "there should be four tables", outcome);
}

void markdown_tells_what_made_it()
{
    Outcome outcome = bench_report({"markdown", written("results.json", sample().dump())});
    expect(outcome.exit_code == 0, "it should print tables", outcome);
    for (const char *part :
         {"up to 7 rounds", "`./dev bench`", "2026-11-21T18:00:00Z", "An imagined CPU",
          "cores 0 and 1", "Linux 6.18", "glibc 2.36", "gcc 12.2.0 `-O2`", "commit 0000000",
          "\n| 24 bytes | ", "\n| 2 x 2, 8 bytes | ", "moodycamel ConcurrentQueue\\*"})
        expect_in(part, outcome.out);
    expect(outcome.out.find("interrupted") == std::string::npos, "the run is complete", outcome);
    json results = sample();
    results["complete"] = false;
    std::string file = written("results.json", results.dump());
    expect_in("**The run was interrupted", bench_report({"markdown", file}).out);
    refuses({"markdown", file, "no-such-group"}, "results.json has no group 'no-such-group'.");
}

void what_went_wrong_shows()
{
    json results = sample();
    std::string page = page_of(results);
    expect_in("2 of 3 targets met. <span class=\"bad\">Missed:</span> 8-byte messages, 1 x 1",
              page);
    expect_in("&#10007; MISSED", page);
    expect_in("&#10003; met", page);
    expect_in("Missing on this machine, and so in no comparison here:</p>\n<ul>\n<li>iceoryx</li>",
              page);
    expect_in("<li>SPSC, 24-byte messages, one thread to another: 2</li>", page);
    expect_in("MPMC, 1 senders, 1 receivers, 8-byte messages: 0.7", page);
    if (page.find("Incomplete run") != std::string::npos)
        throw std::runtime_error("the run is complete");
    results["complete"] = false;
    expect_in("<strong>Incomplete run.</strong>", page_of(results));
    results.erase("complete"); /* unknown is not well */
    expect_in("<strong>Incomplete run.</strong>", page_of(results));
}

void little_there()
{
    json bare = {{"schema", 1}, {"cases", json::array()}};
    std::string page = page_of(bare);
    is_xml(page);
    expect_in("begun unknown", page);
    json zero = {{"name", "ours"}, {"role", "ours"}, {"median", 0}, {"min", 0}, {"max", 0}};
    json below = {{"name", "x"}, {"role", "peer"}, {"median", -1}, {"min", -2}, {"max", 0}};
    json huge = {{"name", "y"}, {"role", "peer"}, {"median", 1e17}, {"min", 1e-300}, {"max", 9e17}};
    for (const char *unit : {"ns/message", "ns", "bytes", "", "x/s"})
        for (const char *group : {"stream", "many", "trip", "new"}) {
            std::string name = std::string(group) + "/" + unit;
            bare["cases"].push_back({{"name", name + "/none"}, {"group", group}, {"unit", unit}});
            bare["cases"].push_back({{"name", name},
                                     {"group", group},
                                     {"unit", unit},
                                     {"size", 8},
                                     {"senders", 1},
                                     {"receivers", 2},
                                     {"contenders", {zero, below, huge}}});
        }
    is_xml(page_of(bare));
}

void cut_short()
{
    std::string whole = sample().dump(), page = scratch("not-made.html");
    for (size_t end : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 1}) {
        std::string cut = written("cut.json", whole.substr(0, end));
        const std::string why = "cut.json is no whole JSON: it ends or goes wrong at byte";
        refuses({"html", cut, "-o", page}, why);
        refuses({"svg", cut, "strip", "-o", page}, why);
        refuses({"markdown", cut}, why);
    }
    if (std::filesystem::exists(page))
        throw std::runtime_error("a page was made of it");
    refuses({"html", scratch("none.json"), "-o", page}, "Cannot read ");
}

void without_gnuplot()
{
    std::string results = written("results.json", sample().dump()), page = scratch("not-made.html");
    std::filesystem::create_directory(scratch("empty"));
    refuses({"html", results, "-o", page},
            "The pictures take gnuplot, which is not installed: it is in the package gnuplot-nox.",
            {"PATH=" + scratch("empty")});
    std::filesystem::create_directory(scratch("broken"));
    std::string broken = written("broken/gnuplot", "#!/bin/sh\ncat >/dev/null\n"
                                                   "echo 'not \ntoday' >&2\nexit 1\n");
    std::filesystem::permissions(broken, std::filesystem::perms::owner_all);
    refuses({"html", results, "-o", page}, "gnuplot did not draw: not  today",
            {"PATH=" + scratch("broken") + ":/bin:/usr/bin"});
    if (std::filesystem::exists(page))
        throw std::runtime_error("a page was made without pictures");
    Outcome outcome = bench_report({"markdown", results}, {"PATH=" + scratch("empty")});
    expect(outcome.exit_code == 0, "tables take no gnuplot", outcome);
}

void what_cannot_be_done()
{
    std::string results = written("results.json", sample().dump());
    Outcome outcome = bench_report({"draw", results});
    expect(outcome.exit_code == 2, "it should exit with 2", outcome);
    expect_in("bench-report compare A.json B.json", outcome.err);
    needs_gnuplot();
    refuses({"svg", results, "moon", "-o", scratch("moon.svg")},
            "There is no picture 'moon' of " + results + ", but these: headline strip stream ");
    refuses({"html", results, "-o", scratch("no/such/place.html")}, "Cannot write ");
}

} // namespace

int main(int count, char **arguments)
{
    return run_tests(
        count, arguments,
        {{"the page has every case, contender and number", every_number},
         {"the page is well-formed", well_formed},
         {"the page needs no other file", needs_no_other_file},
         {"each picture is well-formed, with a title and a description", pictures},
         {"each colour of a picture has a twin for dark paper", dark_twins},
         {"names are text in page and pictures, whatever they hold", hostile_names},
         {"names are text in tables of markdown", hostile_markdown},
         {"markdown says when, where and by what command", markdown_tells_what_made_it},
         {"what was missed, is missing, was repeated or is ahead of ours shows",
          what_went_wrong_shows},
         {"results with hardly anything in them make a page", little_there},
         {"results that were cut short make no page", cut_short},
         {"without gnuplot it says what to install", without_gnuplot},
         {"what it cannot do it says", what_cannot_be_done}});
}
