/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "header.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../error.h"
#include "kind.h"

#define ALL_FLAGS ((unsigned)(RBX_STRICT | RBX_DROP))

static int check_seats(unsigned seats, const char *noun)
{
    return seats <= RBX_SEATS_MAX
               ? 0
               : rbx_fail(-EINVAL, "a ring has at most %u %s, not %u", RBX_SEATS_MAX, noun, seats);
}

static int check_options(const rbx_ring_options *options)
{
    if (!rbx_kind_of((uint32_t)options->kind))
        return rbx_fail(-EINVAL, "there is no ring of kind %d", (int)options->kind);
    size_t alignment = options->alignment;
    if (alignment > RBX_MESSAGE_ALIGNMENT_MAX || (alignment & (alignment - 1)))
        return rbx_fail(-EINVAL, "messages can be aligned to 1, 2, 4 .. %zu bytes, not to %zu",
                        RBX_MESSAGE_ALIGNMENT_MAX, alignment);
    if (options->message_size > RBX_MESSAGE_SIZE_MAX)
        return rbx_fail(-EINVAL, "a message has at most %zu bytes, not %zu", RBX_MESSAGE_SIZE_MAX,
                        options->message_size);
    if (options->flags & ~ALL_FLAGS)
        return rbx_fail(-EINVAL, "there are no flags %#x", options->flags & ~ALL_FLAGS);
    if (options->flags && options->kind != RBX_MPMC)
        return rbx_fail(-EINVAL, "RBX_STRICT and RBX_DROP are for rings of kind RBX_MPMC");
    if (options->kind == RBX_SPSC && (options->senders > 1 || options->receivers > 1))
        return rbx_fail(-EINVAL, "a ring of kind RBX_SPSC has one sender and one receiver");
    int err = check_seats(options->senders, "senders");
    return err < 0 ? err : check_seats(options->receivers, "receivers");
}

static uint32_t seats(rbx_ring_kind kind, unsigned asked_for)
{
    return kind == RBX_SPSC ? 1 : asked_for ? asked_for : RBX_SEATS;
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
    const struct rbx_kind *kind = rbx_kind_of((uint32_t)options->kind);
    *shape = (struct rbx_ring_shape){.kind = (uint32_t)options->kind,
                                     .alignment = (uint32_t)alignment,
                                     .frame = kind->frame_for(options->message_size, alignment),
                                     .flags = options->flags,
                                     .capacity = options->capacity,
                                     .tag = options->tag,
                                     .seats = {seats(options->kind, options->senders),
                                               seats(options->kind, options->receivers)}};
    const uint64_t most = RBX_BOX_SIZE_MAX;
    uint64_t room = (most - rbx_ring_frames_at(shape)) / shape->frame.bytes;
    if (shape->capacity > most || !kind->plan(shape) || shape->frames > room)
        return rbx_fail(-EINVAL, "%zu messages of %zu bytes are more than any ring can hold",
                        options->capacity, options->message_size);
    return 0;
}

int rbx_ring_format(void *memory, const struct rbx_ring_shape *shape)
{
    struct rbx_ring_header *header = memory;
    header->byte_order = RBX_RING_BYTE_ORDER;
    header->version = RBX_RING_VERSION;
    header->shape = *shape;
    /* Nobody looks before the magic is there, in memory of the caller's, or the box has its name.
     */
    int err = rbx_kind_of(shape->kind)->format(memory, shape);
    if (err < 0)
        return rbx_fail(err, "cannot make a ring of kind %s: %m", rbx_kind_of(shape->kind)->name);
    rbx_full_fence();
    memcpy(header->magic, RBX_RING_MAGIC, sizeof header->magic);
    return 0;
}

/* Whether addresses that are computed from it stay inside `size` bytes. */
static bool is_sound(const struct rbx_ring_shape *shape, uint64_t size)
{
    const struct rbx_frame *f = &shape->frame;
    const struct rbx_kind *kind = rbx_kind_of(shape->kind);
    if (!kind)
        return false;
    for (int end = 0; end < 2; end++)
        if (shape->seats[end] == 0 || shape->seats[end] > RBX_SEATS_MAX ||
            (shape->kind == RBX_SPSC && shape->seats[end] != 1))
            return false;
    if (size < rbx_ring_frames_at(shape))
        return false;
    if (shape->alignment == 0 || shape->alignment > RBX_MESSAGE_ALIGNMENT_MAX ||
        (shape->alignment & (shape->alignment - 1)))
        return false;
    if (f->message_size == 0 || f->message_size > RBX_MESSAGE_SIZE_MAX ||
        f->stride < f->message_size || f->stride > 2 * RBX_MESSAGE_SIZE_MAX ||
        f->stride % shape->alignment)
        return false;
    if (f->offset > 64 || f->offset % shape->alignment)
        return false;
    if (f->per_frame == 0 || f->per_frame > 255 || f->bytes == 0)
        return false;
    if (shape->frames == 0 || shape->frames > (size - rbx_ring_frames_at(shape)) / f->bytes)
        return false;
    if (shape->flags & ~ALL_FLAGS || (shape->flags && shape->kind != RBX_MPMC))
        return false;
    return shape->capacity > 0 && kind->is_sound(shape);
}

static const char *flags_said(uint32_t flags)
{
    static const char *const said[] = {"without RBX_STRICT and RBX_DROP", "with RBX_STRICT only",
                                       "with RBX_DROP only", "with RBX_STRICT and RBX_DROP"};
    return said[flags & ALL_FLAGS];
}

static int check_wishes(const struct rbx_ring_shape *shape, const rbx_ring_options *options,
                        const char *name)
{
    int err = check_options(options);
    if (err < 0)
        return err;
    if ((uint32_t)options->kind != shape->kind)
        return rbx_fail(-EPROTO, "ring '%s' is of kind %s; this program asked for kind %s", name,
                        rbx_kind_of(shape->kind)->name, rbx_kind_of((uint32_t)options->kind)->name);
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
    if (options->senders > shape->seats[RBX_TX] || options->receivers > shape->seats[RBX_RX])
        return rbx_fail(-EPROTO,
                        "ring '%s' has seats for %u senders and %u receivers; this program asked "
                        "for %u and %u",
                        name, shape->seats[RBX_TX], shape->seats[RBX_RX], options->senders,
                        options->receivers);
    if (options->flags & ~shape->flags)
        return rbx_fail(-EPROTO, "ring '%s' was made %s; this program asked for one %s", name,
                        flags_said(shape->flags), flags_said(options->flags));
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
