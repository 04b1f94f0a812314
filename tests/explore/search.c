/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "fiber.h"
#include "memory.h"
#include "search.h"
#include "set.h"
#include "state.h"
#include "tell.h"
#include "turn.h"
#include "views.h"
#include "words.h"

enum what { STEP, HALT, FLUSH, FENCE, BURY, TIME_OUT };

struct choice {
    uint8_t what, thread;
    uint8_t which; /* of the values that it may read */
};

enum { CHOICES_MAX = 16 * THREADS_MAX, DEPTH_MAX = 4000, ANY = 1000000 };

/* A state on the way to the present one, and what has been tried in it. */
struct level {
    struct world world;
    struct views_kept views;
    uint64_t pieces[THREADS_MAX]; /* hashes of the threads' own */
    struct choice choices[CHOICES_MAX];
    unsigned count, next;
    bool is_private;         /* they concern nobody else: none of them is a switch */
    unsigned last, switches; /* who moved last; how often another did that could have gone on */
    unsigned moved;          /* by the present choice; THREADS_MAX: none */
    char *piece;             /* of that one, before */
    size_t size, room;
};

static struct level *levels;
static unsigned depth;
static struct level *at; /* levels[depth], which is the present state */

static struct choice story[DEPTH_MAX]; /* that led to a violation */
static unsigned story_length;

static struct set seen;     /* states */
static struct set outcomes; /* of the ends */

/* --- Steps --- */

static void run(unsigned thread)
{
    current = thread;
    do {
        fiber_run(thread);
        if (world.threads[thread].access == TIDIES && !violated[0])
            fiber_tidy(thread);
    } while (world.threads[thread].access == TIDIES && !violated[0]);
}

static void bury(unsigned thread)
{
    world.threads[thread].state = THREAD_DEAD;
    current = thread;
    for (unsigned i = 0; i < word_count; i++)
        if (word_table[i].kind == WORD_LOCK && world.memory[i] == thread + 1)
            memory_change(i, 0, EXPLORE_RELEASE);
    if (telling)
        tell_line("(kernel)", "buries", thread_name(thread), "");
}

/* What reaches memory and concerns nobody does so at once. */
static void settle_buffers(void)
{
    for (unsigned t = 0; t < THREADS_MAX; t++)
        while (world.threads[t].stores > 0 && flush_is_private(t))
            buffer_flush(t);
}

static void make(struct choice choice)
{
    struct thread *thread = &world.threads[choice.thread];
    chosen = choice.which;
    switch ((enum what)choice.what) {
    case STEP:
        run(choice.thread);
        break;
    case HALT:
        thread->state = THREAD_HALTED;
        thread->access = 0;
        world.deaths--;
        if (telling)
            tell_line(thread_name(choice.thread), scene->stops ? "STOPS" : "DIES", "", "");
        break;
    case FLUSH:
        buffer_flush(choice.thread);
        break;
    case FENCE:
        views_barrier(choice.thread);
        for (unsigned i = 0; i < THREADS_MAX; i++)
            world.threads[i].fencing &= (uint8_t) ~(1U << choice.thread);
        if (telling)
            tell_line(thread_name(choice.thread), "  (is made to fence)", "", "");
        break;
    case BURY:
        bury(choice.thread);
        break;
    case TIME_OUT:
        if (thread->access & NAPS && thread->napped != sum_of_memory())
            thread->napped = sum_of_memory();
        else if (world.timeouts > 0)
            world.timeouts--;
        else
            thread->slices--;
        thread->state = THREAD_READY;
        thread->timed_out = true;
        if (is_weak)
            views_catch_up(choice.thread);
        if (telling)
            tell_line(thread_name(choice.thread), "has slept long enough", "", "");
        break;
    }
    if (!violated[0] && is_weak)
        views_tidy();
    else if (!violated[0])
        settle_buffers();
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
    unsigned count = choices_of(thread);
    for (unsigned which = 0; which < count; which++) {
        offer(level, STEP, thread);
        level->choices[level->count - 1].which = (uint8_t)which;
    }
}

/* One that concerns nobody else, or is a thread's own choice, is enough. */
static bool offer_private(struct level *level)
{
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (is_enabled(t) && world.threads[t].access == MEETS_FATE) {
            offer(level, STEP, t);
            if (world.deaths > 0)
                offer(level, HALT, t);
            return true;
        }
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (is_enabled(t) && is_private(t)) {
            offer_step(level, t);
            return true;
        }
    return false;
}

