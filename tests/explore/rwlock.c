/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explore-rwlock: every order in which the steps of a few threads can happen, on the real code of
 * the read-write lock (small.h says how it is called).
 *
 * The lock is compiled with atomics (rwlock-memory.h) and a kernel (rwlock-world.c) that hand over
 * to the scheduler before each access to what is shared. Every schedule of each scene
 * (rwlock-scene.c) is walked, with deaths and with sleeps that time out. Who is in when another is
 * must not be in, and must have seen what the other did; what is told and what is not; who sleeps
 * for ever: these are violations.
 */
#include <stdio.h>

#define EXPLORE_MEMCPY_IS_ITSELF
#include "rwlock-memory.h"

#include "fiber.h"
#include "small.h"
#include "views.h"

#include "wait.h"

enum what { HALT = STEP + 1, FLUSH, BURY, TIME_OUT };

/* --- Steps --- */

static void run(unsigned thread)
{
    current = thread;
    fiber_run(thread);
    while (world.threads[thread].pending == TIDIES && !violated[0]) {
        fiber_tidy(thread);
        fiber_run(thread);
    }
}

static void make(struct choice choice)
{
    static const char *const said[] = {NULL, "DIES", "(its store is visible)", "is buried",
                                       "has slept long enough"};
    struct thread *thread = &world.threads[choice.thread];
    if (choice.what != STEP)
        tell(said[choice.what], choice.what == FLUSH ? thread->buffer[0].word : NO_WORD, 0);
    switch (choice.what) {
    case STEP:
        run(choice.thread);
        break;
    case HALT:
        thread->state = THREAD_HALTED;
        thread->pending = NOTHING_YET;
        world.deaths--;
        break;
    case FLUSH:
        buffer_flush(choice.thread);
        break;
    case BURY:
        bury(choice.thread);
        break;
    case TIME_OUT:
        if (world.timeouts > 0)
            world.timeouts--;
        else
            thread->slices--;
        thread->state = THREAD_READY;
        thread->timed_out = true;
        world.owed &= (uint8_t) ~(1U << choice.thread);
        if (is_weak)
            views_catch_up(choice.thread);
        break;
    }
}

/* --- What can happen next --- */

/* All the ways in which it may do that. */
static void offer_step(struct choices *choices, unsigned thread)
{
    for (unsigned which = 0, count = choices_of(thread); which < count; which++)
        offer(choices, (struct choice){STEP, (uint8_t)thread, (uint8_t)which, 0});
}

static void offer_to(struct choices *choices, enum what what, unsigned thread)
{
    offer(choices, (struct choice){(uint8_t)what, (uint8_t)thread, 0, 0});
}

static void find(struct choices *choices)
{
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        const struct thread *thread = &world.threads[t];
        bool sleeps = thread->state == THREAD_ASLEEP;
        if (thread->stores > 0)
            offer_to(choices, FLUSH, t);
        if (is_enabled(t))
            offer_step(choices, t);
        if (thread->state == THREAD_HALTED && thread->stores == 0)
            offer_to(choices, BURY, t);
        /* Before a look it is as before the next change. */
        if (thread->mortal && world.deaths > 0 &&
            (sleeps || (thread->state == THREAD_READY && thread->pending > READS)))
            offer_to(choices, HALT, t);
        if (sleeps && world.timeouts > 0 && thread->deadline != RBX_FOREVER)
            offer_to(choices, TIME_OUT, t);
    }
    bool goes_on = false, waits = false;
    for (unsigned i = 0; i < choices->count; i++)
        goes_on |= choices->list[i].what != HALT;
    for (unsigned t = 0; t < THREADS_MAX && !goes_on && are_dead_unsettled(); t++)
        if (world.threads[t].state == THREAD_ASLEEP && world.threads[t].slices > 0 &&
            world.threads[t].deadline <= world.threads[t].now + RBX_SLICE_NS) {
            offer_to(choices, TIME_OUT, t);
            waits = true;
        }
    choices->is_end = !goes_on && !waits;
}

static struct days days(unsigned scene)
{
    return configurations[scene].days;
}

static void begin(unsigned scene)
{
    scene_begin(&configurations[scene]);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_READY)
            run(t);
}

/* --- Faults --- */

