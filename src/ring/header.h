/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * header.h: what a ring's memory begins with, and what a handle keeps of it.
 *
 *     0      struct rbx_ring_header    constant once the ring is made
 *     256    struct rbx_spsc, rbx_mpmc or rbx_locked: what all ends share
 *     1024   seats, of senders and then of receivers, 128 bytes each; RBX_SPSC has its two above
 *     ...    frames
 */
#ifndef RBX_RING_HEADER_H
#define RBX_RING_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include <ringbox/mpmc.h>
#include <ringbox/ring.h>
#include <ringbox/spsc.h>

#define RBX_RING_MAGIC "rbxring" /* eight bytes with its NUL; the same in every version */
#define RBX_RING_VERSION 1U
#define RBX_RING_BYTE_ORDER 0x01020304U
#define RBX_RING_SHARED_AT 256U
#define RBX_RING_SEATS_AT 1024U

/* The shape of a ring: copied into the header when it is made, and from it, checked, by a handle.
 */
struct rbx_ring_shape {
    uint32_t kind;
    uint32_t alignment;
    struct rbx_frame frame;
    uint32_t flags;
    uint64_t capacity; /* as asked for */
    uint64_t frames;   /* SPSC: enough for `capacity` messages, and `lazy` more; else slots */
    uint64_t lazy;     /* SPSC: frames that a receiver keeps back at most, and one in its hands */
    uint64_t first_frame; /* the number of the first frame, or position: 0 but in tests */
    uint64_t tag;
    uint32_t seats[2]; /* senders, receivers */
};

struct rbx_ring_header {
    char magic[8]; /* written last */
    uint32_t byte_order;
    uint32_t version;
    struct rbx_ring_shape shape;
    uint8_t reserved[RBX_RING_SHARED_AT - 16 - sizeof(struct rbx_ring_shape)];
};

_Static_assert(sizeof(struct rbx_frame) == 20, "layout");
_Static_assert(offsetof(struct rbx_ring_shape, capacity) == 32, "layout");
_Static_assert(sizeof(struct rbx_ring_shape) == 80, "layout");
_Static_assert(sizeof(struct rbx_seat) == 128, "layout");
_Static_assert(sizeof(struct rbx_ring_header) == RBX_RING_SHARED_AT, "layout");
_Static_assert(offsetof(struct rbx_spsc, rx) == 128, "layout");
_Static_assert(offsetof(struct rbx_spsc, freed) == 256, "layout");
_Static_assert(offsetof(struct rbx_spsc, message) == 384, "layout");
_Static_assert(offsetof(struct rbx_spsc, room) == 512, "layout");
_Static_assert(offsetof(struct rbx_mpmc, head) == 128, "layout");
_Static_assert(offsetof(struct rbx_mpmc, message) == 256, "layout");
_Static_assert(offsetof(struct rbx_mpmc, room) == 384, "layout");
_Static_assert(offsetof(struct rbx_mpmc, high_water) == 512, "layout");
_Static_assert(RBX_RING_SHARED_AT + sizeof(struct rbx_spsc) <= RBX_RING_SEATS_AT, "layout");
_Static_assert(RBX_RING_SHARED_AT + sizeof(struct rbx_mpmc) <= RBX_RING_SEATS_AT, "layout");

/* The shape of a new ring with these options; -EINVAL and a sentence when it can have none. */
int rbx_ring_plan(struct rbx_ring_shape *shape, const rbx_ring_options *options);

static inline uint64_t rbx_ring_frames_at(const struct rbx_ring_shape *shape)
{
    uint64_t seats = (uint64_t)shape->seats[0] + shape->seats[1];
    return RBX_RING_SEATS_AT + (shape->kind == RBX_SPSC ? 0 : seats * sizeof(struct rbx_seat));
}

static inline uint64_t rbx_ring_size(const struct rbx_ring_shape *shape)
{
    return rbx_ring_frames_at(shape) + shape->frames * shape->frame.bytes;
}

/* Makes an empty ring in zeroed memory of rbx_ring_size(shape) bytes: 0 or -errno. */
int rbx_ring_format(void *memory, const struct rbx_ring_shape *shape);

/*
 * Copies out the shape of the ring in `memory` and checks that it is one, and the one that
 * `options` (or NULL) ask for: 0, or -EPROTO with a sentence that calls it `name`.
 */
int rbx_ring_read(struct rbx_ring_shape *shape, const void *memory, uint64_t size,
                  const rbx_ring_options *options, const char *name);

#endif
