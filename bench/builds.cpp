/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The same program, as another compiler or other flags have built it, waits beside this one and
 * measures its own ours when it is told to: so that builds are compared within a round, too.
 */
#include "runner.h"

#include "about.h"
#include "bench.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <spawn.h>
#include <sstream>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

/* Its standard input and output are one end of a socket, which ends with this program. */
class Helper
{
  public:
    Helper(const std::string &build, const std::string &program) : name(build)
    {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            give_up(name.c_str(), std::strerror(errno));
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        std::string serve = "--serve", path = program;
        char *arguments[] = {path.data(), serve.data(), nullptr};
        pid_t pid;
        const int err = posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        if (err)
            give_up(program.c_str(), std::strerror(err));
        stream = fdopen(ends[0], "r+");
    }
    std::string ask(const std::string &question)
    {
        std::fprintf(stream, "%s\n", question.c_str());
        std::fflush(stream);
        char line[256];
        if (!std::fgets(line, sizeof line, stream))
            give_up(name.c_str(), "its program has ended");
        line[std::strcspn(line, "\n")] = '\0';
        return line;
    }

  private:
    std::string name;
    FILE *stream;
};

std::vector<Build> &all_builds()
{
    static std::vector<Build> all = {this_build()};
    return all;
}

const Contender *find(const std::string &name, const std::string &contender)
{
    for (const Case &one : cases())
        for (const Contender &other : one.contenders)
            if (one.name == name && other.name == contender)
                return &other;
    return nullptr;
}

constexpr char separator = '\t';

} // namespace

const Build &this_build()
{
    static const Build one = {BENCH_COMPILER, BENCH_COMPILER " " __VERSION__, BENCH_FLAGS};
    return one;
}

const std::vector<Build> &builds()
{
    return all_builds();
}

void measure_in(const std::string &build, const std::string &program)
{
    auto helper = std::make_shared<Helper>(build, program);
    std::istringstream about(helper->ask("about"));
    Build other = {build, "", ""};
    std::getline(about, other.compiler, separator);
    std::getline(about, other.flags);
    all_builds().push_back(other);
    for (Case &one : cases()) {
        const size_t count = one.in_builds ? one.contenders.size() : 0;
        for (size_t i = 0; i < count; i++) {
            if (one.contenders[i].role != Role::ours)
                continue;
            const std::string question = one.name + separator + one.contenders[i].name;
            one.contend(one.contenders[i].name + ", " + build, Role::variant, [=] {
                const std::string side = two_cores().first < two_cores().second ? "0" : "1";
                return Sample(std::strtod(helper->ask(side + question).c_str(), nullptr));
            });
        }
    }
}

int serve()
{
    for (std::string question; std::getline(std::cin, question);) {
        if (question == "about") {
            std::cout << this_build().compiler << separator << this_build().flags << std::endl;
            continue;
        }
        const size_t split = question.find(separator);
        const Contender *one = find(question.substr(1, split - 1), question.substr(split + 1));
        if (split == std::string::npos || !one)
            give_up(question.c_str(), "there is nothing of that name");
        change_sides(question[0] == '1');
        unpin();
        std::cout << one->run().figure << std::endl;
    }
    return 0;
}
