/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "crowd.h"

#include <future>
#include <numeric>
#include <thread>

/* Sender and receiver of the same number are on different cores. */
Crowd::Crowd(Shape shape)
{
    const unsigned threads = shape.senders + shape.receivers;
    const bool crowded = threads > 2;
    signals.missing = threads;
    for (unsigned i = 0; i < shape.senders; i++)
        senders.emplace_back(i, crowded, signals);
    for (unsigned i = 0; i < shape.receivers; i++)
        receivers.emplace_back(i, crowded, signals);
}

void Crowd::run(const std::function<void(Member &)> &send,
                const std::function<void(Member &)> &recv, std::chrono::milliseconds limit)
{
    const Cores cores = two_cores();
    std::atomic<size_t> left{senders.size() + receivers.size()};
    std::promise<void> done;
    auto live = [&](Member &self, int core, const std::function<void(Member &)> &what) {
        pin(core);
        what(self);
        if (--left == 0)
            done.set_value();
    };
    std::vector<std::thread> threads;
    for (Member &self : senders)
        threads.emplace_back(
            [&] { live(self, self.number % 2 ? cores.second : cores.first, send); });
    for (Member &self : receivers)
        threads.emplace_back(
            [&] { live(self, self.number % 2 ? cores.first : cores.second, recv); });
    while (signals.missing > 0)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    if (done.get_future().wait_for(limit) == std::future_status::timeout)
        signals.over = true;
    for (std::thread &thread : threads)
        thread.join();
}

double Crowd::took_ns() const
{
    double first = senders.front().begun, last = senders.front().ended;
    for (const std::deque<Member> *members : {&senders, &receivers})
        for (const Member &one : *members) {
            first = std::min(first, one.begun);
            last = std::max(last, one.ended);
        }
    return last - first;
}

uint64_t Crowd::total_of(uint64_t Member::*what) const
{
    return std::accumulate(receivers.begin(), receivers.end(), uint64_t{0},
                           [&](uint64_t so_far, const Member &one) { return so_far + one.*what; });
}
