/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock-search.h: a walk through all schedules of a configuration. */
#ifndef EXPLORE_RWLOCK_SEARCH_H
#define EXPLORE_RWLOCK_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "rwlock-world.h"

struct limits {
    bool weakly;     /* on the weak machine */
    bool tells;      /* the way to a violation */
    uint64_t states; /* 0: all */
};

struct found {
    uint64_t states, ends;
    double seconds;
};

/* What it has found amiss, if anything, is `violated`. */
struct found search(const struct configuration *configuration, struct limits limits);

#endif
