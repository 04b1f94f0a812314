/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * small.h: an explorer of small scenes: each access to what is shared is a step, and each state is
 * walked from once.
 *
 *     explore-X                    what is for every day: scenes, and faults that must be found
 *     explore-X --large            all scenes
 *     explore-X NAME...            what has this in its name
 *     explore-X --x86 [...]        one of the two machines only; the scenes of the second are
 *     explore-X --weak [...]       called "weak: NAME"
 *     explore-X --orders [...]     takes each order from each access that names one, in turn, and
 *                                  says which of these scenes finds that, among the first states
 *
 * In this order, if several. The machines: x86's, where stores wait in buffers; and one on which
 * loads are as stale as C11 allows (views.h). Prints TAP; for a violation the steps that lead
 * there.
 *
 * X says what there is in a struct small, and has threads that are fibers. In a state everything
 * that can come next is tried. From each state an end must be within reach: so nobody waits, asleep
 * or looking, for what cannot come.
 */
#ifndef EXPLORE_SMALL_H
#define EXPLORE_SMALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"
#include "orders.h"

enum { STEP = 0 }; /* a choice that runs its thread; whatever else there is does not */

struct choice {
    uint8_t what, thread;
    uint8_t which; /* STEP: of the values that it may read */
    uint8_t whom;  /* of several that something may happen to */
};

struct choices {
    struct choice list[80];
    unsigned count;
    bool is_end; /* nothing goes on by itself: it is judged */
};

void offer(struct choices *choices, struct choice choice);

/* Which days a scene is for, on either machine. */
struct days {
    const char *name;
    bool is_large; /* not for every day on x86's machine, */
    bool is_weak;  /* for every day on the other, too */
};

struct small {
    unsigned scenes;
    struct days (*days)(unsigned scene);
    /* All threads of that scene, each before its first access. */
    void (*begin)(unsigned scene);
    void (*find)(struct choices *choices);
    void (*make)(struct choice choice);
    /* At an end. What it changes is undone. */
    void (*judge)(void);

    unsigned threads;
    void *world; /* all that a step can change, but for fibers and views */
    size_t size; /* a multiple of 8 */

    bool only_weak; /* there are no store buffers */

    unsigned faults; /* each for the machine of x86 */
    const struct small_fault {
        unsigned fault;
        const char *what, *finder;
    } * fault_table;
    unsigned orders; /* each for the weak machine */
    const struct small_order {
        struct weakening weakening;
        const char *what, *finder;
    } * order_table;
};

int small_main(const struct small *small, int argc, char **argv);

extern unsigned fault; /* that is made; 0: none */
extern bool telling;   /* steps are printed */

/* This must not be. Once only; the sentence stays. */
void violation(const char *sentence, ...) __attribute__((format(printf, 1, 2)));
extern char violated[200]; /* "" as long as all is well */

#endif
