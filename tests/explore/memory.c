/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "memory.h"

#define EXPLORE_MEMCPY_IS_ITSELF
#include "calls.h"
#include "layer.h"
#include "mutant.h"
#include "tell.h"
#include "turn.h"
#include "words.h"

/* --- Store buffers --- */

static void drop_first(struct thread *thread)
{
    thread->stores--;
    memmove(thread->buffer, thread->buffer + 1, thread->stores * sizeof *thread->buffer);
    memset(&thread->buffer[thread->stores], 0, sizeof *thread->buffer);
}

void buffer_flush(unsigned t)
{
    struct thread *thread = &world.threads[t];
    struct store *first = thread->buffer;
    world.memory[first->word] = first->value;
    if (telling && word_table[first->word].kind != WORD_COUNTER)
        tell_line(thread_name(t), "  (its store is visible)", word_table[first->word].name,
                  word_says(first->word, first->value));
    drop_first(thread);
    /* Others see that a call has returned when they see what it did. */
    while (thread->stores > 0 && first->word == NO_WORD) {
        call_has_returned(first->record);
        drop_first(thread);
    }
    thread->buffered = 0;
    for (unsigned i = 0; i < thread->stores; i++)
        thread->buffered |= set_of(thread->buffer[i].word);
    if (thread->stores == 0)
        for (unsigned i = 0; i < THREADS_MAX; i++)
            world.threads[i].fencing &= (uint8_t) ~(1U << t);
}

void buffer_append(struct store store)
{
    struct thread *self = &world.threads[current];
    if (self->stores == BUFFER_MAX) {
        violation("the explorer's store buffers are too small");
        return;
    }
    self->buffer[self->stores++] = store;
    self->buffered |= set_of(store.word);
}

void memory_store(unsigned word, uint64_t value)
{
    be_about_to_change(word);
    take_turn(word_of_fences(), READS);
    if (exploring && word_table[word].kind == WORD_SLOT)
        call_is_under_way();
    if (telling)
        tell("stores", word, value);
    if (exploring)
        buffer_append((struct store){.word = (uint8_t)word, .value = value});
    else
        world.memory[word] = value;
}

uint64_t memory_load(unsigned word)
{
    struct thread *self = &world.threads[current];
    if (self->rushing && !(looked_at(self) & set_of(word)))
        look_no_more();
    if (!self->rushing)
        take_turn(word, READS);
    uint64_t value = world.memory[word];
    for (unsigned i = 0; i < self->stores; i++)
        if (self->buffer[i].word == word)
            value = self->buffer[i].value;
    if (telling && !self->rushing)
        tell("loads", word, value);
    if (exploring && !self->rushing) {
        if (self->looks == LOOKS_MAX)
            memmove(self->look, self->look + 1, --self->looks * sizeof *self->look);
        self->look[self->looks++] = (struct look){.word = (uint8_t)word, .value = value};
    }
    return value;
}

/* --- The layer --- */

uint64_t explore_load(const void *at, size_t size)
{
    unsigned word = word_at(at, (unsigned)size);
    return mutant_sees(word, memory_load(word));
}

void explore_store(void *at, uint64_t value, size_t size)
{
    unsigned word = word_at(at, (unsigned)size);
    if (mutant_keeps(word, value)) {
        mutant_keep(word, value);
        return;
    }
    memory_store(word, value);
    mutant_after(word);
}

static bool swap(unsigned word, uint64_t *expected, uint64_t value)
{
    enum word_kind kind = word_table[word].kind;
    if (exploring && mutant == MUTANT_TORN_TICKET && (kind == WORD_TAIL || kind == WORD_HEAD)) {
        uint64_t seen = memory_load(word);
        if (seen != *expected) {
            *expected = seen;
            return false;
        }
        take_turn_to_change(word);
        world.memory[word] = value;
        return true;
    }
    value = mutant_stores(word, value);
    take_turn_to_change(word);
    uint64_t seen = world.memory[word];
    bool equal = seen == *expected || mutant_stores_anyway(word, value);
    if (equal)
        world.memory[word] = value;
    else
        *expected = seen;
    if (telling) {
        if (equal)
            tell("swaps to", word, value);
        else
            tell("cannot swap", word, seen);
    }
    mutant_after(word);
    return equal;
}

bool explore_swap64(rbx_atomic64 *at, uint64_t *expected, uint64_t value)
{
    return swap(word_at(at, 8), expected, value);
}

bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value)
{
    uint64_t wide = *expected;
    bool swapped = swap(word_at(at, 4), &wide, value);
    *expected = (uint32_t)wide;
    return swapped;
}

static uint64_t change(unsigned word, enum explore_change how, uint64_t value)
{
    take_turn_to_change(word);
    uint64_t before = world.memory[word];
    uint64_t after = how == EXPLORE_OR    ? before | value
                     : how == EXPLORE_AND ? before & value
                                          : before + value;
    if (!exploring || mutant != MUTANT_SILENT_ORPHANS || word_table[word].kind != WORD_ORPHANS)
        world.memory[word] = after;
    if (telling)
        tell("changes to", word, after);
    return before;
}

uint64_t explore_change64(rbx_atomic64 *at, enum explore_change how, uint64_t value)
{
    return change(word_at(at, 8), how, value);
}

uint32_t explore_change32(rbx_atomic32 *at, enum explore_change how, uint32_t value)
{
    return (uint32_t)change(word_at(at, 4), how, value);
}

void explore_fence(void)
{
    look_no_more();
    take_turn(NO_WORD, DRAINS);
    if (telling)
        tell("fences", NO_WORD, 0);
}

/*
 * A look at a word that is repeated a number of times sees a change in time, or does not, and
 * which of the two is up to the order of steps: when this thread's turn comes before anything has
 * changed, it is as if all its looks were made now.
 */
void explore_pause(void)
{
    struct thread *self = &world.threads[current];
    if (!exploring || self->rushing)
        return;
    take_turn(NO_WORD, PAUSES);
    if (sees_a_change(self)) {
        self->looks = 0;
    } else {
        self->rushing = true;
        if (telling)
            tell("is tired of looking at", self->looks ? self->look[0].word : NO_WORD,
                 self->look[0].value);
    }
}

void *explore_copy(void *to, const void *from, size_t size)
{
    bool stores = is_in_message(to), loads = is_in_message(from);
    if (!stores && !loads)
        return memcpy(to, from, size);
    for (size_t done = 0; done < size; done += 8) {
        uint64_t value;
        if (loads && !stores && exploring && mutant == MUTANT_COPY_AFTER_WORD) {
            world.threads[current].late_copy = (char *)to + done;
            world.threads[current].late_copied = (uint8_t)word_at((const char *)from + done, 8);
            continue;
        }
        if (loads)
            value = explore_load((const char *)from + done, 8);
        else
            memcpy(&value, (const char *)from + done, 8);
        if (stores)
            explore_store((char *)to + done, value, 8);
        else
            memcpy((char *)to + done, &value, 8);
    }
    return to;
}
