/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "memory.h"

#define EXPLORE_MEMCPY_IS_ITSELF
#include "calls.h"
#include "layer.h"
#include "mutant.h"
#include "orders.h"
#include "tell.h"
#include "turn.h"
#include "views.h"
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

/* --- What views ask (views.h) --- */

unsigned memory_words(void)
{
    return word_count;
}

uint64_t memory_value(unsigned word)
{
    return world.memory[word];
}

void memory_set_value(unsigned word, uint64_t value)
{
    world.memory[word] = value;
}

bool memory_is_plain(unsigned word)
{
    return word_table[word].kind == WORD_MESSAGE || word_table[word].kind == WORD_LOOKS;
}

/* --- Either machine --- */

static unsigned total(unsigned order)
{
    return is_weak && order & EXPLORE_TOTAL ? ORDERS : 0;
}

/* Tells of another that reads or writes this word of a message, and who is not known to be through.
 */
static void check_race(unsigned word, bool writes)
{
    bool is_race = views_is_race(current, word);
    for (unsigned t = 0; writes && t < THREADS_MAX; t++)
        is_race |= views_is_race(current, word_of_looks(word, t));
    if (is_race)
        violation("%s %s '%s', and another's access does not happen before (a race)",
                  thread_name(current), writes ? "writes" : "reads", word_table[word].name);
}

static void store_weakly(unsigned word, uint64_t value, unsigned order)
{
    if (word_table[word].kind == WORD_MESSAGE)
        check_race(word, true);
    views_store(current, word, chosen, value, order);
}

void memory_store(unsigned word, uint64_t value, unsigned order)
{
    be_about_to_change(word);
    world.threads[current].order = (uint8_t)order;
    if (is_weak)
        take_turn(word, WRITES | CHOOSES | total(order));
    else
        take_turn(word_of_fences(), READS);
    if (exploring && word_table[word].kind == WORD_SLOT)
        call_is_under_way();
    if (telling)
        tell(chosen > 0 ? "stores, before newer" : "stores", word, value);
    if (exploring && is_weak)
        store_weakly(word, value, order);
    else if (exploring)
        buffer_append((struct store){.word = (uint8_t)word, .value = value});
    else
        world.memory[word] = value;
}

void memory_change(unsigned word, uint64_t value, unsigned order)
{
    if (exploring && is_weak)
        views_swap(current, word, chosen, value, order);
    else
        world.memory[word] = value;
}

uint64_t memory_newest(unsigned word, unsigned order)
{
    return exploring && is_weak ? views_load(current, word, 0, order) : world.memory[word];
}

static uint64_t load_from_buffer(const struct thread *self, unsigned word)
{
    uint64_t value = world.memory[word];
    for (unsigned i = 0; i < self->stores; i++)
        if (self->buffer[i].word == word)
            value = self->buffer[i].value;
    return value;
}

static uint64_t load_weakly(struct thread *self, unsigned word, unsigned order)
{
    if (self->rushing)
        return views_reread(current, word, order);
    self->fresh = 0; /* for what is loaded next only */
    if (word_table[word].kind == WORD_MESSAGE) {
        check_race(word, false);
        views_store(current, word_of_looks(word, current), 0, 0, EXPLORE_RELAXED);
    }
    return views_load(current, word, chosen, order);
}

uint64_t memory_load(unsigned word, unsigned order)
{
    struct thread *self = &world.threads[current];
    if (self->rushing && !(looked_at(self) & set_of(word)))
        look_no_more();
    self->order = (uint8_t)order;
    if (!self->rushing)
        take_turn(word, READS | CHOOSES | total(order));
    uint64_t value =
        exploring && is_weak ? load_weakly(self, word, order) : load_from_buffer(self, word);
    if (telling && !self->rushing)
        tell(chosen > 0 ? "loads, stale" : "loads", word, value);
    if (exploring && !self->rushing) {
        if (self->looks == LOOKS_MAX)
            memmove(self->look, self->look + 1, --self->looks * sizeof *self->look);
        self->look[self->looks++] = (struct look){.word = (uint8_t)word, .value = value};
    }
    return value;
}

/* --- The layer --- */

uint64_t explore_load(const void *at, size_t size, struct explore_verb verb)
{
    unsigned word = word_at(at, (unsigned)size);
    return mutant_sees(word, memory_load(word, order_of(verb)));
}

