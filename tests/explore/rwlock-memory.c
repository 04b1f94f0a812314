/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock-memory.c: the atomics that the explored lock is compiled with, as steps of two machines.
 */
#define EXPLORE_MEMCPY_IS_ITSELF
#include "rwlock-memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "fiber.h"
#include "orders.h"
#include "views.h"

struct rbx_rwlock_shared *shared_words(void)
{
    return (struct rbx_rwlock_shared *)(void *)(world.lock + 64);
}

struct rbx_rwlock_seat *seat_words(unsigned index)
{
    return (struct rbx_rwlock_seat *)(void *)(world.lock + 128) + index;
}

/* --- Which word is meant --- */

/* For people: nobody acts on it. */
static bool is_idle_word(const void *at)
{
    size_t offset = (size_t)((const char *)at - world.lock);
    return offset < sizeof world.lock && offset >= 128 &&
           offset % 64 >= offsetof(struct rbx_sync_seat, pid) &&
           offset % 64 < sizeof(struct rbx_sync_seat);
}

static bool is_state(unsigned word)
{
    return word >= WORD_STATE && word < WORD_STATE + SEATS;
}

static bool is_value(unsigned word)
{
    return word >= WORD_VALUE && word < WORD_VALUE + VALUES;
}

unsigned word_at(const void *at)
{
    size_t offset = (size_t)((const char *)at - world.lock);
    for (unsigned i = 0; i < VALUES; i++)
        if (at == &world.value[i])
            return WORD_VALUE + i;
    if (offset == 64 || offset == 68)
        return WORD_TURN;
    if (at == &shared_words()->used)
        return WORD_USED;
    for (unsigned i = 0; i < SEATS; i++)
        if (at == &seat_words(i)->state || at == &seat_words(i)->who.openings)
            return (at == &seat_words(i)->state ? WORD_STATE : WORD_OPENINGS) + i;
    abort();
}

/* Where it is, and how long; NULL: nowhere. */
struct place {
    void *at;
    size_t size;
};

static struct place place_of(unsigned word)
{
    if (word == WORD_TURN)
        return (struct place){&shared_words()->turn, 8};
    if (word == WORD_USED)
        return (struct place){&shared_words()->used, 4};
    if (is_state(word))
        return (struct place){&seat_words(word - WORD_STATE)->state, 4};
    if (is_value(word))
        return (struct place){&world.value[word - WORD_VALUE], 8};
    if (word < WORD_VALUE)
        return (struct place){&seat_words(word - WORD_OPENINGS)->who.openings, 4};
    if (word >= WORD_LOCK && word < WORD_LOCK + SEATS)
        return (struct place){&world.holder[word - WORD_LOCK], 1};
    return (struct place){NULL, 0};
}

static const char *name_of(unsigned word)
{
    static char name[40];
    if (word == NO_WORD)
        return "";
    if (word == WORD_TURN || word == WORD_USED)
        return word == WORD_TURN ? "turn" : "used";
    if (is_value(word))
        snprintf(name, sizeof name, "value %u", word - WORD_VALUE);
    else
        snprintf(name, sizeof name, "%s of seat %u",
                 is_state(word)      ? "state"
                 : word < WORD_VALUE ? "openings"
                                     : "lock",
                 is_state(word)      ? word - WORD_STATE
                 : word < WORD_VALUE ? word - WORD_OPENINGS
                                     : word - WORD_LOCK);
    return name;
}

void tell(const char *does, unsigned word, uint64_t value)
{
    if (telling)
        printf("#     thread %u  %-24s %-18s %llx\n", current, does, name_of(word),
               (unsigned long long)value);
}

/* --- What views ask (views.h) --- */

unsigned memory_words(void)
{
    return LOCK_WORDS;
}

uint64_t memory_value(unsigned word)
{
    uint64_t value = 0; /* it is little-endian, as x86-64 is */
    struct place place = place_of(word);
    if (place.at)
        memcpy(&value, place.at, place.size);
    return value;
}

void memory_set_value(unsigned word, uint64_t value)
{
    struct place place = place_of(word);
    if (place.at)
        memcpy(place.at, &value, place.size);
}

bool memory_is_plain(unsigned word)
{
    return word >= WORD_VALUE && word < WORD_LOCK;
}

/* The kernel's are always known as they are. */
bool thread_may_care(unsigned t, unsigned word)
{
    const struct thread *thread = &world.threads[t];
    return (thread->state == THREAD_READY || thread->state == THREAD_ASLEEP) && word < WORD_LOCK;
}

bool thread_reads_newest(unsigned thread, unsigned word)
{
    (void)thread, (void)word;
    return false;
}

bool thread_learns_of_calls(unsigned thread)
{
    (void)thread;
    return false;
}

