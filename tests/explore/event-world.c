/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* event-world.c: the atomics and the kernel that an event stands on. */
#include <errno.h>
#include <stdio.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "event-world.h"
#include "fiber.h"
#include "views.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"

struct shared shared;
struct event_world now;
unsigned to_wake;

static void record(const char *does)
{
    if (telling)
        printf("#     thread %u %s%s: %s%s, off %u times\n", current, does,
               chosen > 0 ? " (stale)" : "", now.memory[BITS] & RBX_EVENT_SET ? "set" : "not set",
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

unsigned person_choices(unsigned person)
{
    const struct person *p = &now.people[person];
    bool reads = p->doing == LOADS || p->doing == CHANGES;
    return is_weak && reads && p->cell != NO_CELL ? views_choices(person, p->cell, p->order) : 1;
}

/* Waits for the turn to do this. */
static struct person *take_turn(enum doing doing, unsigned cell, unsigned order)
{
    struct person *me = &now.people[current];
    me->doing = (uint8_t)doing;
    me->cell = (uint8_t)cell;
    me->order = (uint8_t)order;
    fiber_rest();
    return &now.people[current];
}

/* ---- What views ask (views.h) -------------------------------------------------------------- */

unsigned memory_words(void)
{
    return CELLS;
}

uint64_t memory_value(unsigned cell)
{
    return now.memory[cell];
}

void memory_set_value(unsigned cell, uint64_t value)
{
    now.memory[cell] = (uint32_t)value;
}

bool memory_is_plain(unsigned cell)
{
    return cell != BITS;
}

bool thread_may_care(unsigned person, unsigned cell)
{
    unsigned doing = now.people[person].doing;
    (void)cell;
    return doing != NOT_THERE && doing < HAS_FINISHED;
}

bool thread_reads_newest(unsigned person, unsigned cell)
{
    return now.people[person].fresh && cell == BITS;
}

bool thread_learns_of_calls(unsigned person)
{
    (void)person;
    return false;
}

/* ---- What a call may go by ----------------------------------------------------------------- */

static void may_see(struct person *me, uint64_t bits)
{
    me->was_on |= (bits & RBX_EVENT_SET) != 0;
    me->was_off |= !(bits & RBX_EVENT_SET);
}

void person_calls(struct person *me)
{
    me->was_on = me->was_off = false;
    may_see(me, now.memory[BITS]);
    for (unsigned older = is_weak ? views_choices(current, BITS, EXPLORE_RELAXED) : 1; --older > 0;)
        may_see(me, views_peek(current, BITS, older, EXPLORE_RELAXED));
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

/* Messages that it has seen, or would if it looked, as bits. */
static uint32_t messages_in_sight(void)
{
    uint32_t seen = 0;
    for (unsigned cell = BITS + 1; cell < CELLS; cell++)
        if (now.memory[cell] && !(is_weak && views_is_race(current, cell)))
            seen |= UINT32_C(1) << cell;
    return seen;
}

unsigned messages_seen(void)
{
    return (unsigned)__builtin_popcount(messages_in_sight());
}

static void write_bits(struct person *me, uint32_t value, unsigned order)
{
    bool turns_off = now.memory[BITS] & ~value & RBX_EVENT_SET;
    if (turns_off) {
        me->turned_off++;
        me->turned_last = ++now.turned_off;
    }
    if (is_weak)
        views_swap(current, BITS, chosen, value, order);
    else
        now.memory[BITS] = value;
    if (turns_off)
        now.announced |= messages_in_sight();
}

/* What a swap finds. All that is written to the event is, by swaps: it is the newest, or not what
   is expected. */
static uint32_t see_to_swap(unsigned cell, const uint64_t *expected, unsigned order)
{
    return is_weak ? (uint32_t)views_before_swap(current, cell, &chosen, expected, order)
                   : now.memory[cell];
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
    (void)size;
    unsigned cell = cell_at(at), order = order_of(verb);
    struct person *me = take_turn(LOADS, cell, order);
    me->looked = is_weak ? (uint32_t)views_load(current, cell, chosen, order) : now.memory[cell];
    me->fresh = false;
    has_touched(me);
    record("looks");
    return me->looked;
}

/* Only messages are stored. One at a time in a buffer is enough: a set comes between two. */
void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb)
{
    (void)size;
    unsigned order = order_of(verb);
    struct person *me = take_turn(STORES, cell_at(at), order);
    if (fault == FAULT_LATE_MESSAGE)
        me->late_store = me->cell;
    else if (is_weak)
        views_store(current, me->cell, 0, value, order);
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
    unsigned failing = failing_order_of(verb);
    uint64_t wide = *expected;
    struct person *me = take_turn(CHANGES, cell_at(at), failing);
    uint32_t seen = see_to_swap(me->cell, &wide, failing);
    bool turns_off = *expected & ~value & RBX_EVENT_SET;
    if (fault == FAULT_UNCOUNTED)
        value %= RBX_EVENT_OFF;
    if (fault == FAULT_TORN_TAKE && turns_off && seen == *expected)
        me = take_turn(CHANGES, cell_at(at), failing);
    else if (seen != *expected) {
        *expected = is_weak ? (uint32_t)views_load(current, me->cell, chosen, failing) : seen;
        has_touched(me);
        record("cannot swap");
        return false;
    }
    write_bits(me, value, order_of(verb));
    has_touched(me);
    record("swaps");
    return true;
}

uint32_t explore_change32(rbx_atomic32 *at, enum explore_change how, uint32_t value,
                          struct explore_verb verb)
{
    (void)how; /* only bits are set */
    unsigned order = order_of(verb);
    struct person *me = take_turn(CHANGES, cell_at(at), order);
    uint32_t before = see_to_swap(me->cell, NULL, order);
    if (fault == FAULT_TORN_SET)
        me = take_turn(CHANGES, cell_at(at), order);
    write_bits(me, before | value, order);
    store_late(me);
    has_touched(me);
    record("sets");
    return before;
}

void explore_pause(void)
{
    take_turn(LOOKS_ON, BITS, EXPLORE_RELAXED)->fresh = is_weak;
}

/* ---- The kernel ---------------------------------------------------------------------------- */

/* Who goes to sleep sees the word as it is, and who is woken what the waker has seen: nothing else
   is ordered by that. */
int rbx_futex_wait(const void *word, uint32_t value, uint64_t deadline_ns, bool in_process)
{
    (void)word, (void)in_process;
    struct person *me = take_turn(CHANGES, NO_CELL, EXPLORE_RELAXED);
    uint32_t seen =
        is_weak ? (uint32_t)views_load(current, BITS, 0, EXPLORE_RELAXED) : now.memory[BITS];
    if (seen != value && fault != FAULT_BLIND_KERNEL) {
        record("need not sleep");
        return -EAGAIN;
    }
    record("sleeps");
    me->deadline = deadline_ns;
    me = take_turn(SLEEPS, BITS, EXPLORE_RELAXED);
    me->deadline = 0;
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
    if (is_weak)
        views_join(person, current);
}

static bool wake_one(void)
{
    take_turn(WAKES_ONE, NO_CELL, EXPLORE_RELAXED);
    bool woken = to_wake < PEOPLE_MAX && fault != FAULT_SILENT_SET;
    if (woken)
        wake(to_wake);
    record(woken ? "wakes one" : "finds nobody to wake");
    return woken;
}

bool rbx_futex_wake_one(const void *word, bool in_process)
{
    (void)word, (void)in_process;
    return wake_one() && fault != FAULT_FORGETS_SLEEPER;
}

void rbx_futex_wake(const void *word, bool in_process)
{
    (void)word, (void)in_process;
    if (fault == FAULT_WAKES_ONE_OF_ALL) {
        wake_one();
        return;
    }
    take_turn(CHANGES, NO_CELL, EXPLORE_RELAXED);
    for (unsigned i = 0; i < PEOPLE_MAX && fault != FAULT_SILENT_SET; i++)
        if (now.people[i].doing == SLEEPS)
            wake(i);
    record("wakes all");
}

uint64_t rbx_clock_monotonic(void)
{
    return now.people[current].now;
}

void rbx_thread_yield(void)
{
    explore_pause();
}
