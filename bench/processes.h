/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * processes.h: two sides that run at once, each on its own core, as two processes or as two threads
 * of one; and how fast a message goes from one to the other by a way of sleepers.h.
 *
 * Both are forked anew each time, also for threads: so what one way leaves in a process (threads,
 * handlers of fork, a runtime that is once for all) meets no other.
 */
#ifndef RBX_BENCH_PROCESSES_H
#define RBX_BENCH_PROCESSES_H

#include "messages.h"
#include "pair.h"
#include "shared.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <type_traits>

enum class Apart { THREADS, PROCESSES };

class Side
{
  public:
    /* Pins this thread, the first time; returns when the other has called it as often. */
    void meet();

  private:
    friend struct BothSides;
    Side(std::atomic<uint64_t> &arrivals, int on_core) : arrived(arrivals), core(on_core)
    {
    }
    std::atomic<uint64_t> &arrived; /* of both, so far */
    int core;
    uint64_t met = 0;
};

/*
 * Runs both at once. Answers why it failed, or "": what one of them threw, or how its process died,
 * or that it all took longer than the limit; both are ended then. Results go by memory that is
 * shared (Shared).
 */
std::string run_apart(Apart apart, const std::function<void(Side &)> &first,
                      const std::function<void(Side &)> &second,
                      std::chrono::seconds limit = std::chrono::seconds(60));

/* For a forked process: what signals do is not what they do to its parent, nor are any blocked. */
void default_signals();

/* --- One way --- */

/*
 * Messages are numbered from 1. Of those before the timed ones every byte is checked, and they warm
 * the way up; of the timed ones the number, and every byte of the last one.
 */
constexpr uint64_t warm_up_messages = 2 * queue_capacity;

struct Crossed {
    double ns = 0;   /* a message, or a round trip */
    std::string why; /* why there is no figure, else "" */
};

/* How the timed messages of a stream are written and read. The last one is checked again. */
template <size_t size> struct Copied {
    template <class Sender>
    static void send(Sender &sender, Message<size> &message, uint64_t number)
    {
        message.number = number;
        sender.send(message);
    }
    template <class Receiver>
    static void recv(Receiver &receiver, Message<size> &message, uint64_t number)
    {
        receiver.recv(message);
        check_number(message.number, number);
    }
    static void check_last(const Message<size> &message, uint64_t number, uint64_t warm_up)
    {
        check(message, number, warm_up);
    }
};

/* Every word is written where the message is sent from, and read where it has come. */
template <size_t size> struct InPlace {
    template <class Sender> static void send(Sender &sender, Message<size> &, uint64_t number)
    {
        Message<size> *place = sender.claim();
        auto *words = reinterpret_cast<uint64_t *>(place);
        for (size_t i = 0; i < size / sizeof *words; i++)
            words[i] = number;
        sender.commit(place);
    }
    template <class Receiver> static void recv(Receiver &receiver, Message<size> &, uint64_t number)
    {
        const Message<size> *place = receiver.peek();
        const auto *words = reinterpret_cast<const uint64_t *>(place);
        uint64_t differ = 0;
        for (size_t i = 0; i < size / sizeof *words; i++)
            differ |= words[i] ^ number;
        if (differ != 0)
            wrong_contents(number);
        receiver.release(place);
    }
    static void check_last(const Message<size> &, uint64_t, uint64_t)
    {
    }
};

template <class Way, size_t size>
void warm_up_sender(typename Way::Sender &sender, Message<size> &message, uint64_t count)
{
    for (uint64_t number = 1; number <= count; number++) {
        fill(message, number);
        sender.send(message);
    }
    fill(message, count);
}

template <class Way, size_t size>
void warm_up_receiver(typename Way::Receiver &receiver, Message<size> &message, uint64_t count)
{
    for (uint64_t number = 1; number <= count; number++) {
        receiver.recv(message);
        check(message, number, number);
    }
}

/* From the first call that sends to the end of the last that receives. */
template <class Way, size_t size, class Timed = Copied<size>>
Crossed stream_apart(Apart apart, uint64_t count, uint64_t warm_up = warm_up_messages)
{
    struct Times {
        double begun, ended;
    };
    Crossed crossed;
    try {
        Way way;
        Shared<Times> times;
        crossed.why = run_apart(
            apart,
            [&](Side &side) {
                typename Way::Sender sender(way);
                Message<size> message = {};
                side.meet();
                warm_up_sender<Way, size>(sender, message, warm_up);
                side.meet();
                times->begun = now_ns();
                for (uint64_t number = warm_up + 1; number <= warm_up + count; number++)
                    Timed::send(sender, message, number);
                side.meet();
            },
            [&](Side &side) {
                typename Way::Receiver receiver(way);
                Message<size> message = {};
                side.meet();
                warm_up_receiver<Way, size>(receiver, message, warm_up);
                side.meet();
                for (uint64_t number = warm_up + 1; number <= warm_up + count; number++)
                    Timed::recv(receiver, message, number);
                times->ended = now_ns();
                Timed::check_last(message, warm_up + count, warm_up);
                side.meet();
            });
        crossed.ns = (times->ended - times->begun) / static_cast<double>(count);
    } catch (const std::exception &error) {
        crossed.why = error.what();
    }
    return crossed;
}

/* Given to trips_apart, makes it not look at the clock but at the beginning and at the end. */
struct NotRecorded {
};

/*
 * A message there, and the same back. `record(uint64_t ns)` is told of each trip, by the process of
 * the side that asks: what it keeps must be shared.
 */
template <class Way, size_t size, class Record = NotRecorded>
Crossed trips_apart(Apart apart, uint64_t count, uint64_t warm_up, Record record = {})
{
    constexpr bool recorded = !std::is_same_v<Record, NotRecorded>;
    Crossed crossed;
    try {
        Way there, back;
        Shared<double> took;
        crossed.why = run_apart(
            apart,
            [&](Side &side) {
                typename Way::Sender sender(there);
                typename Way::Receiver receiver(back);
                Message<size> message = {};
                side.meet();
                for (uint64_t number = 1; number <= warm_up; number++) {
                    fill(message, number);
                    sender.send(message);
                    receiver.recv(message);
                    check(message, number, number);
                }
                fill(message, warm_up);
                const double begun = now_ns();
                double before = begun;
                for (uint64_t number = warm_up + 1; number <= warm_up + count; number++) {
                    message.number = number;
                    sender.send(message);
                    receiver.recv(message);
                    check_number(message.number, number);
                    if constexpr (recorded) {
                        const double now = now_ns();
                        record(static_cast<uint64_t>(now - before));
                        before = now;
                    }
                }
                *took = now_ns() - begun;
                check(message, warm_up + count, warm_up);
                side.meet();
            },
            [&](Side &side) {
                typename Way::Receiver receiver(there);
                typename Way::Sender sender(back);
                Message<size> message = {};
                side.meet();
                for (uint64_t number = 1; number <= warm_up + count; number++) {
                    receiver.recv(message);
                    sender.send(message);
                }
                side.meet();
            });
        crossed.ns = *took / static_cast<double>(count);
    } catch (const std::exception &error) {
        crossed.why = error.what();
    }
    return crossed;
}

#endif
