/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What things to synchronise by cost, beside what the C library has for the same. All are in memory
 * that processes could share.
 *
 * A lock's class has a class Handle, which each thread makes for itself from the lock, with the
 * calls that are measured.
 */
#include "bench.h"
#include "pair.h"

#include <ringbox/ringbox.h>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <pthread.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

/* --- The contenders --- */

void works(int err, const char *what)
{
    if (err != 0)
        give_up(what, std::strerror(err < 0 ? -err : err));
}

/* Memory that processes could share. */
template <class Words> class Shared
{
  public:
    Shared()
    {
        void *at =
            mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            give_up("mmap", std::strerror(errno));
        words = new (at) Words();
    }
    ~Shared()
    {
        munmap(words, sizeof(Words));
    }
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    Words *operator->() const
    {
        return words;
    }

  private:
    Words *words;
};

struct PthreadRwlock {
    struct Words {
        pthread_rwlock_t lock;
    };
    Shared<Words> shared;
    PthreadRwlock()
    {
        pthread_rwlockattr_t attributes;
        pthread_rwlockattr_init(&attributes);
        pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        works(pthread_rwlock_init(&shared->lock, &attributes), "pthread_rwlock_init");
        pthread_rwlockattr_destroy(&attributes);
    }
    struct Handle {
        pthread_rwlock_t *lock;
        explicit Handle(PthreadRwlock &all) : lock(&all.shared->lock)
        {
        }
        void read()
        {
            works(pthread_rwlock_rdlock(lock), "pthread_rwlock_rdlock");
        }
        void write()
        {
            works(pthread_rwlock_wrlock(lock), "pthread_rwlock_wrlock");
        }
        void unlock()
        {
            works(pthread_rwlock_unlock(lock), "pthread_rwlock_unlock");
        }
    };
};

/* A name of this process's own, once for each label. */
std::string own(const char *label)
{
    const std::string name = "bench." + std::to_string(getpid()) + "." + label;
    unlink_at_end("/dev/shm/ringbox." + name);
    return name;
}

struct OurRwlock {
    static const std::string &name()
    {
        static const std::string own_name = own("rwlock");
        return own_name;
    }
    struct Handle {
        rbx_rwlock *lock;
        explicit Handle(OurRwlock &)
        {
            if (rbx_rwlock_open(&lock, name().c_str(), nullptr) < 0)
                give_up(name().c_str(), rbx_last_error());
        }
        ~Handle()
        {
            rbx_rwlock_close(lock);
        }
        Handle(const Handle &) = delete;
        Handle &operator=(const Handle &) = delete;
        void read()
        {
            works(rbx_rwlock_read(lock), "rbx_rwlock_read");
        }
        void write()
        {
            works(rbx_rwlock_write(lock), "rbx_rwlock_write");
        }
        void unlock()
        {
            works(rbx_rwlock_unlock(lock), "rbx_rwlock_unlock");
        }
    };
};

template <bool is_robust> struct PthreadMutex {
    struct Words {
        pthread_mutex_t lock;
    };
    Shared<Words> shared;
    PthreadMutex()
    {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        if (is_robust)
            pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        works(pthread_mutex_init(&shared->lock, &attributes), "pthread_mutex_init");
        pthread_mutexattr_destroy(&attributes);
    }
    struct Handle {
        pthread_mutex_t *lock;
        explicit Handle(PthreadMutex &all) : lock(&all.shared->lock)
        {
        }
        void write()
        {
            works(pthread_mutex_lock(lock), "pthread_mutex_lock");
        }
        void unlock()
        {
            works(pthread_mutex_unlock(lock), "pthread_mutex_unlock");
        }
    };
};

struct OurMutex {
    static const std::string &name()
    {
        static const std::string own_name = own("mutex");
        return own_name;
    }
    struct Handle {
        rbx_mutex *lock;
        explicit Handle(OurMutex &)
        {
            if (rbx_mutex_open(&lock, name().c_str(), nullptr) < 0)
                give_up(name().c_str(), rbx_last_error());
        }
        ~Handle()
        {
            rbx_mutex_close(lock);
        }
        Handle(const Handle &) = delete;
        Handle &operator=(const Handle &) = delete;
        void write()
        {
            works(rbx_mutex_lock(lock), "rbx_mutex_lock");
        }
        void unlock()
        {
            works(rbx_mutex_unlock(lock), "rbx_mutex_unlock");
        }
    };
};

/* --- Uncontended --- */

constexpr unsigned tries = 100000;

