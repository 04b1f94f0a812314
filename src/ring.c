/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/message.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "box/handle.h"
#include "error.h"
#include "os/map.h"
#include "ring/handle.h"
#include "ring/header.h"
#include "ring/seat.h"
#include "wait.h"

const char *rbx_ring_name(const rbx_ring *ring)
{
    return ring->box ? rbx_box_name(ring->box) : "in memory";
}

/* A handle of the ring in `memory`, which is checked; or NULL, with why in *err. */
static struct rbx_ring *attach(int *err, void *memory, uint64_t size,
                               const rbx_ring_options *options, const char *name)
{
    struct rbx_ring_shape shape;
    *err = rbx_ring_read(&shape, memory, size, options, name);
    if (*err < 0)
        return NULL;
    struct rbx_ring *made = calloc(1, sizeof *made);
    if (!made) {
        *err = rbx_fail(-ENOMEM, "cannot allocate a ring handle: %m");
        return NULL;
    }
    made->memory = memory;
    made->shape = shape;
    made->spsc = (void *)(made->memory + RBX_RING_SPSC_AT);
    made->first = made->memory + RBX_RING_FRAMES_AT;
    made->end = made->first + shape.frames * shape.frame.bytes;
    return made;
}

int rbx_ring_open_box(rbx_ring **ring, rbx_box *box, const rbx_ring_options *options)
{
    *ring = NULL;
    int err = box->raw ? rbx_fail(-EINVAL, "'%s' is mapped raw: a ring takes a box", box->name.text)
              : box->is_rings
                  ? rbx_fail(-EBUSY, "box '%s' belongs to a ring handle already", box->name.text)
                  : rbx_handle_check(box);
    if (err < 0)
        return err;
    struct rbx_ring *made =
        attach(&err, rbx_box_data(box), rbx_box_size(box), options, rbx_box_name(box));
    if (!made)
        return err;
    made->box = box;
    made->read_only = box->read_only;
    box->is_rings = true;
    *ring = made;
    return 0;
}

static int format(void *data, size_t size, void *arg)
{
    (void)size;
    rbx_ring_format(data, arg);
    return 0;
}

/* What a box's own check cannot say as well: which ring is there instead. */
static int join_any_size(rbx_box **box, const char *name, rbx_box_options options)
{
    options.how = RBX_OPEN_ONLY;
    options.size = 0;
    return rbx_box_open(box, name, &options);
}

static int open_box(rbx_box **box, const char *name, const rbx_ring_options *options)
{
    rbx_box_options wanted = options->box;
    if (wanted.size || wanted.tag || wanted.raw || wanted.init)
        return rbx_fail(-EINVAL,
                        "the size, tag, init and raw of a ring's box are the ring's to say");
    if (wanted.policy == RBX_OWNER_UNLINKS)
        wanted.policy = RBX_LAST_ONE_OUT; /* a restarted side joins, whoever made it */
    if (wanted.how == RBX_OPEN_ONLY)
        return rbx_box_open(box, name, &wanted);
    struct rbx_ring_shape shape;
    int err = rbx_ring_plan(&shape, options);
    if (err < 0)
        return err;
    wanted.size = (size_t)rbx_ring_size(&shape);
    wanted.init = format;
    wanted.init_arg = &shape;
    err = rbx_box_open(box, name, &wanted);
    if (err == -EPROTO && wanted.how == RBX_OPEN_OR_CREATE)
        err = join_any_size(box, name, options->box);
    if (err == -ENOENT) /* it has gone meanwhile, and so does not stand in the way */
        err = rbx_box_open(box, name, &wanted);
    return err;
}

static int open_private(rbx_ring **ring, const rbx_ring_options *options)
{
    struct rbx_ring_shape shape;
    int err = rbx_ring_plan(&shape, options);
    if (err < 0)
        return err;
    size_t size = (size_t)rbx_ring_size(&shape);
    void *memory;
    err = rbx_map_private(&memory, size);
    if (err < 0)
        return rbx_fail(err, "cannot reserve %zu bytes for a ring: %m", size);
    if (options->box.huge_pages)
        rbx_map_prefer_huge(memory, size);
    if (options->box.lock_memory)
        rbx_map_lock(memory, size);
    if (options->box.prefault)
        rbx_map_prefault(memory, size, true);
    rbx_ring_format(memory, &shape);
    struct rbx_ring *made = attach(&err, memory, size, NULL, "in memory");
    if (!made) {
        rbx_unmap(memory, size);
        return err;
    }
    made->own = memory;
    made->own_size = size;
    made->in_process = true;
    *ring = made;
    return 0;
}

int rbx_ring_open(rbx_ring **ring, const char *name, const rbx_ring_options *options)
{
    *ring = NULL;
    const rbx_ring_options any = {.box = {.how = RBX_OPEN_ONLY}};
    if (!options)
        options = &any;
    if (!name)
        return open_private(ring, options);
    rbx_box *box;
    int err = open_box(&box, name, options);
    if (err < 0)
        return err;
    err = rbx_ring_open_box(ring, box, options);
    if (err < 0)
        rbx_box_close(box);
    return err;
}

