/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define EXPLORE_MEMCPY_IS_ITSELF
#include "small.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fiber.h"
#include "layer.h"
#include "set.h"
#include "views.h"

bool is_weak, exploring, telling;
unsigned current, chosen, fault;
char violated[200];

static const struct small *small;

void violation(const char *sentence, ...)
{
    va_list args;
    va_start(args, sentence);
    if (!violated[0])
        vsnprintf(violated, sizeof violated, sentence, args);
    va_end(args);
}

void offer(struct choices *choices, struct choice choice)
{
    if (choices->count == sizeof choices->list / sizeof *choices->list)
        abort();
    choices->list[choices->count++] = choice;
}

/* --- The search --- */

enum { DEPTH_MAX = 2000, STATES_ENOUGH = 3000000 };

/* A state on the way to the present one, and what has been tried in it. */
static struct level {
    char *world;
    struct views_kept views;
    uint64_t pieces[FIBERS_MAX]; /* hashes of the threads' own */
    uint32_t number;             /* of the state */
    struct choices choices;
    unsigned next;
    bool runs; /* the present choice: its thread is put away here, as it was before */
    char *piece;
    size_t size, room;
} levels[DEPTH_MAX];

static unsigned depth;
static struct set seen;

struct found {
    uint64_t states, ends;
    bool whole;
    double seconds;
};

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
    uint64_t h = mix(hash_of(small->world, small->size),
                     hash_of(level->pieces, small->threads * sizeof *level->pieces));
    return is_weak ? mix(h, views_sum()) : h;
}

static void *grown(void *bytes, size_t size)
{
    bytes = realloc(bytes, size);
    if (!bytes)
        abort();
    return bytes;
}

/* --- Where no end can be reached from --- */

/* Which state leads to which, and those that are ends. */
static struct {
    struct edge {
        uint32_t from, to;
    } * list;
    size_t count, room;
} edges;

static void note_edge(uint32_t from, uint32_t to)
{
    if (edges.count == edges.room) {
        edges.room = edges.room ? edges.room * 2 : 1 << 16;
        edges.list = grown(edges.list, edges.room * sizeof *edges.list);
    }
    edges.list[edges.count++] = (struct edge){from, to};
}

static const uint32_t THE_END = UINT32_MAX;

/* The first state that cannot reach the end, or how many states there are. */
static uint32_t first_trapped(void)
{
    bool *reaches = calloc(seen.count, sizeof *reaches);
    uint32_t first = 0;
    if (!reaches)
        abort();
    for (bool more = true; more;) {
        more = false;
        for (size_t i = edges.count; i-- > 0;) {
            struct edge edge = edges.list[i];
            if (!reaches[edge.from] && (edge.to == THE_END || reaches[edge.to]))
                reaches[edge.from] = more = true;
        }
    }
    while (first < seen.count && reaches[first])
        first++;
    free(reaches);
    return first;
}

/* --- Steps --- */

static void keep_world(struct level *level)
{
    if (!level->world)
        level->world = grown(NULL, small->size);
    memcpy(level->world, small->world, small->size);
    if (is_weak)
        views_keep(&level->views);
}

static void keep_piece(struct level *level, unsigned thread)
{
    struct fiber_piece piece = fiber_piece(thread);
    if (piece.size > level->room) {
        level->room = piece.size * 2;
        level->piece = grown(level->piece, level->room);
    }
    memcpy(level->piece, piece.bytes, piece.size);
    level->size = piece.size;
}

static void undo(const struct level *level)
{
    memcpy(small->world, level->world, small->size);
    if (is_weak)
        views_restore(&level->views);
    if (level->runs)
        fiber_restore(level->choices.list[level->next - 1].thread, level->piece, level->size);
}

static void enter(struct level *level)
{
    level->choices.count = level->next = 0;
    level->choices.is_end = false;
    small->find(&level->choices);
    keep_world(level);
}

static void make(struct choice choice)
{
    current = choice.thread;
    chosen = choice.which;
    small->make(choice);
    if (is_weak)
        views_tidy();
}

static void begin(unsigned scene)
{
    violated[0] = '\0';
    chosen = 0;
    views_begin(small->threads);
    small->begin(scene);
    exploring = true;
    depth = 0;
    for (unsigned t = 0; t < small->threads; t++)
        levels[0].pieces[t] = piece_hash(t);
    levels[0].number = 0;
    (void)set_add(&seen, state_hash(&levels[0]));
    enter(&levels[0]);
}

static void judge(const struct level *level)
{
    small->judge();
    exploring = true;
    memcpy(small->world, level->world, small->size);
}

