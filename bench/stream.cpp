/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How fast one thread can send to another: ns a message, ours and the others one after the other in
 * each round, so that a round's ratio holds whatever the machine did meanwhile.
 */
#include "bench.h"
#include "pair.h"
#include "queues.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace
{

constexpr uint64_t messages = 300000;

[[noreturn]] void out_of_order(uint64_t got, uint64_t wanted)
{
    give_up("stream", ("message " + std::to_string(got) + " came where " + std::to_string(wanted) +
                       " should have")
                          .c_str());
}

template <class Queue, size_t size> [[gnu::noinline]] void produce(Queue &queue)
{
    Message<size> message = {};
    for (message.number = 0; message.number < messages; message.number++)
        queue.send(message);
}

template <class Queue, size_t size> [[gnu::noinline]] void consume(Queue &queue)
{
    Message<size> message;
    for (uint64_t wanted = 0; wanted < messages; wanted++) {
        queue.recv(message);
        if (message.number != wanted)
            out_of_order(message.number, wanted);
    }
}

template <class Queue, size_t size> double stream_ns()
{
    Queue queue;
    warm_up<Queue, Message<size>>(queue);
    double took =
        together_ns([&] { produce<Queue, size>(queue); }, [&] { consume<Queue, size>(queue); });
    return took / messages;
}

template <size_t size> void stream(benchmark::State &state)
{
    for (auto _ : state) {
        double line = floor_bulk_line_ns();
        double ours = stream_ns<Ours<size>, size>();
        double best = best_peer<size>(
            state, [](auto t) { return stream_ns<typename decltype(t)::type, size>(); });
        double polling = stream_ns<OursPolling<size>, size>();
        double untyped = stream_ns<OursUntyped<size>, size>();
        state.SetIterationTime(ours * messages / 1e9);
        report(state, {{"line", line},
                       {"ours", ours},
                       {"polling", polling},
                       {"untyped", untyped},
                       {"ratio", best / ours}});
    }
}

int t1 = target_ratio("8-byte messages: best peer / ours", "stream<8>", "ratio", at_least(2));
int t2 = target_ratio("24-byte messages: best peer / ours", "stream<24>", "ratio", at_least(2));
int t3 = target_ratio("56-byte messages: best peer / ours", "stream<56>", "ratio", at_least(2));
int t4 = target_ratio("64-byte messages: best peer / ours", "stream<64>", "ratio", at_least(2));
int t5 = target_ratio("120-byte messages: best peer / ours", "stream<120>", "ratio", at_least(2));
int t6 = target_ratio("248-byte messages: best peer / ours", "stream<248>", "ratio", at_least(2));

/* --- Batches: 32 messages of 8 bytes a call, both sides --- */

constexpr size_t batch = 32;

void batches(benchmark::State &state)
{
    for (auto _ : state) {
        double single = stream_ns<Ours<8>, 8>();
        Ours<8> ring;
        warm_up<Ours<8>, Message8>(ring);
        double took = together_ns(
            [&] {
                Message8 from[batch];
                for (uint64_t sent = 0; sent < messages;) {
                    for (uint64_t i = 0; i < batch; i++)
                        from[i].number = sent + i;
                    ptrdiff_t n = rbx_spsc_try_send_n(ring.sender(), from,
                                                      std::min<uint64_t>(batch, messages - sent),
                                                      ring8_frame());
                    if (n > 0)
                        sent += static_cast<uint64_t>(n);
                    else
                        relax();
                }
            },
            [&] {
                Message8 to[batch];
                for (uint64_t wanted = 0; wanted < messages;) {
                    ptrdiff_t n = rbx_spsc_try_recv_n(ring.receiver(), to, batch, ring8_frame());
                    for (ptrdiff_t i = 0; i < n; i++)
                        if (to[i].number != wanted++)
                            out_of_order(to[i].number, wanted - 1);
                    if (n < 0)
                        relax();
                }
            });
        double batched = took / messages;
        state.SetIterationTime(took / 1e9);
        report(state, {{"single", single}, {"batches", batched}, {"ratio", single / batched}});
    }
}

int t7 = target_ratio("batches of 32 messages of 8 bytes: single / batch", "batches", "ratio",
                      at_least(3));

/* --- The same through a named ring, to a thread and to a process --- */

std::string ring_name()
{
    static const std::string name = [] {
        std::string own = "bench." + std::to_string(getpid()) + ".ring";
        unlink_at_end("/dev/shm/ringbox." + own);
        return own;
    }();
    return name;
}

/* `consumer` opens the ring by its name in a process of its own. */
template <size_t size> double to_process_ns(bool process)
{
    const std::string name = ring_name();
    rbx_ring_options options = {};
    options.capacity = queue_capacity;
    options.box.how = RBX_CREATE_ONLY;
    rbx_ring *ring;
    must(Typed<size>::open(&ring, name.c_str(), &options));
    auto receive = [&] {
        rbx_ring *joined;
        rbx_ring_options any = {};
        any.box.how = RBX_OPEN_ONLY;
        must(Typed<size>::open(&joined, name.c_str(), &any));
        typename Typed<size>::Rx rx;
        must(Typed<size>::rx_open(&rx, joined));
        Message<size> message;
        for (uint64_t wanted = 0; wanted < messages; wanted++) {
            while (Typed<size>::try_recv(&rx, &message) != 0)
                relax();
            if (message.number != wanted)
                out_of_order(message.number, wanted);
        }
        rbx_rx_close(&rx.end);
        rbx_ring_close(joined);
    };
    /* Timed by the sender, from its first message that was received to its last: the start of the
       other side, which costs a process more, is not counted. */
    typename Typed<size>::Tx tx;
    must(Typed<size>::tx_open(&tx, ring));
    double took = 0;
    auto send = [&] {
        Message<size> message = {};
        while (Typed<size>::try_send(&tx, &message) != 0)
            relax();
        rbx_ring_info info;
        do
            rbx_ring_describe(ring, &info);
        while (info.received == 0);
        double begun = now_ns();
        for (message.number = 1; message.number < messages; message.number++)
            while (Typed<size>::try_send(&tx, &message) != 0)
                relax();
        do
            rbx_ring_describe(ring, &info);
        while (info.received < messages);
        took = now_ns() - begun;
    };
    if (process) {
        const Cores cores = two_cores();
        pin(cores.first);
        pid_t child = fork();
        if (child == 0) {
            pin(cores.second);
            receive();
            _exit(0);
        }
        send();
        int status;
        waitpid(child, &status, 0);
        if (status != 0)
            give_up("stream", "the receiving process failed");
    } else {
        together_ns(send, receive);
    }
    rbx_tx_close(&tx.end);
    must(rbx_ring_close(ring));
    return took / messages;
}

template <size_t size> void processes(benchmark::State &state)
{
    for (auto _ : state) {
        double thread = to_process_ns<size>(false), process = to_process_ns<size>(true);
        state.SetIterationTime(process * messages / 1e9);
        report(state, {{"thread", thread}, {"process", process}, {"ratio", process / thread}});
    }
}

int t8 = target_ratio("24-byte messages: to a process / to a thread", "processes<24>", "ratio",
                      at_most(1.05));

BENCHMARK_TEMPLATE(stream, 8)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(stream, 24)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(stream, 56)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(stream, 64)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(stream, 120)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(stream, 248)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK(batches)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK_TEMPLATE(processes, 24)->UseManualTime()->Iterations(1)->Repetitions(rounds);

} // namespace
