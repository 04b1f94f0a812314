/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore-event: every order in which the steps of a few threads can happen, on the real code of an
 * event (src/event/word.c). small.h says how it is called.
 *
 * A thread stops before each access to shared memory and before each call of the kernel. From each
 * state everything that can come next is tried: a step of a thread, a store that reaches memory, a
 * death, a sleep that times out or that a signal ends, any sleeper that one wake-up may go to. What
 * must hold is in judge_call(), judge_state() and judge_end(). Then faults are made that must be
 * found.
 */
#include <errno.h>
#include <stdio.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "event-world.h"
#include "fiber.h"
#include "views.h"

#include "wait.h"

/* ---- What is explored ---------------------------------------------------------------------- */

enum deed { NOTHING, SET, RESET, TRY, WAIT, WAIT_FOR };

static const struct scene {
    struct days days;
    enum deed deeds[PEOPLE_MAX][CALLS_OF_EACH];
    bool manual, busy, is_set;
    unsigned mortal; /* threads that may die, as bits */
    unsigned deaths, timeouts, signals;
} scenes[] = {
    {.days = {.name = "one sets, one waits", .is_weak = true}, .deeds = {{SET}, {WAIT}}},
    {.days = {.name = "one sets, two wait", .is_weak = true}, .deeds = {{SET}, {WAIT}, {WAIT}}},
    {.days = {.name = "two set, one waits", .is_weak = true}, .deeds = {{SET}, {SET}, {WAIT}}},
    {.days = {.name = "two set, two wait", .is_weak = true},
     .deeds = {{SET}, {SET}, {WAIT}, {WAIT}}},
    {.days = {.name = "one sets twice, two wait", .is_weak = true},
     .deeds = {{SET, SET}, {WAIT}, {WAIT}}},
    {.days = {.name = "two set, one waits twice", .is_weak = true},
     .deeds = {{SET, SET}, {SET}, {WAIT, WAIT}}},
    {.days = {.name = "two set, two wait, one tries"},
     .deeds = {{SET}, {SET}, {WAIT}, {WAIT}, {TRY}}},
    {.days = {.name = "set from the beginning", .is_weak = true},
     .deeds = {{WAIT}, {WAIT}, {TRY}},
     .is_set = true},
    {.days = {.name = "some are tired of waiting"},
     .deeds = {{SET}, {SET}, {WAIT_FOR, TRY}, {WAIT}},
     .timeouts = 2},
    {.days = {.name = "a signal comes", .is_weak = true},
     .deeds = {{SET}, {WAIT, TRY}, {WAIT}},
     .signals = 2},
    {.days = {.name = "one resets", .is_weak = true}, .deeds = {{SET, SET}, {RESET}, {WAIT}}},
    {.days = {.name = "one takes turns with another", .is_weak = true},
     .deeds = {{SET, WAIT, SET}, {WAIT, RESET}, {SET}}},
    {.days = {.name = "one of two that wait dies", .is_weak = true},
     .deeds = {{SET}, {WAIT}, {WAIT}},
     .mortal = 2,
     .deaths = 1},
    {.days = {.name = "one that sets dies"},
     .deeds = {{SET, SET}, {SET}, {WAIT}, {WAIT}},
     .mortal = 1,
     .deaths = 1},
    {.days = {.name = "any two die", .is_weak = true},
     .deeds = {{SET}, {SET}, {WAIT}, {WAIT}},
     .mortal = 15,
     .deaths = 2},
    {.days = {.name = "manual: one sets, two wait", .is_weak = true},
     .deeds = {{SET}, {WAIT}, {WAIT}},
     .manual = true},
    {.days = {.name = "manual: two set, two wait", .is_weak = true},
     .deeds = {{SET}, {SET}, {WAIT}, {WAIT}},
     .manual = true},
    {.days = {.name = "manual: set and reset at once, two wait", .is_weak = true},
     .deeds = {{SET, RESET}, {WAIT}, {WAIT}},
     .manual = true},
    {.days = {.name = "manual: two set, one resets, one waits", .is_weak = true},
     .deeds = {{SET, SET}, {SET}, {RESET, RESET}, {WAIT, WAIT}},
     .manual = true},
    {.days = {.name = "manual: one sets, one resets, two wait", .is_weak = true},
     .deeds = {{SET}, {RESET, TRY}, {WAIT}, {WAIT_FOR}},
     .manual = true,
     .timeouts = 1,
     .signals = 1},
    {.days = {.name = "manual: any two die", .is_weak = true},
     .deeds = {{SET, SET}, {RESET}, {WAIT}, {WAIT}},
     .manual = true,
     .mortal = 15,
     .deaths = 2},
    {.days = {.name = "busy: two set, two wait", .is_weak = true},
     .deeds = {{SET}, {SET}, {WAIT}, {WAIT}},
     .busy = true},
    {.days = {.name = "busy, manual: set and reset at once, two wait", .is_weak = true},
     .deeds = {{SET, RESET}, {WAIT}, {WAIT}},
     .manual = true,
     .busy = true},
};

