/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tail.h: how long a message takes from the call that sends it until the call that receives it has
 * returned, where many more threads than cores send and receive for all they can.
 *
 * A queue is as in crowd.h, but its calls are void send(const Message8 &) and void recv(Message8
 * &), which wait.
 */
#ifndef RBX_BENCH_TAIL_H
#define RBX_BENCH_TAIL_H

#include "crowd.h"
#include "histogram.h"
#include "messages.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

/* Waits as crowd.h has all queues wait that cannot by themselves. */
template <class Queue> struct Yielding : Queue {
    static void rest(unsigned misses)
    {
        constexpr unsigned patience = 32;
        relax();
        if (misses % patience == 0)
            sched_yield();
    }
    struct Sender : Queue::Sender {
        using Queue::Sender::Sender;
        void send(const Message8 &message)
        {
            for (unsigned misses = 1; !this->try_send(message); misses++)
                rest(misses);
        }
    };
    struct Receiver : Queue::Receiver {
        using Queue::Receiver::Receiver;
        void recv(Message8 &message)
        {
            for (unsigned misses = 1; !this->try_recv(message); misses++)
                rest(misses);
        }
    };
};

/* A message's number is the time when it was sent; 0 tells one receiver that it was the last. */
template <class Queue>
Histogram delays(const char *name, Shape shape, std::chrono::milliseconds duration)
{
    struct alignas(128) Line {
        Histogram times;
    };
    Queue queue;
    warm_up_all<Queue, Message8>(queue, shape);
    auto seen = std::make_unique<Line[]>(shape.receivers);
    std::atomic<unsigned> sending{shape.senders};
    Crowd crowd(shape);
    auto send = [&](Member &self) {
        typename Queue::Sender sender(queue);
        Message8 message = {};
        self.begin();
        while (!self.over()) {
            message.number = stamp_ns();
            sender.send(message);
        }
        self.end();
        message.number = 0;
        if (--sending == 0)
            for (unsigned i = 0; i < shape.receivers; i++)
                sender.send(message);
    };
    auto recv = [&](Member &self) {
        typename Queue::Receiver receiver(queue);
        Histogram &times = seen[self.number].times;
        Message8 message = {};
        self.begin();
        for (;;) {
            receiver.recv(message);
            if (message.number == 0)
                break;
            const uint64_t now = stamp_ns();
            times.add(now - std::min(now, message.number));
            self.count++;
        }
        self.end();
    };
    crowd.run(send, recv, duration);
    if (crowd.received() == 0)
        fail(name, "nobody received anything");
    Histogram all;
    for (unsigned i = 0; i < shape.receivers; i++)
        all.add(seen[i].times);
    return all;
}

#endif
