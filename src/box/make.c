/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * make.c: a box is made in a file without a name, so that death at any point leaves nothing, and
 * gets its name last.
 */
#include "make.h"

#include <errno.h>
#include <string.h>

#include "../error.h"
#include "../os/clock.h"
#include "../os/lock.h"
#include "../os/map.h"
#include "../os/process.h"
#include "draft.h"
#include "life.h"

static int create_memfd_twice(struct rbx_fd *fd, struct rbx_fd *second, const char *label,
                              bool huge_pages)
{
    int err = rbx_fd_create_memfd(fd, label, huge_pages);
    if (err < 0)
        return err;
    err = rbx_fd_reopen(second, fd->fd, RBX_FD_WRITE);
    if (err < 0)
        rbx_fd_close(fd);
    return err == -ENOENT ? -ENOTSUP : err; /* no /proc here */
}

/* Huge pages are a wish: there may be too few when it comes to reserving them. */
static int create_huge_memfd(struct rbx_fd *fd, struct rbx_fd *second, const char *label,
                             size_t payload)
{
    int err = create_memfd_twice(fd, second, label, true);
    if (err < 0)
        return err;
    uint64_t page_size;
    err = rbx_file_page_size(fd->fd, &page_size);
    if (err == 0)
        err = rbx_file_reserve(fd->fd, rbx_header_file_size(payload, page_size));
    if (err < 0) {
        rbx_fd_close(second);
        rbx_fd_close(fd);
    }
    return err;
}

/* The file of a new box, opened to lock and again to map. */
static int create_file(struct rbx_box *box, const rbx_box_options *o, struct rbx_draft *draft,
                       struct rbx_fd *to_map)
{
    if (o->backing != RBX_MEMFD)
        return rbx_draft_create(draft, &box->fd, to_map, &box->name);
    if (o->huge_pages && create_huge_memfd(&box->fd, to_map, box->name.text, o->size) == 0)
        return 0;
    return create_memfd_twice(&box->fd, to_map, box->name.text, false);
}

static int fill_header(struct rbx_box *box, const rbx_box_options *o, uint32_t page_size)
{
    struct rbx_box_header *header = box->header;
    memcpy(header->magic, RBX_HEADER_MAGIC, sizeof header->magic);
    header->byte_order = RBX_HEADER_BYTE_ORDER;
    header->version = RBX_HEADER_VERSION;
    header->word_bits = sizeof(void *) * 8;
    header->header_size = RBX_HEADER_SIZE;
    header->backing = (uint32_t)o->backing;
    header->page_size = page_size;
    header->size = o->size;
    header->tag = o->tag;
    header->created_ns = rbx_clock_realtime();
    header->sysv_key = box->name.key;
    header->ipc_namespace = o->backing == RBX_SYSV ? rbx_process_ipc_namespace() : 0;
    /* Relaxed: nobody else can see the box yet. */
    atomic_store_explicit(&header->policy, (uint32_t)o->policy, memory_order_relaxed);
    if (o->backing == RBX_SYSV) {
        atomic_store_explicit(&header->state, RBX_BOX_MAKING, memory_order_relaxed);
        atomic_store_explicit(&header->sysv_id, -1, memory_order_relaxed);
    }
    return rbx_random(header->id, sizeof header->id);
}

static int take_locks(struct rbx_box *box, const rbx_box_options *o)
{
    int err = rbx_handle_attach(box);
    if (err < 0)
        return err;
    if (o->backing == RBX_SYSV) {
        err = rbx_lock_try(box->fd.fd, RBX_LOCK_GATE, RBX_LOCK_EXCLUSIVE);
        if (err < 0)
            return err == -EAGAIN ? RBX_RETRY : err; /* a reclaimer is judging a named draft */
    }
    if (o->policy == RBX_OWNER_UNLINKS) {
        err = rbx_handle_take_ownership(box);
        if (err < 0)
            return err;
    }
    struct rbx_process self = rbx_process_self();
    box->header->creator_pid = self.pid;
    box->header->creator_pid_namespace = self.pid_namespace;
    return 0;
}

static int run_init(struct rbx_box *box, const rbx_box_options *o)
{
    if (!o->init)
        return 0;
    int err = o->init(box->data, box->size, o->init_arg);
    if (!rbx_handle_is_ours(box))
        return rbx_handle_check(box); /* init forked, and this is the child: the parent goes on */
    if (err >= 0)
        return 0;
    if (err <= RBX_RETRY) /* no errno is that large */
        err = -EINVAL;
    return rbx_fail(err, "the init callback of box '%s' gave up: %m", box->name.text);
}

