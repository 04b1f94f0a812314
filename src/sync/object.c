/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "../os/map.h"

const char *rbx_object_name(const struct rbx_object *object)
{
    return object->box ? rbx_box_name(object->box) : "in memory";
}

int rbx_object_inherited(const struct rbx_object *object)
{
    return rbx_fail(-EBADF,
                    "this handle of %s '%s' was inherited through fork(): the child opens its own",
                    object->noun, rbx_object_name(object));
}

static int format(void *memory, const struct rbx_object_plan *plan)
{
    struct rbx_object_header *header = memory;
    *header = (struct rbx_object_header){
        .byte_order = RBX_OBJECT_BYTE_ORDER, .version = RBX_OBJECT_VERSION, .shape = plan->shape};
    int err = plan->format(memory, plan);
    if (err < 0)
        return err;
    rbx_full_fence(); /* who finds the magic finds the rest */
    memcpy(header->magic, RBX_OBJECT_MAGIC, sizeof header->magic);
    return 0;
}

/* Copies out the shape of the object in `memory`, and checks that it is one, and the one planned.
 */
static int read_shape(struct rbx_object_shape *shape, const void *memory, uint64_t size,
                      const struct rbx_object_plan *plan, const char *name)
{
    struct rbx_object_header header;
    if (size < sizeof header)
        return rbx_fail(-EPROTO, "'%s' is no %s: it has only %llu bytes", name, plan->noun,
                        (unsigned long long)size);
    memcpy(header.magic, memory, sizeof header.magic);
    if (memcmp(header.magic, RBX_OBJECT_MAGIC, sizeof header.magic) != 0)
        return rbx_fail(-EPROTO, "'%s' is no %s", name, plan->noun);
    rbx_full_fence(); /* what follows the magic was written before it */
    memcpy(&header, memory, sizeof header);
    if (header.byte_order != RBX_OBJECT_BYTE_ORDER)
        return rbx_fail(-EPROTO, "%s '%s' was made by a machine of the other byte order",
                        plan->noun, name);
    if (header.version != RBX_OBJECT_VERSION)
        return rbx_fail(-EPROTO, "%s '%s' has layout version %u; this program knows version %u",
                        plan->noun, name, header.version, RBX_OBJECT_VERSION);
    if (header.shape.kind != plan->shape.kind)
        return rbx_fail(-EPROTO, "'%s' is no %s, but something else to synchronise by", name,
                        plan->noun);
    if (header.shape.size < sizeof header || header.shape.size > size)
        return rbx_fail(
            -EPROTO, "%s '%s' takes %llu bytes and has only %llu, or its header is damaged",
            plan->noun, name, (unsigned long long)header.shape.size, (unsigned long long)size);
    *shape = header.shape;
    return plan->check ? plan->check(shape, plan, name) : 0;
}

static int join(struct rbx_object *object, rbx_box *box, void *memory, size_t size,
                const struct rbx_object_plan *plan)
{
    struct rbx_object_shape shape;
    int err = read_shape(&shape, memory, size, plan, box ? rbx_box_name(box) : "in memory");
    if (err < 0)
        return err;
    *object = (struct rbx_object){.box = box,
                                  .noun = plan->noun,
                                  .memory = memory,
                                  .shape = shape,
                                  .locks = RBX_FD_CLOSED,
                                  .counts_forks = plan->has_seats && (!box || box->raw),
                                  .forks = rbx_fd_forks()};
    if (box)
        atomic_fetch_add(&box->users, 1);
    return 0;
}

/* ---- in a box of its own ------------------------------------------------------------------- */

static int format_box(void *data, size_t size, void *arg)
{
    (void)size;
    const struct rbx_object_plan *const *plan = arg;
    return format(data, *plan);
}

/* What a box's own check cannot say as well: what is there instead. */
static int join_any_size(rbx_box **box, const char *name, rbx_box_options options)
{
    options.how = RBX_OPEN_ONLY;
    options.size = 0;
    return rbx_box_open(box, name, &options);
}