/* Makes the next choice of this level. True: it led to a new state, which is the present one. */
static bool try_next(struct found *found)
{
    struct level *at = &levels[depth], *next = &levels[depth + 1];
    struct choice choice = at->choices.list[at->next++];
    at->runs = choice.what == STEP;
    if (at->runs)
        keep_piece(at, choice.thread);
    make(choice);
    if (violated[0])
        return false;
    memcpy(next->pieces, at->pieces, sizeof next->pieces);
    if (at->runs)
        next->pieces[choice.thread] = piece_hash(choice.thread);
    uint64_t hash = state_hash(next);
    bool is_old = set_add(&seen, hash);
    next->number = set_number(&seen, hash);
    note_edge(at->number, next->number);
    if (is_old)
        return false;
    found->states++;
    enter(next);
    if (next->choices.is_end) {
        found->ends++;
        note_edge(next->number, THE_END);
        judge(next);
        if (violated[0])
            return false;
    }
    if (depth + 2 == DEPTH_MAX)
        abort();
    depth++;
    return true;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* What it has found amiss, if anything, is `violated`. 0 states: all of them. */
static struct found walk(unsigned scene, bool weakly, uint64_t states)
{
    struct found found = {.states = 1};
    double begun = now();
    is_weak = weakly;
    set_forget(&seen);
    edges.count = 0;
    begin(scene);
    while (!violated[0] && (states == 0 || found.states < states)) {
        struct level *at = &levels[depth];
        if (at->next < at->choices.count) {
            if (!try_next(&found) && !violated[0])
                undo(at);
        } else if (depth > 0) {
            undo(&levels[--depth]);
        } else {
            found.whole = true;
            break;
        }
    }
    found.seconds = now() - begun;
    return found;
}

/* Goes to the first state that is trapped, if there is one. */
static struct found search(unsigned scene, bool weakly, uint64_t states)
{
    struct found found = walk(scene, weakly, states);
    uint32_t trapped = found.whole ? first_trapped() : UINT32_MAX;
    if (trapped < found.states) {
        (void)walk(scene, weakly, trapped + UINT64_C(1));
        violation("from here on nothing comes to an end");
    }
    return found;
}

/* Again, the way to what was found. */
static void tell_story(unsigned scene)
{
    static struct choice story[DEPTH_MAX];
    char sentence[sizeof violated];
    unsigned length = depth + (levels[depth].next > 0);
    memcpy(sentence, violated, sizeof sentence);
    for (unsigned i = 0; i < length; i++)
        story[i] = levels[i].choices.list[levels[i].next - 1];
    telling = true;
    begin(scene);
    for (unsigned i = 0; i < length && !violated[0]; i++)
        make(story[i]);
    telling = false;
    printf("#     %s\n", sentence);
}

/* --- Reports --- */

static unsigned tests, failures;

static struct {
    bool large;
    char **parts; /* of titles; none: what is for every day */
    int count;
} wanted;

struct title {
    char text[200];
};

static struct title title_of(const char *kind, const char *name)
{
    struct title title;
    snprintf(title.text, sizeof title.text, "%s%s", kind, name);
    return title;
}

static bool is_wanted(struct title title, bool every_day)
{
    bool named = false;
    for (int i = 0; i < wanted.count; i++)
        named |= strstr(title.text, wanted.parts[i]) != NULL;
    return wanted.count > 0 ? named : wanted.large || every_day;
}

static void result(bool good, struct title title, const char *more, struct found found)
{
    printf("%s %u - %s: %s%llu states, %llu ends, %.1f s\n", good ? "ok" : "not ok", ++tests,
           title.text, more, (unsigned long long)found.states, (unsigned long long)found.ends,
           found.seconds);
    fflush(stdout);
    failures += !good;
}

static void walk_all(bool weakly)
{
    for (unsigned i = 0; i < small->scenes; i++) {
        struct days days = small->days(i);
        struct title title = title_of(weakly ? "weak: " : "", days.name);
        if (!is_wanted(title, weakly ? days.is_weak : !days.is_large))
            continue;
        struct found found = search(i, weakly, 0);
        result(!violated[0], title, "", found);
        if (violated[0])
            tell_story(i);
    }
}

/* --- Faults --- */

static void must_find(struct title title, const char *finder, bool weakly)
{
    unsigned scene = 0;
    while (strcmp(small->days(scene).name, finder) != 0)
        if (++scene == small->scenes)
            abort();
    struct found found = search(scene, weakly, weakly ? STATES_ENOUGH : 0);
    char more[400];
    snprintf(more, sizeof more, "'%s' %s: %s, ", finder,
             violated[0] ? "finds it" : "DOES NOT find it", violated);
    result(violated[0], title, more, found);
}

static void find_faults(void)
{
    for (unsigned i = 0; i < small->faults; i++) {
        struct title title = title_of("fault: ", small->fault_table[i].what);
        if (!is_wanted(title, true))
            continue;
        fault = small->fault_table[i].fault;
        must_find(title, small->fault_table[i].finder, false);
        fault = 0;
    }
}

static void find_weakenings(void)
{
    for (unsigned i = 0; i < small->orders; i++) {
        struct title title = title_of("order: ", small->order_table[i].what);
        if (!is_wanted(title, true))
            continue;
        weakened = small->order_table[i].weakening;
        must_find(title, small->order_table[i].finder, true);
        weakened = nothing_weakened;
    }
}

static const char *finder(void)
{
    for (unsigned i = 0; i < small->scenes; i++) {
        struct days days = small->days(i);
        if (!is_wanted(title_of("weak: ", days.name), days.is_weak))
            continue;
        (void)search(i, true, STATES_ENOUGH);
        if (violated[0])
            return days.name;
    }
    return NULL;
}

/* Whether the next argument is this; then it is taken. */
static bool takes(int *argc, char ***argv, const char *option)
{
    bool is_it = *argc > 1 && strcmp((*argv)[1], option) == 0;
    *argc -= is_it, *argv += is_it;
    return is_it;
}

int small_main(const struct small *what, int argc, char **argv)
{
    bool x86_only = takes(&argc, &argv, "--x86"), weak_only = takes(&argc, &argv, "--weak");
    bool orders = takes(&argc, &argv, "--orders");
    small = what;
    wanted.large = takes(&argc, &argv, "--large");
    wanted.parts = argv + 1, wanted.count = argc - 1;
    if (orders) {
        orders_take_each(finder);
        return 0;
    }
    if (!weak_only && !small->only_weak) {
        walk_all(false);
        find_faults();
    }
    if (!x86_only) {
        walk_all(true);
        find_weakenings();
    }
    if (tests == 0)
        result(false, title_of("", "nothing has such a name"), "", (struct found){0});
    printf("1..%u\n", tests);
    return failures > 0;
}
