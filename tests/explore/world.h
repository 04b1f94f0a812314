/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * world.h: all that a step of the explorer can change, but for the threads' own stacks.
 *
 * Memory is a table of words (words.h). A thread's stores wait in its buffer, in order, until they
 * are flushed one by one, at any time (x86-TSO); or, on the weak machine, they are in memory at
 * once, and others see them late (views.h). A thread stands for a process with one endpoint.
 */
#ifndef EXPLORE_WORLD_H
#define EXPLORE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

enum {
    THREADS_MAX = 4,
    OBSERVER = THREADS_MAX, /* who looks at it when all is over, one step after the other */
    WORDS_MAX = 128,
    BUFFER_MAX = 20,
    LOOKS_MAX = 6,
    CALLS_MAX = 4, /* of a thread */
    PARTS_MAX = 2, /* messages of a call */
    RECORDS_MAX = CALLS_MAX * PARTS_MAX,
    NO_WORD = 255,
};

/* A set of words. */
__extension__ typedef unsigned __int128 words;

enum thread_state {
    THREAD_NONE,
    THREAD_READY,
    THREAD_ASLEEP, /* on a futex */
    THREAD_FINISHED,
    THREAD_HALTED, /* goes on no more; the kernel has not buried it yet */
    THREAD_DEAD,
};

/* What a thread does next, once it is its turn. */
enum access {
    READS = 1,
    WRITES = 2,
    DRAINS = 4,      /* as a swap does: only when the buffer is empty */
    PAUSES = 8,      /* between two looks */
    AWAITS = 16,     /* for others to have fenced */
    MEETS_FATE = 32, /* lives on, or halts */
    TIDIES = 64,     /* between two calls: the stack is tidied, at once */
    NAPS = 128,      /* until something in memory changes */
    CHOOSES = 256,   /* which value it reads, where there are several (views.h) */
    ORDERS = 512,    /* has a place in the one order of all that is seq_cst */
};

struct store {
    uint64_t value;
    uint8_t word;   /* NO_WORD: the mark that a call has returned */
    uint8_t record; /* which one */
};

struct look {
    uint64_t value;
    uint8_t word;
};

struct thread {
    uint16_t access;
    uint8_t state, word, order; /* what it does next, and with which order */
    uint8_t call;               /* number of the call that it is in */
    uint8_t fencing;            /* others that have not yet fenced for it, as bits */
    bool calling;               /* the call has done nothing yet that others could see */
    bool rushing;               /* nothing changes while it looks on: its patience runs out */
    bool timed_out;
    bool mortal;
    uint8_t looks, stores;
    uint8_t sleeps_on;
    uint8_t slices;      /* so many of its sleeps may still time out when nothing else happens */
    uint8_t late_copied; /* mutants: the word that is to be copied to `late_copy` later */
    void *late_copy;
    struct store late;           /* mutants: to be stored later; NO_WORD: none */
    uint64_t now;                /* its clock */
    uint64_t nap;                /* what memory was like when its nap began */
    uint64_t napped;             /* and when one last ended by itself */
    struct look look[LOOKS_MAX]; /* since it last did something else */
    struct store buffer[BUFFER_MAX];
    words buffered;
    words fresh; /* it has seen that they have changed, and reads the newest of them next */
};

/* One message's part in a call, for the history (calls.h). */
struct record {
    uint8_t outcome;
    uint32_t preceded; /* others' records that had returned when it was called */
    uint64_t value;
    uint32_t called, returned; /* when; follows from the rest, and so is no part of the state */
};

enum outcome { NOT_CALLED, CALLED, DONE, NOTHING, ENDED, NOT_TRIED };

struct world {
    struct thread threads[THREADS_MAX + 1];
    struct record records[THREADS_MAX][RECORDS_MAX];
    uint32_t returned; /* records, seen by all */
    uint32_t clock;
    uint8_t deaths, timeouts; /* that may still happen */
    uint64_t memory[WORDS_MAX];
};

extern struct world world;

extern uint64_t steps;

/* Ends the step: this must not be. Once only; the sentence stays. */
void violation(const char *sentence, ...) __attribute__((format(printf, 1, 2)));
extern char violated[300]; /* "" as long as all is well */

#endif
