/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layer.h: the atomics of <ringbox/atomic.h>, each of them a step that the explorer schedules.
 *
 * The library's sources are compiled with this in place of C11's atomics, and with memcpy() of a
 * message as relaxed loads and stores of its words. What orders them is one of two machines
 * (memory.h): x86's, whatever the verb says, where a store waits in its thread's buffer, and a swap
 * and a fence drain that first; or one where a load may be stale, within what the verbs' orders
 * allow (views.h). The explorers of other scenes have the first only.
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

enum explore_order {
    EXPLORE_RELAXED = 0,
    EXPLORE_ACQUIRE = 1,
    EXPLORE_RELEASE = 2,
    EXPLORE_TOTAL = 4, /* it has a place in the one order of all such */
    EXPLORE_SEQ_CST = EXPLORE_ACQUIRE | EXPLORE_RELEASE | EXPLORE_TOTAL,
};

/* Where in the source an access is, and which orders it names: should a swap fail, the second. */
struct explore_verb {
    const char *function;
    uint32_t line;
    uint16_t order, failing;
};

uint64_t explore_load(const void *at, size_t size, struct explore_verb verb);
void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb);
/* On failure *expected is what it says. */
bool explore_swap64(rbx_atomic64 *at, uint64_t *expected, uint64_t value, struct explore_verb verb);
bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value, struct explore_verb verb);
uint64_t explore_change64(rbx_atomic64 *at, enum explore_change how, uint64_t value,
                          struct explore_verb verb);
uint32_t explore_change32(rbx_atomic32 *at, enum explore_change how, uint32_t value,
                          struct explore_verb verb);
uint32_t explore_exchange32(rbx_atomic32 *at, uint32_t value, struct explore_verb verb);
void explore_fence(struct explore_verb verb);
/* Between two looks: on with it when what was seen has changed; else patience has run out. */
void explore_pause(void);
/* What memcpy does, but for a message in the ring. */
void *explore_copy(void *to, const void *from, size_t size);

/* Of the word itself, without const. */
#define EXPLORE_TYPE(at) __typeof__((at)->value + 0)

#define EXPLORE_VERB(order, failing)                                                               \
    ((struct explore_verb){__func__, __LINE__, EXPLORE_##order, EXPLORE_##failing})
#define EXPLORE_LOAD(at, order)                                                                    \
    ((EXPLORE_TYPE(at))explore_load((at), sizeof((at)->value), EXPLORE_VERB(order, order)))
#define EXPLORE_STORE(at, word, order)                                                             \
    explore_store((at), (word), sizeof((at)->value), EXPLORE_VERB(order, order))
/* The function for words of this width. */
#define EXPLORE_BY_WIDTH(at, name)                                                                 \
    _Generic((at), rbx_atomic64 * : explore_##name##64, rbx_atomic32 * : explore_##name##32)
#define EXPLORE_SWAP(at, expected, word, order, failing)                                           \
    EXPLORE_BY_WIDTH(at, swap)(at, expected, word, EXPLORE_VERB(order, failing))
#define EXPLORE_CHANGE(at, how, word, order)                                                       \
    EXPLORE_BY_WIDTH(at, change)(at, EXPLORE_##how, word, EXPLORE_VERB(order, order))

#define rbx_load_relaxed(at) EXPLORE_LOAD(at, RELAXED)
#define rbx_load_acquire(at) EXPLORE_LOAD(at, ACQUIRE)
#define rbx_load_seq_cst(at) EXPLORE_LOAD(at, SEQ_CST)
#define rbx_store_relaxed(at, word) EXPLORE_STORE(at, word, RELAXED)
#define rbx_store_release(at, word) EXPLORE_STORE(at, word, RELEASE)
/* It may fail for no reason, but never does here. */
#define rbx_swap_if_release(at, expected, word) EXPLORE_SWAP(at, expected, word, RELEASE, RELAXED)
#define rbx_swap_if_acquire(at, expected, word) EXPLORE_SWAP(at, expected, word, ACQUIRE, ACQUIRE)
#define rbx_swap_if_seq_cst(at, expected, word) EXPLORE_SWAP(at, expected, word, SEQ_CST, SEQ_CST)
#define rbx_or_release(at, bits) EXPLORE_CHANGE(at, OR, bits, RELEASE)
#define rbx_or_seq_cst(at, bits) EXPLORE_CHANGE(at, OR, bits, SEQ_CST)
#define rbx_and_seq_cst(at, bits) EXPLORE_CHANGE(at, AND, bits, SEQ_CST)
#define rbx_add_seq_cst(at, more) EXPLORE_CHANGE(at, ADD, more, SEQ_CST)
#define rbx_exchange_seq_cst(at, word) explore_exchange32(at, word, EXPLORE_VERB(SEQ_CST, SEQ_CST))
#define rbx_exchange_release(at, word) explore_exchange32(at, word, EXPLORE_VERB(RELEASE, RELEASE))
#define rbx_full_fence() explore_fence(EXPLORE_VERB(SEQ_CST, SEQ_CST))
#define rbx_acquire_fence() explore_fence(EXPLORE_VERB(ACQUIRE, ACQUIRE))
#define rbx_release_fence() explore_fence(EXPLORE_VERB(RELEASE, RELEASE))
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
