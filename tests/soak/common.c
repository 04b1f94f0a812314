/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>

#include "soak.h"

struct ledger *ledger;
struct round round_now;
struct totals totals;

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
