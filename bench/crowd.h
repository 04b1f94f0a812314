/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crowd.h: many senders and receivers on two cores, and how fast a queue lets them go. What a
 * thread does between two tries is the same for every queue.
 *
 * A queue has the classes Sender and Receiver, which a thread makes for itself from the queue: with
 * bool try_send(const Item &) and bool try_recv(Item &), and, where it is measured in batches,
 * size_t try_send_n(const Item *, size_t) and size_t try_recv_n(Item *, size_t).
 */
#ifndef RBX_BENCH_CROWD_H
#define RBX_BENCH_CROWD_H

#include "bench.h"
#include "messages.h"
#include "pair.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <sched.h>
#include <string>
#include <vector>

struct Shape {
    unsigned senders, receivers;
};

inline std::string shape_name(Shape shape)
{
    return std::to_string(shape.senders) + "x" + std::to_string(shape.receivers);
}

/* What is common to all; nobody writes to it while they are timed. */
struct alignas(128) Signals {
    std::atomic<bool> over{false};                 /* time is up */
    alignas(128) std::atomic<unsigned> missing{0}; /* threads that have yet to begin */
};

/* One thread of a crowd, on cache lines of its own. */
class alignas(128) Member
{
  public:
    unsigned number;     /* among the senders, or among the receivers */
    uint64_t count = 0;  /* messages that it has received */
    uint64_t sum = 0;    /* of their numbers */
    uint64_t behind = 0; /* messages that came after a later one of the same sender */
    uint64_t torn = 0;   /* that are a mixture of some */

    Member(unsigned which, bool shares_its_core, Signals &of_all)
        : number(which), crowded(shares_its_core), signals(of_all)
    {
    }

    /* Returns when all are here. */
    void begin()
    {
        signals.missing--;
        while (signals.missing.load(std::memory_order_acquire) > 0)
            sched_yield();
        begun = now_ns();
    }
    void end()
    {
        ended = now_ns();
    }

    bool over() const
    {
        return signals.over.load(std::memory_order_relaxed);
    }

    /* What a thread does when so many tries in a row have failed. False: time is up. */
    bool wait(unsigned misses) const
    {
        relax();
        if (misses % patience > 0)
            return true;
        if (crowded)
            sched_yield();
        return !over();
    }

  private:
    friend class Crowd;
    static constexpr unsigned patience = 32;

    bool crowded;
    Signals &signals;
    double begun = 0, ended = 0;
};

class Crowd
{
  public:
    explicit Crowd(Shape shape);

    /* Runs all until they have done; when that takes longer than the limit, tells them that it is
       over. Each calls begin() and end() around what is timed. */
    void run(const std::function<void(Member &)> &send, const std::function<void(Member &)> &recv,
             std::chrono::milliseconds limit);

    double took_ns() const; /* from the first one's begin to the last one's end */
    uint64_t received() const
    {
        return total_of(&Member::count);
    }
    uint64_t sum() const
    {
        return total_of(&Member::sum);
    }
    uint64_t behind() const
    {
        return total_of(&Member::behind);
    }
    uint64_t torn() const
    {
        return total_of(&Member::torn);
    }

  private:
    uint64_t total_of(uint64_t Member::*what) const; /* of the receivers */

    Signals signals;
    std::deque<Member> senders, receivers;
};

/* A message's number: who sent it << 40 | how many that one had sent with it. */
constexpr unsigned sender_shift = 40;
constexpr unsigned most_senders = 16;

/* How many messages to send or receive without a look whether time is up. */
constexpr uint64_t stretch = 8;

template <class Queue, class Item>
[[gnu::noinline]] void produce(Queue &queue, Member &self, uint64_t total)
{
    typename Queue::Sender sender(queue);
    Item item = {};
    item.number = static_cast<uint64_t>(self.number) << sender_shift;
    self.begin();
    for (uint64_t sent = 0; sent < total && !self.over();) {
        const uint64_t until = std::min(sent + stretch, total);
        for (; sent < until; sent++) {
            set_number(item, item.number + 1);
            for (unsigned misses = 1; !sender.try_send(item); misses++)
                if (!self.wait(misses))
                    return self.end();
        }
    }
    self.end();
}

/* Looks at what a receiver gets: cheap enough to be timed with it. */
class Check
{
  public:
    template <class Item> void take(const Item &item)
    {
        const uint64_t number = item.number;
        uint64_t &last = latest[(number >> sender_shift) % most_senders];
        torn += !is_whole(item);
        late += number <= last;
        last = number;
        total += number;
        taken++;
    }
    void report(Member &self) const
    {
        self.count = taken;
        self.sum = total;
        self.behind = late;
        self.torn = torn;
    }

