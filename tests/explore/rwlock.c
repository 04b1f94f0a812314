/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore-rwlock: every order in which the steps of a few threads can happen, on the real code of
 * the read-write lock.
 *
 *     explore-rwlock                    what is for every day: configurations, and faults
 *     explore-rwlock --large            all configurations
 *     explore-rwlock NAME...            those whose name has this in it
 *     explore-rwlock --x86 [...]        one of its two machines only; the configurations of the
 *     explore-rwlock --weak [...]       second are called "weak: NAME"
 *     explore-rwlock --orders [NAME...] takes each order from each access that names one, in turn,
 *                                       and says which of these configurations finds that
 *
 * As explore (explore.c, search.h), but each access is a step. The lock is compiled with atomics
 * (rwlock-memory.h) and a kernel (rwlock-world.c) that hand over to the scheduler before each
 * access to what is shared. It walks every schedule of each configuration (rwlock-scene.c), with
 * store buffers as on x86, or where loads are as stale as C11 allows, with deaths and with sleeps
 * that time out. Who is in when another is must not be in, and must have seen what the other did;
 * what is told and what is not; who sleeps for ever: these are violations. Prints TAP; for a
 * violation the schedule that leads there.
 */
#include <stdio.h>
#include <stdlib.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "orders.h"
#include "rwlock-search.h"

static unsigned tests, failures;

static void result(bool good, const char *name, const char *more, struct found found)
{
    printf("%s %u - %s: %s%llu states, %llu ends, %.1f s\n", good ? "ok" : "not ok", ++tests, name,
           more, (unsigned long long)found.states, (unsigned long long)found.ends, found.seconds);
    fflush(stdout);
    failures += !good;
}

/* --- Configurations --- */

struct wanted {
    bool large;
    char **parts; /* of titles; none: what is for every day */
    int count;
};

struct title {
    char text[120];
};

static struct title title_of(const struct configuration *configuration, bool weakly)
{
    struct title title;
    snprintf(title.text, sizeof title.text, "%s%s", weakly ? "weak: " : "", configuration->name);
    return title;
}

static bool is_wanted(const struct configuration *configuration, bool weakly, struct wanted wanted)
{
    bool named = false, every_day = weakly ? configuration->is_weak : !configuration->is_large;
    for (int i = 0; i < wanted.count; i++)
        named |= strstr(title_of(configuration, weakly).text, wanted.parts[i]) != NULL;
    return wanted.count > 0 ? named : wanted.large || every_day;
}

static void walk_all(bool weakly, struct wanted wanted)
{
    for (unsigned i = 0; i < configuration_count; i++) {
        if (!is_wanted(&configurations[i], weakly, wanted))
            continue;
        struct found found =
            search(&configurations[i], (struct limits){.weakly = weakly, .tells = true});
        result(!violated[0], title_of(&configurations[i], weakly).text, "", found);
        if (violated[0])
            printf("#     %s\n", violated);
    }
}

static const struct configuration *configuration_named(const char *name)
{
    for (unsigned i = 0; i < configuration_count; i++)
        if (strcmp(configurations[i].name, name) == 0)
            return &configurations[i];
    abort();
}

/* --- Faults --- */

static void must_find(const char *kind, const char *fault, const char *finder, struct found found)
{
    char name[200], more[400];
    snprintf(name, sizeof name, "%s: %s", kind, fault);
    snprintf(more, sizeof more, "'%s' %s: %s, ", finder,
             violated[0] ? "finds it" : "DOES NOT find it", violated);
    result(violated[0], name, more, found);
}

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

static void find_mutants(void)
{
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        mutant = mutants[i].mutant;
        struct found found = search(configuration_named(mutants[i].finder), (struct limits){0});
        mutant = NO_MUTANT;
        must_find("mutant", mutants[i].fault, mutants[i].finder, found);
    }
}

/* --- Orders that are taken away, on the weak machine --- */

enum { STATES_ENOUGH = 3000000 };

/* What becomes of the labelled edges (docs/sync.md) without one of their ends, and the
   configuration that finds it. */
static const struct {
    struct weakening weakening;
    const char *fault, *finder;
} weakenings[] = {};

static void find_weakenings(void)
{
    for (size_t i = 0; i < sizeof weakenings / sizeof *weakenings; i++) {
        weakened = weakenings[i].weakening;
        struct found found = search(configuration_named(weakenings[i].finder),
                                    (struct limits){.weakly = true, .states = STATES_ENOUGH});
        weakened = nothing_weakened;
        must_find("weak, order", weakenings[i].fault, weakenings[i].finder, found);
    }
}

static struct wanted finders;

static const char *finder(void)
{
    for (unsigned i = 0; i < configuration_count; i++) {
        if (!is_wanted(&configurations[i], true, finders))
            continue;
        (void)search(&configurations[i], (struct limits){.weakly = true, .states = STATES_ENOUGH});
        if (violated[0])
            return configurations[i].name;
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

int main(int argc, char **argv)
{
    bool x86_only = takes(&argc, &argv, "--x86"), weak_only = takes(&argc, &argv, "--weak");
    bool orders = takes(&argc, &argv, "--orders");
    struct wanted wanted = {.large = takes(&argc, &argv, "--large")};
    wanted.parts = argv + 1, wanted.count = argc - 1;
    if (orders) {
        finders = wanted;
        orders_take_each(finder);
        return 0;
    }
    if (!weak_only)
        walk_all(false, wanted);
    if (!x86_only)
        walk_all(true, wanted);
    bool every_day = !wanted.large && wanted.count == 0;
    if (every_day && !weak_only)
        find_mutants();
    if (every_day && !x86_only)
        find_weakenings();
    if (tests == 0)
        result(false, "no configuration has such a name", "", (struct found){0});
    printf("1..%u\n", tests);
    return failures > 0;
}
