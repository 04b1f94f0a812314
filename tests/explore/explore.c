/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore: every order in which the steps of a few threads can happen, on the real code.
 *
 *     explore                      what is for every day: configurations, mutants, and the explorer
 *                                  itself
 *     explore --large [SECONDS]    all configurations, each for so long at most (240)
 *     explore NAME...              the one of this name, or those that have this in it
 *
 * The library's ring of many is compiled with atomics (layer.h) and a kernel (kernel.c) that hand
 * over to a scheduler before each access that can matter to others. It walks every schedule
 * (search.h) of each configuration (configurations.c), with store buffers as on x86, with deaths,
 * and with sleeps that time out, and judges each end (judge.c). Then it is given faults that it
 * must find (mutant.h). Prints TAP; and for a violation the schedule that leads there, as short as
 * was found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "mutant.h"
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
        snprintf(how, sizeof how, "all schedules of up to %u switches", switches);
    snprintf(text, size, "%s: %llu states, %llu ends, %llu steps, %.1f s", how,
             (unsigned long long)found->states, (unsigned long long)found->ends,
             (unsigned long long)found->steps, found->seconds);
}

/* --- Configurations --- */

static void walk(const struct configuration *configuration, double seconds)
{
    const struct limits limits = {.seconds = seconds, .switches = configuration->switches};
    struct found found = search(configuration, limits);
    char text[200];
    bool good = !found.violated[0] && (found.whole || seconds > 0);
    describe(text, sizeof text, &found, configuration->switches);
    result(good, configuration->name, text);
    if (found.violated[0]) {
        found = search_tells(configuration, (struct limits){.seconds = 60});
        printf("#     %s\n", found.violated);
    }
}

static bool is_configuration(const char *name)
{
    bool is_one = false;
    for (unsigned i = 0; i < configuration_count; i++)
        is_one |= strcmp(configurations[i].name, name) == 0;
    return is_one;
}

/* A whole name means that one. */
static bool is_named(const char *name, char **parts, int count)
{
    bool named = count == 0;
    for (int i = 0; i < count; i++)
        named |= is_configuration(parts[i]) ? strcmp(name, parts[i]) == 0
                                            : strstr(name, parts[i]) != NULL;
    return named;
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

static void find_mutants(void)
{
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        mutant = mutants[i].mutant;
        struct found found =
            search(configuration_named(mutants[i].finder), (struct limits){.states = 20000000});
        mutant = NO_MUTANT;
        char name[200], text[500];
        snprintf(name, sizeof name, "mutant: %s", mutants[i].fault);
        snprintf(text, sizeof text, "'%s' %s, after %llu states%s%s", mutants[i].finder,
                 found.violated[0] ? "finds it" : "DOES NOT find it",
                 (unsigned long long)found.states, found.violated[0] ? ": " : "", found.violated);
        result(found.violated[0], name, text);
    }
}

/* --- The explorer itself --- */

/* What concerns nobody else is done at once: the ends are the same as when all can come in. */
static void check_reduction(void)
{
    static const char *const names[] = {"two senders", "a receiver dies, and two repair",
                                        "a receiver that sleeps", "strict, two senders, two slots",
                                        "one dies shutting down"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct configuration *configuration = configuration_named(names[i]);
        struct found quick = search(configuration, (struct limits){.states = 0});
        struct found plain = search(configuration, (struct limits){.plainly = true});
        bool good = quick.whole && plain.whole && quick.outcomes == plain.outcomes &&
                    quick.sum == plain.sum;
        char name[200], text[200];
        snprintf(name, sizeof name, "'%s' has the same ends without reduction", names[i]);
        snprintf(text, sizeof text, "%llu outcomes of %llu and %llu states",
                 (unsigned long long)plain.outcomes, (unsigned long long)quick.states,
                 (unsigned long long)plain.states);
        result(good, name, text);
    }
}

int main(int argc, char **argv)
{
    bool large = argc > 1 && strcmp(argv[1], "--large") == 0;
    double seconds = !large ? 0 : argc > 2 ? atof(argv[2]) : 240;
    char **parts = large ? argv : argv + 1;
    int count = large ? 0 : argc - 1;
    for (unsigned i = 0; i < configuration_count; i++)
        if (is_named(configurations[i].name, parts, count) &&
            (large || count > 0 || !configurations[i].is_large))
            walk(&configurations[i], seconds);
    if (count == 0) {
        find_mutants();
        check_reduction();
    }
    if (tests == 0)
        result(false, "no configuration", "has such a name");
    printf("1..%u\n", tests);
    return failures > 0;
}
