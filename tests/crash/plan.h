/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* plan.h: what the harnesses are called with, and what both say alike. */
#ifndef RBX_TESTS_CRASH_PLAN_H
#define RBX_TESTS_CRASH_PLAN_H

#include <stdbool.h>
#include <stddef.h>

struct plan {
    const char *program, *pattern;
    char *one;            /* the one experiment to make; or NULL */
    unsigned long offset; /* which instructions' turn it is; by default the day */
    long jobs;
    bool all; /* of them */
};
extern struct plan plan;

/* [--all] [--offset N] [--jobs N] [[--only] PATTERN] [--one `one`]. Exits where nothing can be
   stepped here. */
void plan_begin(int argc, char **argv, const char *one);
_Noreturn void plan_usage(void);

/* Whether it is tried in any case: it follows an effect, or is the end. */
bool plan_must(long at);

/* What an experiment that failed is reported as. */
void plan_report(char *text, size_t size, const char *failure, const char *name, long at,
                 const char *how);

#endif
