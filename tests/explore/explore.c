/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore: every order in which the steps of a few threads can happen, on the real code.
 *
 *     explore                      what is for every day: configurations, faults, and the explorer
 *                                  itself
 *     explore --large [SECONDS]    all configurations, each for so long at most (240)
 *     explore NAME...              the one of this name, or those that have this in it
 *     explore --x86 [...]          one of its two machines only; the configurations of the second
 *     explore --weak [...]         are called "weak: NAME"
 *     explore --orders [NAME...]   takes each order from each access that names one, in turn, and
 *                                  says which of these configurations finds that
 *
 * The library's rings are compiled with atomics (layer.h) and a kernel (kernel.c) that hand
 * over to a scheduler before each access that can matter to others. It walks every schedule
 * (search.h) of each configuration (configurations.c), with store buffers as on x86, with deaths,
 * and with sleeps that time out, and judges each end (judge.c). Some it walks again on a machine
 * that lets loads be as stale as the orders of C11 allow (views.h). Then it is given faults that it
 * must find (mutant.h, orders.h). Prints TAP; and for a violation the schedule that leads there, as
 * short as was found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "mutant.h"
#include "orders.h"
#include "search.h"

static unsigned tests, failures;

static void result(bool good, const char *name, const char *more)
{
    printf("%s %u - %s: %s\n", good ? "ok" : "not ok", ++tests, name, more);
    fflush(stdout);
    failures += !good;
}

static void describe(char *text, size_t size, const struct found *found, unsigned switches)
{
    char how[64] = "all schedules";
    if (!found->whole)
        snprintf(how, sizeof how, "some schedules");
    else if (switches)
        snprintf(how, sizeof how, "all schedules of up to %u switch%s", switches,
                 switches == 1 ? "" : "es");
    snprintf(text, size, "%s: %llu states, %llu ends, %llu steps, %.1f s", how,
             (unsigned long long)found->states, (unsigned long long)found->ends,
             (unsigned long long)found->steps, found->seconds);
}

/* --- Configurations --- */

struct title {
    char text[120];
};

static struct title title_of(const struct configuration *configuration, bool weakly)
{
    struct title title;
    snprintf(title.text, sizeof title.text, "%s%s", weakly ? "weak: " : "", configuration->name);
    return title;
}

static void walk(const struct configuration *configuration, double seconds, bool weakly)
{
    unsigned switches = weakly && seconds == 0 ? configuration->weak_switches : 0;
    const struct limits limits = {.seconds = seconds,
                                  .switches = switches ? switches : configuration->switches,
                                  .weakly = weakly};
    struct found found = search(configuration, limits);
    char text[200];
    bool good = !found.violated[0] && (found.whole || seconds > 0);
    describe(text, sizeof text, &found, limits.switches);
    result(good, title_of(configuration, weakly).text, text);
    if (found.violated[0]) {
        found = search_tells(configuration, (struct limits){.seconds = 60, .weakly = weakly});
        printf("#     %s\n", found.violated);
    }
}

static bool is_title(const char *text)
{
    bool is_one = false;
    for (unsigned i = 0; i < configuration_count; i++)
        for (int weakly = 0; weakly <= 1; weakly++)
            is_one |= strcmp(title_of(&configurations[i], weakly).text, text) == 0;
    return is_one;
}

/* A whole title means that one. */
static bool is_named(const char *title, char **parts, int count)
{
    bool named = count == 0;
    for (int i = 0; i < count; i++)
        named |=
            is_title(parts[i]) ? strcmp(title, parts[i]) == 0 : strstr(title, parts[i]) != NULL;
    return named;
}

struct wanted {
    bool large;
    double seconds; /* if so */
    char **parts;   /* of titles; 0: what is for every day */
    int count;
};

static bool is_wanted(const struct configuration *configuration, bool weakly, struct wanted wanted)
{
    bool every_day = weakly ? configuration->is_weak : !configuration->is_large;
    return is_named(title_of(configuration, weakly).text, wanted.parts, wanted.count) &&
           (wanted.large || wanted.count > 0 || every_day);
}

static void walk_all(bool weakly, struct wanted wanted)
{
    for (unsigned i = 0; i < configuration_count; i++)
        if (is_wanted(&configurations[i], weakly, wanted))
            walk(&configurations[i], wanted.seconds, weakly);
}

/* --- Mutants --- */