static int open_box(rbx_box **box, const char *name, const struct rbx_object_plan *plan,
                    const rbx_box_options *options)
{
    const rbx_box_options any = {.how = RBX_OPEN_ONLY};
    rbx_box_options wanted = options ? *options : any;
    if (wanted.size || wanted.tag || wanted.raw || wanted.init)
        return rbx_fail(-EINVAL, "the size, tag, init and raw of a %s's box are not yours to say",
                        plan->noun);
    if (wanted.read_only && !plan->may_read_only)
        return rbx_fail(-EINVAL, "a %s cannot be used read-only", plan->noun);
    if (wanted.policy == RBX_OWNER_UNLINKS)
        wanted.policy = RBX_LAST_ONE_OUT; /* a restarted process joins, whoever made it */
    if (wanted.how == RBX_OPEN_ONLY || plan->only_joins)
        return join_any_size(box, name, wanted);
    wanted.size = (size_t)plan->shape.size;
    wanted.init = format_box;
    wanted.init_arg = &plan;
    int err = rbx_box_open(box, name, &wanted);
    if (err == -EPROTO && wanted.how == RBX_OPEN_OR_CREATE)
        err = join_any_size(box, name, *options);
    if (err == -ENOENT) /* it has gone meanwhile, and so does not stand in the way */
        err = rbx_box_open(box, name, &wanted);
    return err;
}

static int open_private(struct rbx_object *object, const struct rbx_object_plan *plan)
{
    size_t size = (size_t)plan->shape.size;
    void *memory;
    int err = rbx_map_private(&memory, size);
    if (err < 0)
        return rbx_fail(err, "cannot reserve %zu bytes for a %s: %m", size, plan->noun);
    err = format(memory, plan);
    if (err == 0)
        err = join(object, NULL, memory, size, plan);
    if (err < 0) {
        rbx_unmap(memory, size);
        return err;
    }
    object->owns_memory = object->in_process = object->counts_forks = true;
    return 0;
}

int rbx_object_open(struct rbx_object *object, const char *name, const struct rbx_object_plan *plan,
                    const rbx_box_options *options)
{
    if (!name)
        return open_private(object, plan);
    rbx_box *box;
    int err = open_box(&box, name, plan, options);
    if (err < 0)
        return err;
    err = join(object, box, rbx_box_data(box), rbx_box_size(box), plan);
    if (err < 0)
        rbx_box_close(box);
    else
        object->owns_box = true;
    return err;
}

/* ---- in memory that is there --------------------------------------------------------------- */

static int check_memory(const void *memory, const struct rbx_object_plan *plan)
{
    return memory && (uintptr_t)memory % RBX_OBJECT_ALIGNMENT == 0
               ? 0
               : rbx_fail(-EINVAL, "the memory of a %s must be aligned to %u bytes", plan->noun,
                          RBX_OBJECT_ALIGNMENT);
}

int rbx_object_init(void *memory, size_t size, const struct rbx_object_plan *plan)
{
    int err = check_memory(memory, plan);
    if (err < 0)
        return err;
    if (size < plan->shape.size)
        return rbx_fail(-EINVAL, "such a %s needs %llu bytes, not %zu", plan->noun,
                        (unsigned long long)plan->shape.size, size);
    return format(memory, plan);
}

static int check_box(const rbx_box *box, const void *memory, size_t size,
                     const struct rbx_object_plan *plan)
{
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    const char *begin = rbx_box_data(box), *at = memory;
    if (at < begin || at > begin + rbx_box_size(box) ||
        size > (size_t)(begin + rbx_box_size(box) - at))
        return rbx_fail(-EINVAL, "the memory of the %s is not in box '%s'", plan->noun,
                        rbx_box_name(box));
    if (box->read_only && !plan->may_read_only)
        return rbx_fail(-EACCES, "a %s cannot be used in box '%s', which was opened read-only",
                        plan->noun, rbx_box_name(box));
    return 0;
}

int rbx_object_attach(struct rbx_object *object, rbx_box *box, void *memory, size_t size,
                      const struct rbx_object_plan *plan)
{
    int err = check_memory(memory, plan);
    if (err == 0 && box)
        err = check_box(box, memory, size, plan);
    if (err == 0)
        err = join(object, box, memory, size, plan);
    if (err < 0 || !box || box->raw || !plan->has_seats)
        return err;
    err = rbx_fd_reopen(&object->locks, box->fd.fd, RBX_FD_WRITE);
    if (err < 0) {
        rbx_object_close(object);
        return rbx_fail(err, "cannot open box '%s' once more, for a %s: %m", rbx_box_name(box),
                        plan->noun);
    }
    return 0;
}

int rbx_object_close(struct rbx_object *object)
{
    int err = 0;
    rbx_fd_close(&object->locks);
    if (object->box)
        atomic_fetch_sub(&object->box->users, 1);
    if (object->owns_box)
        err = rbx_box_close(object->box);
    if (object->owns_memory)
        rbx_unmap(object->memory, (size_t)object->shape.size);
    return err;
}
