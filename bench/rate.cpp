/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a message takes to the other thread where messages come at a rate, as from a market or a
 * sensor, rather than as quickly as the queue takes them.
 *
 * Each is due at a time that was fixed beforehand, and its delay counts from then: one that could
 * not even be sent in time, since the queue or the sender was held up, has waited all the same. (To
 * count from when it was sent leaves out just those: coordinated omission.)
 */
#include "case.h"
#include "queues.h"

#include <atomic>
#include <memory>
#include <string>

namespace
{

constexpr double shown = 0.5; /* the figure is the median; the rest is in the percentiles */

template <class Queue> Sample delays_at(double interval_ns)
{
    constexpr double duration_ns = 200e6;
    const auto messages = static_cast<uint64_t>(duration_ns / interval_ns);
    Queue queue;
    warm_up<Queue, 24>(queue);
    auto times = std::make_shared<Histogram>();
    auto send = [&] {
        Message24 message = {};
        const double begun = now_ns() + interval_ns;
        for (uint64_t i = 0; i < messages; i++) {
            const auto due = static_cast<uint64_t>(begun + static_cast<double>(i) * interval_ns);
            while (stamp_ns() < due)
                relax();
            set_number(message, due);
            queue.send(message);
        }
    };
    auto recv = [&] {
        Message24 message;
        for (uint64_t i = 0; i < messages; i++) {
            queue.recv(message);
            times->add(stamp_ns() - message.number);
            if (!is_whole(message))
                give_up("rate", "a message is not what was sent");
        }
    };
    together_ns(send, recv);
    return {times, shown};
}

void add_rate(const char *rate, double interval_ns, bool is_quick)
{
    Case &one = add_case("rate", std::string("rate/24/") + rate,
                         std::string("SPSC, 24-byte messages, ") + rate +
                             " a second: from when each is due until it is received",
                         "ns");
    one.kind = "spsc";
    one.size = 24;
    one.senders = one.receivers = 1;
    one.is_quick = is_quick;
    for_each_queue<24>([&](const char *who, Role role, auto type) {
        one.contend(who, role,
                    [=] { return delays_at<typename decltype(type)::type>(interval_ns); });
    });
}

int added = [] {
    add_rate("100k", 10000, false);
    add_rate("1M", 1000, true);
    return 0;
}();

} // namespace
