/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore-event: every order in which the steps of a few threads can happen, on the real code of an
 * event (src/event/word.c).
 *
 *     explore-event [NAME...]           all configurations and faults, or those with this in their
 *                                       name
 *     explore-event --x86 [...]         on one of the two machines only; the configurations of the
 *     explore-event --weak [...]        second are called "weak: NAME"
 *     explore-event --orders [NAME...]  takes each order from each access that names one, in turn,
 *                                       and says which of these configurations finds that
 *
 * The two: x86's, with store buffers; and one on which loads are as stale as C11 allows (views.h).
 * A thread stops before each access to shared memory and before each call of the kernel. From each
 * state everything that can come next is tried: a step of a thread, a store that reaches memory, a
 * death, a sleep that times out or that a signal ends, any sleeper that one wake-up may go to. What
 * must hold is in judge_call(), judge_state() and judge_end(). Then faults are made that must be
 * found. Prints TAP, and for what is amiss the steps that lead there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "event-world.h"
#include "fiber.h"
#include "orders.h"
#include "set.h"
#include "views.h"

#include "wait.h"

/* ---- What is explored ---------------------------------------------------------------------- */

enum deed { NOTHING, SET, RESET, TRY, WAIT, WAIT_FOR };

static const struct scene {
    const char *name;
    enum deed deeds[PEOPLE_MAX][CALLS_OF_EACH];
    bool manual, busy, is_set;
    bool is_long;    /* on the weak machine: not for every day */
    unsigned mortal; /* threads that may die, as bits */
    unsigned deaths, timeouts, signals;
} scenes[] = {
    {.name = "one sets, one waits", .deeds = {{SET}, {WAIT}}},
    {.name = "one sets, two wait", .deeds = {{SET}, {WAIT}, {WAIT}}},
    {.name = "two set, one waits", .deeds = {{SET}, {SET}, {WAIT}}},
    {.name = "two set, two wait", .deeds = {{SET}, {SET}, {WAIT}, {WAIT}}},
    {.name = "one sets twice, two wait", .deeds = {{SET, SET}, {WAIT}, {WAIT}}},
    {.name = "two set, one waits twice", .deeds = {{SET, SET}, {SET}, {WAIT, WAIT}}},
    {.is_long = true,
     .name = "two set, two wait, one tries",
     .deeds = {{SET}, {SET}, {WAIT}, {WAIT}, {TRY}}},
    {.name = "set from the beginning", .deeds = {{WAIT}, {WAIT}, {TRY}}, .is_set = true},
    {.is_long = true,
     .name = "some are tired of waiting",
     .deeds = {{SET}, {SET}, {WAIT_FOR, TRY}, {WAIT}},
     .timeouts = 2},
    {.name = "a signal comes", .deeds = {{SET}, {WAIT, TRY}, {WAIT}}, .signals = 2},
    {.name = "one resets", .deeds = {{SET, SET}, {RESET}, {WAIT}}},
    {.name = "one takes turns with another", .deeds = {{SET, WAIT, SET}, {WAIT, RESET}, {SET}}},
    {.name = "one of two that wait dies",
     .deeds = {{SET}, {WAIT}, {WAIT}},
     .mortal = 2,
     .deaths = 1},
    {.is_long = true,
     .name = "one that sets dies",
     .deeds = {{SET, SET}, {SET}, {WAIT}, {WAIT}},
     .mortal = 1,
     .deaths = 1},
    {.name = "any two die", .deeds = {{SET}, {SET}, {WAIT}, {WAIT}}, .mortal = 15, .deaths = 2},
    {.name = "manual: one sets, two wait", .deeds = {{SET}, {WAIT}, {WAIT}}, .manual = true},
    {.name = "manual: two set, two wait", .deeds = {{SET}, {SET}, {WAIT}, {WAIT}}, .manual = true},
    {.name = "manual: set and reset at once, two wait",
     .deeds = {{SET, RESET}, {WAIT}, {WAIT}},
     .manual = true},
    {.name = "manual: two set, one resets, one waits",
     .deeds = {{SET, SET}, {SET}, {RESET, RESET}, {WAIT, WAIT}},
     .manual = true},
    {.name = "manual: one sets, one resets, two wait",
     .deeds = {{SET}, {RESET, TRY}, {WAIT}, {WAIT_FOR}},
     .manual = true,
     .timeouts = 1,
     .signals = 1},
    {.name = "manual: any two die",
     .deeds = {{SET, SET}, {RESET}, {WAIT}, {WAIT}},
     .manual = true,
     .mortal = 15,
     .deaths = 2},
    {.name = "busy: two set, two wait", .deeds = {{SET}, {SET}, {WAIT}, {WAIT}}, .busy = true},
    {.name = "busy, manual: set and reset at once, two wait",
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
        amiss("a wait got through that was never set");
    if (waits && !through && !me->was_off)
        amiss("a wait gave up that was set all the time");
    if (deed == RESET && !me->was_off)
        amiss("a reset left it set all the time");
    if (waits && me->turned_off != (through && !scene->manual))
        amiss("a wait that answered %d turned it off %u times", answer, me->turned_off);
    if (deed == SET && me->turned_off != 0)
        amiss("a set turned it off");
    if (through && messages_seen() < (scene->is_set ? 0 : scene->manual ? 1U : me->turned_last))
        amiss("what was written before a set is not seen by whom it let through");
}

static void judge_state(void)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++)
        if (now.people[i].doing == SLEEPS && !(now.memory[BITS] & RBX_EVENT_SLEEPERS))
            amiss("thread %u sleeps, and no set would wake it", i);
}

