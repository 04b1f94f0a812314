/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * event-world.h: the world of the event's explorer: a word and some messages in memory, threads
 * with store buffers, or where others see late what is in memory (views.h), a kernel on whose queue
 * they sleep. Much smaller than world.h's, so that nothing need be left out.
 */
#ifndef EXPLORE_EVENT_WORLD_H
#define EXPLORE_EVENT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "layer.h"
#include "small.h"

#include "event/word.h"

enum {
    PEOPLE_MAX = 5,
    CALLS_OF_EACH = 3,
    MESSAGES = PEOPLE_MAX * CALLS_OF_EACH, /* one for each set that there may be */
    CELLS = 1 + MESSAGES,
    BITS = 0, /* the cell that is the event; the messages follow */
    NO_CELL = 255,
};

extern struct shared {
    rbx_atomic32 bits;
    rbx_atomic32 messages[MESSAGES];
} shared;

enum doing {
    NOT_THERE,
    LOADS,
    STORES,
    CHANGES,   /* or sleeps, or wakes all: it drains the buffer first */
    WAKES_ONE, /* likewise */
    LOOKS_ON,  /* between two looks: on with it when the word has changed */
    SLEEPS,    /* on the event */
    HAS_FINISHED,
    HAS_DIED,
};

struct person {
    uint8_t doing;
    uint8_t call;
    uint8_t cell, order;  /* that it is about to touch, and how */
    uint8_t slices;       /* of its sleep that ended though nobody woke it, in a row */
    int8_t woken_by;      /* what the kernel tells it: 0 or -errno */
    bool touched;         /* the event, in this call */
    bool was_on, was_off; /* the event, at some time of this call */
    bool comes_through;   /* manual: it was on at some time after the call touched it */
    uint8_t turned_off;   /* how often this call has done that */
    uint8_t turned_last;  /* how often that had been done by all, when it last did */
    bool fresh;           /* it has seen that the event changes, and reads the newest next */
    uint8_t store;        /* a message that waits in its buffer; NO_CELL: none */
    uint8_t late_store;   /* mutants: one that is to be stored after the next change */
    uint32_t looked;      /* what it saw there last */
    uint64_t now;         /* its clock */
    uint64_t deadline;    /* of its sleep */
};

extern struct event_world {
    struct person people[PEOPLE_MAX];
    uint32_t memory[CELLS];
    uint8_t deaths, timeouts, signals; /* that may still happen */
    uint8_t died;
    uint8_t turned_off; /* in all */
    uint32_t due;       /* messages, as bits of their cells, whose set has returned; */
    uint32_t announced; /* and those that somebody saw who turned it off */
} now;

extern unsigned to_wake; /* whom WAKES_ONE wakes; PEOPLE_MAX: there is nobody */

enum event_fault {
    FAULT_BLIND_KERNEL = 1, /* who sleeps does not look once more */
    FAULT_SILENT_SET,       /* nobody is woken */
    FAULT_TORN_SET,         /* a set is a load and a store */
    FAULT_TORN_TAKE,        /* and so is what turns it off */
    FAULT_UNCOUNTED,        /* how often it went off is not counted */
    FAULT_FORGETS_SLEEPER,  /* SLEEPERS goes when one was woken, whoever else sleeps */
    FAULT_LEAVER_SILENCES,  /* who leaves its sleep takes SLEEPERS away */
    FAULT_WAKES_ONE_OF_ALL,
    FAULT_LATE_MESSAGE, /* E1: what was written before is visible after */
};

/* A thread's message reaches memory. */
void person_flush(unsigned person);
/* Called before each step: whether the person whose turn it would be can make it. */
bool person_can_step(unsigned person);
/* And in how many ways: which of so many values it reads. */
unsigned person_choices(unsigned person);

/* A new call of the current thread: what the event may be, as far as that can see. */
void person_calls(struct person *me);
/* Messages that it has seen, or would if it looked. */
unsigned messages_seen(void);

#endif
