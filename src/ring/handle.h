/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* handle.h: a process's own half of a ring. */
#ifndef RBX_RING_HANDLE_H
#define RBX_RING_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/ring.h>
#include <ringbox/spsc.h>

#include "header.h"

enum rbx_ring_end { RBX_TX, RBX_RX, RBX_ENDS };

struct rbx_ring {
    struct rbx_box *box; /* NULL when it lives in none */
    void *own;           /* the memory of a ring without a name; NULL otherwise */
    size_t own_size;
    bool in_process; /* nobody in another process can see it */
    bool read_only;
    char *memory;
    struct rbx_ring_shape shape; /* checked, and never read from the shared header again */
    struct rbx_spsc *spsc;
    char *first, *end; /* of the frames */
    /* By which process each end is open through this handle; 0: by none. After fork() the parent's
       are not the child's. Threads may open and close them at once. */
    _Atomic int32_t taken[RBX_ENDS];
    void *_Atomic endpoint[RBX_ENDS]; /* those */
};

const char *rbx_ring_name(const rbx_ring *ring);

static inline char *rbx_ring_frame(const rbx_ring *ring, uint64_t number)
{
    return ring->first + number % ring->shape.frames * ring->shape.frame.bytes;
}

/* How many messages lie between two positions, frame number << 8 | index. Nonsense gives nonsense,
   and no more. */
static inline uint64_t rbx_ring_between(const rbx_ring *ring, uint64_t from, uint64_t to)
{
    return ((to >> 8) - (from >> 8)) * ring->shape.frame.per_frame + (to & 255) - (from & 255);
}

/* The exact positions of both ends, whoever asks. */
uint64_t rbx_ring_sent(const rbx_ring *ring);
uint64_t rbx_ring_received(const rbx_ring *ring);

#endif