/* Whether it waits in vain for what is there. */
static bool is_overlooked(const struct person *p)
{
    return (p->doing == SLEEPS || p->doing == LOOKS_ON) &&
           (now.memory[BITS] & RBX_EVENT_SET || (scene->manual && p->comes_through));
}

/* Nothing can happen any more, unless a slice ends. That is only for deaths. */
static void judge_end(void)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++)
        if (is_overlooked(&now.people[i]) && now.died == 0)
            amiss("thread %u is asleep, and the event was set for it", i);
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

static void begin(void)
{
    now = (struct event_world){.deaths = (uint8_t)scene->deaths,
                               .timeouts = (uint8_t)scene->timeouts,
                               .signals = (uint8_t)scene->signals};
    now.memory[BITS] = scene->is_set ? RBX_EVENT_SET : 0;
    views_begin(PEOPLE_MAX);
    was_amiss[0] = '\0';
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

enum move { STEP, FLUSH, DIE, TIME_OUT, INTERRUPT, SLICE };

struct choice {
    uint8_t move, person, wakes;
    uint8_t which; /* of the values that it may read */
};

enum { CHOICES_MAX = 64, DEPTH_MAX = 400 };

struct choices {
    struct choice list[CHOICES_MAX];
    unsigned count;
};

static void offer_which(struct choices *choices, struct choice choice)
{
    if (choices->count == CHOICES_MAX)
        abort();
    choices->list[choices->count++] = choice;
}

static void offer(struct choices *choices, enum move move, unsigned person, unsigned wakes)
{
    offer_which(choices, (struct choice){(uint8_t)move, (uint8_t)person, (uint8_t)wakes, 0});
}

static void offer_steps(struct choices *choices, unsigned person)
{
    unsigned sleepers = 0;
    for (unsigned i = 0; i < PEOPLE_MAX && now.people[person].doing == WAKES_ONE; i++)
        if (now.people[i].doing == SLEEPS) {
            offer(choices, STEP, person, i);
            sleepers++;
        }
    for (unsigned i = 0, count = person_choices(person); sleepers == 0 && i < count; i++)
        offer_which(choices, (struct choice){STEP, (uint8_t)person, PEOPLE_MAX, (uint8_t)i});
}

/* What can come next by itself; if that is nothing, it is an end. */
static void find_steps(struct choices *choices)
{
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        if (now.people[i].store != NO_CELL)
            offer(choices, FLUSH, i, 0);
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
            offer(choices, DIE, i, 0);
        if (p->doing != SLEEPS)
            continue;
        if (now.timeouts > 0 && is_waiting_for(p))
            offer(choices, TIME_OUT, i, 0);
        if (now.signals > 0)
            offer(choices, INTERRUPT, i, 0);
        if (is_end && is_overlooked(p))
            offer(choices, SLICE, i, 0);
    }
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
    struct person *p = &now.people[choice.person];
    chosen = choice.which;
    switch ((enum move)choice.move) {
    case STEP:
        to_wake = choice.wakes;
        run(choice.person);
        break;
    case FLUSH:
        person_flush(choice.person);
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
            amiss("thread %u slept through a slice", choice.person);
        leave_sleep(p, -ETIMEDOUT);
        break;
    }
    if (is_recording && choice.move != STEP) {
        static const char *const happens[] = {"",
                                              "has a message that is visible now",
                                              "DIES",
                                              "has slept long enough",
                                              "is signalled",
                                              "looks up after a slice"};
        printf("#     thread %u %s\n", choice.person, happens[choice.move]);
    }
    if (is_weak)
        views_tidy();
    judge_state();
}

