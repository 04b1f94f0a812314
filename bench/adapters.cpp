/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * adapters: that each way to hand messages on works here, before anybody believes its figures:
 * 10,000 messages through each, of several sizes, between threads and between processes, as a
 * stream, as round trips and in place; and that the harness itself notices what goes wrong.
 *
 *     adapters [NAME...]     all, or those of these names
 */
#include "bench.h"
#include "processes.h"
#include "sleepers.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <sys/wait.h>

void give_up(const char *what, const char *why)
{
    std::fprintf(stderr, "adapters: %s: %s\n", what, why);
    std::exit(1);
}

namespace
{

constexpr uint64_t messages = 10000, trips = 2000, warm_up = 500;

int failures;
char **wanted; /* names, then NULL; none: all */

bool is_wanted(const char *name)
{
    bool found = !*wanted;
    for (char **each = wanted; *each; each++)
        found = found || std::strcmp(*each, name) == 0;
    return found;
}

void say(const std::string &what, const std::string &wrong, double ns = 0)
{
    failures += !wrong.empty();
    if (!wrong.empty())
        std::printf("NOT OK: %s: %s\n", what.c_str(), wrong.c_str());
    else if (ns > 0)
        std::printf("ok: %s (%.0f ns)\n", what.c_str(), ns);
    else
        std::printf("ok: %s\n", what.c_str());
}

void say(const std::string &what, const Crossed &crossed)
{
    const bool figure = crossed.ns > 0 || !crossed.why.empty();
    say(what, figure ? crossed.why : "it took no time at all", crossed.ns);
}

template <class Way, class = void> struct IsInPlace : std::false_type {
};
template <class Way> struct IsInPlace<Way, std::void_t<decltype(Way::in_place)>> : std::true_type {
};

/* --- The ways --- */

template <class Way, size_t size> void check_way()
{
    if (!is_wanted(Way::name))
        return;
    for (Apart apart : {Apart::THREADS, Apart::PROCESSES}) {
        const std::string what = std::string(Way::name) + ", " + std::to_string(size) + " bytes, " +
                                 (apart == Apart::THREADS ? "threads" : "processes");
        say(what + ", stream", stream_apart<Way, size>(apart, messages, warm_up));
        say(what + ", round trips", trips_apart<Way, size>(apart, trips, warm_up));
        if constexpr (IsInPlace<Way>::value)
            say(what + ", in place",
                stream_apart<Way, size, InPlace<size>>(apart, messages, warm_up));
    }
}

template <size_t size> void check_ways()
{
    auto check = [](auto type) { check_way<typename decltype(type)::type, size>(); };
    sleepers::for_each_sleeper<size>(check);
    sleepers::for_each_poller<size>(check);
}

/* --- The harness --- */

void expect(const std::string &what, const std::string &said, const std::string &part)
{
    say(what, said.find(part) != std::string::npos ? "" : "it said '" + said + "'");
}

/* A pipe with a fault: from message 1000 on. */
enum Fault { WRONG_BYTE, LOST, TWICE };
template <Fault fault> struct Faulty : sleepers::Pipe<64> {
    void send(const Message<64> &message)
    {
        Message<64> sent = message;
        if (message.number >= 1000 && fault == WRONG_BYTE)
            sent.rest[50] ^= 1;
        if (message.number != 1000 || fault == WRONG_BYTE)
            return Pipe::send(sent);
        for (int i = 0; fault == TWICE && i < 2; i++)
            Pipe::send(sent);
    }
    struct Sender {
        Faulty &way;
        explicit Sender(Faulty &made) : way(made)
        {
        }
        void send(const Message<64> &message)
        {
            way.send(message);
        }
    };
};

void check_harness(Apart apart)
{
    const std::string where = apart == Apart::THREADS ? ", threads" : ", processes";
    const auto nothing = [](Side &) {};
    const auto wait = [](Side &side) { side.meet(); };
    expect("a wrong byte while warming up is noticed" + where,
           stream_apart<Faulty<WRONG_BYTE>, 64>(apart, 3000, 2000).why, "other contents");
    expect("a wrong byte in the last message is noticed" + where,
           stream_apart<Faulty<WRONG_BYTE>, 64>(apart, 3000, 500).why, "other contents");
    expect("a lost message is noticed" + where,
           stream_apart<Faulty<LOST>, 64>(apart, 3000, 500).why, "came where 1000 should have");
    expect("a message that comes twice is noticed" + where,
           stream_apart<Faulty<TWICE>, 64>(apart, 3000, 500).why, "came where 1001 should have");
    expect("what a side throws is reported while the other waits" + where,
           run_apart(apart, wait, [](Side &) { fail("this", "did not work"); }),
           "this: did not work");
    expect("a side that crashes is reported while the other waits" + where,
           run_apart(
               apart, [](Side &) { std::raise(SIGKILL); }, wait),
           "died of: Killed");
    expect("a side that hangs is ended" + where,
           run_apart(apart, wait, nothing, std::chrono::seconds(1)), "not done after 1 s");
}

/* As a program has that looks for signals itself. */
void check_signals()
{
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    const auto look = [](Side &) {
        sigset_t now;
        sigprocmask(SIG_BLOCK, nullptr, &now);
        if (sigismember(&now, SIGTERM))
            fail("SIGTERM", "is blocked");
    };
    say("what is forked blocks no signals, though its parent does",
        run_apart(Apart::PROCESSES, look, look));
    sigprocmask(SIG_SETMASK, &before, nullptr);
}

std::string still_there(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0 ? std::string(path) + " is still there" : "";
}

/* What a process has that is killed is removed by its janitor, once it is reaped or not. */
void check_litter()
{
    char directory[] = "/tmp/ringbox-bench.XXXXXX";
    if (!mkdtemp(directory))
        return say("a directory for litter", std::strerror(errno));
    const std::string file = std::string(directory) + "/file",
                      kept = std::string(directory) + "/dir";
    int ends[2];
    require(pipe(ends) == 0, "pipe");
    const pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        std::fclose(std::fopen(file.c_str(), "w"));
        mkdir(kept.c_str(), 0700);
        std::fclose(std::fopen((kept + "/file").c_str(), "w"));
        const Litter first = Litter::file(file), second = Litter::directory(kept);
        const int queue = msgget(IPC_PRIVATE, 0600);
        const Litter third = Litter::message_queue(queue);
        static_cast<void>(!write(ends[1], &queue, sizeof queue));
        raise(SIGKILL);
    }
    int queue = -1;
    require(read(ends[0], &queue, sizeof queue) == sizeof queue, "read");
    waitpid(child, nullptr, 0);
    close(ends[1]);
    close(ends[0]);
    /* The janitor's own end is nowhere to be seen: rmdir works once it has removed all. */
    while (rmdir(directory) != 0 && errno == ENOTEMPTY)
        sched_yield();
    msqid_ds state;
    while (msgctl(queue, IPC_STAT, &state) == 0)
        sched_yield();
    say("what a killed process leaves behind is removed", still_there(directory));
}

} // namespace

int main(int, char **arguments)
{
    wanted = arguments + 1;
    for (const sleepers::Presence &each : sleepers::presence())
        if (!each.present)
            std::printf("SKIP: %s: its package was not installed when this was built\n", each.name);
    if (!*wanted) {
        check_litter();
        check_signals();
        check_harness(Apart::THREADS);
        check_harness(Apart::PROCESSES);
    }
    check_ways<8>();
    change_sides(true);
    check_ways<64>();
    check_ways<4096>();
    std::printf("%d failed\n", failures);
    return failures > 0;
}
