/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "iceoryx.h"

#include "processes.h"
#include "shared.h"

#include <iceoryx_posh/iceoryx_posh_types.hpp>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace iceoryx
{

/* --- The daemon --- */

namespace
{

constexpr int patience_ms = 60000; /* a daemon that says nothing for so long will not start */

class Daemon
{
  public:
    Daemon()
    {
        int ends[2];
        require(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        const pid_t parent = getpid();
        process = fork();
        require(process >= 0, "fork");
        if (process == 0)
            become_daemon(parent, ends[1]);
        close(ends[1]);
        output = ends[0];
        await_ready();
    }
    Daemon(const Daemon &) = delete;
    Daemon &operator=(const Daemon &) = delete;
    ~Daemon()
    {
        if (getpid() == owner)
            stop();
    }

  private:
    /* By its default configuration, which has memory for messages of all sizes here. */
    [[noreturn]] static void become_daemon(pid_t parent, int said)
    {
        setpgid(0, 0);                    /* Ctrl-C is not meant for it, but for us, who end it */
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* however we end: it cleans up then */
        sigset_t none;
        sigemptyset(&none); /* we may have blocked that, which it would inherit */
        sigprocmask(SIG_SETMASK, &none, nullptr);
        if (getppid() != parent)
            _exit(1);
        unpin();
        const int nothing = open("/dev/null", O_RDONLY);
        dup2(nothing, 0);
        dup2(said, 1);
        dup2(said, 2);
        execlp("iox-roudi", "iox-roudi", nullptr);
        dprintf(2, "iox-roudi: %s\n", std::strerror(errno));
        _exit(127);
    }

    /* It says so when it is. */
    void await_ready()
    {
        std::string said;
        char part[512];
        pollfd readable = {output, POLLIN, 0};
        while (said.find("ready for clients") == std::string::npos) {
            const int ready = poll(&readable, 1, patience_ms);
            const ssize_t count = ready == 1 ? read(output, part, sizeof part) : -1;
            if (count <= 0) {
                stop();
                fail("iox-roudi did not start", said.empty() ? "it says nothing" : said);
            }
            said.append(part, static_cast<size_t>(count));
        }
    }

    void stop()
    {
        kill(process, SIGTERM);
        waitpid(process, nullptr, 0);
        close(output);
    }

    const pid_t owner = getpid();
    pid_t process;
    int output;
};

} // namespace

void need_daemon()
{
    static Daemon daemon;
}

/* --- This process's part --- */

namespace
{

void leave()
{
    /* What its destructor does when a process exits: it tells the daemon, which would otherwise
       keep, and perhaps signal, a process number that is another's by then. */
    iox::runtime::PoshRuntime::getInstance().~PoshRuntime();
}

void join()
{
    static const bool once = [] {
        iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
            iox::log::LogLevel::kError, iox::log::LogLevelOutput::kHideLogLevel);
        const std::string name = "ringbox-bench-" + std::to_string(getpid());
        iox::runtime::PoshRuntime::initRuntime(
            iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
        return std::at_quick_exit(leave) == 0;
    }();
    require(once, "at_quick_exit");
}

iox::capro::ServiceDescription describe(const std::string &service)
{
    return {"ringbox-bench", {iox::cxx::TruncateToCapacity, service.c_str()}, "messages"};
}

} // namespace

/* Nothing is lost: a sender waits for its receiver, as with all others here. */
struct Sender::Inside {
    iox::popo::UntypedPublisher publisher;

    static iox::popo::PublisherOptions options()
    {
        iox::popo::PublisherOptions chosen;
        chosen.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
        return chosen;
    }
    explicit Inside(const std::string &service) : publisher(describe(service), options())
    {
    }
};

Sender::Sender(const std::string &service)
{
    join();
    inside = std::make_unique<Inside>(service);
}

Sender::~Sender() = default;

void *Sender::loan(size_t size)
{
    while (!connected) {
        connected = inside->publisher.hasSubscribers();
        if (!connected)
            sched_yield();
    }
    auto loaned = inside->publisher.loan(static_cast<uint32_t>(size));
    if (loaned.has_error())
        fail("iceoryx", "no memory to loan");
    return loaned.value();
}

void Sender::publish(void *message)
{
    inside->publisher.publish(message);
}

struct Receiver::Inside {
    iox::popo::UntypedSubscriber subscriber;
    iox::popo::WaitSet<1> waiting;

    static iox::popo::SubscriberOptions options()
    {
        iox::popo::SubscriberOptions chosen;
        chosen.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
        return chosen; /* with a queue of 256, the most that there can be */
    }
    explicit Inside(const std::string &service) : subscriber(describe(service), options())
    {
        /* By state, not by event: a message that is there already then ends the wait. */
        if (waiting.attachState(subscriber, iox::popo::SubscriberState::HAS_DATA).has_error())
            fail("iceoryx", "cannot wait for a subscriber");
    }
};

Receiver::Receiver(const std::string &service)
{
    join();
    inside = std::make_unique<Inside>(service);
}

Receiver::~Receiver() = default;

const void *Receiver::try_take()
{
    auto taken = inside->subscriber.take();
    return taken.has_error() ? nullptr : taken.value();
}

const void *Receiver::take()
{
    const void *message;
    while (!(message = try_take()))
        inside->waiting.wait();
    return message;
}

void Receiver::release(const void *message)
{
    inside->subscriber.release(message);
}

} // namespace iceoryx
