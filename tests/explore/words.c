/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* words.c: which words there are, what each is called, and what it says. */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>

#include "scene.h"
#include "tell.h"

#include <ringbox/mpmc.h>

#include "box/header.h"

struct word word_table[WORDS_MAX];
unsigned word_count;

_Alignas(64) char ring_memory[8192];

/* Number + 1 of the word at each place, four bytes each. */
static uint8_t number_at[sizeof ring_memory / 4];
static unsigned fences, order;

void words_forget(void)
{
    memset(number_at, 0, sizeof number_at);
    memset(word_table, 0, sizeof word_table);
    word_count = 0;
    fences = order = NO_WORD;
}

static unsigned new_word(enum word_kind kind, int owner)
{
    if (word_count == WORDS_MAX)
        abort();
    word_table[word_count].kind = kind;
    word_table[word_count].owner = owner;
    return word_count++;
}

static unsigned named(unsigned word, const char *name)
{
    snprintf(word_table[word].name, sizeof word_table[word].name, "%s", name);
    return word;
}

/* The thread in this seat; -1: nobody has been. */
static int thread_in(enum rbx_ring_end end, unsigned seat)
{
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (end == RBX_TX ? is_sender(t) : is_receiver(t))
            if (seat-- == 0)
                return (int)t;
    return -1;
}

static unsigned shared_word(size_t offset)
{
    static const struct {
        size_t at;
        enum word_kind kind;
        const char *name;
    } known[] = {
        {offsetof(struct rbx_mpmc, tail), WORD_TAIL, "tail"},
        {offsetof(struct rbx_mpmc, head), WORD_HEAD, "head"},
        {offsetof(struct rbx_mpmc, orphans), WORD_ORPHANS, "orphans"},
        {offsetof(struct rbx_mpmc, message), WORD_BELL, "bell of messages"},
        {offsetof(struct rbx_mpmc, room), WORD_BELL, "bell of room"},
        {offsetof(struct rbx_mpmc, high_water), WORD_COUNTER, "high water"},
        {offsetof(struct rbx_mpmc, mourning), WORD_OTHER, "senders that died"},
        {offsetof(struct rbx_mpmc, mourning) + 8, WORD_OTHER, "receivers that died"},
        {offsetof(struct rbx_mpmc, mourning) + 16, WORD_OTHER, "last sender's death"},
        {offsetof(struct rbx_mpmc, mourning) + 24, WORD_OTHER, "last receiver's death"},
        {offsetof(struct rbx_mpmc, tombstones), WORD_OTHER, "tombstones"},
        {offsetof(struct rbx_mpmc, redelivered), WORD_OTHER, "redelivered"},
        {offsetof(struct rbx_mpmc, dropped), WORD_OTHER, "dropped"},
        {offsetof(struct rbx_mpmc, returned), WORD_OTHER, "returned"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].at == offset)
            return named(new_word(known[i].kind, -1), known[i].name);
    abort();
}

static unsigned seat_word(size_t offset)
{
    const struct {
        size_t at;
        enum word_kind kind;
        const char *name;
    } known[] = {
        {offsetof(struct rbx_seat, at), WORD_INTENT, scene->is_spsc ? "position" : "intent"},
        {offsetof(struct rbx_seat, owed), WORD_OWED, "debt"},
        {offsetof(struct rbx_seat, openings), WORD_OTHER, "openings"},
        {offsetof(struct rbx_seat, missed), WORD_COUNTER, "calls in vain"},
        {offsetof(struct rbx_seat, sleeps), WORD_COUNTER, "sleeps"},
        {offsetof(struct rbx_seat, wakes), WORD_COUNTER, "wakes"},
        {offsetof(struct rbx_seat, high_water), WORD_COUNTER, "high water"},
        {offsetof(struct rbx_seat, pid), WORD_COUNTER, "process"},
        {offsetof(struct rbx_seat, only_core), WORD_COUNTER, "core"},
        {offsetof(struct rbx_seat, start), WORD_COUNTER, "start"},
        {offsetof(struct rbx_seat, pid_namespace), WORD_COUNTER, "namespace"},
    };
    unsigned seat = (unsigned)(offset / sizeof(struct rbx_seat));
    enum rbx_ring_end end = RBX_TX;
    size_t at = offset % sizeof(struct rbx_seat);
    unsigned senders = process_of(OBSERVER)->ring.shape.seats[RBX_TX];
    if (seat >= senders) {
        seat -= senders;
        end = RBX_RX;
    }
    int owner = thread_in(end, seat);
    unsigned word = new_word(WORD_OTHER, owner);
    const char *what = "something";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].at == at) {
            word_table[word].kind = known[i].kind;
            what = known[i].name;
        }
    snprintf(word_table[word].name, sizeof word_table[word].name, "%s of %s %u", what,
             end == RBX_TX ? "sender" : "receiver", seat + 1);
    return word;
}

static unsigned word_of_one(size_t offset)
{
    switch (offset) {
    case offsetof(struct rbx_spsc, freed):
        return named(new_word(WORD_OTHER, -1), "frames given back");
    case offsetof(struct rbx_spsc, message):
        return named(new_word(WORD_BELL, -1), "bell of messages");
    case offsetof(struct rbx_spsc, room):
        return named(new_word(WORD_BELL, -1), "bell of room");
    default:
        return seat_word(offset);
    }
}

static unsigned slot_word(size_t offset)
{
    const struct rbx_ring_shape *shape = &process_of(OBSERVER)->ring.shape;
    bool is_word = offset % shape->frame.bytes == 0;
    unsigned word = new_word(is_word ? WORD_SLOT : WORD_MESSAGE, -1);
    snprintf(word_table[word].name, sizeof word_table[word].name, "%s %zu",
             is_word ? "slot" : "message in slot", offset / shape->frame.bytes);
    return word;
}

