/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gnuplot.cpp: runs it, without a shell or a name of a file that anybody could choose. */
#include "gnuplot.h"
#include "text.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace report
{

namespace
{

/* A file without a name, gone when it is closed. */
using File = std::unique_ptr<std::FILE, int (*)(std::FILE *)>;

File nameless()
{
    File file(std::tmpfile(), std::fclose);
    if (!file)
        throw Complaint(std::string("Cannot make a temporary file: ") + std::strerror(errno) + ".");
    return file;
}

std::string content(std::FILE *file)
{
    std::string text;
    char part[65536];
    std::rewind(file);
    while (size_t got = std::fread(part, 1, sizeof part, file))
        text.append(part, got);
    return text;
}

[[noreturn]] void cannot_run(int error)
{
    throw Complaint(error == ENOENT
                        ? std::string("The pictures take gnuplot, which is not installed: it is in "
                                      "the package gnuplot-nox.")
                        : std::string("Cannot run gnuplot: ") + std::strerror(error) + ".");
}

} // namespace

std::string gnuplot(const std::string &script)
{
    /* Files, not pipes: it may write before it has read all. */
    File in = nameless(), out = nameless(), err = nameless();
    if (std::fwrite(script.data(), 1, script.size(), in.get()) != script.size() ||
        std::fflush(in.get()) != 0)
        throw Complaint(
            "Cannot write what gnuplot is to draw: " + std::string(std::strerror(errno)) + ".");
    std::rewind(in.get());

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, fileno(in.get()), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(out.get()), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(err.get()), STDERR_FILENO);
    /* -d: what the user has in ~/.gnuplot would draw along. */
    char name[] = "gnuplot", defaults[] = "-d", from_input[] = "-";
    char *arguments[] = {name, defaults, from_input, nullptr};
    pid_t child;
    int error = posix_spawnp(&child, name, &files, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (error)
        cannot_run(error);
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            cannot_run(errno);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
        cannot_run(ENOEXEC);
    std::string said = content(err.get()), drawn = content(out.get());
    if (WEXITSTATUS(status) != 0 || drawn.find("</svg>") == std::string::npos)
        throw Complaint("gnuplot did not draw: " + shortened(one_line(said), 400));
    return drawn;
}

} // namespace report
