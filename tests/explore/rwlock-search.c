/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore-rwlock: every order in which the steps of a few threads can happen, on the real code of
 * the read-write lock.
 *
 *     explore-rwlock           what is for every day: configurations, and mutants
 *     explore-rwlock --large   all configurations
 *     explore-rwlock NAME...   those whose name has this in it
 *
 * As explore (explore.c, search.h), but each access is a step. The lock is compiled with atomics
 * and a kernel (rwlock-world.c) that hand over to the scheduler before each access to what is
 * shared. It walks every schedule of each configuration (rwlock-scene.c), with store buffers as on
 * x86, with deaths and with sleeps that time out. Who is in when another is must not be in; what is
 * told and what is not; who sleeps for ever: these are violations. Prints TAP; for a violation the
 * schedule that leads there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rwlock-world.h"

#include "fiber.h"
#include "set.h"

enum what { STEP, HALT, FLUSH, BURY, TIME_OUT };

struct choice {
    uint8_t what, thread;
};

enum { CHOICES_MAX = 5 * THREADS_MAX, DEPTH_MAX = 2000 };

/* A state on the way to the present one, and what has been tried in it. */
struct level {
    struct world world;
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

struct found {
    uint64_t states, ends;
    double seconds;
};

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
    return mix(hash_of(&world, sizeof world), hash_of(level->pieces, sizeof level->pieces));
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
    if (choice.what != STEP)
        tell(said[choice.what], choice.what == FLUSH ? thread->buffer[0].at : NULL, 0);
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
        break;
    }
}

/* --- What can happen next --- */

static void offer(struct level *level, enum what what, unsigned thread)
{
    level->choices[level->count++] = (struct choice){(uint8_t)what, (uint8_t)thread};
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
            offer(level, STEP, t);
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
    if (level->moved < THREADS_MAX)
        fiber_restore(level->moved, level->piece, level->size);
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
    levels[0].world = world;
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
    next->world = world;
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

static struct found search(const struct configuration *configuration, bool tells)
{
    struct found found = {0};
    double begun = now();
    set_forget(&seen);
    begin(configuration);
    while (!violated[0]) {
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
    if (violated[0] && tells) {
        char sentence[sizeof violated];
        memcpy(sentence, violated, sizeof sentence);
        tell_story(configuration);
        memcpy(violated, sentence, sizeof violated);
    }
    return found;
}

/* --- Mutants --- */

static const struct {
    enum mutant mutant;
    const char *fault, *finder;
} mutants[] = {
    {MUTANT_READING_IS_BUFFERED, "a reader looks at the turn before it says READING (D)",
     "a writer, a reader"},
    {MUTANT_TORN_TURN, "a CAS of the turn looks first and stores then", "three writers"},
    {MUTANT_NO_WRITING, "a writer does not say WRITING (K)", "a writer dies"},
    {MUTANT_BLIND_TO_SEATS, "a writer looks at one seat only", "a writer, two readers"},
    {MUTANT_HASTY, "everybody is taken for dead", "a writer, a reader"},
    {MUTANT_SILENT_GRANT, "who is granted the lock is not woken", "a writer, a reader"},
    {MUTANT_SILENT_TURN, "who frees the turn wakes no writers", "three writers"},
    {MUTANT_UNWATCHED, "a reader overlooks that it is watched", "a writer, a reader"},
    {MUTANT_UNASKED, "a reader sleeps without READERS_WAIT", "a writer, a reader"},
    {MUTANT_STINGY, "nothing is granted, who waits is only woken", "two writers, a reader"},
    {MUTANT_FORGETFUL, "who comes while all are granted it is not sent back",
     "a writer, two readers that come again"},
    {MUTANT_BLIND_GRANT, "a grant does not look whether the reader still waits",
     "a reader that gives up"},
    {MUTANT_BLIND_BURIAL, "who buries a reader does not look who sits there by then",
     "the seat of a dead reader is taken, and one tries"},
};

static unsigned tests, failures;

static void result(bool good, const char *name, const char *more, struct found found)
{
    printf("%s %u - %s: %s%llu states, %llu ends, %.1f s\n", good ? "ok" : "not ok", ++tests, name,
           more, (unsigned long long)found.states, (unsigned long long)found.ends, found.seconds);
    fflush(stdout);
    failures += !good;
}

static void find_mutants(void)
{
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++)
        for (unsigned c = 0; c < configuration_count; c++) {
            if (strcmp(configurations[c].name, mutants[i].finder) != 0)
                continue;
            char name[200], more[300];
            mutant = mutants[i].mutant;
            struct found found = search(&configurations[c], false);
            mutant = NO_MUTANT;
            snprintf(name, sizeof name, "mutant: %s", mutants[i].fault);
            snprintf(more, sizeof more, "'%s' %s: %s, ", mutants[i].finder,
                     violated[0] ? "finds it" : "DOES NOT find it", violated);
            result(violated[0], name, more, found);
        }
}

static bool is_named(const char *name, char **parts, int count)
{
    bool named = false;
    for (int i = 0; i < count; i++)
        named |= strstr(name, parts[i]) != NULL;
    return named;
}

int main(int argc, char **argv)
{
    bool large = argc == 2 && strcmp(argv[1], "--large") == 0;
    for (unsigned i = 0; i < configuration_count; i++)
        if (argc == 1 ? !configurations[i].is_large
                      : large || is_named(configurations[i].name, argv + 1, argc - 1)) {
            struct found found = search(&configurations[i], true);
            result(!violated[0], configurations[i].name, "", found);
            if (violated[0])
                printf("#     %s\n", violated);
        }
    if (argc == 1)
        find_mutants();
    printf("1..%u\n", tests);
    return failures > 0;
}
