/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "processes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

void Side::meet()
{
    constexpr unsigned looks = 1000; /* before others, who may need this core, may run */
    if (met == 0)
        pin(core);
    const uint64_t wanted = 2 * ++met;
    /* Each sees what the other did before it came: the release of one, the acquire of the other. */
    arrived.fetch_add(1, std::memory_order_acq_rel);
    for (unsigned i = 1; arrived.load(std::memory_order_acquire) < wanted; i++) {
        relax();
        if (i % looks == 0)
            sched_yield();
    }
}

void default_signals()
{
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
        std::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

typedef std::function<void(Side &)> Body;

struct BothSides {
    Shared<std::atomic<uint64_t>> arrived{UINT64_C(0)};
    std::vector<Side> sides;

    BothSides()
    {
        const Cores cores = two_cores();
        sides.push_back(Side(*arrived, cores.first));
        sides.push_back(Side(*arrived, cores.second));
    }
};

namespace
{

/* Says why in the pipe to the parent, and ends: another thread of this process may be stuck. */
[[noreturn]] void give_up_child(int reports, const char *why)
{
    static_cast<void>(!write(reports, why, std::strlen(why)));
    _exit(1);
}

void run_body(const Body &body, Side &side, int reports)
{
    try {
        body(side);
    } catch (const std::exception &error) {
        give_up_child(reports, error.what());
    }
}

/* A forked process that runs these, each in a thread of its own. */
class Child
{
  public:
    Child(std::vector<const Body *> bodies, std::vector<Side *> sides)
    {
        int ends[2];
        require(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        const pid_t parent = getpid();
        process = fork();
        if (process < 0) {
            close(ends[0]);
            close(ends[1]);
            require(false, "fork");
        }
        if (process == 0)
            be(parent, ends[1], bodies, sides);
        close(ends[1]);
        reports = ends[0];
    }
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;
    ~Child()
    {
        end();
        close(reports);
    }

    /* Readable when it has something to say, or has ended. */
    pollfd readable() const
    {
        return {ended ? -1 : reports, POLLIN, 0};
    }

    /* Reads what it says; at the end of that, how it ended. */
    void listen()
    {
        char part[256];
        const ssize_t count = read(reports, part, sizeof part);
        if (count > 0) {
            said.append(part, static_cast<size_t>(count));
            return;
        }
        int status = 0;
        while (waitpid(process, &status, 0) < 0 && errno == EINTR)
            ;
        ended = true;
        if (said.empty() && WIFSIGNALED(status))
            said = std::string("a process died of: ") + strsignal(WTERMSIG(status));
        else if (said.empty() && status != 0)
            said = "a process failed without saying why";
    }

    bool has_ended() const
    {
        return ended;
    }
    const std::string &why() const
    {
        return said;
    }
    void end()
    {
        if (ended)
            return;
        kill(process, SIGKILL);
        while (waitpid(process, nullptr, 0) < 0 && errno == EINTR)
            ;
        ended = true;
    }

  private:
    [[noreturn]] static void be(pid_t parent, int reports, const std::vector<const Body *> &bodies,
                                const std::vector<Side *> &sides)
    {
        default_signals(); /* what has a name is the parent's to remove */
        setpgid(0, 0);     /* Ctrl-C is not meant for it, but for its parent */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        unpin();
        std::vector<std::thread> threads;
        for (size_t i = 1; i < bodies.size(); i++)
            threads.emplace_back(run_body, std::cref(*bodies[i]), std::ref(*sides[i]), reports);
        run_body(*bodies[0], *sides[0], reports);
        for (std::thread &thread : threads)
            thread.join();
        std::quick_exit(0); /* neither the parent's destructors nor its output are this one's */
    }

    pid_t process;
    int reports;
    bool ended = false;
    std::string said;
};

/* Until all have ended, or one has failed, or time is up. */
std::string await(std::vector<std::unique_ptr<Child>> &children, std::chrono::seconds limit)
{
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
        std::vector<pollfd> fds;
        for (const auto &child : children)
            fds.push_back(child->readable());
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        const int ready =
            left.count() > 0 ? poll(fds.data(), fds.size(), static_cast<int>(left.count())) : 0;
        if (ready < 0 && errno != EINTR)
            return std::string("poll: ") + std::strerror(errno);
        if (ready == 0)
            return "not done after " + std::to_string(limit.count()) + " s";
        bool all_ended = true;
        for (size_t i = 0; i < fds.size(); i++) {
            Child &child = *children[i];
            if (ready > 0 && fds[i].revents != 0)
                child.listen();
            if (child.has_ended() && !child.why().empty())
                return child.why();
            all_ended = all_ended && child.has_ended();
        }
        if (all_ended)
            return "";
    }
}

} // namespace

std::string run_apart(Apart apart, const Body &first, const Body &second,
                      std::chrono::seconds limit)
{
    std::fflush(nullptr); /* what is buffered is not to be written by two */
    BothSides both;
    std::vector<std::unique_ptr<Child>> children;
    if (apart == Apart::THREADS) {
        children.push_back(
            std::make_unique<Child>(std::vector<const Body *>{&first, &second},
                                    std::vector<Side *>{&both.sides[0], &both.sides[1]}));
    } else {
        children.push_back(std::make_unique<Child>(std::vector<const Body *>{&first},
                                                   std::vector<Side *>{&both.sides[0]}));
        children.push_back(std::make_unique<Child>(std::vector<const Body *>{&second},
                                                   std::vector<Side *>{&both.sides[1]}));
    }
    return await(children, limit);
}
