/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "runs.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using nlohmann::json;

namespace
{

std::string program, sample_path, directory;

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void run_test(size_t number, const Test &test, bool &failed)
{
    std::string verdict = "ok", after;
    try {
        test.body();
    } catch (const Skip &skip) {
        after = std::string(" # SKIP ") + skip.what();
    } catch (const std::exception &wrong) {
        verdict = "not ok";
        failed = true;
        std::istringstream lines(wrong.what());
        for (std::string line; std::getline(lines, line);)
            after += "\n  " + line;
    }
    std::printf("%s %zu - %s%s\n", verdict.c_str(), number, test.sentence, after.c_str());
    std::fflush(stdout);
}

} // namespace

int run_tests(int count, char **arguments, const std::vector<Test> &tests)
{
    if (count != 3) {
        std::fprintf(stderr, "usage: %s BENCH-REPORT SAMPLE\n", arguments[0]);
        return 2;
    }
    program = arguments[1];
    sample_path = arguments[2];
    std::string made = (std::filesystem::temp_directory_path() / "ringbox-report.XXXXXX").string();
    if (!mkdtemp(made.data())) {
        std::printf("Bail out! %s: %s\n", made.c_str(), std::strerror(errno));
        return 1;
    }
    directory = made;
    std::printf("1..%zu\n", tests.size());
    bool failed = false;
    for (size_t i = 0; i < tests.size(); i++)
        run_test(i + 1, tests[i], failed);
    std::filesystem::remove_all(directory);
    return failed;
}

json sample()
{
    return json::parse(read_all(sample_path));
}

json &case_of(json &results, const std::string &name)
{
    for (json &one : results["cases"])
        if (one["name"] == name)
            return one;
    throw std::runtime_error("the sample has no case " + name);
}

json &contender_of(json &one_case, const std::string &name)
{
    for (json &one : one_case["contenders"])
        if (one["name"] == name)
            return one;
    throw std::runtime_error("the case has no contender " + name);
}

void slow_down(json &one_case, const std::string &contender, double factor)
{
    for (json &value : contender_of(one_case, contender)["values"])
        value = value.get<double>() * factor;
    refresh(one_case);
}

void refresh(json &one_case)
{
    bool less = one_case["better"] == "less";
    std::vector<double> best, ours;
    for (json &contender : one_case["contenders"]) {
        std::vector<double> values = contender["values"];
        contender["median"] = median(values);
        contender["min"] = *std::min_element(values.begin(), values.end());
        contender["max"] = *std::max_element(values.begin(), values.end());
        if (contender["role"] == "ours")
            ours = values;
        if (contender["role"] != "peer" || contender["keeps_order"] == false)
            continue;
        if (best.empty())
            best = values;
        for (size_t i = 0; i < best.size(); i++)
            best[i] = less ? std::min(best[i], values[i]) : std::max(best[i], values[i]);
    }
    if (one_case["ratio"].is_null())
        return;
    std::vector<double> ratios;
    for (size_t i = 0; i < ours.size(); i++)
        ratios.push_back(less ? best[i] / ours[i] : ours[i] / best[i]);
    one_case["ratio"] = {{"median", median(ratios)}, {"values", ratios}};
}

std::string scratch(const std::string &file_name)
{
    return directory + "/" + file_name;
}

std::string written(const std::string &file_name, const std::string &text)
{
    std::ofstream file(scratch(file_name), std::ios::binary);
    file << text;
    if (!file.flush())
        throw std::runtime_error("cannot write " + scratch(file_name));
    return scratch(file_name);
}

std::string read_all(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Outcome run(const std::vector<std::string> &command, const std::vector<std::string> &setting)
{
    std::vector<std::string> words = command, settings = setting;
    std::vector<char *> argv, environment;
    for (std::string &word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    for (std::string &one : settings) /* the first of a name counts */
        environment.push_back(one.data());
    for (char **inherited = environ; *inherited; inherited++)
        environment.push_back(*inherited);
    environment.push_back(nullptr);

    std::string out = scratch("stdout"), err = scratch("stderr");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const int fresh = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), fresh, 0600);
    posix_spawn_file_actions_addopen(&files, 2, err.c_str(), fresh, 0600);
    pid_t child;
    int error = posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environment.data());
    posix_spawn_file_actions_destroy(&files);
    if (error)
        throw std::runtime_error("cannot run " + command[0] + ": " + std::strerror(error));
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, read_all(out), read_all(err)};
}

Outcome bench_report(std::vector<std::string> arguments, const std::vector<std::string> &setting)
{
    arguments.insert(arguments.begin(), program);
    return run(arguments, setting);
}

void expect(bool holds, const std::string &what, const Outcome &outcome)
{
    if (!holds)
        throw std::runtime_error(what + ", but it exited with " +
                                 std::to_string(outcome.exit_code) + " and said:\n" +
                                 (outcome.out + outcome.err).substr(0, 2000));
}

void expect_in(const std::string &part, const std::string &whole)
{
    if (whole.find(part) == std::string::npos)
        throw std::runtime_error("'" + part + "' should be in what begins with\n" +
                                 whole.substr(0, 300));
}