unsigned word_at(const void *at, unsigned size)
{
    size_t offset = (size_t)((const char *)at - ring_memory);
    if (offset > sizeof ring_memory - size || offset % size != 0)
        abort();
    if (number_at[offset / 4])
        return number_at[offset / 4] - 1U;
    size_t slots = rbx_ring_frames_at(&process_of(OBSERVER)->ring.shape);
    unsigned word = offset >= slots               ? slot_word(offset - slots)
                    : offset >= RBX_RING_SEATS_AT ? seat_word(offset - RBX_RING_SEATS_AT)
                    : scene->is_spsc              ? word_of_one(offset - RBX_RING_SHARED_AT)
                                                  : shared_word(offset - RBX_RING_SHARED_AT);
    number_at[offset / 4] = (uint8_t)(word + 1);
    return word;
}

bool is_in_message(const void *at)
{
    const struct rbx_ring_shape *shape = &process_of(OBSERVER)->ring.shape;
    size_t offset = (size_t)((const char *)at - ring_memory), slots = rbx_ring_frames_at(shape);
    return offset >= slots && offset < sizeof ring_memory &&
           (offset - slots) % shape->frame.bytes != 0;
}

unsigned word_of_lock(uint64_t byte)
{
    for (unsigned i = 0; i < word_count; i++)
        if (word_table[i].kind == WORD_LOCK && word_table[i].lock == byte)
            return i;
    uint64_t seat = (byte - RBX_LOCK_SEATS) / 2;
    enum rbx_ring_end end = seat < RBX_SEATS_MAX ? RBX_TX : RBX_RX;
    unsigned index = (unsigned)(seat % RBX_SEATS_MAX);
    unsigned word = new_word(WORD_LOCK, byte == RBX_LOCK_REPAIR ? -1 : thread_in(end, index));
    word_table[word].lock = byte;
    if (byte == RBX_LOCK_REPAIR)
        return named(word, "lock for repairs");
    snprintf(word_table[word].name, sizeof word_table[word].name, "lock of %s %u",
             end == RBX_TX ? "sender" : "receiver", index + 1);
    return word;
}

unsigned word_of_repair_lock(void)
{
    return word_of_lock(RBX_LOCK_REPAIR);
}

unsigned word_of_fences(void)
{
    if (fences == NO_WORD)
        fences = named(new_word(WORD_FENCES, -1), "everybody's fences");
    return fences;
}

unsigned word_of_order(void)
{
    if (order == NO_WORD)
        order = named(new_word(WORD_ORDER, -1), "the order of all");
    return order;
}

static unsigned word_beside(unsigned of, enum word_kind kind, int owner, const char *name)
{
    for (unsigned i = 0; i < word_count; i++)
        if (word_table[i].kind == kind && word_table[i].lock == of && word_table[i].owner == owner)
            return i;
    unsigned word = named(new_word(kind, owner), name);
    word_table[word].lock = of;
    return word;
}

unsigned word_of_looks(unsigned of, unsigned thread)
{
    return word_beside(of, WORD_LOOKS, (int)thread, "looks at a message");
}

/* --- What they say --- */

static void say_slot(char *text, size_t size, uint64_t value)
{
    static const char *const states[] = {"FREE", "FULL", "VOID", "ORPHAN", "TAKEN", "PASSED"};
    unsigned state = value & 0xff;
    snprintf(text, size, "%s %lld", state < 6 ? states[state] : "NONSENSE",
             (long long)(value >> 8));
}

static void say_frame(char *text, size_t size, uint64_t value)
{
    snprintf(text, size, "frame %lld, %u in it", (long long)(value >> 8), (unsigned)(value & 0xff));
}

static void say_run(char *text, size_t size, uint64_t value)
{
    unsigned n = value & 0xff;
    if (n == 0)
        snprintf(text, size, "nothing");
    else if (n == 1)
        snprintf(text, size, "%lld", (long long)(value >> 8));
    else
        snprintf(text, size, "%lld, %u in a row", (long long)(value >> 8), n);
}

static void say_bell(char *text, size_t size, uint64_t value)
{
    static const char *const bits[] = {"ASLEEP", "PUBLISHER_FENCES", "SLEEPER_BARE", "SHUT", "LATE",
                                       "ENDED"};
    size_t used = 0;
    snprintf(text, size, "0");
    for (unsigned i = 0; i < 6; i++)
        if (value & (1U << i) && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "|" : "", bits[i]);
}

const char *word_says(unsigned word, uint64_t value)
{
    static char texts[4][80];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    const size_t size = sizeof *texts;
    switch (word_table[word].kind) {
    case WORD_SLOT:
        if (scene->is_spsc)
            say_frame(text, size, value);
        else
            say_slot(text, size, value);
        break;
    case WORD_TAIL:
    case WORD_HEAD:
        snprintf(text, size, "%lld%s", (long long)(value >> 8),
                 value & RBX_TAIL_CLOSED ? " and closed" : "");
        break;
    case WORD_INTENT:
    case WORD_OWED:
        if (scene->is_spsc)
            say_frame(text, size, value);
        else
            say_run(text, size, value);
        break;
    case WORD_BELL:
        say_bell(text, size, value);
        break;
    case WORD_LOCK:
        snprintf(text, size, "%s", value ? thread_name((unsigned)value - 1) : "free");
        break;
    default:
        snprintf(text, size, "%lld", (long long)value);
    }
    return text;
}
