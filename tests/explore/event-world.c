/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* event-world.c: the atomics and the kernel that an event stands on. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "event-world.h"
#include "fiber.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"

struct shared shared;
struct event_world now;
unsigned self, to_wake;
bool is_recording;
enum event_fault fault;
char was_amiss[200];

void amiss(const char *sentence, ...)
{
    va_list arguments;
    if (was_amiss[0])
        return;
    va_start(arguments, sentence);
    vsnprintf(was_amiss, sizeof was_amiss, sentence, arguments);
    va_end(arguments);
}

static void record(const char *does)
{
    if (is_recording)
        printf("#     thread %u %s: %s%s, off %u times\n", self, does,
               now.memory[BITS] & RBX_EVENT_SET ? "set" : "not set",
               now.memory[BITS] & RBX_EVENT_SLEEPERS ? ", sleepers" : "",
               now.memory[BITS] / RBX_EVENT_OFF);
}

bool person_can_step(unsigned person)
{
    const struct person *p = &now.people[person];
    switch ((enum doing)p->doing) {
    case LOADS:
    case STORES:
        return true;
    case CHANGES:
    case WAKES_ONE:
        return p->store == NO_CELL;
    case LOOKS_ON:
        return now.memory[BITS] != p->looked;
    default:
        return false;
    }
}

/* Waits for the turn to do this. */
static struct person *take_turn(enum doing doing, unsigned cell)
{
    struct person *me = &now.people[self];
    me->doing = (uint8_t)doing;
    me->cell = (uint8_t)cell;
    fiber_rest();
    return &now.people[self];
}

/* Notes what the event has been, for all who are in a call. */
static void has_touched(struct person *me)
{
    bool on = now.memory[BITS] & RBX_EVENT_SET;
    me->touched = true;
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        struct person *p = &now.people[i];
        p->was_on |= on;
        p->was_off |= !on;
        p->comes_through |= on && p->touched;
    }
}

static void write_bits(struct person *me, uint32_t value)
{
    if (now.memory[BITS] & ~value & RBX_EVENT_SET) {
        me->turned_off++;
        now.turned_off++;
    }
    now.memory[BITS] = value;
}

void person_flush(unsigned person)
{
    now.memory[now.people[person].store] = 1;
    now.people[person].store = NO_CELL;
}

static unsigned cell_at(const void *at)
{
    return (unsigned)((const rbx_atomic32 *)at - &shared.bits);
}

/* ---- The layer ----------------------------------------------------------------------------- */

uint64_t explore_load(const void *at, size_t size, struct explore_verb verb)
{
    (void)verb;
    (void)size;
    unsigned cell = cell_at(at);
    struct person *me = take_turn(LOADS, cell);
    uint32_t value = now.memory[cell];
    me->looked = value;
    has_touched(me);
    record("looks");
    return value;
}

/* Only messages are stored. One at a time in a buffer is enough: a set comes between two. */
void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb)
{
    (void)verb;
    (void)value, (void)size;
    struct person *me = take_turn(STORES, cell_at(at));
    if (fault == FAULT_LATE_MESSAGE)
        me->late_store = me->cell;
    else
        me->store = me->cell;
    record("stores a message");
}

static void store_late(struct person *me)
{
    if (me->late_store != NO_CELL) {
        me->store = me->late_store;
        me->late_store = NO_CELL;
    }
}

bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value, struct explore_verb verb)
{
    (void)verb;
    struct person *me = take_turn(CHANGES, cell_at(at));
    uint32_t seen = now.memory[me->cell];
    bool turns_off = *expected & ~value & RBX_EVENT_SET;
    if (fault == FAULT_UNCOUNTED)
        value %= RBX_EVENT_OFF;
    if (fault == FAULT_TORN_TAKE && turns_off && seen == *expected)
        me = take_turn(CHANGES, cell_at(at));
    else if (seen != *expected) {
        *expected = seen;
        has_touched(me);
        record("cannot swap");
        return false;
    }
    write_bits(me, value);
    has_touched(me);
    record("swaps");
    return true;
}

uint32_t explore_change32(rbx_atomic32 *at, enum explore_change how, uint32_t value,
                          struct explore_verb verb)
{
    (void)verb;
    (void)how; /* only bits are set */
    struct person *me = take_turn(CHANGES, cell_at(at));
    uint32_t before = now.memory[me->cell];
    if (fault == FAULT_TORN_SET)
        me = take_turn(CHANGES, cell_at(at));
    write_bits(me, before | value);
    store_late(me);
    has_touched(me);
    record("sets");
    return before;
}

void explore_pause(void)
{
    take_turn(LOOKS_ON, BITS);
}

/* ---- The kernel ---------------------------------------------------------------------------- */

int rbx_futex_wait(const void *word, uint32_t value, uint64_t deadline_ns, bool in_process)
{
    (void)in_process;
    struct person *me = take_turn(CHANGES, cell_at(word));
    if (now.memory[BITS] != value && fault != FAULT_BLIND_KERNEL) {
        record("need not sleep");
        return -EAGAIN;
    }
    record("sleeps");
    me = take_turn(SLEEPS, BITS);
    if (me->woken_by == -ETIMEDOUT)
        me->now = deadline_ns;
    if (fault == FAULT_LEAVER_SILENCES)
        now.memory[BITS] &= ~(uint32_t)RBX_EVENT_SLEEPERS;
    return me->woken_by;
}

static void wake(unsigned person)
{
    now.people[person].doing = LOADS; /* which is what it does next */
    now.people[person].woken_by = 0;
    now.people[person].slices = 0;
}

static bool wake_one(const void *word)
{
    take_turn(WAKES_ONE, cell_at(word));
    bool woken = to_wake < PEOPLE_MAX && fault != FAULT_SILENT_SET;
    if (woken)
        wake(to_wake);
    record(woken ? "wakes one" : "finds nobody to wake");
    return woken;
}

bool rbx_futex_wake_one(const void *word, bool in_process)
{
    (void)in_process;
    return wake_one(word) && fault != FAULT_FORGETS_SLEEPER;
}

void rbx_futex_wake(const void *word, bool in_process)
{
    (void)in_process;
    if (fault == FAULT_WAKES_ONE_OF_ALL) {
        wake_one(word);
        return;
    }
    take_turn(CHANGES, cell_at(word));
    for (unsigned i = 0; i < PEOPLE_MAX && fault != FAULT_SILENT_SET; i++)
        if (now.people[i].doing == SLEEPS)
            wake(i);
    record("wakes all");
}

uint64_t rbx_clock_monotonic(void)
{
    return now.people[self].now;
}

void rbx_thread_yield(void)
{
    explore_pause();
}