/* Each, and the configuration that finds it. */
static const struct {
    enum mutant mutant;
    const char *fault, *finder;
} mutants[] = {
    {MUTANT_MESSAGE_AFTER_WORD, "a message is stored after its word (M1)",
     "one sender, one receiver"},
    {MUTANT_COPY_AFTER_WORD, "a message is read after its slot is free (M2)",
     "one sender, one receiver"},
    {MUTANT_INTENT_AFTER_TICKET, "an intent is stored after the CAS of the index (M3)",
     "a receiver dies, and two repair"},
    {MUTANT_WORD_AFTER_INTENT, "a word is stored after the next intent (M4)",
     "a sender dies in a batch"},
    {MUTANT_NO_MEMBARRIER, "nobody fences for a sleeper (B1)", "a receiver that sleeps"},
    {MUTANT_TORN_TICKET, "a CAS of an index looks first and stores then", "two senders, two slots"},
    {MUTANT_BLIND_REPAIR, "repair sees no intents of those who live",
     "a sender dies, and two repair"},
    {MUTANT_HASTY_REPAIR, "repair takes every sender for dead", "a sender dies"},
    {MUTANT_CARELESS_REPAIR, "repair stores words, whatever they say by then",
     "a receiver dies, and is passed over"},
    {MUTANT_SILENT_ORPHANS, "nobody hears of orphans", "a message that is put back wakes"},
    {MUTANT_LEAVER_SILENCES_BELL, "who has slept for too long takes ASLEEP away",
     "a receiver that sleeps, and one that leaves"},
    {MUTANT_UNCOUNTED_BELL, "a bell does not count how often it has rung",
     "two receivers that sleep"},
    {MUTANT_BLIND_PUBLISH, "in a strict ring a sender stores FULL, whatever the word says",
     "strict, claims"},
    {MUTANT_EARLY_END, "a receiver hears of the end before the last message", "shutting down"},
};

static const struct configuration *configuration_named(const char *name)
{
    for (unsigned i = 0; i < configuration_count; i++)
        if (strcmp(configurations[i].name, name) == 0)
            return &configurations[i];
    abort();
}

static void must_find(const char *kind, const char *fault, const char *finder,
                      const struct found *found)
{
    char name[200], text[500];
    snprintf(name, sizeof name, "%s: %s", kind, fault);
    snprintf(text, sizeof text, "'%s' %s, after %llu states%s%s", finder,
             found->violated[0] ? "finds it" : "DOES NOT find it",
             (unsigned long long)found->states, found->violated[0] ? ": " : "", found->violated);
    result(found->violated[0], name, text);
}

static void find_mutants(void)
{
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        mutant = mutants[i].mutant;
        struct found found =
            search(configuration_named(mutants[i].finder), (struct limits){.states = 20000000});
        mutant = NO_MUTANT;
        must_find("mutant", mutants[i].fault, mutants[i].finder, &found);
    }
}

/* --- Orders that are taken away, on the weak machine --- */

/* What becomes of the labelled edges without one of their ends, and the configuration that finds
   it. docs/testing.md has those that none can find, and why. */
static const struct {
    struct weakening weakening;
    const char *fault, *finder;
} weakenings[] = {
    {{"rbx_mpmc_try_send", 0, EXPLORE_RELEASE},
     "FULL does not release the message (M1)",
     "one sender, one receiver"},
    {{"rbx_mpmc_try_send_n", 0, EXPLORE_RELEASE},
     "FULL of a batch does not release it (M1)",
     "batches"},
    {{"rbx_mpmc_commit", 0, EXPLORE_RELEASE},
     "FULL of a claim does not release it (M1)",
     "a claim that is given up"},
    {{"publish", 0, EXPLORE_RELEASE},
     "FULL in a strict ring does not release the message (M1)",
     "strict, two senders"},
    {{"rbx_mpmc_take_messages", 0, EXPLORE_ACQUIRE},
     "a receiver does not acquire the message (M1)",
     "one sender, one receiver"},
    {{"rbx_mpmc_take_orphan", 0, EXPLORE_ACQUIRE},
     "who takes an orphan does not acquire it (M1)",
     "two take a message that was put back"},
    {{"rbx_mpmc_run", 0, EXPLORE_ACQUIRE},
     "a batch does not acquire what it runs over (M1, M2)",
     "batches"},
    {{"rbx_mpmc_free", 0, EXPLORE_RELEASE},
     "FREE does not release that the message has been read (M2)",
     "two senders"},
    {{"rbx_mpmc_give_back", 0, EXPLORE_RELEASE},
     "who skips a tombstone does not release its slot (M2)",
     "a claim that is given up, two receivers"},
    {{"rbx_mpmc_take_places", 0, EXPLORE_ACQUIRE},
     "a sender does not acquire that it has been read (M2)",
     "two receivers"},
    {{"rbx_mpmc_take_places", 0, EXPLORE_RELEASE},
     "the CAS of tail does not release the intent (M3)",
     "a sender dies"},
    {{"rbx_mpmc_take_messages", 0, EXPLORE_RELEASE},
     "the CAS of head does not release the intent (M3)",
     "a receiver dies"},
    {{"is_held", 0, EXPLORE_ACQUIRE},
     "who repairs does not acquire the intents with the index (M3)",
     "a sender dies, and two repair"},
    {{"rbx_mpmc_intend", 0, EXPLORE_RELEASE},
     "the next intent does not release what became of the last word (M4)",
     "a sender dies that has lost its race, two slots"},
    {{"give_up", 0, EXPLORE_RELEASE},
     "an intent that is taken back does not release that word (M4)",
     "a sender dies that has lost its race"},
    {{"cover_by", 0, EXPLORE_ACQUIRE},
     "who repairs does not acquire the words with the intents (M4)",
     "a sender dies that has lost its race, and a bystander repairs"},
    {{"rbx_spsc_publish", 0, EXPLORE_RELEASE},
     "a header does not release its messages (S1)",
     "one to one"},
    {{"rbx_spsc_look", 0, EXPLORE_ACQUIRE},
     "a receiver does not acquire what a header counts (S1)",
     "one to one"},
    {{"take_news", 0, EXPLORE_ACQUIRE},
     "a receiver that looks again does not acquire it (S1)",
     "one to one, batches"},
    {{"rbx_spsc_give_back", 0, EXPLORE_RELEASE},
     "a frame that is given back does not release that it has been read (S2)",
     "one to one, batches"},
    {{"credit_at", 0, EXPLORE_ACQUIRE},
     "a sender does not acquire it with its credit (S2)",
     "one to one, batches"},
    {{"rbx_mpmc_put_back", 0, EXPLORE_RELEASE},
     "who puts back releases nothing",
     "a message that is put back"},
    {{"rbx_mpmc_abort", 0, EXPLORE_RELEASE},
     "who gives up a claim releases nothing",
     "a claim that is given up"},
    {{"ended", 0, EXPLORE_ACQUIRE},
     "a receiver that finds the ring shut does not acquire what was sent before (M5)",
     "shutting down"},
    {{"rbx_mpmc_finish_shutdown", 0, EXPLORE_RELEASE},
     "who shuts the ring does not release what was sent before (M5)",
     "shutting down"},
    {{"rbx_end_wake", 0, EXPLORE_TOTAL},
     "who must fence by itself does not (B1)",
     "two receivers that sleep, without membarrier"},
    {{"rbx_bell_ring", 0, EXPLORE_TOTAL},
     "whoever rings a bell does not fence (B1)",
     "a tombstone that is skipped wakes, without membarrier"},
    {{"rbx_bell_fence_all", 0, EXPLORE_TOTAL},
     "a sleeper that may not use membarrier does not fence (B1)",
     "two receivers that sleep, without membarrier"},
};

