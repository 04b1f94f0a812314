/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

struct weakening weakened;
struct order_site order_sites[256];
unsigned order_site_count;

static void note(struct explore_verb verb)
{
    for (unsigned i = 0; i < order_site_count; i++)
        if (order_sites[i].line == verb.line && order_sites[i].order == verb.order &&
            (order_sites[i].function == verb.function ||
             strcmp(order_sites[i].function, verb.function) == 0))
            return;
    if (order_site_count == sizeof order_sites / sizeof *order_sites)
        abort();
    order_sites[order_site_count++] =
        (struct order_site){.function = verb.function, .line = verb.line, .order = verb.order};
}

static unsigned without(struct explore_verb verb, unsigned order)
{
    bool is_it = weakened.function && (weakened.line == 0 || weakened.line == verb.line) &&
                 strcmp(weakened.function, verb.function) == 0;
    return is_it ? order & ~weakened.drops : order;
}

unsigned order_of(struct explore_verb verb)
{
    if (is_weak && exploring && verb.order != EXPLORE_RELAXED)
        note(verb);
    return without(verb, verb.order);
}

unsigned failing_order_of(struct explore_verb verb)
{
    return without(verb, verb.failing);
}
