/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync.h: the harness for what processes synchronise by; see sync.c. */
#ifndef RBX_TESTS_CRASH_SYNC_H
#define RBX_TESTS_CRASH_SYNC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/ringbox.h>

#include "stepper.h"

/* Shared with the victim, who says here what it knows. */
struct page {
    _Atomic uint32_t done;   /* the call has returned */
    _Atomic int32_t answer;  /* what it returned */
    _Atomic int32_t problem; /* what must not happen: a line of the act */
    _Atomic uint32_t word[4];
};

#define HANDLES 3

/* What an act has to work with: the survivor's own, and after the fork the victim's own. */
struct stage {
    char name[48]; /* of the object */
    struct page *page;
    void *handle[HANDLES];
    bool is_victim; /* or another child of the survivor's */
    int waiter;     /* process id of who waits beside; 0: nobody */
    bool failed;
    char failure[500];
};

/* What happens to one object. NULL for nothing. */
struct act {
    const char *name;
    void (*make)(struct stage *s);      /* the survivor, first: it makes the object */
    void (*join)(struct stage *s);      /* the victim, before the instructions that count */
    void (*meanwhile)(struct stage *s); /* the survivor, after that */
    int (*call)(struct stage *s);       /* the victim's, which is interrupted */
    /* The survivor, while the victim stands somewhere inside its call. It must not wait for it. */
    void (*beside)(struct stage *s);
    /* The survivor, once the victim was killed inside its call, or just after it. */
    void (*killed)(struct stage *s, bool returned);
    /* The survivor, once a victim that was stopped went on, and has returned. */
    void (*went_on)(struct stage *s);
    void (*leave)(struct stage *s); /* the victim, at last */
    void (*end)(struct stage *s);   /* the survivor, at last: nothing remains */
};

extern const struct act *const plays[]; /* lists that a NULL name ends; NULL after the last */

/* What must not happen, has happened. */
__attribute__((format(printf, 2, 3))) void wrong(struct stage *s, const char *format, ...);
#define HERE_STRING2(line) #line
#define HERE_STRING(line) HERE_STRING2(line)
/* The call must answer this. */
#define ANSWERS(s, wanted, call)                                                                   \
    do {                                                                                           \
        int answers_got = (call), answers_wanted = (wanted);                                       \
        if (answers_got != answers_wanted)                                                         \
            wrong((s), "%s:" HERE_STRING(__LINE__) ": %s is %d, not %d (%s)", __FILE__, #call,     \
                  answers_got, answers_wanted, rbx_last_error());                                  \
    } while (0)
#define HOLDS(s, condition)                                                                        \
    do {                                                                                           \
        if (!(condition))                                                                          \
            wrong((s), "%s:" HERE_STRING(__LINE__) ": not: %s", __FILE__, #condition);             \
    } while (0)

/* Another process joins, does its part as `does` says, and is killed. */
void somebody_dies(struct stage *s, void (*does)(struct stage *s));

/* Another process joins and does its part, during which it waits, while all else happens. One such
   at a time; it is gone when the act has ended. */
void somebody_waits(struct stage *s, void (*does)(struct stage *s));
/* It must be through with its part, now or soon. */
void waiter_ends(struct stage *s);

#endif