static const struct scene *scene;

/* ---- What must hold ------------------------------------------------------------------------ */

/* A call has answered. */
static void judge_call(const struct person *me, enum deed deed, int answer)
{
    bool waits = deed == WAIT || deed == WAIT_FOR || deed == TRY, through = waits && answer == 0;
    if (through && !me->was_on)
        violation("a wait got through that was never set");
    if (waits && !through && !me->was_off)
        violation("a wait gave up that was set all the time");
    if (deed == RESET && !me->was_off)
        violation("a reset left it set all the time");
    if (waits && me->turned_off != (through && !scene->manual))
        violation("a wait that answered %d turned it off %u times", answer, me->turned_off);
    if (deed == SET && me->turned_off != 0)
        violation("a set turned it off");
    if (deed == SET)
        now.due |= UINT32_C(1) << (BITS + 1 + current * CALLS_OF_EACH + me->call);
    if (through && messages_seen() < (scene->is_set ? 0 : scene->manual ? 1U : me->turned_last))
        violation("what was written before a set is not seen by whom it let through");
}

static void judge_state(void)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++)
        if (now.people[i].doing == SLEEPS && !(now.memory[BITS] & RBX_EVENT_SLEEPERS))
            violation("thread %u sleeps, and no set would wake it", i);
}

/* Whether it waits in vain for what is there. */
static bool is_overlooked(const struct person *p)
{
    return (p->doing == SLEEPS || p->doing == LOOKS_ON) &&
           (now.memory[BITS] & RBX_EVENT_SET || (scene->manual && p->comes_through));
}

/* Its sleep ends before long by itself. */
static bool has_slice(const struct person *p)
{
    return p->deadline <= p->now + RBX_SLICE_NS;
}

/* Nothing can happen any more, unless a slice ends. That is only for deaths. */
static void judge_end(void)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        const struct person *p = &now.people[i];
        if (is_overlooked(p) && (now.died == 0 || !has_slice(p)))
            violation("thread %u is asleep, and the event was set for it", i);
    }
    if (!(now.memory[BITS] & RBX_EVENT_SET) && now.due & ~now.announced)
        violation("who turned it off last has not seen what was written before a set");
}

/* ---- Threads ------------------------------------------------------------------------------- */

static int answer_of(struct rbx_event_view *view, enum deed deed, rbx_atomic32 *message)
{
    switch (deed) {
    case SET:
        rbx_store_relaxed(message, 1);
        rbx_event_word_set(view);
        return 0;
    case RESET:
        rbx_event_word_reset(view);
        return 0;
    case TRY:
        return rbx_event_word_take(view) ? 0 : -EAGAIN;
    default:
        return rbx_event_word_wait(view, deed == WAIT ? RBX_FOREVER : now.people[current].now + 1);
    }
}