void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb)
{
    unsigned word = word_at(at, (unsigned)size);
    if (mutant_keeps(word, value)) {
        mutant_keep(word, value);
        return;
    }
    memory_store(word, value, order_of(verb));
    mutant_after(word);
}

static uint64_t see_to_swap(unsigned word, const uint64_t *expected, unsigned order)
{
    return exploring && is_weak ? views_before_swap(current, word, &chosen, expected, order)
                                : world.memory[word];
}

static bool swap(unsigned word, uint64_t *expected, uint64_t value, struct explore_verb verb)
{
    unsigned order = order_of(verb), failing = failing_order_of(verb);
    enum word_kind kind = word_table[word].kind;
    if (exploring && mutant == MUTANT_TORN_TICKET && (kind == WORD_TAIL || kind == WORD_HEAD)) {
        uint64_t seen = memory_load(word, failing);
        if (seen != *expected) {
            *expected = seen;
            return false;
        }
        take_turn_to_change(word, 0);
        memory_change(word, value, order);
        return true;
    }
    value = mutant_stores(word, value);
    world.threads[current].order = (uint8_t)failing;
    take_turn_to_change(word, CHOOSES | total(order | failing));
    uint64_t seen = see_to_swap(word, expected, failing);
    bool equal = seen == *expected || mutant_stores_anyway(word, value);
    if (equal)
        memory_change(word, value, order);
    else
        *expected = seen = exploring && is_weak ? views_load(current, word, chosen, failing) : seen;
    if (telling && equal)
        tell(chosen > 0 ? "swaps, before newer, to" : "swaps to", word, value);
    else if (telling)
        tell(chosen > 0 ? "cannot swap, stale" : "cannot swap", word, seen);
    mutant_after(word);
    return equal;
}

bool explore_swap64(rbx_atomic64 *at, uint64_t *expected, uint64_t value, struct explore_verb verb)
{
    return swap(word_at(at, 8), expected, value, verb);
}

bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value, struct explore_verb verb)
{
    uint64_t wide = *expected;
    bool swapped = swap(word_at(at, 4), &wide, value, verb);
    *expected = (uint32_t)wide;
    return swapped;
}

static uint64_t change(unsigned word, enum explore_change how, uint64_t value,
                       struct explore_verb verb)
{
    unsigned order = order_of(verb);
    world.threads[current].order = (uint8_t)order;
    take_turn_to_change(word, CHOOSES | total(order));
    uint64_t before = see_to_swap(word, NULL, order);
    uint64_t after = how == EXPLORE_OR    ? before | value
                     : how == EXPLORE_AND ? before & value
                                          : before + value;
    if (!exploring || mutant != MUTANT_SILENT_ORPHANS || word_table[word].kind != WORD_ORPHANS)
        memory_change(word, after, order);
    if (telling)
        tell("changes to", word, after);
    return before;
}

uint64_t explore_change64(rbx_atomic64 *at, enum explore_change how, uint64_t value,
                          struct explore_verb verb)
{
    return change(word_at(at, 8), how, value, verb);
}

uint32_t explore_change32(rbx_atomic32 *at, enum explore_change how, uint32_t value,
                          struct explore_verb verb)
{
    return (uint32_t)change(word_at(at, 4), how, value, verb);
}

void explore_fence(struct explore_verb verb)
{
    unsigned order = order_of_fence(verb);
    look_no_more();
    take_turn(NO_WORD, DRAINS | total(order));
    if (exploring && is_weak)
        views_fence(current, order);
    if (telling)
        tell("fences", NO_WORD, 0);
}

/*
 * A look at a word that is repeated a number of times sees a change in time, or does not, and
 * which of the two is up to the order of steps: when this thread's turn comes before anything has
 * changed, it is as if all its looks were made now. On the weak machine it may also see the change
 * too late for all of them.
 */
void explore_pause(void)
{
    struct thread *self = &world.threads[current];
    if (!exploring || self->rushing)
        return;
    take_turn(NO_WORD, PAUSES);
    if (sees_a_change(self) && chosen == 0) {
        if (is_weak)
            self->fresh |= looked_at(self);
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
    const struct explore_verb copies = EXPLORE_VERB(RELAXED, RELAXED);
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
            value = explore_load((const char *)from + done, 8, copies);
        else
            memcpy(&value, (const char *)from + done, 8);
        if (stores)
            explore_store((char *)to + done, value, 8, copies);
        else
            memcpy((char *)to + done, &value, 8);
    }
    return to;
}
