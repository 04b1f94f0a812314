/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kind.h: what the kinds of ring do differently, off the hot path. */
#ifndef RBX_RING_KIND_H
#define RBX_RING_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/ring.h>

#include "../wait.h"
#include "handle.h"
#include "header.h"

/* What an end waits for that can do nothing now: a change of these words, or that its bell is
   shut. */
struct rbx_outlook {
    rbx_bell *bell; /* its own: it sleeps on it */
    struct rbx_watched words[3];
    unsigned count;
    bool known_shut; /* and yet something may come */
    bool stuck;      /* somebody is in the middle of a call, and may have died there: look soon */
    bool strict;     /* and may be passed for reasons that no word tells: look often */
};

struct rbx_kind {
    const char *name;
    struct rbx_frame (*frame_for)(size_t size, size_t alignment);
    /* How many frames for shape->capacity, and how lazy; false: more than there can be. */
    bool (*plan)(struct rbx_ring_shape *shape);
    /* Whether positions stay inside, once what all kinds have in common is known to be sound. */
    bool (*is_sound)(const struct rbx_ring_shape *shape);
    /* An empty ring, in zeroed memory: 0 or -errno. */
    int (*format)(void *memory, const struct rbx_ring_shape *shape);

    /*
     * Makes a zeroed endpoint ready whose seat has just been taken: on failure it is none. -EAGAIN:
     * not in this seat.
     */
    int (*begin_tx)(rbx_tx *tx, rbx_ring *ring, unsigned seat);
    int (*begin_rx)(rbx_rx *rx, rbx_ring *ring, unsigned seat);
    /* Gives up what an endpoint holds. */
    void (*end_tx)(rbx_tx *tx);
    void (*end_rx)(rbx_rx *rx);

    /*
     * Whether a try would answer something else than -EAGAIN, or at least get on; if not, what is
     * to be waited for. Of an end with nothing in hand. It takes nothing, and does nothing that
     * others see but what any of them would do: finish a shutdown, or see to the dead at the end.
     */
    bool (*may_send)(rbx_tx *tx, struct rbx_outlook *outlook);
    bool (*may_receive)(rbx_rx *rx, struct rbx_outlook *outlook);
    /* For an end that has waited for a slice: sees to the dead. The last death at the other end,
       when nobody is left there and it is not the one that `known` says; else 0. */
    uint32_t (*forsaken)(rbx_ring *ring, enum rbx_ring_end end, uint32_t known);

    /* Those that receivers sleep on, and senders. */
    void (*bells)(const rbx_ring *ring, rbx_bell **message, rbx_bell **room);

    int (*shutdown)(rbx_ring *ring); /* -EALREADY, without a sentence: it was before */
    void (*describe)(const rbx_ring *ring, rbx_ring_info *info);
    int (*repair)(rbx_ring *ring, rbx_repaired *repaired);
};

extern const struct rbx_kind rbx_kind_spsc, rbx_kind_mpmc, rbx_kind_locked;

/* NULL: there is none of that number. */
const struct rbx_kind *rbx_kind_of(uint32_t number);

#endif