static void live(unsigned person)
{
    struct rbx_event_view *view = fiber_data(person, sizeof *view);
    for (unsigned call = 0; call < CALLS_OF_EACH && scene->deeds[person][call]; call++) {
        struct person *me = &now.people[person];
        enum deed deed = scene->deeds[person][call];
        me->call = (uint8_t)call;
        me->touched = me->comes_through = false;
        person_calls(me);
        me->turned_off = me->slices = 0;
        int answer = answer_of(view, deed, &shared.messages[person * CALLS_OF_EACH + call]);
        judge_call(me, deed, answer);
    }
    now.people[person].doing = HAS_FINISHED;
    for (;;)
        fiber_rest();
}

static void run(unsigned person)
{
    current = person;
    fiber_tidy(person);
    fiber_run(person);
}

static void begin(unsigned which)
{
    scene = &scenes[which];
    now = (struct event_world){.deaths = (uint8_t)scene->deaths,
                               .timeouts = (uint8_t)scene->timeouts,
                               .signals = (uint8_t)scene->signals};
    now.memory[BITS] = scene->is_set ? RBX_EVENT_SET : 0;
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        struct rbx_event_view *view = fiber_data(i, sizeof *view);
        *view = (struct rbx_event_view){
            .bits = &shared.bits, .manual = scene->manual, .busy = scene->busy};
        now.people[i] =
            (struct person){.doing = NOT_THERE, .store = NO_CELL, .late_store = NO_CELL};
        fiber_begin(i, live);
        if (scene->deeds[i][0])
            run(i); /* to its first access */
    }
}

/* ---- Everything that can come next --------------------------------------------------------- */

enum move { FLUSH = STEP + 1, DIE, TIME_OUT, INTERRUPT, SLICE };

static void offer_to(struct choices *choices, enum move move, unsigned person)
{
    offer(choices, (struct choice){(uint8_t)move, (uint8_t)person, 0, 0});
}

static void offer_steps(struct choices *choices, unsigned person)
{
    unsigned sleepers = 0;
    for (unsigned i = 0; i < PEOPLE_MAX && now.people[person].doing == WAKES_ONE; i++)
        if (now.people[i].doing == SLEEPS) {
            offer(choices, (struct choice){STEP, (uint8_t)person, 0, (uint8_t)i});
            sleepers++;
        }
    for (unsigned i = 0, count = person_choices(person); sleepers == 0 && i < count; i++)
        offer(choices, (struct choice){STEP, (uint8_t)person, (uint8_t)i, PEOPLE_MAX});
}

/* What can come next by itself; if that is nothing, it is an end. */
static void find_steps(struct choices *choices)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        if (now.people[i].store != NO_CELL)
            offer_to(choices, FLUSH, i);
        if (person_can_step(i))
            offer_steps(choices, i);
    }
}

static bool is_waiting_for(const struct person *p)
{
    return scene->deeds[p - now.people][p->call] == WAIT_FOR;
}

/* And what may happen to threads. */
static void find_accidents(struct choices *choices, bool is_end)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        const struct person *p = &now.people[i];
        bool is_there = p->doing != NOT_THERE && p->doing < HAS_FINISHED;
        if (is_there && now.deaths > 0 && scene->mortal & (1U << i))
            offer_to(choices, DIE, i);
        if (p->doing != SLEEPS)
            continue;
        if (now.timeouts > 0 && is_waiting_for(p) && p->deadline != RBX_FOREVER)
            offer_to(choices, TIME_OUT, i);
        if (now.signals > 0)
            offer_to(choices, INTERRUPT, i);
        if (is_end && is_overlooked(p) && has_slice(p))
            offer_to(choices, SLICE, i);
    }
}

static void find(struct choices *choices)
{
    find_steps(choices);
    choices->is_end = choices->count == 0;
    find_accidents(choices, choices->is_end);
}

