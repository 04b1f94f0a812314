/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.h: falling asleep on a bell, and ringing it. The protocol is in <ringbox/wait.h>. */
#ifndef RBX_SRC_WAIT_H
#define RBX_SRC_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include <ringbox/wait.h>

/*
 * Says on the bell whether this process may use membarrier, as who publishes and as who sleeps. On
 * a bell that many share, one that may not is remembered for good.
 */
void rbx_bell_join_as_publisher(rbx_bell *bell, bool shared);
void rbx_bell_join_as_sleeper(rbx_bell *bell, bool shared);

/* Wakes whoever sleeps; true if somebody did. After a publication that the sleeper waits for. */
bool rbx_bell_ring(rbx_bell *bell, bool in_process);

/*
 * B1, the sleeper's half: what is published before this in another thread is seen after it, and
 * what is published later finds the bell as it is now. False: not this time, since membarrier is
 * refused only now; from now on publishers fence.
 */
bool rbx_bell_fence(rbx_bell *bell);

/* The same for many bells at once, for one membarrier at most. */
bool rbx_bell_fence_all(rbx_bell *const *bells, unsigned count);

/* Keeps the core, and looks at nothing that others write. */
void rbx_wait_a_little(uint64_t ns);

/* -EINVAL when the options make no sense. `shared`: others sleep on the same bell. */
int rbx_patience_init(rbx_patience *patience, const rbx_wait_options *options, bool in_process,
                      bool shared);

/* When a timeout that begins now ends. Never 0. */
uint64_t rbx_wait_deadline(uint64_t timeout_ns);

#define RBX_SPIN_SHARE 16 /* the shortest spin, as a share of the longest */

/* A wait of this length has ended: how long the next spin is to be, given the last one and the
   longest. Would a spin have been worth it? */
static inline uint32_t rbx_spin_after(uint32_t spin_ns, uint32_t most_ns, uint64_t waited_ns)
{
    uint32_t least = most_ns / RBX_SPIN_SHARE;
    if (waited_ns < 2 * (uint64_t)most_ns)
        return spin_ns < most_ns / 2 ? spin_ns * 2 + 1 : most_ns;
    return spin_ns / 2 > least ? spin_ns / 2 : least;
}

/* A word that somebody waits for: until it says something else than it did. */
struct rbx_watched {
    const rbx_atomic64 *word;
    uint64_t seen;
};

/* What ends a wait: any of these words, and that the bell is shut, unless that is known. */
struct rbx_awaited {
    const struct rbx_watched *words;
    unsigned count;
    bool known_shut; /* and yet something may come */
};

/* Relaxed: who waited looks again, with the order that it needs. */
bool rbx_wait_is_over(const rbx_bell *bell, const struct rbx_awaited *awaited);

/*
 * How a sleep begins and ends. What the bell says with the announcement is what the second look,
 * after rbx_bell_fence_all, must find, but for who must fence: another's ASLEEP, after a ring, is
 * no announcement of this sleeper's, and publishers need not have seen it. `bits` then says what to
 * sleep on.
 */
uint32_t rbx_bell_announce(rbx_bell *bell);
bool rbx_bell_is_unrung(const rbx_bell *bell, uint32_t *bits);
void rbx_bell_retract(rbx_bell *bell, bool shared);

/*
 * The first sleep after an announcement is short, since rbx_thread_fence_others may leave out a
 * thread: what a publisher had in its store buffer when the bell began to say ASLEEP is long
 * visible by then, and ASLEEP to it. Whoever sleeps on without being woken looks once more then.
 */
#define RBX_FIRST_SLEEP_NS 1000000U

/*
 * Waits until one of the words has changed or the bell is shut, or, when it is shared, has rung: 0.
 * -ETIMEDOUT at the deadline; -EINTR when a signal handler has run; -EAGAIN after a slice: look
 * whether the peer lives.
 */
int rbx_wait_change(rbx_bell *bell, const struct rbx_awaited *awaited, uint64_t slice_ns,
                    uint64_t deadline, rbx_patience *patience);

#endif
