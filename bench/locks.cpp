/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What things to synchronise by cost, beside what the C library has for the same. All are in memory
 * that processes could share.
 *
 * A lock's class has a class Handle, which each thread makes for itself from the lock, with the
 * calls that are measured.
 */
#include "bench.h"
#include "case.h"
#include "litter.h"
#include "pair.h"
#include "shared.h"

#include <ringbox/ringbox.h>

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

/* A name of this process's own, whose file is removed at the end. */
struct Name {
    std::string name;
    Litter litter;
    explicit Name(const char *label)
        : name("bench." + std::to_string(getpid()) + "." + label),
          litter(Litter::file("/dev/shm/ringbox." + name))
    {
    }
};

struct OurRwlock {
    static const std::string &name()
    {
        static const Name own("rwlock");
        return own.name;
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
        static const Name own("mutex");
        return own.name;
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

constexpr uint64_t calls = 100000;

template <class Lock> Sample read_ns()
{
    Lock lock;
    typename Lock::Handle handle(lock);
    return each_ns(calls, [&] {
        handle.read();
        handle.unlock();
    });
}

template <class Lock> Sample write_ns()
{
    Lock lock;
    typename Lock::Handle handle(lock);
    return each_ns(calls, [&] {
        handle.write();
        handle.unlock();
    });
}

void add_uncontended()
{
    Case &read =
        add_case("sync", "sync/rwlock-read", "a rwlock nobody else wants, read + unlock", "ns");
    read.contend("ours", Role::ours, read_ns<OurRwlock>);
    read.contend("pthread_rwlock", Role::peer, read_ns<PthreadRwlock>);
    aim("rwlock, read + unlock uncontended: ours / pthread's", read.name, "ours", best_peer,
        at_most(1.2));
    Case &write =
        add_case("sync", "sync/rwlock-write", "a rwlock nobody else wants, write + unlock", "ns");
    write.contend("ours", Role::ours, write_ns<OurRwlock>);
    write.contend("pthread_rwlock", Role::peer, write_ns<PthreadRwlock>);
    aim("rwlock, write + unlock uncontended: ours / pthread's", write.name, "ours", best_peer,
        at_most(1.2));
    Case &mutex = add_case("sync", "sync/mutex", "a mutex nobody else wants, lock + unlock", "ns");
    mutex.contend("ours", Role::ours, write_ns<OurMutex>);
    mutex.contend("robust pthread_mutex", Role::peer, write_ns<PthreadMutex<true>>);
    mutex.contend("pthread_mutex", Role::baseline, write_ns<PthreadMutex<false>>);
    aim("mutex, lock + unlock uncontended: ours / pthread's robust one", mutex.name, "ours",
        best_peer, at_most(1.2));
}

/* --- Two threads on two cores, of whose calls so many of a hundred read --- */

template <class Lock, unsigned reads> Sample mixed_ns()
{
    constexpr unsigned mixed_calls = 100000;
    struct Words {
        alignas(128) volatile uint64_t value[2];
    };
    Lock lock;
    Shared<Words> data;
    auto work = [&] {
        typename Lock::Handle handle(lock);
        uint64_t wrong = 0;
        for (unsigned i = 0; i < mixed_calls; i++) {
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
    return together_ns(work, work) / (2.0 * mixed_calls);
}

template <unsigned reads> void add_mixed()
{
    const std::string percent = std::to_string(reads);
    Case &one =
        add_case("sync", "sync/rwlock-mixed/" + percent,
                 "a rwlock that two threads want, " + percent + "% of whose calls read", "ns");
    one.contend("ours", Role::ours, mixed_ns<OurRwlock, reads>);
    one.contend("pthread_rwlock", Role::peer, mixed_ns<PthreadRwlock, reads>);
    if (reads == 95)
        aim("rwlock, 95% reads on two cores: pthread's / ours", one.name, best_peer, "ours",
            at_least(1.5));
}

int added = [] {
    add_uncontended();
    add_mixed<50>();
    add_mixed<95>();
    add_mixed<100>();
    return 0;
}();

} // namespace
