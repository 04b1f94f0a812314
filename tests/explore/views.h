/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * views.h: a memory in which a load may be stale, within what the orders of C11 allow.
 *
 * A word has messages: the values that were stored, in order (its modification order), each with
 * what it releases. A view says for each word which message is the oldest that may still be read,
 * and which calls are known to have returned: what happens before, for short.
 *
 *   - A load reads any message that the thread's view of the word does not rule out, and from then
 *     on no older one. With acquire the view grows by what the message releases; without, a later
 *     fence can still acquire that.
 *   - A store is a message at the end, or behind any other that the thread could still read. With
 *     release it releases the thread's view; without, what the view was at the last fence.
 *   - A swap reads a message, stores behind it, where nothing else can come from then on, and goes
 *     on to release what that one does: a release sequence. (A later store of the same thread does
 *     not continue one, as in C++20.) One that fails is a load.
 *   - A fence that acquires: what loads before it have read is acquired. One that releases: stores
 *     after it release what the view is now. One that is seq_cst is both, and whoever fences later
 * reads no older than what this thread has stored, or what was stored seq_cst before. That is all
 * that C11 says (7.17.3): it is a lower bound of a thread's own loads, and is passed on to nobody
 * else.
 *   - A barrier (the kernel's membarrier, in another thread's name) is a fence, and orders all that
 *     the thread has seen: the processor's own full barrier, which is cumulative.
 *   - The words of a message are not atomic. Who writes one comes after all that have read it, and
 *     who reads it after all that have written it; else it is a race, which is a fault of its own.
 *
 * What the machine leaves out: a load reads what has been stored, and none is from the future (no
 * load buffering, which would need promises). C11's one order of all that is seq_cst need not be
 * that of time. Here it is, but for a load: that may have its place as far back as the last time
 * when its thread acquired anything, and so be older than what was stored since (as on ARM, where a
 * relaxed load before it may have seen more). A
 * weak swap fails for no reason but a stale one. Counts that are kept for people, and what is the
 * kernel's own, are stored at the end only.
 *
 * Words and threads are numbers here. What they are, and which values words have, is known to the
 * explorer whose memory it is.
 */
#ifndef EXPLORE_VIEWS_H
#define EXPLORE_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VIEWS_THREADS_MAX = 5, VIEWS_WORDS_MAX = 128 };

/* --- What the explorer tells --- */

/* Words, by now. */
unsigned memory_words(void);
/* The newest value of each. */
uint64_t memory_value(unsigned word);
void memory_set_value(unsigned word, uint64_t value);
/* It is not atomic: two accesses of which neither happens before the other are a race. */
bool memory_is_plain(unsigned word);
/* Whether the thread may read the word from now on, or store before others' stores there. */
bool thread_may_care(unsigned thread, unsigned word);
/* It reads the newest of this word next, since it has seen that there is one. */
bool thread_reads_newest(unsigned thread, unsigned word);
/* It may yet learn that a call has returned. */
bool thread_learns_of_calls(unsigned thread);

/* --- The memory --- */

/* For a new schedule of so many threads: nothing is stale. */
void views_begin(unsigned threads);

/* How many values a load of the word can return; the newest is number 0, and the next older 1. */
unsigned views_choices(unsigned thread, unsigned word, unsigned order);
/* And how many places there are for a store, the end being number 0. */
unsigned views_places(unsigned thread, unsigned word, unsigned order);
/* There is one choice, which tells the thread nothing. */
bool views_load_is_idle(unsigned thread, unsigned word, unsigned order);

/* The order is made of the bits of enum explore_order. */
uint64_t views_load(unsigned thread, unsigned word, unsigned choice, unsigned order);
/* What a load would return that reads number `choice`. */
uint64_t views_peek(unsigned thread, unsigned word, unsigned choice, unsigned order);
/* What a swap would that reads number *choice. Where it is to store (expected: NULL, or what
   it reads), but another's swap has come behind that already, it is the newest instead, as if that
   had been the choice. */
uint64_t views_before_swap(unsigned thread, unsigned word, unsigned *choice,
                           const uint64_t *expected, unsigned order);
/* What it has read last, again. */
uint64_t views_reread(unsigned thread, unsigned word, unsigned order);
void views_store(unsigned thread, unsigned word, unsigned place, uint64_t value, unsigned order);
/* Reads number `choice` and stores this behind it. */
void views_swap(unsigned thread, unsigned word, unsigned choice, uint64_t value, unsigned order);
void views_fence(unsigned thread, unsigned order);
/* Whether something was stored there, last, that does not happen before the thread's next step: a
   race, where words are not atomic. */
bool views_is_race(unsigned thread, unsigned word);

/* A full barrier in this thread. */
void views_barrier(unsigned thread);
/* One sees all that the other has. */
void views_join(unsigned thread, unsigned other);
/* Time has passed: whatever was stored has become visible, and orders nothing by that: it is only
   the thread's own loads that read no older. */
void views_catch_up(unsigned thread);

/* Calls, as bits, that are known to the thread to have returned; and that one has. */
uint32_t views_returned(unsigned thread);
void views_note_return(unsigned thread, unsigned record);

/* Forgets what nobody can read any more. */
void views_tidy(void);
/* A hash of it, the same for views that allow the same from now on. */
uint64_t views_sum(void);

/* All of it, put away and brought back. A place is empty at first: NULL, 0. */
struct views_kept {
    void *bytes;
    size_t size, room;
};
void views_keep(struct views_kept *kept);
void views_restore(const struct views_kept *kept);

#endif
