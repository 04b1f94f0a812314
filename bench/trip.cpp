/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Round trips: one message there and one back, spinning. */
#include "case.h"
#include "crowd.h"
#include "many.h"
#include "queues.h"

#include <chrono>
#include <string>

namespace
{

constexpr uint64_t trips = 20000;

/* Both ends of it: an answer to an earlier question would come too soon. */
template <size_t size> void check_answer(const Message<size> &message, uint64_t wanted)
{
    if (message.number != wanted || !is_whole(message))
        give_up("trip", "an answer is not what was asked");
}

template <class Queue, size_t size> double trip_ns()
{
    Queue there, back;
    warm_up<Queue, size>(there);
    warm_up<Queue, size>(back);
    auto ask = [&] {
        Message<size> message = {};
        for (uint64_t i = 1; i <= trips; i++) {
            set_number(message, i);
            there.send(message);
            back.recv(message);
            check_answer(message, i);
        }
    };
    auto answer = [&] {
        Message<size> message;
        for (uint64_t i = 0; i < trips; i++) {
            there.recv(message);
            back.send(message);
        }
    };
    return together_ns(ask, answer) / trips;
}

template <size_t size> void add_trip(bool is_quick)
{
    const std::string bytes = std::to_string(size), name = "trip/spsc/" + bytes;
    Case &one = add_case("trip", name, "SPSC, " + bytes + " bytes there and back, spinning", "ns");
    one.kind = "spsc";
    one.size = size;
    one.senders = one.receivers = 1;
    one.is_quick = is_quick;
    one.in_builds = true;
    for_each_queue<size>([&](const char *who, Role role, auto type) {
        one.contend(who, role, trip_ns<typename decltype(type)::type, size>);
    });
    aim("SPSC, round trip of " + bytes + " bytes: ours / best peer", name, "ours", best_peer,
        at_most(0.85));
    if (size == 24)
        aim("SPSC, round trip of 24 bytes: ours / bare words", name, "ours", floor_trip,
            at_most(1.6));
}

/* --- In a ring that could have many senders and receivers, beside those for two --- */

/* Each of these is what crowd.h asks of a queue, with send and recv, and has been warmed up. */
template <class Queue> struct Waiting : Queue {
    Waiting()
    {
        warm_up_all<Queue, Message8>(*this, {1, 1});
    }
};

template <class Queue> struct ForTwo {
    Queue queue;
    ForTwo()
    {
        warm_up<Queue, 8>(queue);
    }
    struct End {
        Queue &queue;
        explicit End(ForTwo &all) : queue(all.queue)
        {
        }
        void send(const Message8 &message)
        {
            queue.send(message);
        }
        void recv(Message8 &message)
        {
            queue.recv(message);
        }
    };
    typedef End Sender;
    typedef End Receiver;
};

template <class Queue> double many_trip_ns()
{
    Queue there, back;
    Crowd crowd({1, 1});
    auto ask = [&](Member &self) {
        typename Queue::Sender sender(there);
        typename Queue::Receiver receiver(back);
        Message8 message = {};
        self.begin();
        for (uint64_t i = 1; i <= trips; i++) {
            set_number(message, i);
            sender.send(message);
            receiver.recv(message);
            check_answer(message, i);
        }
        self.end();
    };
    auto answer = [&](Member &self) {
        typename Queue::Sender sender(back);
        typename Queue::Receiver receiver(there);
        Message8 message = {};
        self.begin();
        for (uint64_t i = 0; i < trips; i++) {
            receiver.recv(message);
            sender.send(message);
        }
        self.end();
    };
    crowd.run(ask, answer, std::chrono::seconds(2));
    return crowd.took_ns() / trips;
}

void add_many_trip()
{
    Case &one = add_case("trip", "trip/mpmc/8",
                         "MPMC, 8 bytes there and back, spinning, beside queues for two", "ns");
    one.kind = "mpmc";
    one.size = 8;
    one.senders = one.receivers = 1;
    one.contend("ours", Role::ours, many_trip_ns<Waiting<many::Ours<8>>>);
    for_each_queue<8>([&](const char *who, Role role, auto type) {
        if (role == Role::peer)
            one.contend(who, role, many_trip_ns<ForTwo<typename decltype(type)::type>>);
    });
    one.contend("ours, strict", Role::variant, many_trip_ns<Waiting<many::Strict<8>>>);
    one.contend("mutex ring", Role::baseline, many_trip_ns<Waiting<many::Mutex<8>>>);
    aim("MPMC, round trip of 8 bytes: ours / best peer for two", one.name, "ours", best_peer,
        at_most(1.1));
}

int added = [] {
    add_trip<8>(false);
    add_trip<24>(true);
    add_trip<248>(false);
    add_trip<1024>(false);
    add_many_trip();
    return 0;
}();

} // namespace
