/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * atomic.h: the few atomic accesses that the rings make, with the order in the verb.
 *
 * C11 atomics in C and std::atomic in C++: the same bytes in shared memory. A test that explores
 * schedules defines RBX_ATOMIC_LAYER as the header of its own that declares these names.
 */
#ifndef RINGBOX_ATOMIC_H
#define RINGBOX_ATOMIC_H

#include <stdint.h>

#if defined(RBX_ATOMIC_LAYER)

#include RBX_ATOMIC_LAYER

#elif defined(__cplusplus)

#include <atomic>

typedef std::atomic<uint64_t> rbx_atomic64;
typedef std::atomic<uint32_t> rbx_atomic32;

#define rbx_load_relaxed(at) ((at)->load(std::memory_order_relaxed))
#define rbx_load_acquire(at) ((at)->load(std::memory_order_acquire))
#define rbx_store_relaxed(at, value) ((at)->store((value), std::memory_order_relaxed))
#define rbx_store_release(at, value) ((at)->store((value), std::memory_order_release))
/* May fail for no reason; on failure *expected is what it says. */
#define rbx_swap_if_release(at, expected, value)                                                   \
    ((at)->compare_exchange_weak(*(expected), (value), std::memory_order_release,                  \
                                 std::memory_order_relaxed))
/* Orders the compiler, not the processor. */
#define rbx_compiler_barrier() (std::atomic_signal_fence(std::memory_order_seq_cst))

#else

#include <stdatomic.h>

typedef _Atomic uint64_t rbx_atomic64;
typedef _Atomic uint32_t rbx_atomic32;

#define rbx_load_relaxed(at) atomic_load_explicit((at), memory_order_relaxed)
#define rbx_load_acquire(at) atomic_load_explicit((at), memory_order_acquire)
#define rbx_store_relaxed(at, value) atomic_store_explicit((at), (value), memory_order_relaxed)
#define rbx_store_release(at, value) atomic_store_explicit((at), (value), memory_order_release)
/* May fail for no reason; on failure *expected is what it says. */
#define rbx_swap_if_release(at, expected, value)                                                   \
    atomic_compare_exchange_weak_explicit((at), (expected), (value), memory_order_release,         \
                                          memory_order_relaxed)
/* Orders the compiler, not the processor. */
#define rbx_compiler_barrier() atomic_signal_fence(memory_order_seq_cst)

/* The slow paths, in C, need these too. */
#define rbx_full_fence() atomic_thread_fence(memory_order_seq_cst)
#define rbx_acquire_fence() atomic_thread_fence(memory_order_acquire)
#define rbx_release_fence() atomic_thread_fence(memory_order_release)
#define rbx_or_release(at, bits) atomic_fetch_or_explicit((at), (bits), memory_order_release)
#define rbx_load_seq_cst(at) atomic_load_explicit((at), memory_order_seq_cst)
/* Stores, and says what was there. */
#define rbx_exchange_seq_cst(at, value)                                                            \
    atomic_exchange_explicit((at), (value), memory_order_seq_cst)
#define rbx_exchange_release(at, value)                                                            \
    atomic_exchange_explicit((at), (value), memory_order_release)
#define rbx_or_seq_cst(at, bits) atomic_fetch_or_explicit((at), (bits), memory_order_seq_cst)
#define rbx_and_seq_cst(at, bits) atomic_fetch_and_explicit((at), (bits), memory_order_seq_cst)
#define rbx_add_seq_cst(at, more) atomic_fetch_add_explicit((at), (more), memory_order_seq_cst)
/* On failure *expected is what it says, acquired too. */
#define rbx_swap_if_acquire(at, expected, value)                                                   \
    atomic_compare_exchange_strong_explicit((at), (expected), (value), memory_order_acquire,       \
                                            memory_order_acquire)
#define rbx_swap_if_seq_cst(at, expected, value)                                                   \
    atomic_compare_exchange_strong_explicit((at), (expected), (value), memory_order_seq_cst,       \
                                            memory_order_seq_cst)

#endif

/* Else they would take locks of the process's own, and not exclude other processes. */
#if !defined(RBX_ATOMIC_LAYER) && (ATOMIC_LLONG_LOCK_FREE != 2 || ATOMIC_INT_LOCK_FREE != 2)
#error "ringbox needs atomic words of 32 and 64 bits that are always free of locks"
#endif

/* Between two looks at a word that another thread will change. */
static inline void rbx_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ __volatile__("yield" ::: "memory");
#else
    rbx_compiler_barrier();
#endif
}

#endif
