/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * hunt.h: what the hunts for lost wake-ups share. Sides, which are threads or processes, use rings
 * and fall asleep on them; each sleep is judged.
 *
 * When a wake-up is lost is exact, and no matter of how busy the machine is. A side notes when what
 * it has done was complete: by then it has rung the bell. If a sleep for just that ends by time-out
 * all the same, and the note is older than the time-out, nobody had woken the sleeper. If the note
 * is older than the beginning of the sleep, it should not have begun, even when something else
 * ended it: a bell that has been rung says something else than before, and the kernel lets nobody
 * sleep.
 *
 * Needs -Wl,--wrap=syscall. There are pauses now and then where a sleeper makes system calls.
 */
#ifndef RBX_TESTS_SUPPORT_HUNT_H
#define RBX_TESTS_SUPPORT_HUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "sanitizers.h"

enum people { THREADS, THREADS_BY_NAME, PROCESSES, PEOPLE };
enum { PEOPLE_HERE = THREADS_ONLY ? PROCESSES : PEOPLE };
extern const char *const people_noun[PEOPLE];

enum { HUNT_SIDES = 8, HUNT_NOTES = 4096, HUNT_RINGS = 4 };

/* Shared by all sides. */
struct hunt {
    _Atomic uint32_t arrived, failures, refused;
    _Atomic uint64_t sleeps, late; /* sleeps that ended by time-out, and rightly so */
    _Atomic uint64_t left_out;     /* likewise, but membarrier's fault */
    _Atomic int32_t threads[HUNT_SIDES];
    char first_failure[512];
};
extern struct hunt *hunt;
extern char hunt_ring_name[HUNT_RINGS][64];

/* `size` bytes that all sides will share. The program's argument, if any, is how long the hunt is,
   instead of *rounds. */
void *hunt_begin(const char *name, size_t size, int argc, char **argv, uint32_t *rounds);
/* A mode: all that is shared is zero again. */
void hunt_mode(void);
/* Runs side(0), side(1)... to their end. */
void hunt_run(enum people people, unsigned sides, void (*side)(unsigned number));
/* What the line about a mode begins with: where it could not be tried, SKIP and why. */
const char *hunt_skip(void);
/* The end of that line. Whether no wake-up was lost. */
bool hunt_verdict(void);

/* --- Within a side --- */

uint32_t hunt_draw(uint32_t below);
/* So that the next stores wait, while loads do not: a missing fence shows. */
void hunt_fill_store_buffer(void);
/* For this thread, and those that it makes. */
void hunt_refuse_membarrier(void);
void hunt_refuse_waitv(void);
/* Whether one can sleep on many words: not before Linux 5.16, nor under qemu-user. */
bool hunt_has_waitv(void);
/* Waits until all sides have come here. */
void hunt_arrive(unsigned sides);
/* A signal for another side, if it is still there. */
void hunt_disturb(enum people people, unsigned side);

/* The first that is said counts. */
__attribute__((format(printf, 1, 2))) void hunt_fail(const char *format, ...);
bool hunt_is_well(void);

/* --- Notes and sleeps --- */

/* When the things of these numbers were complete. */
struct hunt_notes {
    struct {
        _Atomic uint64_t number, at; /* counted from 1 on */
    } note[HUNT_NOTES];
};

void hunt_note(struct hunt_notes *notes, uint64_t number);

struct hunt_sleep {
    const void *word; /* or the first of many */
    uint64_t by;      /* when it should have been over */
    bool is_short;    /* the library's first one */
    bool timed_out;   /* else it was over soon enough, but had no right to begin */
};

/* Each hunt has these: a side is about to sleep; it has slept. */
void hunt_before_sleep(void);
void hunt_slept(const struct hunt_sleep *sleep);

/* It slept for this thing. Had that been there by then? */
void hunt_judge(const struct hunt_notes *notes, uint64_t wanted, const struct hunt_sleep *sleep,
                bool excused, const char *what);

#endif
