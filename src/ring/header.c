/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "header.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../error.h"

/* A quarter of what the capacity takes, at least one. */
#define LAZY_SHARE 4

static int check_options(const rbx_ring_options *options)
{
    if (options->kind != RBX_SPSC)
        return rbx_fail(-EINVAL, "there is no ring of kind %d", (int)options->kind);
    size_t alignment = options->alignment;
    if (alignment > RBX_MESSAGE_ALIGNMENT_MAX || (alignment & (alignment - 1)))
        return rbx_fail(-EINVAL, "messages can be aligned to 1, 2, 4 .. %zu bytes, not to %zu",
                        RBX_MESSAGE_ALIGNMENT_MAX, alignment);
    if (options->message_size > RBX_MESSAGE_SIZE_MAX)
        return rbx_fail(-EINVAL, "a message has at most %zu bytes, not %zu", RBX_MESSAGE_SIZE_MAX,
                        options->message_size);
    return 0;
}

int rbx_ring_plan(struct rbx_ring_shape *shape, const rbx_ring_options *options)
{
    if (!options)
        return rbx_fail(-EINVAL, "a new ring needs options: a message size and a capacity");
    int err = check_options(options);
    if (err < 0)
        return err;
    if (options->message_size == 0)
        return rbx_fail(-EINVAL, "a new ring needs a message size");
    if (options->capacity == 0)
        return rbx_fail(-EINVAL, "a new ring needs a capacity");
    size_t alignment = options->alignment;
    if (alignment == 0)
        for (alignment = 8; options->message_size % alignment; alignment /= 2)
            ;
    struct rbx_frame frame = rbx_frame_for(options->message_size, alignment);
    uint64_t capacity = options->capacity;
    uint64_t full = capacity / frame.per_frame + (capacity % frame.per_frame != 0);
    uint64_t lazy = full / LAZY_SHARE ? full / LAZY_SHARE : 1;
    const uint64_t most = RBX_BOX_SIZE_MAX < SIZE_MAX ? RBX_BOX_SIZE_MAX : SIZE_MAX;
    if (full > most || full + lazy > (most - RBX_RING_FRAMES_AT) / frame.bytes)
        return rbx_fail(-EINVAL, "%zu messages of %zu bytes are more than any ring can hold",
                        options->capacity, options->message_size);
    *shape = (struct rbx_ring_shape){.kind = (uint32_t)options->kind,
                                     .alignment = (uint32_t)alignment,
                                     .frame = frame,
                                     .capacity = capacity,
                                     .frames = full + lazy,
                                     .lazy = lazy,
                                     .tag = options->tag};
    return 0;
}

void rbx_ring_format(void *memory, const struct rbx_ring_shape *shape)
{
    struct rbx_ring_header *header = memory;
    struct rbx_spsc *spsc = (void *)((char *)memory + RBX_RING_SPSC_AT);
    header->byte_order = RBX_RING_BYTE_ORDER;
    header->version = RBX_RING_VERSION;
    header->shape = *shape;
    /* Relaxed: nobody looks before the magic is there, in memory of the caller's, or the box has
       its name. */
    rbx_store_relaxed(&spsc->tx.at, shape->first_frame << 8);
    rbx_store_relaxed(&spsc->rx.at, shape->first_frame << 8);
    rbx_store_relaxed(&spsc->freed, shape->first_frame);
    rbx_full_fence();
    memcpy(header->magic, RBX_RING_MAGIC, sizeof header->magic);
}

/* Whether addresses that are computed from it stay inside `size` bytes. */
static bool is_sound(const struct rbx_ring_shape *shape, uint64_t size)
{
    const struct rbx_frame *f = &shape->frame;
    if (size < RBX_RING_FRAMES_AT || shape->kind != RBX_SPSC)
        return false;
    if (shape->alignment == 0 || shape->alignment > RBX_MESSAGE_ALIGNMENT_MAX ||
        (shape->alignment & (shape->alignment - 1)))
        return false;
    if (f->message_size == 0 || f->message_size > RBX_MESSAGE_SIZE_MAX ||
        f->stride < f->message_size || f->stride > 2 * RBX_MESSAGE_SIZE_MAX ||
        f->stride % shape->alignment)
        return false;
    if (f->offset < 8 || f->offset > 64 || f->offset % shape->alignment)
        return false;
    if (f->per_frame == 0 || f->per_frame > 255 || f->bytes == 0 || f->bytes % 64 ||
        (uint64_t)f->per_frame * f->stride + f->offset > f->bytes)
        return false;
    if (shape->frames < 2 || shape->frames > (size - RBX_RING_FRAMES_AT) / f->bytes)
        return false;
    return shape->lazy >= 1 && shape->lazy < shape->frames &&
           shape->capacity <= (shape->frames - shape->lazy) * f->per_frame;
}

static int check_wishes(const struct rbx_ring_shape *shape, const rbx_ring_options *options,
                        const char *name)
{
    int err = check_options(options);
    if (err < 0)
        return err;
    if ((uint32_t)options->kind != shape->kind)
        return rbx_fail(-EPROTO, "ring '%s' is of kind %u; this program asked for kind %d", name,
                        shape->kind, (int)options->kind);
    if (options->message_size && options->message_size != shape->frame.message_size)
        return rbx_fail(-EPROTO, "ring '%s' holds %u-byte messages; this program asked for %zu",
                        name, shape->frame.message_size, options->message_size);
    if (options->alignment > shape->alignment)
        return rbx_fail(-EPROTO,
                        "ring '%s' aligns its messages to %u bytes; this program asked for %zu",
                        name, shape->alignment, options->alignment);
    if (options->capacity > shape->capacity)
        return rbx_fail(-EPROTO, "ring '%s' holds %llu messages; this program asked for %zu", name,
                        (unsigned long long)shape->capacity, options->capacity);
    if (options->tag && options->tag != shape->tag)
        return rbx_fail(-EPROTO, "ring '%s' has the tag %#llx; this program asked for %#llx", name,
                        (unsigned long long)shape->tag, (unsigned long long)options->tag);
    return 0;
}

int rbx_ring_read(struct rbx_ring_shape *shape, const void *memory, uint64_t size,
                  const rbx_ring_options *options, const char *name)
{
    const struct rbx_ring_header *shared = memory;
    struct rbx_ring_header header;
    if (size < sizeof header)
        return rbx_fail(-EPROTO, "'%s' is no ring: it has only %llu bytes", name,
                        (unsigned long long)size);
    memcpy(header.magic, shared->magic, sizeof header.magic);
    if (memcmp(header.magic, RBX_RING_MAGIC, sizeof header.magic) != 0)
        return rbx_fail(-EPROTO, "'%s' is no ring", name);
    rbx_full_fence(); /* what follows the magic was written before it */
    memcpy(&header, shared, sizeof header);
    if (header.byte_order != RBX_RING_BYTE_ORDER)
        return rbx_fail(-EPROTO, "ring '%s' was made by a machine of the other byte order", name);
    if (header.version != RBX_RING_VERSION)
        return rbx_fail(-EPROTO, "ring '%s' has layout version %u; this program knows version %u",
                        name, header.version, RBX_RING_VERSION);
    if (!is_sound(&header.shape, size))
        return rbx_fail(-EPROTO, "the header of ring '%s' is damaged", name);
    *shape = header.shape;
    return options ? check_wishes(shape, options, name) : 0;
}
