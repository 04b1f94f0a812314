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

static struct title title_of(const char *kind, const char *name)
{
    struct title title;
    snprintf(title.text, sizeof title.text, "%s%s", kind, name);
    return title;
}

static bool is_wanted(struct title title, bool every_day, struct wanted wanted)
{
    bool named = false;
    for (int i = 0; i < wanted.count; i++)
        named |= strstr(title.text, wanted.parts[i]) != NULL;
    return wanted.count > 0 ? named : wanted.large || every_day;
}

static bool is_for(const struct configuration *configuration, bool weakly)
{
    return weakly ? configuration->is_weak : !configuration->is_large;
}

static void walk_all(bool weakly, struct wanted wanted)
{
    for (unsigned i = 0; i < configuration_count; i++) {
        struct title title = title_of(weakly ? "weak: " : "", configurations[i].name);
        if (!is_wanted(title, is_for(&configurations[i], weakly), wanted))
            continue;
        struct found found =
            search(&configurations[i], (struct limits){.weakly = weakly, .tells = true});
        result(!violated[0], title.text, "", found);
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

static void must_find(const char *name, const char *finder, struct found found)
{
    char more[400];
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

static void find_mutants(struct wanted wanted)
{
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        struct title title = title_of("mutant: ", mutants[i].fault);
        if (!is_wanted(title, true, wanted))
            continue;
        mutant = mutants[i].mutant;
        struct found found = search(configuration_named(mutants[i].finder), (struct limits){0});
        mutant = NO_MUTANT;
        must_find(title.text, mutants[i].finder, found);
    }
}

/* --- Orders that are taken away, on the weak machine --- */

enum { STATES_ENOUGH = 3000000 };

/* What becomes of the labelled edges (docs/sync.md) without one of their ends, and the
   configuration that finds it. */
static const struct {
    struct weakening weakening;
    const char *fault, *finder;
} weakenings[] = {
    {{"reads_at_once", 0, EXPLORE_TOTAL},
     "a reader's word and its look at the turn are not seq_cst (D)",
     "a writer, a reader"},
    {{"writes_at_once", 0, EXPLORE_TOTAL},
     "a writer's turn is not seq_cst (D)",
     "a writer, a reader"},
    {{"nobody_reads", 0, EXPLORE_TOTAL},
     "a writer's looks at the seats are not seq_cst (D)",
     "a writer, a reader"},
    {{"rbx_rwlock_unlock", 0, EXPLORE_RELEASE},
     "who frees the turn does not release what was written (T)",
     "a writer, a reader"},
    {{"reads_at_once", 0, EXPLORE_ACQUIRE},
     "a reader does not acquire it (T)",
     "a writer, a reader"},
    {{"writes_at_once", 0, EXPLORE_ACQUIRE}, "a writer does not (T)", "three writers"},
    {{"rbx_rwlock_stop_reading", 0, EXPLORE_RELEASE},
     "a reader does not release that it has read (R)",
     "a writer, a reader"},
    {{"nobody_reads", 0, EXPLORE_ACQUIRE},
     "a writer does not acquire it (R)",
     "a writer, a reader"},
    {{"grant", 0, EXPLORE_RELEASE},
     "a grant does not release what was written (G)",
     "a writer, a reader"},
    {{"sleep_to_read", 0, EXPLORE_ACQUIRE},
     "who was granted it does not acquire it (G)",
     "a writer, a reader"},
    {{"sleep_to_read", 0, EXPLORE_TOTAL}, "WAITING is not seq_cst (W)", "a writer, two readers"},
    {{"ask", 0, EXPLORE_TOTAL},
     "the look for READERS_WAIT is not seq_cst (W)",
     "a writer, two readers"},
    {{"await_turn", 0, EXPLORE_ACQUIRE},
     "who finds a writer does not acquire its seat (S)",
     "the seat of a dead writer is taken by a writer"},
};

static void find_weakenings(struct wanted wanted)
{
    for (size_t i = 0; i < sizeof weakenings / sizeof *weakenings; i++) {
        struct title title = title_of("order: ", weakenings[i].fault);
        if (!is_wanted(title, true, wanted))
            continue;
        weakened = weakenings[i].weakening;
        struct found found = search(configuration_named(weakenings[i].finder),
                                    (struct limits){.weakly = true, .states = STATES_ENOUGH});
        weakened = nothing_weakened;
        must_find(title.text, weakenings[i].finder, found);
    }
}

static struct wanted finders;

static const char *finder(void)
{
    for (unsigned i = 0; i < configuration_count; i++) {
        struct title title = title_of("weak: ", configurations[i].name);
        if (!is_wanted(title, configurations[i].is_weak, finders))
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
    if (!weak_only) {
        walk_all(false, wanted);
        find_mutants(wanted);
    }
    if (!x86_only) {
        walk_all(true, wanted);
        find_weakenings(wanted);
    }
    if (tests == 0)
        result(false, "no configuration has such a name", "", (struct found){0});
    printf("1..%u\n", tests);
    return failures > 0;
}
