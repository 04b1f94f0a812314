/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "turn.h"

#include "calls.h"
#include "fiber.h"
#include "scene.h"
#include "tell.h"
#include "views.h"
#include "words.h"

bool turns_stray, turns_are_never_private;

/* --- What concerns whom --- */

/* Accesses of each thread in each call, and in it or later. */
struct accesses {
    words reads[THREADS_MAX][CALLS_MAX], writes[THREADS_MAX][CALLS_MAX];
};

static struct accesses learnt; /* in each call */
static struct accesses known;  /* in it or later: what this search goes by */

void turns_forget(void)
{
    learnt = (struct accesses){0};
}

/* What one thread does to a word of nobody's, others do that make the same call. */
static void learn_from_others(void)
{
    words shared = 0;
    for (unsigned i = 0; i < word_count; i++)
        if (word_table[i].owner < 0)
            shared |= (words)1 << i;
    for (unsigned i = 0; i < THREADS_MAX * CALLS_MAX; i++)
        for (unsigned k = 0; k < THREADS_MAX * CALLS_MAX; k++) {
            unsigned t = i / CALLS_MAX, u = k / CALLS_MAX;
            if (!is_same_call(t, i % CALLS_MAX, u, k % CALLS_MAX))
                continue;
            learnt.reads[t][i % CALLS_MAX] |= learnt.reads[u][k % CALLS_MAX] & shared;
            learnt.writes[t][i % CALLS_MAX] |= learnt.writes[u][k % CALLS_MAX] & shared;
        }
}

void turns_learn(void)
{
    learn_from_others();
    known = learnt;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        for (unsigned call = CALLS_MAX - 1; call > 0; call--) {
            known.reads[t][call - 1] |= known.reads[t][call];
            known.writes[t][call - 1] |= known.writes[t][call];
        }
    turns_stray = false;
}

static void note_access(unsigned word, unsigned access)
{
    words set = set_of(word), reads = access & READS ? set : 0, writes = access & WRITES ? set : 0;
    unsigned call = world.threads[current].call;
    if (!(reads & ~known.reads[current][call]) && !(writes & ~known.writes[current][call]))
        return;
    turns_stray = true;
    learnt.reads[current][call] |= reads;
    learnt.writes[current][call] |= writes;
}

static bool is_lock_of(words set, unsigned thread)
{
    for (unsigned i = 0; i < word_count; i++)
        if (set >> i & 1 && word_table[i].kind == WORD_LOCK && world.memory[i] == thread + 1)
            return true;
    return false;
}

static bool can_be_buried(const struct thread *thread)
{
    return thread->state == THREAD_HALTED || (thread->mortal && world.deaths > 0);
}

static bool goes_on(const struct thread *thread)
{
    return thread->state == THREAD_READY || thread->state == THREAD_ASLEEP;
}

/* Whether another reads any of these words, or writes it, from now on. */
static bool others_touch(unsigned self, words set, bool reads_too)
{
    if (turns_are_never_private)
        return set != 0;
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        const struct thread *thread = &world.threads[t];
        if (t == self || thread->state == THREAD_NONE)
            continue;
        if (thread->buffered & set)
            return true;
        if (goes_on(thread) && (known.writes[t][thread->call] & set ||
                                (reads_too && known.reads[t][thread->call] & set)))
            return true;
        if (can_be_buried(thread) && is_lock_of(set, t))
            return true;
    }
    return false;
}

words looked_at(const struct thread *thread)
{
    words set = 0;
    for (unsigned i = 0; i < thread->looks; i++)
        set |= set_of(thread->look[i].word);
    return set;
}

bool sees_a_change(const struct thread *thread)
{
    for (unsigned i = 0; i < thread->looks; i++)
        if (world.memory[thread->look[i].word] != thread->look[i].value)
            return true;
    return false;
}

/* --- What views ask (views.h) --- */

bool thread_may_care(unsigned t, unsigned word)
{
    const struct thread *thread = &world.threads[t];
    if (word_table[word].kind == WORD_LOOKS)
        word = (unsigned)word_table[word].lock;
    words touched = known.reads[t][thread->call];
    if (word_table[word].kind != WORD_COUNTER)
        touched |= known.writes[t][thread->call];
    return goes_on(thread) && touched & set_of(word);
}

bool thread_reads_newest(unsigned t, unsigned word)
{
    return (world.threads[t].fresh & set_of(word)) != 0;
}

bool thread_learns_of_calls(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    unsigned next = thread->call + 1U;
    return goes_on(thread) && next < CALLS_MAX && scene->roles[t].calls[next] != END_OF_SCRIPT;
}

/* --- Steps --- */

uint64_t sum_of_memory(void)
{
    uint64_t sum = 0; /* words that are zero make no difference: there may be new ones */
    for (unsigned i = 0; i < word_count; i++) {
        uint64_t h = world.memory[i] * UINT64_C(0x9fb21c651e98df25);
        sum += (h ^ (h >> 32)) * (UINT64_C(0x2545f4914f6cdd1d) * i + 1);
    }
    return sum;
}