/* Its bytes and their first contents. */
static int lay_out(struct rbx_box *box, const rbx_box_options *o, const struct rbx_fd *to_map)
{
    const char *called = box->name.text;
    struct rbx_file_facts facts;
    uint64_t page_size;
    int err = rbx_file_page_size(box->fd.fd, &page_size);
    if (err == 0)
        err = rbx_file_chmod(box->fd.fd, o->mode ? o->mode : 0600);
    if (err == 0)
        err = rbx_file_look(box->fd.fd, &facts);
    if (err < 0)
        return rbx_fail(err, "cannot set up box '%s': %m", called);
    box->id = facts.id;
    box->created = true;
    box->size = o->size;
    uint64_t payload_here = o->backing == RBX_SYSV ? 0 : o->size;
    uint64_t file_size = rbx_header_file_size(payload_here, page_size);
    err = rbx_file_reserve(box->fd.fd, file_size);
    if (err < 0)
        return rbx_fail(err, "no room for box '%s', %llu bytes with its header: %m", called,
                        (unsigned long long)file_size);
    err = rbx_handle_map(box, to_map, file_size, o);
    if (err < 0)
        return err;
    err = fill_header(box, o, (uint32_t)page_size);
    if (err == 0)
        err = take_locks(box, o);
    return err < 0 && err != RBX_RETRY ? rbx_fail(err, "cannot lock box '%s': %m", called) : err;
}

/* Everything but the name. On failure the caller frees the handle and discards the draft. */
static int make(struct rbx_box *box, const rbx_box_options *o, struct rbx_draft *draft)
{
    struct rbx_fd to_map = RBX_FD_CLOSED;
    int err = create_file(box, o, draft, &to_map);
    if (err < 0)
        return rbx_fail(err, "cannot create box '%s': %m", box->name.text);
    err = lay_out(box, o, &to_map);
    rbx_fd_close(&to_map);
    if (err == 0 && o->backing != RBX_SYSV)
        err = run_init(box, o);
    if (!rbx_handle_is_ours(box))
        draft->entry[0] = '\0'; /* the parent's to publish or discard */
    return err;
}

static int foreign_segment(const struct rbx_name *name)
{
    return rbx_fail(-EEXIST,
                    "a System V segment with key %s exists that is not a ringbox box: open it raw",
                    name->text);
}

/*
 * Before the box has its name: 0 when the key is free, -EEXIST when a foreign segment has it,
 * RBX_RETRY when another box came. The segment of a box is younger than its name and goes before
 * it; so one that exists before and after a look that finds no name is no box's.
 */
static int check_key(const struct rbx_name *name)
{
    int32_t before, after;
    struct rbx_file_facts facts;
    if (rbx_sysv_find(name->key, &before) == -ENOENT)
        return 0;
    if (rbx_name_look(name, &facts) != -ENOENT)
        return RBX_RETRY;
    if (rbx_sysv_find(name->key, &after) < 0 || before != after)
        return RBX_RETRY;
    return foreign_segment(name);
}

static int map_segment(struct rbx_box *box, const rbx_box_options *o)
{
    const struct rbx_name *name = &box->name;
    int32_t id;
    int err = rbx_sysv_create(name->key, o->size, o->mode ? o->mode : 0600, o->huge_pages, &id);
    if (err == -EEXIST)
        return foreign_segment(name);
    if (err < 0)
        return rbx_fail(err, "cannot create a System V segment with key %s: %m", name->text);
    /* Relaxed: GATE, a system call, orders it for those who join. */
    atomic_store_explicit(&box->header->sysv_id, id, memory_order_relaxed);
    err = rbx_sysv_map(&box->data, id, true);
    if (err < 0)
        return rbx_fail(err, "cannot map the System V segment with key %s: %m", name->text);
    rbx_handle_tune(box, o);
    return 0;
}

/* The segment of a System V box, made while we hold GATE and so nobody can join. */
static int make_segment(struct rbx_box *box, const rbx_box_options *o)
{
    int err = map_segment(box, o);
    if (err == 0)
        err = run_init(box, o);
    /* Also of a failure: the segment to remove, if any, is then the one that sysv_id names. */
    if (rbx_handle_is_ours(box))
        atomic_store_explicit(&box->header->state, RBX_BOX_READY, memory_order_relaxed);
    if (err == 0)
        rbx_lock_drop(box->fd.fd, RBX_LOCK_GATE);
    else if (rbx_handle_is_ours(box))
        rbx_life_remove(box);
    return err;
}

int rbx_box_make(struct rbx_box *box, const rbx_box_options *o)
{
    struct rbx_draft draft = {""};
    int err = o->backing == RBX_SYSV ? check_key(&box->name) : 0;
    if (err == 0)
        err = make(box, o, &draft);
    if (err == 0 && o->backing == RBX_MEMFD) {
        err = rbx_file_seal(box->fd.fd);
        if (err < 0)
            rbx_fail(err, "cannot seal box '%s': %m", box->name.text);
    } else if (err == 0) {
        err = rbx_draft_publish(&draft, &box->fd, &box->name);
        if (err == -EEXIST || (err == -ENOENT && draft.entry[0]))
            err = RBX_RETRY;
        else if (err < 0)
            rbx_fail(err, "cannot name box '%s': %m", box->name.text);
    }
    rbx_draft_discard(&draft, &box->name);
    return err == 0 && o->backing == RBX_SYSV ? make_segment(box, o) : err;
}
