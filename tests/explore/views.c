/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "layer.h"

enum { MESSAGES_MAX = 250, NOBODY = VIEWS_THREADS_MAX, STAMP_MAX = 255, NO_WORD = 255 };

struct view {
    uint8_t seen[VIEWS_WORDS_MAX]; /* stamp of the oldest message that may be read */
    uint32_t returned;             /* calls */
};

struct message {
    uint64_t value;
    struct view view; /* that it releases */
    uint8_t word;     /* NO_WORD: the place is empty */
    uint8_t stamp;    /* its number in the word's order */
    uint8_t author;
    bool swaps;    /* it came with a look at the one before: nothing comes between */
    uint8_t older; /* place + 1 of the one before; 0: nobody can read that */
};

static struct {
    unsigned threads;
    struct view now[VIEWS_THREADS_MAX];      /* what happens before a thread's next step */
    struct view gathered[VIEWS_THREADS_MAX]; /* and will, once it has fenced */
    struct view fenced[VIEWS_THREADS_MAX];   /* what did before its last fence */
    struct view bound[VIEWS_THREADS_MAX];    /* by its fences, its own loads read no older */
    struct view since[VIEWS_THREADS_MAX];    /* `order`, when it last acquired anything */
    struct view order;                       /* what fences have in common */
    uint8_t newest[VIEWS_WORDS_MAX]; /* place + 1; 0: the word is as it was at the beginning */
    unsigned used;                   /* places from here on are empty */
    struct message messages[MESSAGES_MAX];
} v;

/* --- Views --- */

static void join(struct view *view, const struct view *other)
{
    for (unsigned w = 0; w < VIEWS_WORDS_MAX; w++)
        if (other->seen[w] > view->seen[w])
            view->seen[w] = other->seen[w];
    view->returned |= other->returned;
}

static bool is_within(const struct view *view, const struct view *other)
{
    for (unsigned w = 0, words = memory_words(); w < words; w++)
        if (view->seen[w] > other->seen[w])
            return false;
    return (view->returned & ~other->returned) == 0;
}

static void raise(uint8_t *stamp, uint8_t to)
{
    if (*stamp < to)
        *stamp = to;
}

/* --- Messages --- */

static struct message *newest(unsigned word)
{
    return v.newest[word] ? &v.messages[v.newest[word] - 1] : NULL;
}

static struct message *older(const struct message *message)
{
    return message->older ? &v.messages[message->older - 1] : NULL;
}

/* The one after it; NULL: it is the newest. */
static struct message *newer(const struct message *message)
{
    struct message *m = newest(message->word);
    if (m == message)
        return NULL;
    while (older(m) != message)
        m = older(m);
    return m;
}

static bool may_be_followed(const struct message *message)
{
    const struct message *next = newer(message);
    return !next || !next->swaps;
}

/* From this stamp on they are one later. */
static void make_way_in(struct view *view, unsigned word, unsigned stamp)
{
    view->seen[word] = (uint8_t)(view->seen[word] + (view->seen[word] >= stamp));
}

static void make_way(unsigned word, unsigned stamp)
{
    for (unsigned t = 0; t < v.threads; t++) {
        make_way_in(&v.now[t], word, stamp);
        make_way_in(&v.gathered[t], word, stamp);
        make_way_in(&v.fenced[t], word, stamp);
        make_way_in(&v.bound[t], word, stamp);
        make_way_in(&v.since[t], word, stamp);
    }
    make_way_in(&v.order, word, stamp);
    for (unsigned i = 0; i < v.used; i++) {
        struct message *m = &v.messages[i];
        if (m->word == word && m->stamp >= stamp)
            m->stamp++;
        if (m->word != NO_WORD)
            make_way_in(&m->view, word, stamp);
    }
}