/* --- Turns, and store buffers --- */

void take_turn(enum pending pending, unsigned word, unsigned order)
{
    struct thread *self = &world.threads[current];
    self->rushing = false;
    if (!exploring)
        return;
    self->pending = (uint8_t)pending;
    self->word = (uint8_t)word;
    self->order = (uint8_t)order;
    fiber_rest();
    self->pending = NOTHING_YET;
    self->word = NO_WORD;
    self->order = 0;
}

bool is_enabled(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    return thread->state == THREAD_READY && !(thread->pending == CHANGES && thread->stores > 0);
}

unsigned choices_of(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    if (!is_weak || thread->word == NO_WORD)
        return 1;
    return thread->pending == STORES ? views_places(t, thread->word, thread->order)
                                     : views_choices(t, thread->word, thread->order);
}

void buffer_flush(unsigned t)
{
    struct thread *thread = &world.threads[t];
    memory_set_value(thread->buffer[0].word, thread->buffer[0].value);
    thread->stores--;
    memmove(thread->buffer, thread->buffer + 1, thread->stores * sizeof *thread->buffer);
    memset(&thread->buffer[thread->stores], 0, sizeof *thread->buffer);
}

static void buffer_store(unsigned word, uint64_t value)
{
    struct thread *self = &world.threads[current];
    if (self->stores == BUFFER_MAX)
        violation("the explorer's store buffers are too small");
    else
        self->buffer[self->stores++] = (struct store){.value = value, .word = (uint8_t)word};
}

/* --- Either machine --- */

static unsigned word_of_looks(unsigned value, unsigned thread)
{
    return WORD_LOOKS + (value - WORD_VALUE) * THREADS_MAX + thread;
}

/* Tells of another that reads or writes this value, and who is not known to be through. */
static void check_race(unsigned word, bool writes)
{
    bool is_race = views_is_race(current, word);
    for (unsigned t = 0; writes && t < THREADS_MAX; t++)
        is_race |= views_is_race(current, word_of_looks(word, t));
    if (is_race)
        violation("thread %u %s value %u, and another's access does not happen before (a race)",
                  current, writes ? "writes" : "reads", word - WORD_VALUE);
}

static uint64_t load_from_buffer(const struct thread *self, unsigned word)
{
    uint64_t value = memory_value(word);
    for (unsigned i = 0; i < self->stores; i++)
        if (self->buffer[i].word == word)
            value = self->buffer[i].value;
    return value;
}

static uint64_t load_weakly(unsigned word, unsigned order, bool again)
{
    if (again)
        return views_reread(current, word, order);
    if (is_value(word)) {
        check_race(word, false);
        views_store(current, word_of_looks(word, current), 0, 0, EXPLORE_RELAXED);
    }
    return views_load(current, word, chosen, order);
}

/* To do so at the newest value that there is, or behind the one chosen. */
static uint64_t see_to_swap(unsigned word, const uint64_t *expected, unsigned order)
{
    return exploring && is_weak ? views_before_swap(current, word, &chosen, expected, order)
                                : memory_value(word);
}

/* Whether the change is one that somebody who sleeps on the word is to hear of. */
static bool may_have_sleepers(unsigned word, uint64_t before, uint64_t after)
{
    const uint64_t wait = RBX_TURN_READERS_WAIT | RBX_TURN_WRITERS_WAIT;
    if (word == WORD_TURN)
        return (before & wait & ~after) != 0;
    return is_state(word) && before != after &&
           (before & RBX_RW_WATCHED || rbx_state_does((uint32_t)before) == RBX_RW_WAITING);
}

static void change(unsigned word, uint64_t value, unsigned order)
{
    world.threads[current].owes_wake |=
        exploring && may_have_sleepers(word, memory_value(word), value);
    if (exploring && is_weak)
        views_swap(current, word, chosen, value, order);
    else
        memory_set_value(word, value);
}

uint64_t kernel_sees(unsigned word)
{
    return exploring && is_weak ? views_load(current, word, 0, EXPLORE_ACQUIRE)
                                : memory_value(word);
}

