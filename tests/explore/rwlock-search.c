/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock-search.c: every order of steps, depth first, without those states that were seen. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "rwlock-world.h"

#include "fiber.h"
#include "orders.h"
#include "rwlock-memory.h"
#include "rwlock-search.h"
#include "set.h"
#include "views.h"

enum what { STEP, HALT, FLUSH, BURY, TIME_OUT };

struct choice {
    uint8_t what, thread;
    uint8_t which; /* of the values that it may read */
};

enum { CHOICES_MAX = 16 * THREADS_MAX, DEPTH_MAX = 2000 };

/* A state on the way to the present one, and what has been tried in it. */
struct level {
    struct world world;
    struct views_kept views;
    uint64_t pieces[THREADS_MAX]; /* hashes of the threads' own */
    struct choice choices[CHOICES_MAX];
    unsigned count, next;
    unsigned moved; /* by the present choice; THREADS_MAX: none */
    char *piece;    /* of that one, before */
    size_t size, room;
};

static struct level levels[DEPTH_MAX];
static unsigned depth;
static struct set seen;

/* --- Hashes --- */

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 32);
}

static uint64_t hash_of(const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t h = size, value;
    for (; size >= 8; size -= 8, at += 8) {
        memcpy(&value, at, 8);
        h = mix(h, value);
    }
    return h;
}

static uint64_t piece_hash(unsigned thread)
{
    struct fiber_piece piece = fiber_piece(thread);
    return hash_of(piece.bytes, piece.size);
}

static uint64_t state_hash(const struct level *level)
{
    uint64_t h = mix(hash_of(&world, sizeof world), hash_of(level->pieces, sizeof level->pieces));
    return is_weak ? mix(h, views_sum()) : h;
}

/* --- Steps --- */

static void run(unsigned thread)
{
    current = thread;
    fiber_run(thread);
    while (world.threads[thread].pending == TIDIES && !violated[0]) {
        fiber_tidy(thread);
        fiber_run(thread);
    }
}

static void make(struct choice choice)
{
    static const char *const said[] = {NULL, "DIES", "(its store is visible)", "is buried",
                                       "has slept long enough"};
    struct thread *thread = &world.threads[choice.thread];
    current = choice.thread;
    chosen = choice.which;
    if (choice.what != STEP)
        tell(said[choice.what], choice.what == FLUSH ? thread->buffer[0].word : NO_WORD, 0);
    switch ((enum what)choice.what) {
    case STEP:
        run(choice.thread);
        break;
    case HALT:
        thread->state = THREAD_HALTED;
        thread->pending = NOTHING_YET;
        world.deaths--;
        break;
    case FLUSH:
        buffer_flush(choice.thread);
        break;
    case BURY:
        bury(choice.thread);
        break;
    case TIME_OUT:
        if (world.timeouts > 0)
            world.timeouts--;
        else
            thread->slices--;
        thread->state = THREAD_READY;
        thread->timed_out = true;
        world.owed &= (uint8_t) ~(1U << choice.thread);
        if (is_weak)
            views_catch_up(choice.thread);
        break;
    }
    if (is_weak)
        views_tidy();
}

/* --- What can happen next --- */

static void offer(struct level *level, enum what what, unsigned thread)
{
    if (level->count == CHOICES_MAX)
        abort();
    level->choices[level->count++] = (struct choice){(uint8_t)what, (uint8_t)thread, 0};
}

/* All the ways in which it may do that. */
static void offer_step(struct level *level, unsigned thread)
{
    for (unsigned which = 0, count = choices_of(thread); which < count; which++) {
        offer(level, STEP, thread);
        level->choices[level->count - 1].which = (uint8_t)which;
    }
}

