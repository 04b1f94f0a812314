/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kind.h: what the kinds of ring do differently, off the hot path. */
#ifndef RBX_RING_KIND_H
#define RBX_RING_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/ring.h>

#include "handle.h"
#include "header.h"

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

    int (*shutdown)(rbx_ring *ring); /* -EALREADY, without a sentence: it was before */
    void (*describe)(const rbx_ring *ring, rbx_ring_info *info);
    int (*repair)(rbx_ring *ring, rbx_repaired *repaired);
};

extern const struct rbx_kind rbx_kind_spsc, rbx_kind_mpmc, rbx_kind_locked;

/* NULL: there is none of that number. */
const struct rbx_kind *rbx_kind_of(uint32_t number);

#endif
