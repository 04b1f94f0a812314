/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rwlock-memory.h: the words of the explored lock, by number, and when a thread's next access may
 * happen. Threads have store buffers as on x86, or words have messages (views.h).
 */
#ifndef EXPLORE_RWLOCK_MEMORY_H
#define EXPLORE_RWLOCK_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "rwlock-world.h"

enum lock_word {
    WORD_TURN,
    WORD_USED,
    WORD_STATE, /* of each seat */
    WORD_OPENINGS = WORD_STATE + SEATS,
    WORD_VALUE = WORD_OPENINGS + SEATS,
    WORD_LOOKS = WORD_VALUE + VALUES, /* no words: that this thread has read this value */
    WORD_LOCK = WORD_LOOKS + VALUES * THREADS_MAX, /* the kernel's, of each seat: who holds it */
    LOCK_WORDS = WORD_LOCK + SEATS,
    NO_WORD = 255,
};

struct rbx_rwlock_shared *shared_words(void);
struct rbx_rwlock_seat *seat_words(unsigned seat);

/* Either half of the turn is the turn. */
unsigned word_at(const void *at);

/* Waits for the current thread's turn to do this; the order counts where a value is read. */
void take_turn(enum pending pending, unsigned word, unsigned order);
bool is_enabled(unsigned thread);
/* In how many ways it may do what it does next: which of so many values it reads. */
unsigned choices_of(unsigned thread);
void buffer_flush(unsigned thread);

/* What the kernel does with a word of its own, of which it always knows the newest value. */
uint64_t kernel_sees(unsigned word);
void kernel_writes(unsigned thread, unsigned word, uint64_t value);

/* Whether a sleep may be one that only a slice ends (rwlock-world.c). */
bool are_dead_unsettled(void);

void tell(const char *does, unsigned word, uint64_t value);

#endif
