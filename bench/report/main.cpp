/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench-report: what ./dev bench --json wrote, for people.
 *
 * Exits with 0 if all is well, 1 if `compare` finds something worse, 2 if it cannot do what it was
 * asked for, and then says why on the standard error.
 */
#include "compare.h"
#include "gallery.h"
#include "html.h"
#include "markdown.h"
#include "results.h"
#include "text.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace
{

using report::Complaint;
using Words = std::vector<std::string>;

const char usage[] =
    "bench-report html RESULTS.json -o FILE.html          all of it on one page\n"
    "bench-report svg RESULTS.json PICTURE -o FILE.svg    one picture: headline, strip, GROUP, "
    "...\n"
    "bench-report markdown RESULTS.json [GROUP...]        tables for README and docs\n"
    "bench-report compare A.json B.json                   is something worse in B, by more than "
    "noise?\n";

void write(const std::string &path, const std::string &text)
{
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file)
        throw Complaint("Cannot write " + report::one_line(path) + ": " + std::strerror(errno) +
                        ".");
}

report::Results results_for_people(const std::string &path)
{
    report::Results results = report::read_results(path);
    report::name_for_people(results);
    return results;
}

std::string picture(const report::Results &results, const std::string &name)
{
    std::string names;
    for (const report::Hanging &hanging : report::gallery(results)) {
        std::optional<report::Picture> drawing = hanging.picture(report::Width::wide);
        if (drawing && hanging.name == name)
            return report::draw_alone(*drawing);
        if (drawing)
            names += " " + report::one_line(hanging.name);
    }
    throw Complaint("There is no picture '" + report::one_line(name) + "' of " +
                    report::one_line(results.file) + ", but these:" + names);
}

bool is_to_file(const Words &words, size_t count)
{
    return words.size() == count && words[count - 2] == "-o";
}

int run(const Words &words)
{
    const std::string command = words.empty() ? "" : words[0];
    if (command == "html" && is_to_file(words, 4)) {
        write(words[3], report::page(results_for_people(words[1])));
    } else if (command == "svg" && is_to_file(words, 5)) {
        write(words[4], picture(results_for_people(words[1]), words[2]));
    } else if (command == "markdown" && words.size() >= 2) {
        std::string text =
            report::markdown(results_for_people(words[1]), Words(words.begin() + 2, words.end()));
        std::fputs(text.c_str(), stdout);
    } else if (command == "compare" && words.size() == 3) {
        report::Comparison comparison =
            report::compare(report::read_results(words[1]), report::read_results(words[2]));
        std::fputs(comparison.text.c_str(), stdout);
        return comparison.exit_code;
    } else {
        std::fputs(usage, stderr);
        return 2;
    }
    return 0;
}

} // namespace

int main(int count, char **arguments)
{
    try {
        return run({arguments + 1, arguments + count});
    } catch (const Complaint &complaint) {
        std::fprintf(stderr, "bench-report: %s\n", complaint.what());
        return 2;
    }
}