static void leave_sleep(struct person *p, int why)
{
    p->woken_by = (int8_t)why;
    p->doing = LOADS;
    if (is_weak && why == -ETIMEDOUT)
        views_catch_up((unsigned)(p - now.people));
}

static void make(struct choice choice)
{
    struct person *p = &now.people[choice.thread];
    switch (choice.what) {
    case STEP:
        to_wake = choice.whom;
        run(choice.thread);
        break;
    case FLUSH:
        person_flush(choice.thread);
        break;
    case DIE:
        p->doing = HAS_DIED;
        now.deaths--;
        now.died++;
        break;
    case TIME_OUT:
        now.timeouts--;
        leave_sleep(p, -ETIMEDOUT);
        break;
    case INTERRUPT:
        now.signals--;
        leave_sleep(p, -EINTR);
        break;
    case SLICE:
        if (++p->slices > 1)
            violation("thread %u slept through a slice", choice.thread);
        leave_sleep(p, -ETIMEDOUT);
        break;
    }
    if (telling && choice.what != STEP) {
        static const char *const happens[] = {"",
                                              "has a message that is visible now",
                                              "DIES",
                                              "has slept long enough",
                                              "is signalled",
                                              "looks up after a slice"};
        printf("#     thread %u %s\n", choice.thread, happens[choice.what]);
    }
    judge_state();
}

/* ---- What there is ------------------------------------------------------------------------- */

static struct days days(unsigned which)
{
    return scenes[which].days;
}

static const struct small_fault faults[] = {
    {FAULT_BLIND_KERNEL, "who sleeps does not look once more", "one sets, one waits"},
    {FAULT_SILENT_SET, "nobody is woken", "one sets, one waits"},
    {FAULT_TORN_SET, "a set is a load and a store", "one sets, one waits"},
    {FAULT_TORN_TAKE, "what turns it off looks first and stores then", "one sets, two wait"},
    {FAULT_UNCOUNTED, "how often it went off is not counted", "two set, two wait, one tries"},
    {FAULT_UNCOUNTED, "how often it went off is not counted",
     "manual: set and reset at once, two wait"},
    {FAULT_FORGETS_SLEEPER, "SLEEPERS goes when one was woken", "one sets, two wait"},
    {FAULT_LEAVER_SILENCES, "who leaves its sleep takes SLEEPERS away",
     "some are tired of waiting"},
    {FAULT_WAKES_ONE_OF_ALL, "one is woken where all are to be", "manual: one sets, two wait"},
    {FAULT_LATE_MESSAGE, "what was written before a set comes after it (E1)",
     "one sets, one waits"},
};

static const struct small_order orders[] = {
    {{"rbx_event_word_set", 0, EXPLORE_RELEASE},
     "a set does not release what was written before (E1)",
     "one sets, one waits"},
    {{"turn_off", 0, EXPLORE_ACQUIRE},
     "who turns it off does not acquire that (E1)",
     "one sets, one waits"},
    {{"goes_through", 0, EXPLORE_ACQUIRE},
     "who waits for a manual one does not (E1)",
     "manual: one sets, two wait"},
    {{"rbx_event_word_take", 0, EXPLORE_ACQUIRE},
     "who looks at a manual one does not (E1)",
     "manual: one sets, one resets, two wait"},
};

int main(int argc, char **argv)
{
    const struct small small = {.scenes = sizeof scenes / sizeof *scenes,
                                .days = days,
                                .begin = begin,
                                .find = find,
                                .make = make,
                                .judge = judge_end,
                                .threads = PEOPLE_MAX,
                                .world = &now,
                                .size = sizeof now,
                                .faults = sizeof faults / sizeof *faults,
                                .fault_table = faults,
                                .orders = sizeof orders / sizeof *orders,
                                .order_table = orders};
    return small_main(&small, argc, argv);
}
