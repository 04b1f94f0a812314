/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * search.h: walks all schedules of a configuration.
 *
 * Depth first, from state to state: one step of a thread up to its next point of interest, a store
 * that reaches memory, a death, a sleep that times out. A state is all of memory, all store
 * buffers, and all of each thread: its stack, registers and data, which are put away and brought
 * back; and, since the history is to be judged, who had returned when each call began. What was
 * seen before (its hash of 64 bits was) is not walked again. On the weak machine it is all views
 * and messages in place of the buffers, and which message a load reads is one more choice.
 */
#ifndef EXPLORE_SEARCH_H
#define EXPLORE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "scene.h"

struct limits {
    double seconds;    /* 0: none */
    uint64_t states;   /* 0: none */
    unsigned switches; /* as in the configuration */
    bool plainly;      /* each access is a point where others come in */
    bool weakly;       /* on the weak machine */
};

struct found {
    bool whole; /* all schedules were walked, within the number of switches */
    char violated[300];
    uint64_t states, ends, steps;
    uint64_t outcomes, sum; /* different ones, at the ends; and the sum of their hashes */
    double seconds;
    unsigned passes;   /* until it was known who touches what */
    unsigned switches; /* in the story that is told: with fewer there is none */
};

struct found search(const struct configuration *configuration, struct limits limits);

/* Prints the story of what the last search found, the one with the fewest switches of threads. */
struct found search_tells(const struct configuration *configuration, struct limits limits);

#endif
