/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How fast one thread can send to another: ns a message. */
#include "queues.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <numeric>
#include <string>

namespace
{

constexpr uint64_t most_messages = 300000;

[[noreturn]] void out_of_order(uint64_t got, uint64_t wanted)
{
    give_up("stream", ("message " + std::to_string(got) + " came where " + std::to_string(wanted) +
                       " should have")
                          .c_str());
}

/* --- One by one --- */

template <class Queue, size_t size> [[gnu::noinline]] void produce(Queue &queue, uint64_t messages)
{
    Message<size> message = {};
    for (uint64_t number = 0; number < messages; number++) {
        set_number(message, number);
        queue.send(message);
    }
}

template <class Queue, size_t size> [[gnu::noinline]] void consume(Queue &queue, uint64_t messages)
{
    Message<size> message;
    for (uint64_t wanted = 0; wanted < messages; wanted++) {
        queue.recv(message);
        if (message.number != wanted || !is_whole(message))
            out_of_order(message.number, wanted);
    }
}

template <class Queue, size_t size> double stream_ns()
{
    constexpr uint64_t messages = worth_of(size, most_messages);
    Queue queue;
    warm_up<Queue, size>(queue);
    const double took = together_ns([&] { produce<Queue, size>(queue, messages); },
                                    [&] { consume<Queue, size>(queue, messages); });
    return took / messages;
}

template <size_t size> void add_stream(bool is_quick)
{
    const std::string bytes = std::to_string(size), name = "stream/" + bytes;
    Case &one = add_case("stream", name, "SPSC, " + bytes + "-byte messages to another thread",
                         "ns/message");
    one.kind = "spsc";
    one.size = size;
    one.senders = one.receivers = 1;
    one.is_quick = is_quick;
    one.in_builds = true;
    for_each_queue<size>([&](const char *who, Role role, auto type) {
        one.contend(who, role, stream_ns<typename decltype(type)::type, size>);
    });
    if (size <= 248)
        aim("SPSC, " + bytes + "-byte messages: best peer / ours", name, best_peer, "ours",
            at_least(2));
}

/* --- Batches --- */

template <size_t size, size_t batch> double batches_ns()
{
    typedef SpscCalls<size> Calls;
    constexpr uint64_t messages = worth_of(size, 2 * most_messages);
    Ours<size> ring;
    warm_up<Ours<size>, size>(ring);
    auto send = [&] {
        Message<size> from[batch] = {};
        for (uint64_t sent = 0; sent < messages;) {
            for (uint64_t i = 0; i < batch; i++)
                set_number(from[i], sent + i);
            const ptrdiff_t n = Calls::ring_try_send_n(ring.sender(), from,
                                                       std::min<uint64_t>(batch, messages - sent));
            if (n > 0)
                sent += static_cast<uint64_t>(n);
            else
                relax();
        }
    };
    auto recv = [&] {
        Message<size> to[batch];
        for (uint64_t wanted = 0; wanted < messages;) {
            const ptrdiff_t n = Calls::ring_try_recv_n(ring.receiver(), to, batch);
            for (ptrdiff_t i = 0; i < n; i++)
                if (to[i].number != wanted++ || !is_whole(to[i]))
                    out_of_order(to[i].number, wanted - 1);
            if (n < 0)
                relax();
        }
    };
    return together_ns(send, recv) / messages;
}

template <size_t size> void add_batches()
{
    const std::string bytes = std::to_string(size), name = "batches/spsc/" + bytes;
    Case &one =
        add_case("batches", name, "SPSC, " + bytes + "-byte messages, some a call", "ns/message");
    one.kind = "spsc";
    one.size = size;
    one.senders = one.receivers = 1;
    one.batch = 32;
    one.contend("one a call", Role::note, stream_ns<Ours<size>, size>);
    one.contend("8 a call", Role::variant, batches_ns<size, 8>);
    one.contend("32 a call", Role::ours, batches_ns<size, 32>);
    one.contend("128 a call", Role::variant, batches_ns<size, 128>);
    if (size == 8)
        aim("SPSC, 8-byte messages: one by one / 32 a call", name, "one a call", "32 a call",
            at_least(3));
}

/* --- In place --- */

/* Who has messages of some size makes and reads all of them: that is what a copy comes on top of.
 */
template <size_t size> void make(Message<size> &message, uint64_t number)
{
    auto *words = reinterpret_cast<uint64_t *>(&message);
    for (size_t i = 0; i < size / sizeof number; i++)
        words[i] = number;
}
template <size_t size> uint64_t sum_of(const Message<size> &message)
{
    const auto *words = reinterpret_cast<const uint64_t *>(&message);
    return std::accumulate(words, words + size / sizeof(uint64_t), uint64_t{0});
}
template <size_t size> void check_sum(uint64_t sum, uint64_t wanted)
{
    if (sum != wanted * (size / sizeof wanted))
        give_up("stream", "a message is not what was sent");
}

template <size_t size> double copied_ns()
{
    constexpr uint64_t messages = worth_of(size, most_messages);
    Ours<size> ring;
    warm_up<Ours<size>, size>(ring);
    auto send = [&] {
        Message<size> message;
        for (uint64_t i = 0; i < messages; i++) {
            make(message, i);
            benchmark::DoNotOptimize(message);
            ring.send(message);
        }
    };
    auto recv = [&] {
        Message<size> message;
        for (uint64_t i = 0; i < messages; i++) {
            ring.recv(message);
            benchmark::DoNotOptimize(message);
            check_sum<size>(sum_of(message), i);
        }
    };
    return together_ns(send, recv) / messages;
}

template <size_t size> double in_place_ns()
{
    typedef SpscCalls<size> Calls;
    constexpr uint64_t messages = worth_of(size, most_messages);
    Ours<size> ring;
    warm_up<Ours<size>, size>(ring);
    auto send = [&] {
        for (uint64_t i = 0; i < messages; i++) {
            Message<size> *place;
            ring_must(Calls::ring_claim(ring.sender(), &place));
            make(*place, i);
            ring_must(Calls::ring_commit(ring.sender()));
        }
    };
    auto recv = [&] {
        for (uint64_t i = 0; i < messages; i++) {
            const Message<size> *message;
            ring_must(Calls::ring_peek(ring.receiver(), &message));
            check_sum<size>(sum_of(*message), i);
            ring_must(Calls::ring_release(ring.receiver()));
        }
    };
    return together_ns(send, recv) / messages;
}

template <size_t size> void add_place()
{
    const std::string bytes = std::to_string(size);
    Case &one =
        add_case("place", "place/" + bytes,
                 "SPSC, " + bytes + "-byte messages, each made and read as a whole", "ns/message");
    one.kind = "spsc";
    one.size = size;
    one.senders = one.receivers = 1;
    one.contend("copied", Role::note, copied_ns<size>);
    one.contend("in place", Role::ours, in_place_ns<size>);
}

int added = [] {
    add_stream<8>(true);
    add_stream<24>(true);
    add_stream<56>(true);
    add_stream<64>(false);
    add_stream<120>(false);
    add_stream<248>(true);
    add_stream<1024>(false);
    add_stream<4096>(false);
    add_batches<8>();
    add_batches<56>();
    add_batches<248>();
    add_place<64>();
    add_place<248>();
    add_place<1024>();
    add_place<4096>();
    return 0;
}();

} // namespace
