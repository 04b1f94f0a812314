/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shared.h: an object in memory that processes share with those that they fork. */
#ifndef RBX_BENCH_SHARED_H
#define RBX_BENCH_SHARED_H

#include "fail.h"

#include <new>
#include <sys/mman.h>
#include <utility>

template <class T> class Shared
{
  public:
    template <class... Arguments> explicit Shared(Arguments &&...arguments)
    {
        void *memory =
            mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        require(memory != MAP_FAILED, "mmap");
        object = new (memory) T(std::forward<Arguments>(arguments)...);
    }
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    ~Shared()
    {
        object->~T();
        munmap(static_cast<void *>(object), sizeof(T));
    }
    T *operator->() const
    {
        return object;
    }
    T &operator*() const
    {
        return *object;
    }

    /* A process that was forked finds its page tables empty: fills them, so that this is not part
       of what is timed. */
    void touch() const
    {
        constexpr size_t page = 4096;
        const volatile char *bytes = reinterpret_cast<const volatile char *>(object);
        for (size_t at = 0; at < sizeof(T); at += page)
            static_cast<void>(bytes[at]);
    }

  private:
    T *object;
};

#endif