/* Of one call of `what`; the fastest of a few runs, lest a pause of this thread count. */
template <class What> double fastest_ns(const What &what)
{
    double least = 0;
    for (int run = 0; run < 5; run++) {
        const double begun = now_ns();
        for (unsigned i = 0; i < tries; i++)
            what();
        const double took = (now_ns() - begun) / tries;
        least = run == 0 || took < least ? took : least;
    }
    return least;
}

template <class Lock> double read_ns()
{
    Lock lock;
    typename Lock::Handle handle(lock);
    return fastest_ns([&] {
        handle.read();
        handle.unlock();
    });
}

template <class Lock> double write_ns()
{
    Lock lock;
    typename Lock::Handle handle(lock);
    return fastest_ns([&] {
        handle.write();
        handle.unlock();
    });
}

void rwlock_uncontended(benchmark::State &state)
{
    pin(two_cores().first);
    for (auto _ : state) {
        const double ours_read = read_ns<OurRwlock>(), bare_read = read_ns<PthreadRwlock>();
        const double ours_write = write_ns<OurRwlock>(), bare_write = write_ns<PthreadRwlock>();
        state.SetIterationTime(ours_read / 1e9);
        report(state, {{"read", ours_read},
                       {"pthread_read", bare_read},
                       {"write", ours_write},
                       {"pthread_write", bare_write},
                       {"read_ratio", ours_read / bare_read},
                       {"write_ratio", ours_write / bare_write}});
    }
}

int t1 = target_ratio("rwlock, read + unlock uncontended: ours / pthread's", "rwlock_uncontended",
                      "read_ratio", at_most(1.2));
int t2 = target_ratio("rwlock, write + unlock uncontended: ours / pthread's", "rwlock_uncontended",
                      "write_ratio", at_most(1.2));

void mutex_uncontended(benchmark::State &state)
{
    pin(two_cores().first);
    for (auto _ : state) {
        const double ours = write_ns<OurMutex>(), robust = write_ns<PthreadMutex<true>>();
        const double plain = write_ns<PthreadMutex<false>>();
        state.SetIterationTime(ours / 1e9);
        report(state, {{"ours", ours},
                       {"pthread_robust", robust},
                       {"pthread", plain},
                       {"ratio", ours / robust},
                       {"plain_ratio", ours / plain}});
    }
}

int t3 = target_ratio("mutex, lock + unlock uncontended: ours / pthread's robust one",
                      "mutex_uncontended", "ratio", at_most(1.2));

/* --- Two threads on two cores, of whose calls so many of a hundred read --- */

template <class Lock, unsigned reads> double mixed_ns()
{
    constexpr unsigned calls = 200000;
    struct Words {
        alignas(128) volatile uint64_t value[2];
    };
    Lock lock;
    Shared<Words> data;
    auto work = [&] {
        typename Lock::Handle handle(lock);
        uint64_t wrong = 0;
        for (unsigned i = 0; i < calls; i++) {
            if (i * 37 % 100 < reads) { /* spread out */
                handle.read();
                wrong += data->value[0] != data->value[1];
            } else {
                handle.write();
                data->value[0] = data->value[0] + 1;
                data->value[1] = data->value[1] + 1;
            }
            handle.unlock();
        }
        if (wrong)
            give_up("a lock", "it keeps nobody apart");
    };
    return together_ns(work, work) / (2.0 * calls);
}

void rwlock_mixed(benchmark::State &state)
{
    for (auto _ : state) {
        const double ours = mixed_ns<OurRwlock, 95>(), bare = mixed_ns<PthreadRwlock, 95>();
        const double ours_half = mixed_ns<OurRwlock, 50>(),
                     bare_half = mixed_ns<PthreadRwlock, 50>();
        const double ours_all = mixed_ns<OurRwlock, 100>(),
                     bare_all = mixed_ns<PthreadRwlock, 100>();
        state.SetIterationTime(ours / 1e9);
        report(state, {{"ours", ours},
                       {"pthread", bare},
                       {"times", bare / ours},
                       {"times_at_50", bare_half / ours_half},
                       {"times_at_100", bare_all / ours_all}});
    }
}

int t4 = target_ratio("rwlock, 95% reads on two cores: throughput, ours / pthread's",
                      "rwlock_mixed", "times", at_least(1.5));

BENCHMARK(rwlock_uncontended)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK(mutex_uncontended)->UseManualTime()->Iterations(1)->Repetitions(rounds);
BENCHMARK(rwlock_mixed)->UseManualTime()->Iterations(1)->Repetitions(rounds);

} // namespace