static void offer_time_outs(struct level *level)
{
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        const struct thread *thread = &world.threads[t];
        bool naps = thread->state == THREAD_READY && thread->access & NAPS && !is_enabled(t);
        bool may = world.timeouts > 0 || thread->slices > 0;
        /* A nap ends by itself: but not again and again with nothing changed. */
        if ((thread->state == THREAD_ASLEEP && may) ||
            (naps && (may || thread->napped != sum_of_memory())))
            offer(level, TIME_OUT, t);
    }
}

static unsigned cost_of(const struct level *level, struct choice choice)
{
    return choice.what == STEP && choice.thread != level->last && level->last < THREADS_MAX &&
           is_enabled(level->last);
}

static bool must_fence(unsigned t)
{
    uint8_t waited_for = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        waited_for |= world.threads[i].fencing;
    return waited_for >> t & 1;
}

static void find_choices(struct level *level, unsigned switches)
{
    level->count = level->next = 0;
    level->is_private = offer_private(level);
    if (level->is_private)
        return;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].stores > 0)
            offer(level, FLUSH, t);
    for (unsigned t = 0; is_weak && t < THREADS_MAX; t++)
        if (must_fence(t))
            offer(level, FENCE, t);
    if (level->last < THREADS_MAX && is_enabled(level->last))
        offer_step(level, level->last);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (t != level->last && is_enabled(t) &&
            level->switches + cost_of(level, (struct choice){STEP, (uint8_t)t, 0}) <= switches)
            offer_step(level, t);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_HALTED && world.threads[t].stores == 0 &&
            !scene->stops)
            offer(level, BURY, t);
    if (world.timeouts > 0 || level->count == 0)
        offer_time_outs(level);
}

/* Nothing can happen any more. */
static void judge(void)
{
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        const struct thread *thread = &world.threads[t];
        if (thread->state == THREAD_ASLEEP)
            violation("%s sleeps, and nobody will wake it", thread_name(t));
        else if (thread->state == THREAD_READY)
            violation("%s waits for what will not happen", thread_name(t));
        if (violated[0])
            return;
    }
    scene_judge();
}

/* --- The search --- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void put_piece_away(unsigned thread)
{
    struct fiber_piece piece = fiber_piece(thread);
    if (piece.size > at->room) {
        at->room = piece.size * 2;
        at->piece = realloc(at->piece, at->room);
        if (!at->piece)
            abort();
    }
    memcpy(at->piece, piece.bytes, piece.size);
    at->size = piece.size;
}

static void undo(void)
{
    world = at->world;
    if (is_weak)
        views_restore(&at->views);
    if (at->moved < THREADS_MAX)
        fiber_restore(at->moved, at->piece, at->size);
}

static void keep_story(void)
{
    story_length = depth + 1;
    for (unsigned i = 0; i <= depth; i++)
        story[i] = levels[i].choices[levels[i].next - 1];
}

static void keep_world(struct level *level)
{
    level->world = world;
    if (is_weak)
        views_keep(&level->views);
}

static void enter(unsigned switches)
{
    at = &levels[depth];
    find_choices(at, switches);
    keep_world(at);
}

static void begin(const struct configuration *configuration, unsigned switches)
{
    scene_begin(configuration);
    depth = 0;
    levels[0].last = THREADS_MAX;
    levels[0].switches = 0;
    for (unsigned t = 0; t < THREADS_MAX && !violated[0]; t++)
        if (world.threads[t].state == THREAD_READY) {
            run(t);
            levels[0].pieces[t] = state_piece(t);
        }
    settle_buffers();
    enter(switches);
}

/* What the observer does is not part of any state, and is undone. */
static void judge_and_undo(void)
{
    static struct process kept[THREADS_MAX];
    const struct world world_before = world;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        kept[t] = *process_of(t);
    judge();
    exploring = true;
    world = world_before;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        *process_of(t) = kept[t];
}

/* Makes the next choice of this level. True: it led to a new state, which is the present one. */
static bool try_next(struct found *found, unsigned switches)
{
    struct choice choice = at->choices[at->next++];
    at->moved = choice.what == STEP ? choice.thread : THREADS_MAX;
    if (choice.what == STEP)
        put_piece_away(choice.thread);
    struct level *next = &levels[depth + 1];
    bool is_private_step = at->count == 1 || at->is_private;
    unsigned cost = is_private_step ? 0 : cost_of(at, choice);
    make(choice);
    if (violated[0])
        return false;
    memcpy(next->pieces, at->pieces, sizeof next->pieces);
    if (choice.what == STEP)
        next->pieces[choice.thread] = state_piece(choice.thread);
    next->switches = at->switches + cost;
    next->last = choice.what == STEP && !is_private_step ? choice.thread : at->last;
    bool bounded = switches < ANY;
    find_choices(next, switches);
    /* Where there is no choice, the next state is noted. */
    if (next->count != 1 && set_add(&seen, state_hash(next->pieces, bounded ? next->switches : 0,
                                                      bounded ? next->last : 0)))
        return false;
    found->states++;
    if (next->count == 0) {
        found->ends++;
        set_add(&outcomes, state_outcome());
        judge_and_undo();
        return false;
    }
    if (depth + 2 == DEPTH_MAX) {
        violation("more than %d steps", DEPTH_MAX);
        return false;
    }
    keep_world(next);
    depth++;
    at = next;
    return true;
}

