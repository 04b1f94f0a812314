/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wait.h: how an endpoint waits, and how the other side knows that it must be woken.
 *
 * A bell is the word that a waiter sleeps on. Publishing costs the other side one relaxed load of
 * it, which stays in its cache as long as nobody falls asleep: no fence. Instead the sleeper, which
 * has time, makes the whole system fence for it:
 *
 *     publisher                          sleeper
 *       publish                            bell |= ASLEEP
 *       (compiler barrier)                 membarrier: every running publisher fences     (B1)
 *       bell has a bit? ring it            something published? do not sleep
 *                                          futex wait, as long as the bell says ASLEEP
 *
 * Either the publisher's load comes after its fence, and sees ASLEEP; or its publication came
 * before, and the sleeper sees that. Where one side may not use membarrier it sets a bit that makes
 * the publisher fence by itself. As membarrier can leave out a thread (src/os/thread.h), a sleeper
 * looks up once after a millisecond.
 */
#ifndef RINGBOX_WAIT_H
#define RINGBOX_WAIT_H

#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/atomic.h>

RBX_BEGIN_DECLS

/* As a timeout: none. */
#define RBX_FOREVER UINT64_MAX

typedef enum rbx_wait_how {
    RBX_WAIT_SLEEP = 0, /* spins as long as that has paid lately, and then sleeps */
    RBX_WAIT_YIELD,     /* never sleeps; lets other threads of its core run between two looks */
    RBX_WAIT_SPIN,      /* never sleeps, and keeps its core (unless the peer must run there too) */
} rbx_wait_how;

/* All zero is the default. */
typedef struct rbx_wait_options {
    rbx_wait_how how;
    uint32_t spin_ns; /* RBX_WAIT_SLEEP: spins at most this long, and never longer than half of
                         RBX_SLICE_NS; 0 means RBX_SPIN_NS, and RBX_NO_SPIN not at all */
} rbx_wait_options;

#define RBX_SPIN_NS 50000U /* about what it costs to fall asleep and to be woken */
#define RBX_NO_SPIN UINT32_MAX

/* A waiter looks up from its sleep this often, to see whether its peer has died. It misses signals
   that come just then: so this is no round time, as those are that people set timers to. */
#define RBX_SLICE_NS UINT64_C(241000000)

typedef struct rbx_bell {
    rbx_atomic32 bits;
} rbx_bell;

enum rbx_bell_bits {
    RBX_BELL_ASLEEP = 1,           /* the sleeper sleeps, or is about to */
    RBX_BELL_PUBLISHER_FENCES = 2, /* the publisher may not use membarrier */
    RBX_BELL_SLEEPER_BARE = 4,     /* the sleeper may not */
    RBX_BELL_SHUT = 8,             /* nothing more will be published */
    RBX_BELL_LATE = 16,  /* something was, by a publisher that had not seen SHUT in time */
    RBX_BELL_ENDED = 32, /* the sleeper has taken the last of it */
    RBX_BELL_RUNG =
        64, /* and up: how often it has been rung, so that who is about to sleep notices */
};

#define RBX_BELL_STATE 63U /* what is to be looked at: the bits but for that count */

/* What must be done after publishing: 0, nearly always, is nothing. */
static inline uint32_t rbx_bell_after_publish(const rbx_bell *bell)
{
    rbx_compiler_barrier(); /* B1: the sleeper's membarrier is the fence */
    return rbx_load_relaxed(&bell->bits) & RBX_BELL_STATE;
}

/* Private to the endpoint that waits. */
typedef struct rbx_patience {
    rbx_wait_how how;
    uint32_t most_ns;    /* the longest spin */
    uint32_t spin_ns;    /* the next spin: shorter after sleeps, longer after spins that paid */
    uint32_t same_core;  /* the peer needs this core: spinning would keep it from running */
    uint32_t in_process; /* nobody in another process sleeps on the same bell */
    uint32_t shared;     /* others may sleep on it */
    uint32_t polled;     /* a descriptor that is polled waits for the bell, too (poll.h) */
    uint32_t sleeps;     /* so far, modulo 2^32 */
} rbx_patience;

RBX_END_DECLS

#endif
