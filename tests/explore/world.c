/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>

#include "fiber.h"

struct world world;
bool is_weak;
unsigned current;
unsigned chosen;
bool exploring;
uint64_t steps;
char violated[300];

void violation(const char *sentence, ...)
{
    if (!violated[0]) {
        va_list args;
        va_start(args, sentence);
        vsnprintf(violated, sizeof violated, sentence, args);
        va_end(args);
    }
    while (fiber_is_running())
        fiber_rest();
}
