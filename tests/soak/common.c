/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "soak.h"

struct ledger *ledger;
struct round round_now;
struct totals totals;

uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

uint32_t draw_from(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((*state >> 33) % below);
}

uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

void pass(uint64_t ns)
{
    if (ns >= 100000) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000U),
                                     .tv_nsec = (long)(ns % 1000000000U)},
                  NULL);
        return;
    }
    for (uint64_t until = now() + ns; now() < until;)
        rbx_pause();
}

void fail(const char *format, ...)
{
    if (atomic_fetch_add(&ledger->failures, 1) > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ledger->first_failure, sizeof ledger->first_failure, format, arguments);
    va_end(arguments);
}

bool is_well(void)
{
    return atomic_load_explicit(&ledger->failures, memory_order_relaxed) == 0;
}

unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

enum phase phase(void)
{
    return (enum phase)atomic_load(&ledger->phase);
}
