/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "iceoryx.h"

#include "roudi.h"
#include "shared.h"

#include <iceoryx_posh/iceoryx_posh_types.hpp>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include <cstdlib>
#include <sched.h>
#include <unistd.h>

namespace iceoryx
{

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
        const std::string name = roudi::client_name();
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
