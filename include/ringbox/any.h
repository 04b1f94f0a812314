/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * any.h: one sleep on many rings, of any kinds, to receive and to send.
 *
 *     struct tick { uint64_t id; double price; };
 *     RBX_RING_TYPE(ticks, struct tick, SPSC)
 *
 *     rbx_ring *tick_ring, *order_ring;
 *     ticks_rx ticks;
 *     rbx_rx orders; // of a ring of any message size
 *     struct tick tick;
 *     char order[64];
 *     if (ticks_open(&tick_ring, "ticks", NULL) < 0 || ticks_rx_open(&ticks, tick_ring) < 0)
 *         return 1;
 *     if (rbx_ring_open(&order_ring, "orders", NULL) < 0 || rbx_rx_open(&orders, order_ring) < 0)
 *         return 1;
 *     rbx_any ends[] = {{.rx = &ticks.end}, {.rx = &orders}}; // a ticks_rx has its rbx_rx in it
 *     while (rbx_wait_any(ends, 2, RBX_FOREVER) > 0) {
 *         if (ends[0].ready && ticks_try_recv(&ticks, &tick) == -EPIPE)
 *             break;
 *         if (ends[1].ready && rbx_try_recv(&orders, order) == -EPIPE)
 *             break;
 *     }
 *
 * What holds:
 *  - An end is ready when its next try_ call would answer something else than -EAGAIN: there is a
 *    message, or room; or -EPIPE, -EPROTO, or -EBUSY, since a place or message is in hand. Where
 *    others use the same ring they may be quicker: then it says -EAGAIN all the same.
 *  - All that are ready are marked, so none waits because of others. Who serves but one of them
 *    each time begins to look after the one that was served last:
 *    for (i = 1; i <= n; i++) if (ends[(last + i) % n].ready) { last = (last + i) % n; ... }
 *  - Deaths are noticed as by the calls that wait, within RBX_SLICE_NS: the end is ready, and its
 *    next call gets what the dead one has left, or answers -EOWNERDEAD, also one that does not
 *    wait. It is said once for each death.
 *  - It spins before it sleeps, as long as the most patient of the ends does. If one of them is to
 *    spin or to yield (rbx_rx_wait_by), it never sleeps.
 *  - While nothing happens it wakes once in RBX_SLICE_NS. But where the kernel (older than 5.16) or
 *    a sandbox refuses it a sleep on more than one, it naps, up to a millisecond at a time.
 *  - It takes nothing, and makes no system call that sleeps when an end is ready at once. It needs
 *    some 30 KiB of stack.
 */
#ifndef RINGBOX_ANY_H
#define RINGBOX_ANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/ring.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

#define RBX_ANY_MAX 128

/* One end that is waited for: an rx, or a tx. */
typedef struct rbx_any {
    rbx_rx *rx;
    rbx_tx *tx;
    bool ready; /* what rbx_wait_any says of it */
} rbx_any;

/*
 * Waits until one of the `n` ends is ready: how many are, each marked. On failure none is, and
 *   -ETIMEDOUT  not in time; with 0 it only looks
 *   -EINTR      a signal handler ran while it slept. One that was installed with SA_RESTART is not
 *               noticed in a sleep on several
 *   -EINVAL     no end or more than RBX_ANY_MAX; one that is closed, or was opened before fork();
 *               the same one twice; neither rx nor tx, or both
 */
RBX_API int rbx_wait_any(rbx_any *ends, size_t n, uint64_t timeout_ns);

RBX_END_DECLS

#endif
