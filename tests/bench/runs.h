/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runs.h: bench-report as its tests run it, on results that they seed with what it must find. */
#ifndef RBX_TESTS_BENCH_RUNS_H
#define RBX_TESTS_BENCH_RUNS_H

#include <nlohmann/json.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

/* A test: fails by throwing a std::exception that says why, or cannot run and throws a Skip. */
struct Test {
    const char *sentence;
    std::function<void()> body;
};
struct Skip : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/* main() of a test: PROGRAM SAMPLE. Prints TAP, and removes what the tests wrote. */
int run_tests(int count, char **arguments, const std::vector<Test> &tests);

/* The results that came with the tests, made up and complete, of seven rounds. */
nlohmann::json sample();
nlohmann::json &case_of(nlohmann::json &results, const std::string &name);
nlohmann::json &contender_of(nlohmann::json &one_case, const std::string &name);

/* Multiplies what the contender took by a factor in each round, and then what follows from it. */
void slow_down(nlohmann::json &one_case, const std::string &contender, double factor);
/* Makes median, least, greatest and ratio agree with the rounds again. */
void refresh(nlohmann::json &one_case);

/* A path in the tests' own directory; and a file there with this text. */
std::string scratch(const std::string &file_name);
std::string written(const std::string &file_name, const std::string &text);
std::string read_all(const std::string &path);

/* How a program ended, and what it said. */
struct Outcome {
    int exit_code; /* 128 + the signal that killed it */
    std::string out, err;
};
Outcome run(const std::vector<std::string> &command, const std::vector<std::string> &setting = {});
Outcome bench_report(std::vector<std::string> arguments,
                     const std::vector<std::string> &setting = {});

void expect(bool holds, const std::string &what, const Outcome &outcome);
void expect_in(const std::string &part, const std::string &whole);

#endif