/* ---- The search ---------------------------------------------------------------------------- */

enum { PIECE_MAX = 4096 };

static struct level {
    struct event_world world;
    struct views_kept views;
    struct choices choices;
    unsigned next;
    size_t sizes[PEOPLE_MAX];
    char pieces[PEOPLE_MAX][PIECE_MAX];
} levels[DEPTH_MAX];

static struct set seen;
static struct choice story[DEPTH_MAX];

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 29);
}

/* Keeps the present state; whether it is a new one. */
static bool keep(struct level *level)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &now, sizeof now);
    level->world = now;
    if (is_weak) {
        uint64_t sum = views_sum();
        hash = mix(hash, &sum, sizeof sum);
        views_keep(&level->views);
    }
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        struct fiber_piece piece = fiber_piece(i);
        if (piece.size > PIECE_MAX)
            abort();
        level->sizes[i] = piece.size;
        memcpy(level->pieces[i], piece.bytes, piece.size);
        hash = mix(hash, piece.bytes, piece.size);
    }
    return !set_add(&seen, hash);
}

static void bring_back(const struct level *level)
{
    now = level->world;
    if (is_weak)
        views_restore(&level->views);
    for (unsigned i = 0; i < PEOPLE_MAX; i++)
        fiber_restore(i, level->pieces[i], level->sizes[i]);
}

/* The number of ends; the way to what is amiss, if it finds anything, is story[0 .. *length). */
static unsigned search(unsigned *length)
{
    unsigned depth = 0, ends = 0;
    set_forget(&seen);
    begin();
    for (bool is_new = true;;) {
        struct level *level = &levels[depth];
        if (is_new) {
            level->choices.count = level->next = 0;
            if (keep(level)) {
                find_steps(&level->choices);
                bool is_end = level->choices.count == 0;
                ends += is_end;
                find_accidents(&level->choices, is_end);
                if (is_end)
                    judge_end();
            }
        }
        *length = depth;
        if (was_amiss[0])
            return ends;
        if (level->next == level->choices.count) {
            if (depth-- == 0)
                return ends;
            is_new = false;
            continue;
        }
        if (!is_new)
            bring_back(level);
        story[depth] = level->choices.list[level->next++];
        make(story[depth]);
        if (++depth == DEPTH_MAX)
            abort();
        is_new = true;
    }
}

static void tell(unsigned length)
{
    char sentence[sizeof was_amiss];
    memcpy(sentence, was_amiss, sizeof sentence);
    is_recording = true;
    begin();
    for (unsigned i = 0; i < length; i++)
        make(story[i]);
    is_recording = false;
    printf("#     %s\n", sentence);
}

