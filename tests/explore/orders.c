/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

struct weakening weakened;
const struct weakening nothing_weakened;

/* Accesses that order anything, as they were met. */
static struct site {
    const char *function;
    uint32_t line;
    unsigned order;
} sites[256];
static unsigned site_count;

static void note(struct explore_verb verb)
{
    for (unsigned i = 0; i < site_count; i++)
        if (sites[i].line == verb.line && sites[i].order == verb.order &&
            (sites[i].function == verb.function || strcmp(sites[i].function, verb.function) == 0))
            return;
    if (site_count == sizeof sites / sizeof *sites)
        abort();
    sites[site_count++] =
        (struct site){.function = verb.function, .line = verb.line, .order = verb.order};
}

static unsigned without(struct explore_verb verb, unsigned order, bool is_fence)
{
    bool is_it = weakened.function && (weakened.line == 0 || weakened.line == verb.line) &&
                 !(weakened.drops & (is_fence ? FROM_ACCESSES : FROM_FENCES)) &&
                 strcmp(weakened.function, verb.function) == 0;
    if (is_weak && exploring && verb.order != EXPLORE_RELAXED)
        note(verb);
    return is_it ? order & ~weakened.drops : order;
}

unsigned order_of(struct explore_verb verb)
{
    return without(verb, verb.order, false);
}

unsigned failing_order_of(struct explore_verb verb)
{
    return without(verb, verb.failing, false);
}

unsigned order_of_fence(struct explore_verb verb)
{
    return without(verb, verb.order, true);
}

/* Orders that an access may lose. */
static const struct {
    unsigned drops;
    const char *what;
} takings[] = {
    {EXPLORE_ACQUIRE | EXPLORE_TOTAL, "acquires nothing"},
    {EXPLORE_RELEASE | EXPLORE_TOTAL, "releases nothing"},
    {EXPLORE_TOTAL, "is not seq_cst"},
    {EXPLORE_SEQ_CST, "is relaxed"},
};

/* What is left would be the same as with one of the others. */
static bool is_worth_taking(unsigned order, unsigned drops)
{
    if (drops == EXPLORE_SEQ_CST)
        return (order & drops) == drops;
    return drops == EXPLORE_TOTAL ? order & drops : order & drops & ~(unsigned)EXPLORE_TOTAL;
}

void orders_take_each(const char *(*finder)(void))
{
    weakened = nothing_weakened;
    (void)finder(); /* which there are */
    for (unsigned i = 0; i < site_count; i++)
        for (unsigned k = 0; k < sizeof takings / sizeof *takings; k++) {
            if (!is_worth_taking(sites[i].order, takings[k].drops))
                continue;
            weakened = (struct weakening){sites[i].function, sites[i].line, takings[k].drops};
            const char *name = finder();
            printf("%s:%u %s: %s%s\n", sites[i].function, (unsigned)sites[i].line, takings[k].what,
                   name ? "found by " : "NOT FOUND", name ? name : "");
            fflush(stdout);
        }
    weakened = nothing_weakened;
}
