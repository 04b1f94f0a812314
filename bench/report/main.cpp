/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench-report: what ./dev bench --json wrote, for people.
 *
 * Exits with 0 if all is well, 1 if `compare` finds something worse, 2 if it cannot do what it was
 * asked for, and then says why on the standard error.
 */
#include "compare.h"
#include "results.h"
#include "text.h"

#include <cstdio>
#include <string>
#include <vector>

namespace
{

const char usage[] = "bench-report compare A.json B.json\n"
                     "                           is something worse in B, by more than noise?\n";

int run(const std::vector<std::string> &words)
{
    if (words.size() == 3 && words[0] == "compare") {
        report::Comparison comparison =
            report::compare(report::read_results(words[1]), report::read_results(words[2]));
        std::fputs(comparison.text.c_str(), stdout);
        return comparison.exit_code;
    }
    std::fputs(usage, stderr);
    return 2;
}

} // namespace

int main(int count, char **arguments)
{
    try {
        return run({arguments + 1, arguments + count});
    } catch (const report::Complaint &complaint) {
        std::fprintf(stderr, "bench-report: %s\n", complaint.what());
        return 2;
    }
}
