/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * arm.h: an end of a ring that is waited for from outside of its own calls: along with others, or
 * by a descriptor. By the thread that has the endpoint.
 *
 *     rbx_arm_tx, rbx_arm_rx     once: refuses what cannot be waited for
 *     rbx_arm_is_ready           ready? do not sleep
 *     rbx_arm_announce           for each end: its bell says ASLEEP                          (B1)
 *     rbx_arm_fence              once for all of them
 *     rbx_arm_holds              for each: nothing yet. It may be slept on until the word at
 *                                `word` says something else than `value`
 *     rbx_arm_disarm             for each that was announced
 *
 * After any wake-up, for whatever reason, ask rbx_arm_is_ready: on a bell that many share it may
 * have been rung for another. Once more after RBX_FIRST_SLEEP_NS without one, when the fence may
 * have left out a thread (wait.h). And at the time `due` rbx_arm_mind sees to the dead. Once the
 * word has changed, or a waiting call of the endpoint has slept, it is armed no more.
 */
#ifndef RBX_RING_ARM_H
#define RBX_RING_ARM_H

#include <stdbool.h>
#include <stdint.h>

#include <ringbox/ring.h>

#include "../os/thread.h"
#include "end.h"
#include "kind.h"

#define RBX_ARM_MAX 128 /* ends that can be fenced at once */

struct rbx_armed {
    struct rbx_end end;
    rbx_tx *tx; /* one of the two */
    rbx_rx *rx;
    rbx_patience *patience; /* the endpoint's */
    struct rbx_outlook outlook;
    const void *word;     /* a futex of 32 bits; */
    uint32_t value;       /* what it says as long as nothing happens */
    bool in_process;      /* whether it is a private one */
    uint64_t due;         /* on the monotonic clock; 0: not said yet */
    uint64_t stuck_slice; /* how long the next slice is to be while somebody is stuck */
};

/* -EINVAL: the endpoint is closed, or was opened before a fork(), or somewhere else. */
int rbx_arm_tx_of(struct rbx_armed *armed, rbx_tx *tx, int32_t process);
int rbx_arm_rx_of(struct rbx_armed *armed, rbx_rx *rx, int32_t process);

/* Whoever arms many asks once which process this is. */
static inline int rbx_arm_tx(struct rbx_armed *armed, rbx_tx *tx)
{
    return rbx_arm_tx_of(armed, tx, rbx_thread_process());
}

static inline int rbx_arm_rx(struct rbx_armed *armed, rbx_rx *rx)
{
    return rbx_arm_rx_of(armed, rx, rbx_thread_process());
}

/* Whether a try would answer something else than -EAGAIN, or get on; else it has seen what to wait
   for. It takes nothing, and announces nothing. */
bool rbx_arm_is_ready(struct rbx_armed *armed);

void rbx_arm_announce(struct rbx_armed *armed);
void rbx_arm_fence(struct rbx_armed *armed, unsigned count);
/* Whether nothing has changed since rbx_arm_is_ready said no. False: disarm, and ask again. */
bool rbx_arm_holds(struct rbx_armed *armed);
void rbx_arm_disarm(struct rbx_armed *armed);

/* Announces, fences and holds, or disarms: for one end alone. */
bool rbx_arm(struct rbx_armed *armed);

/* Whether anything that was waited for has changed: a quick look, that may be wrong either way for
   a moment. */
bool rbx_arm_is_over(const struct rbx_armed *armed);

/* When to see to the dead next: about RBX_SLICE_NS from now, or soon while somebody is in the
   middle of a call. To be asked whenever it is armed. */
uint64_t rbx_arm_due(struct rbx_armed *armed, uint64_t now);
/*
 * Sees to the dead: whether the end is ready then. To be called at the time that is due, and before
 * the caller gives up. What is found about a death is told by the next try that finds nothing else,
 * as -EOWNERDEAD, once.
 */
bool rbx_arm_mind(struct rbx_armed *armed);

#endif
