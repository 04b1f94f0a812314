/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A shared value, copied out while another thread changes it; and by one thread alone. Beside it
 * the same value under a mutex: one that processes may share and that survives its holder, as ours,
 * and the plain one of threads.
 */
#include "bench.h"
#include "case.h"
#include "pair.h"

#include <ringbox/ringbox.h>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <pthread.h>
#include <string>
#include <vector>

namespace
{

template <size_t size> struct Value {
    uint64_t words[size / 8];
};

template <size_t size> class Cell
{
  public:
    Cell()
    {
        if (rbx_cell_open(&cell, nullptr, size, nullptr, nullptr) < 0)
            give_up("cell", rbx_last_error());
    }
    ~Cell()
    {
        rbx_cell_close(cell);
    }
    void put(const Value<size> &value)
    {
        rbx_cell_set(cell, &value);
    }
    void get(Value<size> &value)
    {
        rbx_cell_snapshot(cell, &value);
    }
    void change()
    {
        rbx_cell_change(
            cell,
            [](void *value, size_t, void *) {
                static_cast<Value<size> *>(value)->words[0]++;
                return 0;
            },
            nullptr);
    }
    uint64_t read()
    {
        uint64_t first;
        rbx_cell_read(
            cell,
            [](const void *value, size_t, void *to) {
                *static_cast<uint64_t *>(to) = static_cast<const Value<size> *>(value)->words[0];
                return 0;
            },
            &first);
        return first;
    }

  private:
    rbx_cell *cell;
};

template <size_t size, bool robust> class Locked
{
  public:
    Locked()
    {
        pthread_mutexattr_t how;
        pthread_mutexattr_init(&how);
        if (robust) {
            pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
            pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
        }
        pthread_mutex_init(&mutex, &how);
        pthread_mutexattr_destroy(&how);
    }
    ~Locked()
    {
        pthread_mutex_destroy(&mutex);
    }
    void put(const Value<size> &value)
    {
        pthread_mutex_lock(&mutex);
        std::memcpy(&kept, &value, size);
        pthread_mutex_unlock(&mutex);
    }
    void get(Value<size> &value)
    {
        pthread_mutex_lock(&mutex);
        std::memcpy(&value, &kept, size);
        pthread_mutex_unlock(&mutex);
    }
    void change()
    {
        pthread_mutex_lock(&mutex);
        kept.words[0]++;
        pthread_mutex_unlock(&mutex);
    }
    uint64_t read()
    {
        pthread_mutex_lock(&mutex);
        uint64_t first = kept.words[0];
        pthread_mutex_unlock(&mutex);
        return first;
    }

  private:
    alignas(64) pthread_mutex_t mutex;
    alignas(64) Value<size> kept = {};
};

/* --- One writer, one reader, two cores --- */

struct Times {
    double copy_ns, change_ns;
};

/*
 * The writer makes a change every `pause_ns`; 0: as soon as it can. The median of the batches of
 * copies during which it did make some: on a machine that does other things, too, both run at once
 * for some of the time only.
 */
template <class Shared, size_t size> Times copies_ns(double pause_ns)
{
    constexpr uint64_t copies = 2000, batches = 300, least_changes = 3;
    Shared shared;
    alignas(128) std::atomic<uint64_t> changes{0};
    alignas(128) std::atomic<bool> enough{false};
    std::vector<double> copy_ns, change_ns;
    uint64_t torn = 0;
    auto batch = [&] {
        Value<size> value;
        uint64_t before = changes.load(std::memory_order_relaxed);
        double begun = now_ns();
        for (uint64_t i = 0; i < copies; i++) {
            shared.get(value);
            benchmark::DoNotOptimize(value);
            torn += value.words[0] != value.words[size / 8 - 1];
        }
        double took = now_ns() - begun;
        uint64_t made = changes.load(std::memory_order_relaxed) - before;
        if (made < least_changes)
            return;
        copy_ns.push_back(took / copies);
        change_ns.push_back(took / static_cast<double>(made));
    };
    together_ns(
        [&] {
            for (double begun = now_ns(); copy_ns.size() < (now_ns() < begun + 2e8 ? batches : 1);)
                batch();
            enough.store(true, std::memory_order_relaxed);
        },
        [&] {
            Value<size> value = {};
            while (!enough.load(std::memory_order_relaxed)) {
                for (uint64_t &word : value.words)
                    word++;
                double next = now_ns() + pause_ns;
                shared.put(value);
                changes.store(value.words[0], std::memory_order_relaxed);
                while (pause_ns > 0 && now_ns() < next)
                    relax();
            }
        });
    if (torn)
        give_up("cell", "a torn value");
    return {median(copy_ns), median(change_ns)};
}

template <size_t size> void add_copies(const std::string &name, const char *how, double pause_ns)
{
    Case &one = add_case("sync", name,
                         "a value of " + std::to_string(size) +
                             " bytes, copied out while another "
                             "thread changes it " +
                             how,
                         "ns");
    one.size = size;
    one.contend("ours", Role::ours, [=] { return copies_ns<Cell<size>, size>(pause_ns).copy_ns; });
    one.contend("robust mutex", Role::peer,
                [=] { return copies_ns<Locked<size, true>, size>(pause_ns).copy_ns; });
    one.contend("mutex of threads", Role::baseline,
                [=] { return copies_ns<Locked<size, false>, size>(pause_ns).copy_ns; });
}

/* Where the writer never pauses a mutex is mostly had by one of the two, and the other gets
   nowhere: look at what a change takes, too. */
template <size_t size> void add_changes(const std::string &name)
{
    Case &one = add_case("sync", name,
                         "a value of " + std::to_string(size) +
                             " bytes, changed without a pause while another thread copies it",
                         "ns");
    one.size = size;
    one.contend("ours", Role::ours, [] { return copies_ns<Cell<size>, size>(0).change_ns; });
    one.contend("robust mutex", Role::peer,
                [] { return copies_ns<Locked<size, true>, size>(0).change_ns; });
}

/* --- One thread --- */

constexpr uint64_t calls = 100000;

template <class Shared> Sample change_ns()
{
    Shared shared;
    return each_ns(calls, [&] { shared.change(); });
}

template <class Shared> Sample snapshot_ns()
{
    Shared shared;
    Value<64> value;
    return each_ns(calls, [&] {
        shared.get(value);
        benchmark::DoNotOptimize(value);
    });
}

template <class Shared> Sample read_ns()
{
    Shared shared;
    return each_ns(calls, [&] { benchmark::DoNotOptimize(shared.read()); });
}

int added = [] {
    constexpr double now_and_then = 1000;
    add_copies<8>("sync/cell/8", "every microsecond", now_and_then);
    add_copies<64>("sync/cell/64", "every microsecond", now_and_then);
    add_copies<256>("sync/cell/256", "every microsecond", now_and_then);
    add_copies<4096>("sync/cell/4096", "every microsecond", now_and_then);
    add_copies<64>("sync/cell-busy/64", "without a pause", 0);
    add_copies<4096>("sync/cell-busy/4096", "without a pause", 0);
    add_changes<64>("sync/cell-change/64");
    aim("snapshot of 64 bytes, changed every microsecond: a copy under a robust mutex / ours",
        "sync/cell/64", "robust mutex", "ours", at_least(5));

    Case &change = add_case("sync", "sync/cell-alone/change", "a value of 64 bytes, changed", "ns");
    change.contend("ours", Role::ours, change_ns<Cell<64>>);
    change.contend("robust mutex", Role::peer, change_ns<Locked<64, true>>);
    Case &read = add_case("sync", "sync/cell-alone/read", "a value of 64 bytes, read", "ns");
    read.contend("ours", Role::ours, snapshot_ns<Cell<64>>);
    read.contend("robust mutex", Role::peer, snapshot_ns<Locked<64, true>>);
    read.contend("ours, in place", Role::variant, read_ns<Cell<64>>);
    return 0;
}();

} // namespace
