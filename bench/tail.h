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
#include "messages.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>

/* Counts of times, in 32 buckets for each doubling: 3% apart. */
class Histogram
{
  public:
    void add(uint64_t ns)
    {
        counts[bucket(ns)]++;
        longest = std::max(longest, ns);
        total++;
    }
    void add(const Histogram &other)
    {
        for (size_t i = 0; i < buckets; i++)
            counts[i] += other.counts[i];
        longest = std::max(longest, other.longest);
        total += other.total;
    }

    /* The time that this share of all does not exceed (to within a bucket). */
    double at(double share) const
    {
        const auto within = static_cast<uint64_t>(share * static_cast<double>(total));
        uint64_t so_far = 0;
        for (size_t i = 0; i < buckets; i++)
            if ((so_far += counts[i]) > within)
                return static_cast<double>(std::min(last_of(i), longest));
        return static_cast<double>(longest);
    }
    double most() const
    {
        return static_cast<double>(longest);
    }
    double count() const
    {
        return static_cast<double>(total);
    }

  private:
    static constexpr unsigned fine = 5; /* 2^5 buckets a doubling */
    static constexpr size_t buckets = (64 - fine + 1) << fine;

    static size_t bucket(uint64_t value)
    {
        const int shift = value >> fine ? 63 - static_cast<int>(fine) - __builtin_clzll(value) : 0;
        return (static_cast<size_t>(shift) << fine) + static_cast<size_t>(value >> shift);
    }
    static uint64_t last_of(size_t bucket)
    {
        if (bucket < 2U << fine)
            return bucket;
        const size_t shift = (bucket >> fine) - 1;
        const uint64_t first = (bucket & ((1U << fine) - 1)) | (1U << fine);
        return ((first + 1) << shift) - 1;
    }

    uint64_t counts[buckets] = {};
    uint64_t longest = 0, total = 0;
};

inline uint64_t stamp_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

/* A message's number is the time when it was sent; 0 tells one receiver that it was the last. */
template <class Queue> Histogram delays(Shape shape, std::chrono::milliseconds duration)
{
    struct alignas(128) Line {
        Histogram times;
    };
    Queue queue;
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
        }
        self.end();
    };
    crowd.run(send, recv, duration);
    Histogram all;
    for (unsigned i = 0; i < shape.receivers; i++)
        all.add(seen[i].times);
    return all;
}

#endif