/* A new one behind `last`, or the first one. */
static struct message *insert(unsigned word, struct message *last, uint64_t value, unsigned author)
{
    unsigned place = 0;
    while (place < v.used && v.messages[place].word != NO_WORD)
        place++;
    unsigned stamp = last ? last->stamp + 1U : 0;
    bool at_the_end = last == newest(word);
    if (place == MESSAGES_MAX || (last && newest(word)->stamp == STAMP_MAX)) {
        fprintf(stderr, "the explorer's memory has no room for more messages\n");
        abort();
    }
    if (place == v.used)
        v.used++;
    if (!at_the_end)
        make_way(word, stamp);
    struct message *message = &v.messages[place];
    *message = (struct message){.value = value,
                                .word = (uint8_t)word,
                                .stamp = (uint8_t)stamp,
                                .author = (uint8_t)author,
                                .older = last ? (uint8_t)(last - v.messages + 1) : 0};
    if (at_the_end) {
        v.newest[word] = (uint8_t)(place + 1);
        memory_set_value(word, value);
    } else {
        newer(last)->older = (uint8_t)(place + 1);
    }
    return message;
}

static uint8_t oldest_for(unsigned thread, unsigned word, unsigned order)
{
    uint8_t stamp = v.now[thread].seen[word];
    raise(&stamp, v.bound[thread].seen[word]);
    if (order & EXPLORE_TOTAL)
        raise(&stamp, v.since[thread].seen[word]);
    return stamp;
}

/* It has a place in the one order, or comes after what has. */
static void take_place(unsigned thread)
{
    v.since[thread] = v.order;
}

/* --- Loads --- */

unsigned views_choices(unsigned thread, unsigned word, unsigned order)
{
    uint8_t oldest = oldest_for(thread, word, order);
    unsigned count = 0;
    if (thread_reads_newest(thread, word))
        return 1;
    for (const struct message *m = newest(word); m && m->stamp >= oldest; m = older(m))
        count++;
    return count > 0 ? count : 1;
}

bool views_load_is_idle(unsigned thread, unsigned word, unsigned order)
{
    const struct message *m = newest(word);
    if (!m)
        return true;
    if (views_choices(thread, word, order) > 1 || v.now[thread].seen[word] < m->stamp)
        return false;
    return is_within(&m->view, order & EXPLORE_ACQUIRE ? &v.now[thread] : &v.gathered[thread]) ||
           is_within(&m->view, &v.now[thread]);
}

unsigned views_places(unsigned thread, unsigned word, unsigned order)
{
    uint8_t oldest = oldest_for(thread, word, order);
    unsigned count = 0;
    for (const struct message *m = newest(word); m && m->stamp >= oldest; m = older(m))
        count += may_be_followed(m);
    return count > 0 ? count : 1;
}

static struct message *place_chosen(unsigned thread, unsigned word, unsigned place, unsigned order)
{
    uint8_t oldest = oldest_for(thread, word, order);
    struct message *m = newest(word);
    while (place > 0 && older(m) && older(m)->stamp >= oldest) {
        m = older(m);
        place -= may_be_followed(m);
    }
    return m;
}

static struct message *message_chosen(unsigned thread, unsigned word, unsigned choice,
                                      unsigned order)
{
    uint8_t oldest = oldest_for(thread, word, order);
    struct message *m = newest(word);
    for (; choice > 0 && older(m) && older(m)->stamp >= oldest; choice--)
        m = older(m);
    return m;
}

static void read_message(unsigned thread, const struct message *m, unsigned order)
{
    raise(&v.now[thread].seen[m->word], m->stamp);
    join(order & EXPLORE_ACQUIRE ? &v.now[thread] : &v.gathered[thread], &m->view);
    if (order & (EXPLORE_ACQUIRE | EXPLORE_TOTAL))
        take_place(thread);
}

uint64_t views_peek(unsigned thread, unsigned word, unsigned choice, unsigned order)
{
    return newest(word) ? message_chosen(thread, word, choice, order)->value : memory_value(word);
}

uint64_t views_before_swap(unsigned thread, unsigned word, unsigned *choice,
                           const uint64_t *expected, unsigned order)
{
    if (!newest(word))
        return memory_value(word);
    const struct message *m = message_chosen(thread, word, *choice, order);
    if ((!expected || *expected == m->value) && !may_be_followed(m)) {
        *choice = 0;
        m = newest(word);
    }
    return m->value;
}