/* ---- Reports ------------------------------------------------------------------------------- */

static unsigned tests, failures;

struct title {
    char text[120];
};

static struct title title(const char *kind, const char *name)
{
    struct title title;
    snprintf(title.text, sizeof title.text, "%s%s%s", is_weak ? "weak: " : "", kind, name);
    return title;
}

static void result(bool good, struct title what)
{
    printf("%s %u - %s: %zu states", good ? "ok" : "not ok", ++tests, what.text, seen.count);
    failures += !good;
}

static struct {
    char **parts; /* of titles; none: all */
    int count;
} wanted;

static bool is_wanted(struct title title)
{
    bool named = wanted.count == 0;
    for (int i = 0; i < wanted.count; i++)
        named |= strstr(title.text, wanted.parts[i]) != NULL;
    return named;
}

static void walk_all(void)
{
    unsigned length;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        scene = &scenes[i];
        if (!is_wanted(title("", scene->name)) || (is_weak && scene->is_long))
            continue;
        unsigned ends = search(&length);
        result(!was_amiss[0], title("", scene->name));
        printf(", %u ends\n", ends);
        fflush(stdout);
        if (was_amiss[0])
            tell(length);
    }
}

/* ---- Faults -------------------------------------------------------------------------------- */

static const struct scene *scene_named(const char *name)
{
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
        if (strcmp(scenes[i].name, name) == 0)
            return &scenes[i];
    abort();
}

/* With the fault that is there now. */
static void must_find(struct title what, const char *finder)
{
    unsigned length;
    scene = scene_named(finder);
    search(&length);
    result(was_amiss[0], what);
    printf("; '%s' %s%s\n", finder, was_amiss[0] ? "finds it: " : "DOES NOT find it", was_amiss);
}

static const struct {
    enum event_fault fault;
    const char *what, *finder;
} faults[] = {
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

static void find_faults(void)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (!is_wanted(title("fault: ", faults[i].what)))
            continue;
        fault = faults[i].fault;
        must_find(title("fault: ", faults[i].what), faults[i].finder);
        fault = NO_FAULT;
    }
}

static const struct {
    struct weakening weakening;
    const char *what, *finder;
} weakenings[] = {
    {{"rbx_event_word_set", 0, EXPLORE_RELEASE},
     "a set does not release what was written before (E1)",
     "one sets, one waits"},
};

static void find_weakenings(void)
{
    for (size_t i = 0; i < sizeof weakenings / sizeof *weakenings; i++) {
        if (!is_wanted(title("order: ", weakenings[i].what)))
            continue;
        weakened = weakenings[i].weakening;
        must_find(title("order: ", weakenings[i].what), weakenings[i].finder);
        weakened = nothing_weakened;
    }
}

static const char *finder(void)
{
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        unsigned length;
        scene = &scenes[i];
        if (!is_wanted(title("", scene->name)) || scene->is_long)
            continue;
        search(&length);
        if (was_amiss[0])
            return scene->name;
    }
    return NULL;
}

/* Whether the next argument is this; then it is taken. */
static bool takes(int *argc, char ***argv, const char *option)
{
    bool is_it = *argc > 1 && strcmp((*argv)[1], option) == 0;
    *argc -= is_it, *argv += is_it;
    return is_it;
}

int main(int argc, char **argv)
{
    bool x86_only = takes(&argc, &argv, "--x86"), weak_only = takes(&argc, &argv, "--weak");
    bool orders = takes(&argc, &argv, "--orders");
    wanted.parts = argv + 1, wanted.count = argc - 1;
    if (orders) {
        is_weak = true;
        orders_take_each(finder);
        return 0;
    }
    if (!weak_only) {
        walk_all();
        find_faults();
    }
    is_weak = true;
    if (!x86_only) {
        walk_all();
        find_weakenings();
    }
    printf("1..%u\n", tests);
    return failures > 0;
}
