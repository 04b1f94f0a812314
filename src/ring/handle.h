/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* handle.h: a process's own half of a ring. */
#ifndef RBX_RING_HANDLE_H
#define RBX_RING_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/mpmc.h>
#include <ringbox/ring.h>
#include <ringbox/spsc.h>

#include "header.h"

enum rbx_ring_end { RBX_TX, RBX_RX, RBX_ENDS };

static inline enum rbx_ring_end rbx_other_end(enum rbx_ring_end end)
{
    return end == RBX_TX ? RBX_RX : RBX_TX;
}

/* A seat, as this handle has it. */
struct rbx_chair {
    _Atomic int32_t taken;  /* by which process it is open through this handle; 0: by none. After
                               fork() the parent's are not the child's. */
    void *_Atomic endpoint; /* that one; NULL while it is being opened */
};

struct rbx_ring {
    struct rbx_box *box; /* NULL when it lives in none */
    void *own;           /* the memory of a ring without a name; NULL otherwise */
    size_t own_size;
    bool in_process; /* nobody in another process can see it */
    bool read_only;
    char *memory;
    struct rbx_ring_shape shape; /* checked, and never read from the shared header again */
    const struct rbx_kind *kind;
    union { /* what the kind keeps, at RBX_RING_SHARED_AT */
        struct rbx_spsc *spsc;
        struct rbx_mpmc *mpmc;
        struct rbx_locked *locked;
    };
    char *first, *end; /* of the frames */
    struct rbx_seat *seats[RBX_ENDS];
    struct rbx_chair *chairs[RBX_ENDS]; /* threads may open and close them at once */
    _Atomic int32_t repairing;          /* a thread of this process is, through this handle */
};

const char *rbx_ring_name(const rbx_ring *ring);

/* What is said of any kind of ring. Each returns the error that it names. */
int rbx_ring_damaged(const rbx_ring *ring);     /* -EPROTO */
int rbx_ring_is_shut(const rbx_ring *ring);     /* -EPIPE */
int rbx_ring_interrupted(const rbx_ring *ring); /* -EINTR */
/* For the end that waited in vain: -ETIMEDOUT; and because the last of the other end has died:
 * -EOWNERDEAD. */
int rbx_ring_timed_out(const rbx_ring *ring, enum rbx_ring_end end);
int rbx_ring_forsaken(const rbx_ring *ring, enum rbx_ring_end end);

static inline char *rbx_ring_frame(const rbx_ring *ring, uint64_t number)
{
    return ring->first + number % ring->shape.frames * ring->shape.frame.bytes;
}

#endif