static void find_choices(struct level *level)
{
    level->count = level->next = 0;
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        const struct thread *thread = &world.threads[t];
        bool sleeps = thread->state == THREAD_ASLEEP;
        if (thread->stores > 0)
            offer(level, FLUSH, t);
        if (is_enabled(t))
            offer_step(level, t);
        if (thread->state == THREAD_HALTED && thread->stores == 0)
            offer(level, BURY, t);
        /* Before a look it is as before the next change. */
        if (thread->mortal && world.deaths > 0 &&
            (sleeps || (thread->state == THREAD_READY && thread->pending > READS)))
            offer(level, HALT, t);
        if (sleeps && world.timeouts > 0)
            offer(level, TIME_OUT, t);
    }
    bool goes_on = false;
    for (unsigned i = 0; i < level->count; i++)
        goes_on |= level->choices[i].what != HALT;
    for (unsigned t = 0; t < THREADS_MAX && !goes_on; t++)
        if (world.threads[t].state == THREAD_ASLEEP && world.threads[t].slices > 0)
            offer(level, TIME_OUT, t);
}

/* --- The search --- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void put_piece_away(struct level *level)
{
    struct fiber_piece piece = fiber_piece(level->moved);
    if (piece.size > level->room) {
        level->room = piece.size * 2;
        level->piece = realloc(level->piece, level->room);
        if (!level->piece)
            abort();
    }
    memcpy(level->piece, piece.bytes, piece.size);
    level->size = piece.size;
}

static void undo(const struct level *level)
{
    world = level->world;
    if (is_weak)
        views_restore(&level->views);
    if (level->moved < THREADS_MAX)
        fiber_restore(level->moved, level->piece, level->size);
}

static void keep_world(struct level *level)
{
    level->world = world;
    if (is_weak)
        views_keep(&level->views);
}

static void begin(const struct configuration *configuration)
{
    scene_begin(configuration);
    depth = 0;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_READY) {
            run(t);
            levels[0].pieces[t] = piece_hash(t);
        }
    find_choices(&levels[0]);
    keep_world(&levels[0]);
}

/* Whether every thread that lives has ended, or sleeps for good: a halt is no way out. */
static bool is_end(const struct level *level)
{
    for (unsigned i = 0; i < level->count; i++)
        if (level->choices[i].what != HALT)
            return false;
    return true;
}

/* Makes the next choice of this level. True: it led to a new state, which is the present one. */
static bool try_next(struct found *found)
{
    struct level *at = &levels[depth], *next = &levels[depth + 1];
    struct choice choice = at->choices[at->next++];
    at->moved = choice.what == STEP ? choice.thread : THREADS_MAX;
    if (choice.what == STEP)
        put_piece_away(at);
    make(choice);
    if (violated[0])
        return false;
    memcpy(next->pieces, at->pieces, sizeof next->pieces);
    if (choice.what == STEP)
        next->pieces[choice.thread] = piece_hash(choice.thread);
    if (set_add(&seen, state_hash(next)))
        return false;
    found->states++;
    find_choices(next);
    keep_world(next);
    if (is_end(next)) {
        found->ends++;
        scene_judge();
        world = next->world;
        if (violated[0])
            return false;
    }
    if (depth + 2 == DEPTH_MAX) {
        violation("more than %d steps", DEPTH_MAX);
        return false;
    }
    depth++;
    return true;
}

static void tell_story(const struct configuration *configuration)
{
    static struct choice story[DEPTH_MAX];
    unsigned length = depth + 1;
    for (unsigned i = 0; i < length; i++)
        story[i] = levels[i].choices[levels[i].next - 1];
    begin(configuration);
    telling = true;
    for (unsigned i = 0; i < length && !violated[0]; i++)
        make(story[i]);
    telling = false;
}

struct found search(const struct configuration *configuration, struct limits limits)
{
    struct found found = {0};
    double begun = now();
    is_weak = limits.weakly;
    set_forget(&seen);
    begin(configuration);
    while (!violated[0] && (limits.states == 0 || found.states < limits.states)) {
        struct level *at = &levels[depth];
        if (at->next < at->count) {
            if (!try_next(&found) && !violated[0])
                undo(at);
        } else if (depth > 0) {
            undo(&levels[--depth]);
        } else {
            break;
        }
    }
    found.seconds = now() - begun;
    if (violated[0] && limits.tells) {
        char sentence[sizeof violated];
        memcpy(sentence, violated, sizeof sentence);
        tell_story(configuration);
        memcpy(violated, sentence, sizeof violated);
    }
    return found;
}