static const struct small_fault faults[] = {
    {MUTANT_READING_IS_BUFFERED, "a reader looks at the turn before it says READING (D)",
     "a writer, a reader"},
    {MUTANT_TORN_TURN, "a CAS of the turn looks first and stores then", "three writers"},
    {MUTANT_NO_WRITING, "a writer does not say WRITING (K)", "a writer dies"},
    {MUTANT_BLIND_TO_SEATS, "a writer looks at one seat only", "a writer, two readers"},
    {MUTANT_HASTY, "everybody is taken for dead", "a writer, a reader"},
    {MUTANT_SILENT_GRANT, "who is granted the lock is not woken", "a writer, a reader"},
    {MUTANT_SILENT_TURN, "who frees the turn wakes no writers", "three writers"},
    {MUTANT_UNWATCHED, "a reader overlooks that it is watched", "a writer, a reader"},
    {MUTANT_UNASKED, "a reader sleeps without READERS_WAIT", "a writer, a reader"},
    {MUTANT_STINGY, "nothing is granted, who waits is only woken", "two writers, a reader"},
    {MUTANT_FORGETFUL, "who comes while all are granted it is not sent back",
     "a writer, two readers that come again"},
    {MUTANT_BLIND_GRANT, "a grant does not look whether the reader still waits",
     "a reader that gives up"},
    {MUTANT_BLIND_BURIAL, "who buries a reader does not look who sits there by then",
     "the seat of a dead reader is taken, and one tries"},
};

/* What becomes of the labelled edges (docs/sync.md) without one of their ends. */
static const struct small_order orders[] = {
    {{"reads_at_once", 0, EXPLORE_TOTAL},
     "a reader's word and its look at the turn are not seq_cst (D)",
     "a writer, a reader"},
    {{"writes_at_once", 0, EXPLORE_TOTAL},
     "a writer's turn is not seq_cst (D)",
     "a writer, a reader"},
    {{"nobody_reads", 0, EXPLORE_TOTAL},
     "a writer's looks at the seats are not seq_cst (D)",
     "a writer, a reader"},
    {{"rbx_rwlock_used", 0, EXPLORE_TOTAL},
     "a writer's look at how many seats there are is not seq_cst (D)",
     "a writer, and a reader that is new"},
    {{"rbx_rwlock_unlock", 0, EXPLORE_RELEASE},
     "who frees the turn does not release what was written (T)",
     "a writer, a reader"},
    {{"reads_at_once", 0, EXPLORE_ACQUIRE},
     "a reader does not acquire it (T)",
     "a writer, a reader"},
    {{"writes_at_once", 0, EXPLORE_ACQUIRE}, "a writer does not (T)", "three writers"},
    {{"rbx_rwlock_stop_reading", 0, EXPLORE_RELEASE},
     "a reader does not release that it has read (R)",
     "a writer, a reader"},
    {{"nobody_reads", 0, EXPLORE_ACQUIRE},
     "a writer does not acquire it (R)",
     "a writer, a reader"},
    {{"grant", 0, EXPLORE_RELEASE},
     "a grant does not release what was written (G)",
     "a writer, a reader"},
    {{"sleep_to_read", 0, EXPLORE_ACQUIRE},
     "who was granted it does not acquire it (G)",
     "a writer, a reader"},
    {{"sleep_to_read", 0, EXPLORE_TOTAL}, "WAITING is not seq_cst (W)", "a writer, two readers"},
    {{"ask", 0, EXPLORE_TOTAL},
     "the look for READERS_WAIT is not seq_cst (W)",
     "a writer, two readers"},
    {{"await_turn", 0, EXPLORE_ACQUIRE},
     "who finds a writer does not acquire its seat (S)",
     "the seat of a dead writer is taken by a writer"},
};

int main(int argc, char **argv)
{
    const struct small small = {.scenes = configuration_count,
                                .days = days,
                                .begin = begin,
                                .find = find,
                                .make = make,
                                .judge = scene_judge,
                                .threads = THREADS_MAX,
                                .world = &world,
                                .size = sizeof world,
                                .faults = sizeof faults / sizeof *faults,
                                .fault_table = faults,
                                .orders = sizeof orders / sizeof *orders,
                                .order_table = orders};
    return small_main(&small, argc, argv);
}