int rbx_ring_open_as(rbx_ring **ring, const char *name, const rbx_ring_options *options,
                     rbx_ring_kind kind, size_t size, size_t alignment)
{
    rbx_ring_options typed = {.box = {.how = RBX_OPEN_ONLY}};
    if (options)
        typed = *options;
    typed.kind = kind;
    typed.message_size = size;
    typed.alignment = alignment;
    return rbx_ring_open(ring, name, &typed);
}

int rbx_ring_bytes(const rbx_ring_options *options, uint64_t *bytes)
{
    struct rbx_ring_shape shape;
    int err = rbx_ring_plan(&shape, options);
    *bytes = err < 0 ? 0 : rbx_ring_size(&shape);
    return err;
}

static int check_memory(const void *memory)
{
    return (uintptr_t)memory % 64 == 0
               ? 0
               : rbx_fail(-EINVAL, "the memory of a ring must be aligned to 64 bytes");
}

int rbx_ring_init(void *memory, size_t size, const rbx_ring_options *options)
{
    struct rbx_ring_shape shape;
    int err = check_memory(memory);
    if (err == 0)
        err = rbx_ring_plan(&shape, options);
    if (err < 0)
        return err;
    if (size < rbx_ring_size(&shape))
        return rbx_fail(-EINVAL, "such a ring needs %llu bytes, not %zu",
                        (unsigned long long)rbx_ring_size(&shape), size);
    rbx_ring_format(memory, &shape);
    return 0;
}

int rbx_ring_attach(rbx_ring **ring, void *memory, size_t size, const rbx_ring_options *options)
{
    *ring = NULL;
    int err = check_memory(memory);
    if (err == 0)
        *ring = attach(&err, memory, size, options, "in memory");
    return err;
}

int rbx_ring_close(rbx_ring *ring)
{
    if (!ring)
        return 0;
    if (rbx_seat_is_ours(ring, RBX_TX) || rbx_seat_is_ours(ring, RBX_RX))
        return rbx_fail(-EBUSY, "ring '%s' still has an open endpoint here", rbx_ring_name(ring));
    int err = rbx_box_close(ring->box);
    if (ring->own)
        rbx_unmap(ring->own, ring->own_size);
    free(ring);
    return err;
}

rbx_box *rbx_ring_box(const rbx_ring *ring)
{
    return ring->box;
}

int rbx_ring_shutdown(rbx_ring *ring)
{
    struct rbx_spsc *spsc = ring->spsc;
    if (ring->read_only)
        return rbx_fail(-EACCES, "ring '%s' was opened read-only", rbx_ring_name(ring));
    if (rbx_or_seq_cst(&spsc->message.bits, RBX_BELL_SHUT) & RBX_BELL_SHUT)
        return rbx_fail(-EINVAL, "ring '%s' was shut down before", rbx_ring_name(ring));
    rbx_or_seq_cst(&spsc->room.bits, RBX_BELL_SHUT);
    rbx_bell_ring(&spsc->message, ring->in_process);
    rbx_bell_ring(&spsc->room, ring->in_process);
    return 0;
}

uint64_t rbx_ring_sent(const rbx_ring *ring)
{
    /* I4. Relaxed: any earlier frame in hand will do. */
    uint64_t begun = rbx_load_relaxed(&ring->spsc->tx.at) & ~(uint64_t)255;
    const rbx_atomic64 *head = (const void *)rbx_ring_frame(ring, begun >> 8);
    uint64_t header = rbx_load_acquire(head);
    /* A later number: it went round since we looked, and that is an exact position too. */
    return header >> 8 >= begun >> 8 ? header : begun;
}

uint64_t rbx_ring_received(const rbx_ring *ring)
{
    uint64_t at = rbx_load_acquire(&ring->spsc->rx.at);
    uint64_t freed = rbx_load_acquire(&ring->spsc->freed);
    /* `freed` is ahead when the receiver is, or has died, inside rbx_spsc_give_back. */
    return at >> 8 < freed ? freed << 8 : at;
}

int rbx_ring_describe(const rbx_ring *ring, rbx_ring_info *info)
{
    const struct rbx_ring_shape *shape = &ring->shape;
    const struct rbx_spsc *spsc = ring->spsc;
    uint64_t start = shape->first_frame << 8;
    /* What was received first: so it is never more than what was sent. */
    uint64_t received = rbx_ring_received(ring);
    *info = (rbx_ring_info){
        .kind = (rbx_ring_kind)shape->kind,
        .message_size = shape->frame.message_size,
        .alignment = shape->alignment,
        .capacity = (size_t)shape->capacity,
        .tag = shape->tag,
        .sent = rbx_ring_between(ring, start, rbx_ring_sent(ring)),
        .received = rbx_ring_between(ring, start, received),
        .high_water = rbx_load_relaxed(&spsc->tx.high_water) * shape->frame.per_frame,
        .shut = rbx_load_relaxed(&spsc->message.bits) & RBX_BELL_SHUT,
    };
    rbx_seat_describe(ring, RBX_TX, &info->tx);
    rbx_seat_describe(ring, RBX_RX, &info->rx);
    return 0;
}