uint64_t views_load(unsigned thread, unsigned word, unsigned choice, unsigned order)
{
    if (!newest(word))
        return memory_value(word);
    const struct message *m = message_chosen(thread, word, choice, order);
    read_message(thread, m, order);
    return m->value;
}

uint64_t views_reread(unsigned thread, unsigned word, unsigned order)
{
    const struct message *m = newest(word);
    while (m && m->stamp > v.now[thread].seen[word] && older(m))
        m = older(m);
    if (!m)
        return memory_value(word);
    read_message(thread, m, order);
    return m->value;
}

/* --- Stores and swaps --- */

static void be_there(unsigned word)
{
    if (!newest(word))
        insert(word, NULL, memory_value(word), NOBODY);
}

static void store(unsigned thread, struct message *last, uint64_t value, unsigned order,
                  const struct view *goes_on)
{
    unsigned word = last->word;
    struct message *m = insert(word, last, value, thread);
    v.now[thread].seen[word] = m->stamp;
    m->view = order & EXPLORE_RELEASE ? v.now[thread] : v.fenced[thread];
    raise(&m->view.seen[word], m->stamp);
    m->swaps = goes_on != NULL;
    if (goes_on)
        join(&m->view, goes_on);
    if (order & EXPLORE_TOTAL) {
        raise(&v.order.seen[word], m->stamp);
        take_place(thread);
    }
}

void views_store(unsigned thread, unsigned word, unsigned place, uint64_t value, unsigned order)
{
    be_there(word);
    store(thread, place_chosen(thread, word, place, order), value, order, NULL);
}

void views_swap(unsigned thread, unsigned word, unsigned choice, uint64_t value, unsigned order)
{
    be_there(word);
    struct message *m = message_chosen(thread, word, choice, order);
    read_message(thread, m, order);
    /* (Its view may be another's by then, if that makes way.) */
    const struct view goes_on = m->view;
    store(thread, m, value, order, &goes_on);
}

/* --- Fences --- */

static void fence(unsigned thread, unsigned order)
{
    if (order & EXPLORE_ACQUIRE) {
        join(&v.now[thread], &v.gathered[thread]);
        take_place(thread);
    }
    if (order & EXPLORE_RELEASE)
        v.fenced[thread] = v.now[thread];
}

void views_fence(unsigned thread, unsigned order)
{
    fence(thread, order);
    if (!(order & EXPLORE_TOTAL))
        return;
    join(&v.bound[thread], &v.order);
    for (unsigned i = 0; i < v.used; i++)
        if (v.messages[i].word != NO_WORD && v.messages[i].author == thread)
            raise(&v.order.seen[v.messages[i].word], v.messages[i].stamp);
    take_place(thread);
}

void views_barrier(unsigned thread)
{
    uint32_t returned = v.now[thread].returned;
    join(&v.now[thread], &v.order);
    v.now[thread].returned = returned;
    fence(thread, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
    join(&v.order, &v.now[thread]);
    take_place(thread);
}

void views_join(unsigned thread, unsigned other)
{
    join(&v.now[thread], &v.now[other]);
    take_place(thread);
}

void views_catch_up(unsigned thread)
{
    for (unsigned w = 0; w < memory_words(); w++)
        if (newest(w) && !memory_is_plain(w))
            raise(&v.bound[thread].seen[w], newest(w)->stamp);
}

/* --- Races --- */

bool views_is_race(unsigned thread, unsigned word)
{
    const struct message *m = newest(word);
    return m && v.now[thread].seen[word] < m->stamp;
}

/* --- Calls --- */

uint32_t views_returned(unsigned thread)
{
    return v.now[thread].returned;
}

void views_note_return(unsigned thread, unsigned record)
{
    v.now[thread].returned |= UINT32_C(1) << record;
}

/* --- States --- */

void views_begin(unsigned threads)
{
    memset(&v, 0, offsetof(__typeof__(v), messages));
    v.threads = threads;
}

static void forget_older(struct message *m)
{
    struct message *next = older(m);
    m->older = 0;
    while (next) {
        struct message *then = older(next);
        next->word = NO_WORD;
        next = then;
    }
}

/* What one is bound to read says nothing of races. */
static uint8_t oldest_that_counts(unsigned thread, unsigned word)
{
    return memory_is_plain(word) ? v.now[thread].seen[word] : oldest_for(thread, word, 0);
}

void views_tidy(void)
{
    for (unsigned w = 0; w < memory_words(); w++) {
        struct message *m = newest(w);
        if (!m || !m->older)
            continue;
        uint8_t oldest = m->stamp;
        for (unsigned t = 0; t < v.threads; t++)
            if (thread_may_care(t, w) && oldest_that_counts(t, w) < oldest)
                oldest = oldest_that_counts(t, w);
        while (m->stamp > oldest && older(m))
            m = older(m);
        forget_older(m);
    }
    while (v.used > 0 && v.messages[v.used - 1].word == NO_WORD)
        v.used--;
}

static inline uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 32);
}

