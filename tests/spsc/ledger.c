/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kills.h"

uint32_t draw(uint32_t below)
{
    return draw_from(&random_state, below);
}

void fail(const char *format, ...)
{
    if (atomic_fetch_add(&ledger->failures, 1) > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(ledger->first_failure, sizeof ledger->first_failure, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < sizeof ledger->first_failure)
        snprintf(ledger->first_failure + length, sizeof ledger->first_failure - (size_t)length,
                 " (%zu bytes, capacity %zu, \"%s\")", geometry.message_size, geometry.capacity,
                 rbx_last_error());
}

/* --- Messages --- */

void make(uint64_t *message, uint64_t number)
{
    message[0] = number << 24 | (mix(number) & 0xffffff);
    for (size_t i = 1; i < geometry.message_size / 8; i++)
        message[i] = mix(number * MAX_WORDS + i);
}

uint64_t skipped_before(uint64_t index)
{
    uint64_t skipped = 0;
    uint32_t count = atomic_load(&ledger->gap_count);
    for (uint32_t i = 0; i < count && ledger->gap[i].index <= index; i++)
        skipped += ledger->gap[i].size;
    return skipped;
}

/* Message `index` of this ring, counted from 0. */
bool check(const uint64_t *message, uint64_t index)
{
    uint64_t number = message[0] >> 24, expected[MAX_WORDS], wanted = index + skipped_before(index);
    make(expected, wanted);
    if (memcmp(message, expected, geometry.message_size) == 0)
        return true;
    make(expected, number);
    bool whole = memcmp(message, expected, geometry.message_size) == 0;
    fail("message %llu should have number %llu; what came has number %llu and is %s",
         (unsigned long long)index, (unsigned long long)wanted, (unsigned long long)number,
         whole ? "whole" : "damaged");
    return false;
}