static struct found search_without(struct weakening weakening,
                                   const struct configuration *configuration)
{
    weakened = weakening;
    struct found found =
        search(configuration, (struct limits){.states = 3000000,
                                              .switches = configuration->weak_switches,
                                              .weakly = true});
    weakened = nothing_weakened;
    return found;
}

static void find_weakenings(void)
{
    for (size_t i = 0; i < sizeof weakenings / sizeof *weakenings; i++) {
        struct found found =
            search_without(weakenings[i].weakening, configuration_named(weakenings[i].finder));
        must_find("weak, order", weakenings[i].fault, weakenings[i].finder, &found);
    }
    mutant = MUTANT_NO_MEMBARRIER;
    struct found found = search(configuration_named("a receiver that sleeps"),
                                (struct limits){.states = 20000000, .weakly = true});
    mutant = NO_MUTANT;
    must_find("weak, mutant", "nobody fences for a sleeper (B1)", "a receiver that sleeps", &found);
}

static struct wanted finders;

static const char *finder(void)
{
    for (unsigned i = 0; i < configuration_count; i++)
        if (is_wanted(&configurations[i], true, finders) &&
            search_without(weakened, &configurations[i]).violated[0])
            return configurations[i].name;
    return NULL;
}

/* --- The explorer itself --- */

/* What concerns nobody else is done at once: the ends are the same as when all can come in. */
static void check_reduction(const char *name, bool weakly)
{
    const struct configuration *configuration = configuration_named(name);
    struct found quick = search(configuration, (struct limits){.weakly = weakly});
    struct found plain = search(configuration, (struct limits){.plainly = true, .weakly = weakly});
    bool good = quick.whole && plain.whole && quick.outcomes == plain.outcomes &&
                quick.sum == plain.sum && !quick.violated[0] && !plain.violated[0];
    char title[200], text[200];
    snprintf(title, sizeof title, "%s'%s' has the same ends without reduction",
             weakly ? "weak: " : "", name);
    snprintf(text, sizeof text, "%llu outcomes of %llu and %llu states",
             (unsigned long long)plain.outcomes, (unsigned long long)quick.states,
             (unsigned long long)plain.states);
    result(good, title, text);
}

static void check_reductions(void)
{
    static const char *const names[] = {"two senders", "a receiver dies, and two repair",
                                        "a receiver that sleeps", "strict, two senders, two slots",
                                        "one dies shutting down"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_reduction(names[i], false);
}

static void check_weak_reductions(void)
{
    static const char *const names[] = {"two senders", "a receiver dies, and two repair",
                                        "a receiver that sleeps", "batches"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_reduction(names[i], true);
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
    if (wanted.large)
        wanted.seconds = argc > 1 ? atof(argv[1]) : 240;
    else
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
    if (wanted.count == 0 && !weak_only) {
        find_mutants();
        check_reductions();
    }
    if (wanted.count == 0 && !x86_only) {
        find_weakenings();
        check_weak_reductions();
    }
    if (tests == 0)
        result(false, "no configuration", "has such a name");
    printf("1..%u\n", tests);
    return failures > 0;
}