  private:
    uint64_t taken = 0, total = 0, late = 0, torn = 0;
    uint64_t latest[most_senders] = {};
};

template <class Queue, class Item>
[[gnu::noinline]] void consume(Queue &queue, Member &self, uint64_t total)
{
    typename Queue::Receiver receiver(queue);
    Item item = {};
    Check check;
    auto finish = [&] {
        self.end();
        check.report(self);
    };
    self.begin();
    for (uint64_t taken = 0; taken < total && !self.over();) {
        const uint64_t until = std::min(taken + stretch, total);
        for (; taken < until; taken++) {
            for (unsigned misses = 1; !receiver.try_recv(item); misses++)
                if (!self.wait(misses))
                    return finish();
            check.take(item);
        }
    }
    finish();
}

/* The same with up to `batch` messages a call. */
template <class Queue, class Item, size_t batch>
[[gnu::noinline]] void produce_batches(Queue &queue, Member &self, uint64_t total)
{
    typename Queue::Sender sender(queue);
    Item items[batch] = {};
    const uint64_t name = static_cast<uint64_t>(self.number) << sender_shift;
    self.begin();
    for (uint64_t sent = 0; sent < total && !self.over();) {
        const size_t count = std::min<uint64_t>(batch, total - sent);
        for (size_t i = 0; i < count; i++)
            set_number(items[i], name + sent + i + 1);
        size_t done;
        for (unsigned misses = 1; (done = sender.try_send_n(items, count)) == 0; misses++)
            if (!self.wait(misses))
                return self.end();
        sent += done;
    }
    self.end();
}

template <class Queue, class Item, size_t batch>
[[gnu::noinline]] void consume_batches(Queue &queue, Member &self, uint64_t total)
{
    typename Queue::Receiver receiver(queue);
    Item items[batch] = {};
    Check check;
    auto finish = [&] {
        self.end();
        check.report(self);
    };
    self.begin();
    for (uint64_t taken = 0; taken < total && !self.over();) {
        const size_t most = std::min<uint64_t>(batch, total - taken);
        size_t done;
        for (unsigned misses = 1; (done = receiver.try_recv_n(items, most)) == 0; misses++)
            if (!self.wait(misses))
                return finish();
        for (size_t i = 0; i < done; i++)
            check.take(items[i]);
        taken += done;
    }
    finish();
}

/* Goes twice through all the memory of every endpoint: no page fault should be timed. */
template <class Queue, class Item> void warm_up_all(Queue &queue, Shape shape)
{
    std::deque<typename Queue::Sender> senders;
    std::deque<typename Queue::Receiver> receivers;
    for (unsigned i = 0; i < shape.senders; i++)
        senders.emplace_back(queue);
    for (unsigned i = 0; i < shape.receivers; i++)
        receivers.emplace_back(queue);
    Item item = {};
    size_t turn = 0;
    for (int lap = 0; lap < 2; lap++)
        for (auto &sender : senders) {
            for (size_t i = 0; i < queue_capacity && sender.try_send(item); i++)
                ;
            while (receivers[turn++ % receivers.size()].try_recv(item))
                ;
        }
}

struct Crossing {
    double ns;       /* a message */
    uint64_t behind; /* messages out of their sender's order */
};

/* No measurement takes longer; its figure is then what it was so far. */
constexpr std::chrono::milliseconds crossing_limit{40};

/* `total` can be divided among the senders, and among the receivers. */
template <class Queue, class Item, size_t batch = 1>
Crossing cross(const char *name, Shape shape, uint64_t total)
{
    Queue queue;
    warm_up_all<Queue, Item>(queue, shape);
    Crowd crowd(shape);
    const uint64_t share = total / shape.senders, part = total / shape.receivers;
    auto send = [&](Member &self) {
        if constexpr (batch > 1)
            produce_batches<Queue, Item, batch>(queue, self, share);
        else
            produce<Queue, Item>(queue, self, share);
    };
    auto recv = [&](Member &self) {
        if constexpr (batch > 1)
            consume_batches<Queue, Item, batch>(queue, self, part);
        else
            consume<Queue, Item>(queue, self, part);
    };
    crowd.run(send, recv, crossing_limit);

    uint64_t sum = 0;
    for (uint64_t i = 0; i < shape.senders; i++)
        sum += (i << sender_shift) * share + share * (share + 1) / 2;
    const uint64_t received = crowd.received();
    if (crowd.torn() > 0)
        fail(name, "it delivered messages that were never sent");
    if (received == total && crowd.sum() != sum)
        fail(name, "it lost messages, and delivered others twice");
    return {crowd.took_ns() / static_cast<double>(std::max<uint64_t>(received, 1)), crowd.behind()};
}

#endif