/* How often the clock is looked at, in states. */
#define LOOK_EVERY 4096

/* Until all is walked, or a limit is met, or what is known of accesses has grown: by then. */
static void walk(struct found *found, struct limits limits, uint64_t grown_by, double begun)
{
    uint64_t look_at = LOOK_EVERY;
    found->states = found->ends = steps = 0;
    while (!violated[0]) {
        if (at->next == at->count) {
            if (depth == 0) {
                found->whole = true;
                break;
            }
            at = &levels[--depth];
            undo();
            continue;
        }
        if (!try_next(found, limits.switches)) {
            if (violated[0])
                keep_story();
            undo();
        }
        if (turns_stray && found->states >= grown_by)
            break;
        if (limits.states && found->states >= limits.states)
            break;
        if (limits.seconds > 0 && found->states >= look_at) {
            look_at = found->states + LOOK_EVERY;
            if (now() - begun > limits.seconds)
                break;
        }
    }
    found->steps = steps;
    found->outcomes = outcomes.count;
    found->sum = 0;
    for (size_t i = 0; i < outcomes.room; i++)
        found->sum += outcomes.hash[i];
}

/* Schedules drawn by lot: from them it is soon known who touches what. Every other one is in no
   hurry to go from one thread to another. */
static void learn(const struct configuration *configuration)
{
    enum { SCHEDULES = 1000, STEPS = 1000 };
    uint64_t lot = 1;
    for (unsigned i = 0; i < SCHEDULES; i++) {
        turns_learn();
        begin(configuration, ANY);
        struct choice choice = {0};
        for (unsigned k = 0; k < STEPS && !violated[0] && at->count > 0; k++) {
            lot = (lot + i + k) * UINT64_C(0x9fb21c651e98df25), lot ^= lot >> 29;
            bool goes_on = false;
            for (unsigned c = 0; i % 2 && lot % 8 && c < at->count; c++)
                goes_on |=
                    at->choices[c].what == choice.what && at->choices[c].thread == choice.thread;
            if (!goes_on)
                choice = at->choices[(lot >> 33) % at->count];
            make(choice);
            find_choices(at, ANY);
        }
    }
}

struct found search(const struct configuration *configuration, struct limits limits)
{
    struct found found = {.whole = false};
    double begun = now();
    if (!levels)
        levels = calloc(DEPTH_MAX, sizeof *levels);
    if (!levels)
        abort();
    if (limits.switches == 0)
        limits.switches = ANY;
    scene = configuration;
    is_weak = limits.weakly;
    turns_forget();
    words_forget();
    turns_are_never_private = limits.plainly;
    learn(configuration);
    for (uint64_t grown_by = 1000;; grown_by *= 2) {
        found.passes++;
        found.whole = false;
        turns_learn();
        set_forget(&seen);
        set_forget(&outcomes);
        begin(configuration, limits.switches);
        if (violated[0])
            story_length = 0;
        walk(&found, limits, grown_by, begun);
        /* (A violation, too, may be one of what was known, by which calls were dated.) */
        if (!turns_stray || (limits.seconds > 0 && now() - begun > limits.seconds))
            break;
    }
    found.whole = found.whole && !turns_stray;
    memcpy(found.violated, violated, sizeof found.violated);
    found.seconds = now() - begun;
    return found;
}

struct found search_tells(const struct configuration *configuration, struct limits limits)
{
    struct found found = {.whole = false};
    for (limits.switches = 1; limits.switches < 8; limits.switches++) {
        found = search(configuration, limits);
        if (found.violated[0])
            break;
    }
    if (!found.violated[0]) {
        limits.switches = 0;
        found = search(configuration, limits);
    }
    found.switches = limits.switches;
    scene_begin(configuration);
    telling = true;
    tell_line("thread", "does", "to", "which then says, or said");
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_READY)
            run(t);
    settle_buffers();
    for (unsigned i = 0; i < story_length && !violated[0]; i++)
        make(story[i]);
    if (!violated[0])
        judge();
    telling = false;
    return found;
}