/*
 * On the weak machine. What another orders by a barrier in this thread's name concerns it where it
 * chooses, or learns something; a thread's own fences, and its part in the order of all that is
 * seq_cst, concern all that fence.
 */
static bool is_private_weakly(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    words fences = set_of(word_of_fences()), order = set_of(word_of_order());
    bool is_barrier = (thread->access & (AWAITS | DRAINS)) == (AWAITS | DRAINS);
    if (thread->access & PAUSES)
        return !others_touch(t, looked_at(thread), false) &&
               !(sees_a_change(thread) && others_touch(t, fences, false));
    if (is_barrier || thread->access & ORDERS)
        if (others_touch(t, fences | order, true))
            return false;
    if (thread->access & (AWAITS | MEETS_FATE | TIDIES) || thread->word == NO_WORD)
        return true;
    if (set_of(thread->word) & fences ||
        others_touch(t, set_of(thread->word), thread->access & WRITES))
        return false;
    bool is_idle = thread->access & READS ? views_load_is_idle(t, thread->word, thread->order)
                                          : choices_of(t) == 1;
    return is_idle || !others_touch(t, fences, false);
}

bool is_private(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    if (thread->access & NAPS)
        return false;
    if (is_weak)
        return is_private_weakly(t);
    if (thread->access & PAUSES)
        return !others_touch(t, looked_at(thread), false);
    if (thread->access & (AWAITS | MEETS_FATE | TIDIES) || thread->word == NO_WORD)
        return true;
    return !others_touch(t, set_of(thread->word), thread->access & WRITES);
}

bool is_enabled(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    return thread->state == THREAD_READY && !(thread->access & DRAINS && thread->stores > 0) &&
           !(thread->access & AWAITS && thread->fencing != 0) &&
           !(thread->access & NAPS && !thread->timed_out && sum_of_memory() == thread->nap);
}

unsigned choices_of(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    if (!is_weak)
        return 1;
    if (thread->access & PAUSES)
        return sees_a_change(thread) ? 2 : 1;
    /* Counts that are kept for people are stored at the end only. */
    bool counts = thread->access & WRITES && word_table[thread->word].kind == WORD_COUNTER;
    if (!(thread->access & CHOOSES) || counts)
        return 1;
    return thread->access & READS ? views_choices(t, thread->word, thread->order)
                                  : views_places(t, thread->word, thread->order);
}

bool flush_is_private(unsigned t)
{
    return !others_touch(t, set_of(world.threads[t].buffer[0].word), true);
}

/* --- Turns --- */

/* Whether it makes a difference at the end what the word says. */
static bool is_judged(unsigned word)
{
    switch (word_table[word].kind) {
    case WORD_TAIL:
    case WORD_HEAD:
    case WORD_ORPHANS:
    case WORD_SLOT:
    case WORD_INTENT:
    case WORD_OWED:
    case WORD_LOCK:
        return true;
    default:
        return false;
    }
}

void take_turn(unsigned word, unsigned access)
{
    if (!exploring)
        return;
    struct thread *self = &world.threads[current];
    self->word = (uint8_t)word;
    self->access = (uint16_t)access;
    chosen = 0;
    if (word != NO_WORD)
        note_access(word, access);
    if (access & ORDERS)
        note_access(word_of_order(), READS | WRITES);
    if (!is_enabled(current) || !is_private(current) || choices_of(current) > 1) {
        fiber_rest();
        call_is_under_way();
    } else if (access & WRITES && is_judged(word)) {
        call_is_under_way();
    }
    steps++;
    self->access = 0;
    self->word = NO_WORD;
}

void take_nap(void)
{
    struct thread *self = &world.threads[current];
    self->access = NAPS;
    self->word = NO_WORD;
    self->nap = sum_of_memory();
    fiber_rest();
    call_is_under_way();
    self->access = 0;
    self->nap = 0;
    self->timed_out = false;
    self->looks = 0;
    if (is_weak)
        views_catch_up(current);
    if (telling)
        tell("has napped", NO_WORD, 0);
}

void meet_fate(void)
{
    struct thread *self = &world.threads[current];
    if (!exploring || !self->mortal || world.deaths == 0)
        return;
    self->access = MEETS_FATE;
    fiber_rest();
    self->access = 0;
}

void look_no_more(void)
{
    world.threads[current].looks = 0;
    world.threads[current].rushing = false;
}

void be_about_to_change(unsigned word)
{
    look_no_more();
    if (!exploring)
        return;
    note_access(word, WRITES);
    if (is_judged(word) || others_touch(current, set_of(word), true))
        meet_fate();
}

void take_turn_to_change(unsigned word, unsigned more)
{
    be_about_to_change(word);
    take_turn(word, READS | WRITES | DRAINS | more);
}