/* Words of which more than one message can be read, and the oldest of each. */
static struct {
    unsigned count;
    uint8_t word[VIEWS_WORDS_MAX], oldest[VIEWS_WORDS_MAX];
    uint32_t unknown; /* calls of which somebody may still learn that they have returned */
} live;

static void find_live(void)
{
    uint32_t known = UINT32_MAX;
    live.count = 0;
    for (unsigned w = 0; w < memory_words(); w++) {
        const struct message *m = newest(w);
        if (!m || !m->older)
            continue;
        while (older(m))
            m = older(m);
        live.word[live.count] = (uint8_t)w;
        live.oldest[live.count++] = m->stamp;
    }
    for (unsigned t = 0; t < v.threads; t++)
        if (thread_learns_of_calls(t))
            known &= v.now[t].returned;
    live.unknown = ~known;
}

/* What rules nothing out counts as nothing. */
static uint64_t sum_of(uint64_t h, const struct view *view, const struct view *besides)
{
    uint64_t eight = 0;
    for (unsigned i = 0; i < live.count; i++) {
        uint8_t stamp = view->seen[live.word[i]];
        if (besides)
            raise(&stamp, besides->seen[live.word[i]]);
        eight = eight << 8 | (stamp > live.oldest[i] ? (uint8_t)(stamp - live.oldest[i]) : 0U);
        if (i % 8 == 7)
            h = mix(h, eight), eight = 0;
    }
    h = mix(h, eight);
    return mix(h, view->returned & live.unknown);
}

uint64_t views_sum(void)
{
    uint64_t h = 0;
    find_live();
    for (unsigned i = 0; i < live.count; i++)
        h = mix(h, live.word[i]);
    for (unsigned t = 0; t < v.threads; t++) {
        h = sum_of(h, &v.now[t], NULL);
        h = sum_of(h, &v.gathered[t], &v.now[t]);
        h = sum_of(h, &v.fenced[t], NULL);
        h = sum_of(h, &v.bound[t], &v.now[t]);
        h = sum_of(h, &v.since[t], &v.now[t]);
    }
    h = sum_of(h, &v.order, NULL);
    for (unsigned w = 0; w < memory_words(); w++)
        for (const struct message *m = newest(w); m; m = older(m)) {
            h = mix(h, m->value ^ (uint64_t)w << 56 ^
                           (m->older ? (uint64_t)m->author << 48 | (uint64_t)m->swaps << 51 : 0));
            h = sum_of(h, &m->view, NULL);
        }
    return h;
}

void views_keep(struct views_kept *kept)
{
    size_t size = offsetof(__typeof__(v), messages) + v.used * sizeof *v.messages;
    if (size > kept->room) {
        kept->room = size * 2;
        kept->bytes = realloc(kept->bytes, kept->room);
        if (!kept->bytes)
            abort();
    }
    memcpy(kept->bytes, &v, size);
    kept->size = size;
}

void views_restore(const struct views_kept *kept)
{
    memcpy(&v, kept->bytes, kept->size);
}
