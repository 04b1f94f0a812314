/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where the receiver sleeps and has to be woken: there and back, what the call costs that wakes,
 * and messages that come at a rate; and one process to another, for those that sleep and for those
 * that poll.
 */
#include "case.h"
#include "processes.h"
#include "sleepers.h"

#include <memory>
#include <string>

namespace
{

template <class Way> Role role_of()
{
    const std::string name = Way::name;
    return name == "ours"                 ? Role::ours
           : name.rfind("ours, ", 0) == 0 ? Role::variant
           : name == "mutex ring"         ? Role::baseline
                                          : Role::peer;
}

/* Where it is about sleeping, ours is the one that does: by default it spins first, and so does not
   sleep at all where the answer comes soon. The others never spin. */
template <class Way> Role sleeping_role_of()
{
    const std::string name = Way::name;
    return name == "ours"                   ? Role::variant
           : name == "ours, never spinning" ? Role::ours
                                            : role_of<Way>();
}

double figure_of(const Crossed &crossed)
{
    if (!crossed.why.empty())
        throw std::runtime_error(crossed.why);
    return crossed.ns;
}

constexpr uint64_t trips = 2000, few = 500;

/* What is in a histogram of a forked process is lost with it: so it is in memory that is shared. */
template <class Way, size_t size> Sample trip(Apart apart)
{
    Shared<Histogram> times;
    const auto record = [&](uint64_t ns) { times->add(ns); };
    const double mean = figure_of(trips_apart<Way, size>(apart, trips, few, record));
    return {mean, std::make_shared<Histogram>(*times)};
}

template <class Way, size_t size> Sample wake(Apart apart)
{
    constexpr double until_asleep_ns = 100000;
    constexpr uint64_t wakes = 500;
    Shared<Histogram> times;
    Way way;
    const std::string why = run_apart(
        apart,
        [&](Side &side) {
            typename Way::Sender sender(way);
            Message<size> message = {};
            side.meet();
            for (message.number = 1; message.number <= wakes; message.number++) {
                for (const double begun = now_ns(); now_ns() < begun + until_asleep_ns;)
                    relax();
                const uint64_t begun = stamp_ns();
                sender.send(message);
                times->add(stamp_ns() - begun);
            }
            side.meet();
        },
        [&](Side &side) {
            typename Way::Receiver receiver(way);
            Message<size> message;
            side.meet();
            for (uint64_t wanted = 1; wanted <= wakes; wanted++) {
                receiver.recv(message);
                check_number(message.number, wanted);
            }
            side.meet();
        });
    if (!why.empty())
        throw std::runtime_error(why);
    return {std::make_shared<Histogram>(*times), 0.5};
}

/* As in rate.cpp: from when a message was due, which was fixed beforehand and is its number. */
template <class Way, size_t size> Sample delays(Apart apart, double interval_ns)
{
    constexpr double duration_ns = 200e6;
    const auto messages = static_cast<uint64_t>(duration_ns / interval_ns);
    Shared<Histogram> times;
    Way way;
    const std::string why = run_apart(
        apart,
        [&](Side &side) {
            typename Way::Sender sender(way);
            Message<size> message = {};
            side.meet();
            warm_up_sender<Way, size>(sender, message, few);
            side.meet();
            const double begun = now_ns() + interval_ns;
            for (uint64_t i = 0; i < messages; i++) {
                const auto due =
                    static_cast<uint64_t>(begun + static_cast<double>(i) * interval_ns);
                while (stamp_ns() < due)
                    relax();
                set_number(message, due);
                sender.send(message);
            }
            side.meet();
        },
        [&](Side &side) {
            typename Way::Receiver receiver(way);
            Message<size> message;
            side.meet();
            warm_up_receiver<Way, size>(receiver, message, few);
            side.meet();
            for (uint64_t i = 0, last = 0; i < messages; i++, last = message.number) {
                receiver.recv(message);
                times->add(stamp_ns() - message.number);
                if (message.number <= last || !is_whole(message))
                    wrong_contents(i);
            }
            side.meet();
        });
    if (!why.empty())
        throw std::runtime_error(why);
    return {std::make_shared<Histogram>(*times), 0.5};
}

template <class Way, size_t size> Sample stream(Apart apart, uint64_t most)
{
    return figure_of(stream_apart<Way, size>(apart, worth_of(size, most)));
}

const char *between(Apart apart)
{
    return apart == Apart::THREADS ? "threads" : "processes";
}

Case &add(const std::string &group, const std::string &name, const std::string &title,
          const char *unit, size_t size)
{
    Case &one = add_case(group, name, title, unit);
    one.kind = "spsc";
    one.size = size;
    one.senders = one.receivers = 1;
    return one;
}

void add_trip(Apart apart)
{
    Case &one = add("asleep", std::string("asleep/trip/") + between(apart),
                    std::string("8 bytes to another ") +
                        (apart == Apart::THREADS ? "thread" : "process") + " that sleeps, and back",
                    "ns", 8);
    one.is_quick = apart == Apart::PROCESSES;
    sleepers::for_each_sleeper<8>([&](auto type) {
        typedef typename decltype(type)::type Way;
        one.contend(Way::name, sleeping_role_of<Way>(), [=] { return trip<Way, 8>(apart); });
    });
    const std::string what = std::string("sleep and wake, ") + between(apart);
    aim(what + ", never spinning: ours / best other", one.name, "ours, never spinning", best_peer,
        at_most(0.8));
    aim(what + ", by default: ours / best other", one.name, "ours", best_peer, at_most(0.8));
}

/* Every 100 us the receiver has fallen asleep again, unless it spins; every 10 us it need not. */
void add_rates(Apart apart)
{
    const std::string where = between(apart);
    Case &asleep = add("rate", "rate/" + where + "/10k",
                       "24-byte messages, 10k a second, between " + where +
                           " that sleep: from when each is due until it is received",
                       "ns", 24);
    sleepers::for_each_sleeper<24>([&](auto type) {
        typedef typename decltype(type)::type Way;
        asleep.contend(Way::name, sleeping_role_of<Way>(),
                       [=] { return delays<Way, 24>(apart, 100000); });
    });
    Case &awake = add("rate", "rate/" + where + "/100k",
                      "24-byte messages, 100k a second, between " + where +
                          " that poll: from when each is due until it is received",
                      "ns", 24);
    awake.contend("ours", Role::ours,
                  [=] { return delays<sleepers::OursDefault<24>, 24>(apart, 10000); });
    sleepers::for_each_poller<24>([&](auto type) {
        typedef typename decltype(type)::type Way;
        awake.contend(Way::name, role_of<Way>(), [=] { return delays<Way, 24>(apart, 10000); });
    });
}

void add_wake()
{
    Case &one = add("asleep", "asleep/wake", "the call that sends 8 bytes to a process that sleeps",
                    "ns", 8);
    sleepers::for_each_sleeper<8>([&](auto type) {
        typedef typename decltype(type)::type Way;
        one.contend(Way::name, sleeping_role_of<Way>(),
                    [] { return wake<Way, 8>(Apart::PROCESSES); });
    });
}

template <size_t size> void add_stream(bool is_quick)
{
    const std::string bytes = std::to_string(size);
    Case &one = add("processes", "processes/" + bytes, bytes + "-byte messages to another process",
                    "ns/message", size);
    one.is_quick = is_quick;
    constexpr uint64_t many = 200000, some = 20000;
    auto contend = [&](uint64_t most) {
        return [&one, most](auto type) {
            typedef typename decltype(type)::type Way;
            if (Way::carries)
                one.contend(Way::name, role_of<Way>(),
                            [=] { return stream<Way, size>(Apart::PROCESSES, most); });
        };
    };
    sleepers::for_each_sleeper<size>([&](auto type) {
        typedef typename decltype(type)::type Way;
        contend(role_of<Way>() == Role::peer ? some : many)(type);
    });
    sleepers::for_each_poller<size>(contend(many));
    if (size == 24) {
        one.contend("ours, to a thread", Role::note,
                    [] { return stream<sleepers::OursDefault<size>, size>(Apart::THREADS, many); });
        aim("SPSC, 24 bytes: to a process / to a thread", one.name, "ours", "ours, to a thread",
            at_most(1.05));
    }
}

int added = [] {
    add_trip(Apart::THREADS);
    add_trip(Apart::PROCESSES);
    add_wake();
    add_rates(Apart::THREADS);
    add_rates(Apart::PROCESSES);
    add_stream<24>(true);
    add_stream<248>(false);
    add_stream<1024>(false);
    add_stream<4096>(false);
    return 0;
}();

} // namespace
