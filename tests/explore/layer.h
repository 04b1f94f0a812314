/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layer.h: the atomics of <ringbox/atomic.h>, each of them a step that the explorer schedules.
 *
 * The library's sources are compiled with this in place of C11's atomics, and with memcpy() of a
 * message as loads and stores of its words. The orders are those of x86 whatever the verb says: a
 * store waits in its thread's buffer, a swap and a fence drain that first (see memory.h).
 */
#ifndef EXPLORE_LAYER_H
#define EXPLORE_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t value;
} rbx_atomic64;

typedef struct {
    uint32_t value;
} rbx_atomic32;

enum explore_change { EXPLORE_OR, EXPLORE_AND, EXPLORE_ADD };

uint64_t explore_load(const void *at, size_t size);
void explore_store(void *at, uint64_t value, size_t size);
/* On failure *expected is what it says. */
bool explore_swap64(rbx_atomic64 *at, uint64_t *expected, uint64_t value);
bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value);
uint64_t explore_change64(rbx_atomic64 *at, enum explore_change how, uint64_t value);
uint32_t explore_change32(rbx_atomic32 *at, enum explore_change how, uint32_t value);
uint32_t explore_exchange32(rbx_atomic32 *at, uint32_t value);
void explore_fence(void);
/* Between two looks: on with it when what was seen has changed; else patience has run out. */
void explore_pause(void);
/* What memcpy does, but for a message in the ring. */
void *explore_copy(void *to, const void *from, size_t size);

/* Of the word itself, without const. */
#define EXPLORE_TYPE(at) __typeof__((at)->value + 0)

#define rbx_load_relaxed(at) ((EXPLORE_TYPE(at))explore_load((at), sizeof((at)->value)))
#define rbx_load_acquire(at) rbx_load_relaxed(at)
#define rbx_store_relaxed(at, word) explore_store((at), (word), sizeof((at)->value))
#define rbx_store_release(at, word) rbx_store_relaxed(at, word)
/* The function for words of this width. */
#define EXPLORE_BY_WIDTH(at, name)                                                                 \
    _Generic((at), rbx_atomic64 * : explore_##name##64, rbx_atomic32 * : explore_##name##32)
#define rbx_swap_if_seq_cst(at, expected, word) EXPLORE_BY_WIDTH(at, swap)(at, expected, word)
/* It may fail for no reason, but never does here. */
#define rbx_swap_if_release(at, expected, word) rbx_swap_if_seq_cst(at, expected, word)
#define rbx_swap_if_acquire(at, expected, word) rbx_swap_if_seq_cst(at, expected, word)
#define rbx_or_release(at, bits) rbx_or_seq_cst(at, bits)
#define rbx_or_seq_cst(at, bits) EXPLORE_BY_WIDTH(at, change)(at, EXPLORE_OR, bits)
#define rbx_and_seq_cst(at, bits) EXPLORE_BY_WIDTH(at, change)(at, EXPLORE_AND, bits)
#define rbx_add_seq_cst(at, more) EXPLORE_BY_WIDTH(at, change)(at, EXPLORE_ADD, more)
#define rbx_full_fence() explore_fence()
#define rbx_load_seq_cst(at) rbx_load_relaxed(at)
#define rbx_exchange_seq_cst(at, word) explore_exchange32(at, word)
#define rbx_exchange_release(at, word) explore_exchange32(at, word)
#define rbx_compiler_barrier() ((void)0)

/*
 * atomic.h defines rbx_pause(void) itself, a processor's hint, under another name here; calls of
 * rbx_pause() are ours.
 */
#define EXPLORE_PAUSE_void explore_unused_hint(void)
#define EXPLORE_PAUSE_ explore_pause()
#define EXPLORE_PASTE(nothing, argument) EXPLORE_PAUSE_##argument
#define rbx_pause(argument) EXPLORE_PASTE(, argument)

#ifndef EXPLORE_MEMCPY_IS_ITSELF
#define memcpy(to, from, size) explore_copy(to, from, size)
#endif

#endif
