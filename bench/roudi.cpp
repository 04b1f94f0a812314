/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "roudi.h"

#include "litter.h"
#include "processes.h"
#include "shared.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace roudi
{
namespace
{

constexpr int patience_ms = 60000;  /* a daemon that says nothing for so long will not start */
constexpr int grace_ms = 10000;     /* for it to end when told to */
constexpr char started[] = "ready"; /* what the minder says then */

struct Pipe {
    int from, to;
    Pipe()
    {
        int ends[2];
        require(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        from = ends[0];
        to = ends[1];
    }
};

void say(int to, const std::string &what)
{
    static_cast<void>(!write(to, what.data(), what.size()));
}

/* By its default configuration, which has memory for messages of all sizes here. */
[[noreturn]] void become_daemon(int output)
{
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(output, 1);
    dup2(output, 2);
    default_signals();
    execlp("iox-roudi", "iox-roudi", nullptr);
    say(2, std::string("iox-roudi: ") + std::strerror(errno));
    _exit(127);
}

/* Reads what the daemon says until that is that it is ready. False: it will not be. */
bool await_ready(int output, std::string &said)
{
    char part[512];
    pollfd readable = {output, POLLIN, 0};
    while (said.find("ready for clients") == std::string::npos) {
        const int ready = poll(&readable, 1, patience_ms);
        const ssize_t count = ready == 1 ? read(output, part, sizeof part) : -1;
        if (count <= 0)
            return false;
        said.append(part, static_cast<size_t>(count));
    }
    return true;
}

/*
 * It cleans up, but for when it never gets there: a client that was killed may have had a lock of
 * the daemon's. It is ours, and has the lock of these names until it is gone: so they are too.
 */
void end_daemon(pid_t daemon, int output)
{
    kill(daemon, SIGTERM);
    char part[512];
    pollfd readable = {output, POLLIN, 0};
    while (poll(&readable, 1, grace_ms) == 1)
        if (read(output, part, sizeof part) <= 0) {
            waitpid(daemon, nullptr, 0);
            return;
        }
    const group *own = getgrgid(getegid()); /* whose name the memory for messages has */
    for (const std::string &path :
         {std::string("/dev/shm/iceoryx_mgmt"),
          std::string("/dev/shm/") + (own ? own->gr_name : ""), std::string("/tmp/roudi"),
          std::string("/tmp/roudi.lock"), std::string("/tmp/iox-unique-roudi.lock")})
        unlink(path.c_str());
    kill(daemon, SIGKILL);
    waitpid(daemon, nullptr, 0);
}

/*
 * A process between us and the daemon. A signal that comes while the daemon starts would kill it
 * half-way, and what it has made by then would stay: so the minder waits until it is ready, in any
 * case, and then until nobody is left who could hold the other end of `lives`.
 */
[[noreturn]] void mind(int reports, int lives)
{
    setsid(); /* Ctrl-C is for the others: that they are gone ends this one */
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
        std::signal(number, SIG_IGN);
    unpin();
    const Pipe output;
    const pid_t daemon = fork();
    if (daemon == 0)
        become_daemon(output.to);
    close(output.to);
    std::string said;
    if (daemon > 0 && await_ready(output.from, said)) {
        say(reports, started);
        char end;
        static_cast<void>(!read(lives, &end, sizeof end));
    } else {
        say(reports, said.empty() ? "it says nothing" : said);
    }
    if (daemon > 0)
        end_daemon(daemon, output.from);
    _exit(0);
}

class Minder
{
  public:
    Minder()
    {
        const Pipe reports, held;
        process = fork();
        require(process >= 0, "fork");
        if (process == 0) {
            close(reports.from);
            close(held.to);
            mind(reports.to, held.from);
        }
        close(reports.to);
        close(held.from);
        lives = held.to;
        char said[1024];
        const ssize_t count = read(reports.from, said, sizeof said);
        close(reports.from);
        const std::string what(said, static_cast<size_t>(count > 0 ? count : 0));
        if (what != started) {
            stop();
            fail("iox-roudi did not start", what);
        }
    }
    Minder(const Minder &) = delete;
    Minder &operator=(const Minder &) = delete;
    ~Minder()
    {
        if (getpid() == owner)
            stop();
    }

  private:
    void stop()
    {
        close(lives);
        waitpid(process, nullptr, 0);
    }

    const pid_t owner = getpid();
    pid_t process;
    int lives;
};

pid_t program; /* its first process, which has called need() */

std::string client_beginning()
{
    return "ringbox-bench-" + std::to_string(program) + ".";
}

} // namespace

void need()
{
    static const Minder minder;
    static const Litter sockets = [] {
        program = getpid();
        return Litter::files("/tmp/" + client_beginning()); /* and lock files, of those killed */
    }();
}

std::string client_name()
{
    return client_beginning() + std::to_string(getpid());
}

} // namespace roudi
