/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stepper.h"

struct plan plan = {.pattern = "*"};
static const char *what_one;

_Noreturn void plan_usage(void)
{
    fprintf(stderr, "usage: %s [--all] [--offset N] [--jobs N] [[--only] PATTERN] [--one %s]\n",
            plan.program, what_one);
    exit(2);
}

void plan_begin(int argc, char **argv, const char *one)
{
    plan.program = argv[0];
    plan.offset = (unsigned long)time(NULL) / 86400;
    plan.jobs = sysconf(_SC_NPROCESSORS_ONLN);
    what_one = one;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--all") == 0)
            plan.all = true;
        else if (more && strcmp(argv[i], "--offset") == 0)
            plan.offset = strtoul(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--jobs") == 0)
            plan.jobs = strtol(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--only") == 0)
            plan.pattern = argv[++i];
        else if (more && strcmp(argv[i], "--one") == 0)
            plan.one = argv[++i];
        else if (argv[i][0] != '-')
            plan.pattern = argv[i];
        else
            plan_usage();
    }
    if (!ptrace_works()) {
        printf("1..0 # SKIP: ptrace is not allowed here\n");
        exit(0);
    }
}

bool plan_must(long at)
{
    return plan.all || at == (long)trace.count || (at > 0 && trace.effect[at - 1]);
}

void plan_report(char *text, size_t size, const char *failure, const char *name, long at,
                 const char *how)
{
    extern const char __executable_start[];
    char place[32] = "the end";
    if (at >= 0 && at < (long)trace.count)
        snprintf(place, sizeof place, "0x%llx",
                 (unsigned long long)(trace.ip[at] - (uint64_t)(uintptr_t)__executable_start));
    snprintf(text, size,
             "%s\n#   at instruction %ld of %u, %s\n#   once more: %s --one %s/%ld/%s\n"
             "#   where: addr2line -ipfe %s %s",
             failure, at, trace.count, how, plan.program, name, at, how, plan.program, place);
}
