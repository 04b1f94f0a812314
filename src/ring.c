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
#include "ring/kind.h"
#include "ring/seat.h"

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
    size_t seats = (size_t)shape.seats[RBX_TX] + shape.seats[RBX_RX];
    struct rbx_ring *made = calloc(1, sizeof *made + seats * sizeof *made->chairs[RBX_TX]);
    if (!made) {
        *err = rbx_fail(-ENOMEM, "cannot allocate a ring handle: %m");
        return NULL;
    }
    made->memory = memory;
    made->shape = shape;
    made->kind = rbx_kind_of(shape.kind);
    made->spsc = (void *)(made->memory + RBX_RING_SHARED_AT);
    made->first = made->memory + rbx_ring_frames_at(&shape);
    made->end = made->first + shape.frames * shape.frame.bytes;
    made->chairs[RBX_TX] = (void *)(made + 1);
    made->chairs[RBX_RX] = made->chairs[RBX_TX] + shape.seats[RBX_TX];
    if (shape.kind == RBX_SPSC) {
        made->seats[RBX_TX] = &made->spsc->tx;
        made->seats[RBX_RX] = &made->spsc->rx;
    } else {
        made->seats[RBX_TX] = (void *)(made->memory + RBX_RING_SEATS_AT);
        made->seats[RBX_RX] = made->seats[RBX_TX] + shape.seats[RBX_TX];
    }
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
    return rbx_ring_format(data, arg);
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
    err = rbx_ring_format(memory, &shape);
    struct rbx_ring *made = err < 0 ? NULL : attach(&err, memory, size, NULL, "in memory");
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
    if (!name)
        return open_private(ring, options);
    const rbx_box_options any = {.how = RBX_OPEN_ONLY};
    rbx_box *box;
    int err = options ? open_box(&box, name, options) : rbx_box_open(&box, name, &any);
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
    *ring = NULL;
    if ((typed.kind && typed.kind != kind) || (typed.message_size && typed.message_size != size) ||
        (typed.alignment && typed.alignment != alignment))
        return rbx_fail(-EINVAL,
                        "the kind, message_size and alignment of a typed ring are its type's to "
                        "say: leave them 0");
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
    return rbx_ring_format(memory, &shape);
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
    for (enum rbx_ring_end end = RBX_TX; end < RBX_ENDS; end++)
        for (unsigned i = 0; i < ring->shape.seats[end]; i++)
            if (rbx_seat_is_ours(ring, end, i))
                return rbx_fail(-EBUSY, "ring '%s' still has an open endpoint here",
                                rbx_ring_name(ring));
    int err = rbx_box_close(ring->box);
    if (err == -EBUSY) /* something is attached to it besides: nothing is done */
        return err;
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
    if (ring->read_only)
        return rbx_fail(-EACCES, "ring '%s' was opened read-only", rbx_ring_name(ring));
    int err = ring->kind->shutdown(ring);
    return err == -EALREADY
               ? rbx_fail(-EINVAL, "ring '%s' was shut down before", rbx_ring_name(ring))
               : err;
}

int rbx_ring_repair(rbx_ring *ring, rbx_repaired *repaired)
{
    rbx_repaired unwanted;
    if (!repaired)
        repaired = &unwanted;
    *repaired = (rbx_repaired){0};
    if (ring->read_only)
        return rbx_fail(-EACCES, "ring '%s' was opened read-only", rbx_ring_name(ring));
    if (!ring->box && !ring->in_process)
        return rbx_fail(-ENOTSUP, "a ring in memory of your own cannot tell who has died");
    int err = ring->box ? rbx_handle_check(ring->box) : 0;
    return err < 0 || ring->in_process ? err : ring->kind->repair(ring, repaired);
}

/* Of several seats: the state that matters most. */
static int weight(rbx_end_state state)
{
    static const rbx_end_state lightest_first[] = {RBX_END_NONE, RBX_END_DEAD, RBX_END_UNKNOWN,
                                                   RBX_END_SUSPECT, RBX_END_ALIVE};
    int i = 0;
    while (lightest_first[i] != state)
        i++;
    return i;
}

static void sum_up(const rbx_ring *ring, enum rbx_ring_end end, rbx_end_info *sum)
{
    rbx_seat_describe(ring, end, 0, sum);
    for (unsigned i = 1; i < ring->shape.seats[end]; i++) {
        rbx_end_info one;
        rbx_seat_describe(ring, end, i, &one);
        if (weight(one.state) > weight(sum->state)) {
            sum->state = one.state;
            sum->pid = one.pid;
        }
        sum->opened += one.opened;
        sum->missed += one.missed;
        sum->sleeps += one.sleeps;
        sum->wakes += one.wakes;
    }
}

int rbx_ring_describe(const rbx_ring *ring, rbx_ring_info *info)
{
    const struct rbx_ring_shape *shape = &ring->shape;
    *info = (rbx_ring_info){
        .kind = (rbx_ring_kind)shape->kind,
        .flags = shape->flags,
        .message_size = shape->frame.message_size,
        .alignment = shape->alignment,
        .capacity = (size_t)shape->capacity,
        .tag = shape->tag,
        .senders = shape->seats[RBX_TX],
        .receivers = shape->seats[RBX_RX],
    };
    ring->kind->describe(ring, info);
    sum_up(ring, RBX_TX, &info->tx);
    sum_up(ring, RBX_RX, &info->rx);
    return 0;
}

static int describe_seat(const rbx_ring *ring, enum rbx_ring_end end, unsigned index,
                         rbx_end_info *info)
{
    *info = (rbx_end_info){.state = RBX_END_NONE};
    if (index >= ring->shape.seats[end])
        return rbx_fail(-EINVAL, "ring '%s' has %u seats at that end: there is no number %u",
                        rbx_ring_name(ring), ring->shape.seats[end], index);
    rbx_seat_describe(ring, end, index, info);
    return 0;
}

int rbx_ring_sender(const rbx_ring *ring, unsigned index, rbx_end_info *info)
{
    return describe_seat(ring, RBX_TX, index, info);
}

int rbx_ring_receiver(const rbx_ring *ring, unsigned index, rbx_end_info *info)
{
    return describe_seat(ring, RBX_RX, index, info);
}