void kernel_writes(unsigned thread, unsigned word, uint64_t value)
{
    if (exploring && is_weak)
        views_swap(thread, word, 0, value, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
    else
        memory_set_value(word, value);
}

/* --- The layer --- */

uint64_t explore_load(const void *at, size_t size, struct explore_verb verb)
{
    struct thread *self = &world.threads[current];
    if (is_idle_word(at)) {
        uint64_t value = 0;
        memcpy(&value, at, size);
        return value;
    }
    unsigned word = word_at(at), order = order_of(verb);
    if (fault == MUTANT_BLIND_TO_SEATS && word == WORD_USED && exploring)
        return 1;
    /* While it looks on between two pauses nothing happens: it could as well have come later. */
    bool again = self->rushing && self->looked_at == at;
    if (!again)
        take_turn(READS, word, order);
    self->looked_at = at;
    uint64_t value =
        exploring && is_weak ? load_weakly(word, order, again) : load_from_buffer(self, word);
    if (!again)
        tell(chosen > 0 ? "loads, stale" : "loads", word, value);
    return value;
}

void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb)
{
    if (is_idle_word(at)) {
        memcpy(at, &value, size);
        return;
    }
    unsigned word = word_at(at), order = order_of(verb);
    if (fault == MUTANT_NO_WRITING && is_state(word) &&
        rbx_state_does((uint32_t)value) == RBX_RW_WRITING)
        return;
    take_turn(STORES, word, order);
    tell(chosen > 0 ? "stores, before newer" : "stores", word, value);
    if (!exploring) {
        memory_set_value(word, value);
    } else if (is_weak) {
        if (is_value(word))
            check_race(word, true);
        views_store(current, word, chosen, value, order);
    } else {
        buffer_store(word, value);
    }
}

static bool is_others_state(unsigned word)
{
    return is_state(word) &&
           &seat_words(word - WORD_STATE)->state != &process_of(current)->lock->own->state;
}

/* A swap that stores although the word says something else. */
static bool is_blind(unsigned word, uint64_t value)
{
    if (!exploring || !is_others_state(word))
        return false;
    enum rbx_rwlock_does does = rbx_state_does((uint32_t)value);
    return (fault == MUTANT_BLIND_GRANT && does == RBX_RW_READING && !(value & RBX_RW_WATCHED)) ||
           (fault == MUTANT_BLIND_BURIAL && does == RBX_RW_IDLE);
}

static bool swap(unsigned word, uint64_t *expected, uint64_t value, struct explore_verb verb)
{
    unsigned failing = failing_order_of(verb);
    if (fault == MUTANT_UNASKED && word == WORD_TURN &&
        value == (*expected | RBX_TURN_READERS_WAIT))
        return true;
    take_turn(CHANGES, word, failing);
    uint64_t seen = see_to_swap(word, expected, failing);
    bool equal = seen == *expected;
    tell(equal ? "swaps in" : "would swap in", word, value);
    if (fault == MUTANT_TORN_TURN && word == WORD_TURN && equal)
        take_turn(CHANGES, word, failing);
    if (fault == MUTANT_FORGETFUL && is_others_state(word) &&
        rbx_state_does((uint32_t)*expected) == RBX_RW_WAITING &&
        rbx_state_does((uint32_t)value) == RBX_RW_IDLE)
        return false;
    if (fault == MUTANT_STINGY && is_others_state(word) &&
        (value & (RBX_RW_DOES | RBX_RW_WATCHED)) == RBX_RW_READING)
        value ^= RBX_RW_READING; /* IDLE: it is to try again */
    if (equal || is_blind(word, value)) {
        change(word, value, order_of(verb));
        return true;
    }
    *expected = exploring && is_weak ? views_load(current, word, chosen, failing) : seen;
    return false;
}

bool explore_swap64(rbx_atomic64 *at, uint64_t *expected, uint64_t value, struct explore_verb verb)
{
    return swap(word_at(at), expected, value, verb);
}

bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value, struct explore_verb verb)
{
    uint64_t wide = *expected;
    bool equal = swap(word_at(at), &wide, value, verb);
    *expected = (uint32_t)wide;
    return equal;
}

uint32_t explore_exchange32(rbx_atomic32 *at, uint32_t value, struct explore_verb verb)
{
    unsigned word = word_at(at), order = order_of(verb);
    if (exploring && fault == MUTANT_READING_IS_BUFFERED &&
        rbx_state_does(value) == RBX_RW_READING) {
        take_turn(STORES, word, order);
        buffer_store(word, value);
        return 0;
    }
    take_turn(CHANGES, word, order);
    uint32_t seen = (uint32_t)see_to_swap(word, NULL, order);
    change(word, value, order);
    tell(chosen > 0 ? "exchanges, before newer" : "exchanges for", word, value);
    return fault == MUTANT_UNWATCHED ? seen & ~(uint32_t)RBX_RW_WATCHED : seen;
}

uint64_t explore_change64(rbx_atomic64 *at, enum explore_change how, uint64_t value,
                          struct explore_verb verb)
{
    unsigned word = word_at(at), order = order_of(verb);
    take_turn(CHANGES, word, order);
    uint64_t seen = see_to_swap(word, NULL, order);
    change(word, how == EXPLORE_OR ? seen | value : seen & value, order);
    tell(how == EXPLORE_OR ? "sets" : "leaves of", word, value);
    return seen;
}

void explore_pause(void)
{
    world.threads[current].rushing = true;
}
