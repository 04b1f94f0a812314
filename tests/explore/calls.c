/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "calls.h"

#include <stdio.h>

#include "fiber.h"
#include "memory.h"
#include "tell.h"
#include "turn.h"
#include "views.h"

void call_is_under_way(void)
{
    struct thread *self = &world.threads[current];
    if (!self->calling)
        return;
    self->calling = false;
    world.clock++;
    for (unsigned i = 0; i < PARTS_MAX; i++) {
        struct record *record = &world.records[current][self->call * PARTS_MAX + i];
        if (!is_weak)
            record->preceded = world.returned & ~(UINT32_C(0xff) << (current * RECORDS_MAX));
        record->called = world.clock;
        record->outcome = CALLED;
    }
}

void call_has_returned(unsigned record)
{
    if (!is_weak)
        world.returned |= UINT32_C(1) << record;
    else
        views_note_return(current, record);
    world.records[record / RECORDS_MAX][record % RECORDS_MAX].returned = ++world.clock;
}

void call_begins(unsigned call)
{
    struct thread *self = &world.threads[current];
    self->call = (uint8_t)call;
    self->calling = true;
    look_no_more();
    for (unsigned i = 0; is_weak && i < PARTS_MAX; i++)
        world.records[current][call * PARTS_MAX + i].preceded = views_returned(current);
    self->access = TIDIES;
    fiber_rest();
    self->access = 0;
}

void call_ends(unsigned part, enum outcome outcome, uint64_t value)
{
    struct thread *self = &world.threads[current];
    unsigned number = current * RECORDS_MAX + self->call * PARTS_MAX + part;
    struct record *record = &world.records[current][self->call * PARTS_MAX + part];
    call_is_under_way();
    record->outcome = (uint8_t)outcome;
    record->value = outcome == DONE ? value : 0;
    if (telling) {
        char text[24];
        snprintf(text, sizeof text, "message %llu", (unsigned long long)value);
        tell_line(thread_name(current), "RETURNS", outcome == DONE ? "done" : "refused",
                  outcome == DONE ? text : "");
    }
    if (self->stores > 0)
        buffer_append((struct store){.word = NO_WORD, .record = (uint8_t)number});
    else
        call_has_returned(number);
}
