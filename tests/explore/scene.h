/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scene.h: a configuration: which threads there are, and what each of them calls; and the ring that
 * they share.
 */
#ifndef EXPLORE_SCENE_H
#define EXPLORE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "layer.h"

#include <ringbox/mpmc.h>
#include <ringbox/ring.h>
#include <ringbox/spsc.h>

#include "ring/handle.h"

#include "world.h"

enum verb {
    END_OF_SCRIPT,
    SEND,
    SEND_TWO,     /* a batch */
    SEND_WAITING, /* for ever */
    SEND_ARMED,   /* likewise, and the wait is not the endpoint's own */
    COMMIT,       /* after a claim */
    ABORT,        /* after a claim */
    RECV,
    RECV_TWO,
    RECV_WAITING,
    RECV_ARMED,
    RECV_FOR_A_WHILE,
    RELEASE,  /* after a peek */
    PUT_BACK, /* after a peek */
    MIND,     /* sees to the dead, as who waits does */
    REPAIR,
    SHUT_DOWN,
    OPEN, /* its endpoint, which was not open before */
    CLOSE,
    VERBS
};

struct role {
    char end; /* 's' a sender, 'r' a receiver, 'n' neither, or 0 for none */
    enum verb calls[CALLS_MAX];
};

struct configuration {
    const char *name;
    struct role roles[THREADS_MAX];
    bool is_spsc;      /* a ring of one sender and one receiver, and then the rest is plain */
    unsigned slots;    /* 0: one */
    unsigned flags;    /* RBX_STRICT, RBX_DROP */
    unsigned fill;     /* so many messages are there already */
    unsigned mortal;   /* threads that may die, as bits */
    unsigned deaths;   /* how many of them; 0: one */
    bool stops;        /* it is not dead, but stopped for good */
    unsigned timeouts; /* of sleeps, at any time, in all */
    unsigned slices;   /* of each thread's sleeps, when nothing else happens */
    bool no_membarrier;
    bool fresh;             /* endpoints have done nothing yet, not even looked for orphans */
    uint64_t start;         /* position; 0: 8 */
    unsigned switches;      /* at most so many where a thread could have gone on; 0: any number */
    bool is_large;          /* not for every day */
    bool is_weak;           /* every day on the weak machine, too, */
    unsigned weak_switches; /* and with so many there; 0: as many as here */
};

extern const struct configuration configurations[];
extern const unsigned configuration_count;

extern const struct configuration *scene;

/* What a thread's process has: put away with its stack. */
struct process {
    struct rbx_ring ring;
    struct rbx_chair chairs[2 * THREADS_MAX + 2];
    union {
        rbx_tx tx;
        rbx_rx rx;
    };
    uint64_t message[PARTS_MAX];
};

#define DESCRIPTOR 100 /* of thread 0's box; the others follow */

/* Makes the ring, opens all endpoints, and brings the threads to the first of their calls. */
void scene_begin(const struct configuration *configuration);

/* How the messages lie in the ring: 8 bytes each, two of them in a frame of the ring of one. */
static inline struct rbx_frame scene_frame(void)
{
    return scene->is_spsc ? rbx_spsc_frame_for(8, 64) : rbx_mpmc_frame_for(8, 8);
}

/* What rbx_mpmc_verb answers, or rbx_spsc_verb. */
#define SCENE_CALL(verb, ...)                                                                      \
    (scene->is_spsc ? rbx_spsc_##verb(__VA_ARGS__) : rbx_mpmc_##verb(__VA_ARGS__))

struct process *process_of(unsigned thread);
bool is_sender(unsigned thread);
bool is_receiver(unsigned thread);
/* The handle of a process that has just come, for the observer. */
struct rbx_ring *scene_handle(unsigned thread);

/* The number that a thread sends in part `part` of a call. */
uint64_t message_of(unsigned thread, unsigned call, unsigned part);
unsigned parts_of(enum verb verb);
const char *verb_name(enum verb verb);
/* Whether two threads do the same in these calls. */
bool is_same_call(unsigned thread, unsigned call, unsigned other, unsigned its_call);

/* Looks at it when nothing can happen any more: sees to the dead, receives what is left, fills the
   ring. Whatever is amiss is a violation. Changes the world and the processes. */
void scene_judge(void);

extern char ring_memory[8192];

#endif
