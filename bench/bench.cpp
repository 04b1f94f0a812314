/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bench.h"
#include "pair.h"
#include "results.h"
#include "runner.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <getopt.h>
#include <regex>
#include <string>
#include <vector>

namespace
{

constexpr unsigned full_rounds = 11, quick_rounds = 3;

const char usage[] =
    "usage: bench [OPTION...] [REGEX]\n"
    "\n"
    "Measures what matches REGEX, by default all, ours and the others by turns.\n"
    "Ctrl-C ends it, and shows what there is by then; a second one shows nothing.\n"
    "\n"
    "  --quick            a few cases, 3 rounds: under two minutes\n"
    "  --rounds N         by default 11, and with --quick 3\n"
    "  --json FILE        writes all that was measured to FILE, too\n"
    "  --with NAME=PATH   measures ours also as the program PATH has it built in: this one, by\n"
    "                     another compiler; may be repeated\n"
    "  --command TEXT     what the results say they were made by\n"
    "  --commit TEXT      and of\n"
    "  --list             the names of all cases\n"
    "  --serve            what --with makes the other program do\n";

struct Options {
    bool is_quick = false, lists = false, serves = false;
    unsigned rounds = 0;
    std::string json, command, commit, filter = ".";
};

[[noreturn]] void refuse(const std::string &why)
{
    std::fprintf(stderr, "bench: %s; see --help\n", why.c_str());
    std::exit(2);
}

unsigned parse_rounds(const char *text)
{
    char *end;
    const unsigned long rounds = std::strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || rounds < 1 || rounds > 1000)
        refuse("--rounds is a number from 1 to 1000");
    return static_cast<unsigned>(rounds);
}

void parse_with(const std::string &text)
{
    const size_t split = text.rfind('=');
    if (split == std::string::npos || split == 0 || split + 1 == text.size())
        refuse("--with takes NAME=PATH");
    measure_in(text.substr(0, split), text.substr(split + 1));
}

Options parse(int count, char **arguments)
{
    enum { QUICK = 1, ROUNDS, JSON, WITH, COMMAND, COMMIT, LIST, SERVE, HELP };
    const option known[] = {{"quick", no_argument, nullptr, QUICK},
                            {"rounds", required_argument, nullptr, ROUNDS},
                            {"json", required_argument, nullptr, JSON},
                            {"with", required_argument, nullptr, WITH},
                            {"command", required_argument, nullptr, COMMAND},
                            {"commit", required_argument, nullptr, COMMIT},
                            {"list", no_argument, nullptr, LIST},
                            {"serve", no_argument, nullptr, SERVE},
                            {"help", no_argument, nullptr, HELP},
                            {nullptr, 0, nullptr, 0}};
    Options options;
    for (int which; (which = getopt_long(count, arguments, "", known, nullptr)) != -1;)
        switch (which) {
        case QUICK:
            options.is_quick = true;
            break;
        case ROUNDS:
            options.rounds = parse_rounds(optarg);
            break;
        case JSON:
            options.json = optarg;
            break;
        case WITH:
            parse_with(optarg);
            break;
        case COMMAND:
            options.command = optarg;
            break;
        case COMMIT:
            options.commit = optarg;
            break;
        case LIST:
            options.lists = true;
            break;
        case SERVE:
            options.serves = true;
            break;
        case HELP:
            std::fputs(usage, stdout);
            std::exit(0);
        default:
            std::exit(2);
        }
    if (count - optind > 1)
        refuse("there is more than one REGEX");
    if (optind < count)
        options.filter = arguments[optind];
    if (options.rounds == 0)
        options.rounds = options.is_quick ? quick_rounds : full_rounds;
    return options;
}

std::vector<const Case *> choose(const Options &options)
{
    std::vector<const Case *> chosen;
    try {
        const std::regex wanted(options.filter);
        for (const Case &one : cases())
            if ((one.is_quick || !options.is_quick) && std::regex_search(one.name, wanted))
                chosen.push_back(&one);
    } catch (const std::regex_error &) {
        refuse("'" + options.filter + "' is no regular expression");
    }
    if (chosen.empty())
        refuse("nothing that is measured matches '" + options.filter + "'");
    return chosen;
}

} // namespace

int main(int count, char **arguments)
{
    heed_signals();
    const Options options = parse(count, arguments);
    if (options.serves)
        return serve();
    const std::vector<const Case *> chosen = choose(options);
    if (options.lists) {
        for (const Case *one : chosen)
            std::printf("%s: %s\n", one->name.c_str(), one->title.c_str());
        return 0;
    }
    if (two_cores().first == two_cores().second) {
        std::printf("SKIP: this may use one processor only, and what passes from one to another "
                    "takes two\n");
        return 77;
    }
    /* Not after all has been measured. */
    if (!options.json.empty() && !std::ofstream(options.json, std::ios::app)) {
        std::fprintf(stderr, "bench: %s: %s\n", options.json.c_str(), std::strerror(errno));
        return 1;
    }
    Results results;
    results.began = std::time(nullptr);
    results.mode = options.filter != "." ? "some" : options.is_quick ? "quick" : "full";
    results.command = options.command;
    results.commit = options.commit;
    run_rounds(results, options.rounds, chosen);
    print_table(results);
    if (!options.json.empty() && !write_json(results, options.json)) {
        std::fprintf(stderr, "bench: %s: %s\n", options.json.c_str(), std::strerror(errno));
        return 1;
    }
    return results.outcomes.empty();
}
