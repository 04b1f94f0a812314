/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * open.c: joining a box, and the choice between joining and making one.
 *
 * Joining is: open; GATE shared; ATTACH; GATE off; open again, to map, since a mapping would carry
 * the locks of its description into a child; does the name still mean the same file?
 */
#include <errno.h>
#include <string.h>

#include <ringbox/box.h>

#include "../error.h"
#include "../os/clock.h"
#include "../os/lock.h"
#include "../os/map.h"
#include "../os/process.h"
#include "handle.h"
#include "life.h"
#include "make.h"

enum { FIRST_PAUSE_NS = 20000, LONGEST_PAUSE_NS = 1000000 };

static int being_changed(const char *called)
{
    return rbx_fail(-EBUSY,
                    "another process is making or removing box '%s' and does not come to an end",
                    called);
}

static bool may_create(const rbx_box_options *o)
{
    return o->how == RBX_OPEN_OR_CREATE && !o->read_only;
}

static int check_options(const rbx_box_options *o, const char *name)
{
    const char *called = name ? name : "";
    if ((unsigned)o->how > RBX_OPEN_ONLY || (unsigned)o->policy > RBX_KEEP ||
        (unsigned)o->backing > RBX_SYSV)
        return rbx_fail(-EINVAL, "box '%s': how %d, policy %d or backing %d is not one there is",
                        called, (int)o->how, (int)o->policy, (int)o->backing);
    if ((o->mode & ~0666U) || (o->mode && (o->mode & 0600) != 0600))
        return rbx_fail(-EINVAL,
                        "box '%s': mode 0%o is not 0600 and perhaps reading and writing for others",
                        called, o->mode);
    if (o->size > RBX_BOX_SIZE_MAX)
        return rbx_fail(-EFBIG, "box '%s': %zu bytes are more than the limit of %s", called,
                        o->size, sizeof(void *) > 4 ? "64 TiB" : "1 GiB");
    bool joins = o->how == RBX_OPEN_ONLY || o->raw || o->read_only;
    if (joins && (o->how == RBX_CREATE_ONLY || o->backing == RBX_MEMFD))
        return rbx_fail(-EINVAL, "box '%s': %s", called,
                        o->raw         ? "raw maps what exists, by name or key"
                        : o->read_only ? "a read-only handle cannot make a box"
                                       : "a memfd box has no name to open: it is received");
    if (!joins && o->size == 0)
        return rbx_fail(-EINVAL,
                        "box '%s' cannot be made with 0 bytes; say a size, or RBX_OPEN_ONLY to "
                        "join it with the size it has",
                        called);
    return 0;
}

/* ---- joining ------------------------------------------------------------------------------ */

static int check_type(const struct rbx_file_facts *facts, const char *called)
{
    switch (facts->type) {
    case RBX_FILE_REGULAR:
        return 0;
    case RBX_FILE_DIRECTORY:
        return rbx_fail(-EISDIR, "'%s' is a directory, not a box", called);
    case RBX_FILE_LINK:
        return rbx_fail(-ELOOP, "'%s' is a symbolic link: not followed, since anyone may plant one",
                        called);
    default:
        return rbx_fail(-EPROTO, "'%s' is a FIFO, socket or device, not a box", called);
    }
}

/* A name in a public directory may have been taken by someone else to be joined by us. */
static int check_user(const struct rbx_file_facts *facts, const rbx_box_options *o,
                      const char *called)
{
    unsigned self = rbx_process_user();
    if (facts->uid == self || facts->uid == 0 || (o->mode & 077))
        return 0;
    return rbx_fail(-EACCES,
                    "box '%s' belongs to user %u, not to you; to join it all the same, say a mode "
                    "that admits others, as in .mode = 0660",
                    called, facts->uid);
}

static int check_wanted(const struct rbx_box_header *header, const rbx_box_options *o,
                        const char *called)
{
    if (o->size && header->size != o->size)
        return rbx_fail(-EPROTO, "box '%s' has %llu bytes; this program asked for %zu", called,
                        (unsigned long long)header->size, o->size);
    if (o->tag && header->tag != o->tag)
        return rbx_fail(-EPROTO, "box '%s' has tag %#llx; this program asked for %#llx", called,
                        (unsigned long long)header->tag, (unsigned long long)o->tag);
    if (header->size > SIZE_MAX - (1U << 30))
        return rbx_fail(-ENOMEM, "box '%s' is too large for this program to map", called);
    return 0;
}

static int cannot_open(int err, const char *called, const struct rbx_file_facts *facts)
{
    if (err == -ENOENT)
        return rbx_fail(err, "there is no box '%s'", called);
    if (err == -EACCES && facts)
        return rbx_fail(err, "cannot open box '%s', which belongs to user %u and has mode %04o: %m",
                        called, facts->uid, facts->mode);
    return rbx_fail(err, "cannot open box '%s': %m", called);
}

/* Opens what has the name, if that can be a box of ours. */
static int open_file(const struct rbx_box *box, const rbx_box_options *o, struct rbx_fd *fd,
                     struct rbx_file_facts *facts)
{
    const char *called = box->name.text;
    int err = rbx_name_look(&box->name, facts);
    if (err < 0)
        return cannot_open(err, called, NULL);
    err = check_type(facts, called); /* opening a FIFO or a device would already touch it */
    if (err < 0)
        return err;
    err = rbx_fd_open(fd, rbx_name_dir(&box->name), box->name.entry,
                      o->read_only ? RBX_FD_READ : RBX_FD_WRITE);
    if (err == 0)
        err = rbx_file_look(fd->fd, facts);
    if (err < 0)
        return cannot_open(err, called, facts);
    err = check_type(facts, called);
    return err < 0 ? err : check_user(facts, o, called);
}

/* Opens the name again, to map: RBX_RETRY when it means another box by now, or none. */
static int map_again(struct rbx_box *box, const rbx_box_options *o, uint64_t file_size)
{
    struct rbx_fd to_map = RBX_FD_CLOSED;
    struct rbx_file_facts facts;
    int err = rbx_fd_open(&to_map, rbx_name_dir(&box->name), box->name.entry,
                          o->read_only ? RBX_FD_READ : RBX_FD_WRITE);
    if (err == 0)
        err = rbx_file_look(to_map.fd, &facts);
    if (err == -ENOENT || (err == 0 && !rbx_file_same(&facts.id, &box->id)))
        err = RBX_RETRY;
    else if (err < 0)
        cannot_open(err, box->name.text, NULL);
    else
        err = rbx_handle_map(box, &to_map, file_size, o);
    rbx_fd_close(&to_map);
    return err;
}

/* Attached, a box cannot be reclaimed any more; whether it still has its name is seen next. */
static int attach(struct rbx_box *box)
{
    const char *called = box->name.text;
    int fd = box->fd.fd;
    int err = rbx_lock_wait(fd, RBX_LOCK_GATE, RBX_LOCK_SHARED, RBX_PATIENCE_NS);
    if (err == -EAGAIN)
        return being_changed(called);
    if (err == 0) {
        err = rbx_handle_attach(box);
        rbx_lock_drop(fd, RBX_LOCK_GATE);
    }
    if (err < 0)
        return rbx_fail(err == -EINVAL ? -ENOLCK : err, "cannot lock box '%s': %m", called);
    return err;
}

/* Mapping and unmapping go by the page; only on hugetlbfs is it not the system's. */
static int check_page_size(const struct rbx_box *box, const struct rbx_box_header *header)
{
    if (box->name.backing != RBX_FILE)
        return 0;
    uint64_t page_size;
    int err = rbx_file_page_size(box->fd.fd, &page_size);
    if (err < 0)
        return rbx_fail(err, "cannot look at the file system of box '%s': %m", box->name.text);
    if (page_size == header->page_size)
        return 0;
    return rbx_fail(-EPROTO, "box '%s' was made with pages of %u bytes, and lies on ones of %llu",
                    box->name.text, header->page_size, (unsigned long long)page_size);
}

static int join_segment(struct rbx_box *box, const rbx_box_options *o)
{
    const char *called = box->name.text;
    struct rbx_box_header header;
    struct rbx_sysv_facts facts = {0};
    int err = rbx_header_read(&header, box->fd.fd, RBX_HEADER_SIZE, called);
    if (err < 0)
        return err;
    if (!rbx_life_same_ipc(&header))
        return rbx_fail(
            -EPROTO, "box '%s' was made in another IPC namespace: its segment is not here", called);
    if (may_create(o) && rbx_life_lost_segment(&header))
        return RBX_RETRY; /* its owner is just removing it */
    /* Relaxed: a copy, made after GATE was passed. */
    if (atomic_load_explicit(&header.state, memory_order_relaxed) != RBX_BOX_READY ||
        rbx_life_lost_segment(&header))
        return rbx_fail(-ESTALE, "box '%s' has no System V segment any more", called);
    int32_t id = atomic_load_explicit(&header.sysv_id, memory_order_relaxed); /* a copy */
    err = rbx_sysv_look(id, &facts);
    /* Against what the handle goes by: a peer may have changed the header since that was read. */
    if (err == 0 && facts.size < box->size)
        return rbx_fail(-EPROTO, "the System V segment of box '%s' is too short", called);
    if (err == 0)
        err = rbx_sysv_map(&box->data, id, !o->read_only);
    if (err < 0)
        return rbx_fail(err == -EIDRM ? -ESTALE : err,
                        "cannot map the System V segment of box '%s': %m", called);
    rbx_handle_tune(box, o);
    return 0;
}

/* What a crash left behind is made anew, not joined: RBX_RETRY when it was removed, or is being
   removed. */
static int clear_orphan(const struct rbx_box *box)
{
    int err = rbx_life_reclaim(&box->name, &box->id, 0);
    if (err == -EBUSY)
        return 0; /* somebody came to use it */
    if (err == 0 || err == -ENOENT || err == -EAGAIN)
        return RBX_RETRY;
    return rbx_fail(err, "cannot remove box '%s', which nobody uses any more: %m", box->name.text);
}

/* A dead owner's box is made anew by one who may, and left alone by one who may not. */
static int deal_with_orphan(struct rbx_box *box, const rbx_box_options *o,
                            const struct rbx_box_header *header)
{
    int fd = box->fd.fd;
    int others = may_create(o) ? rbx_handle_count(fd, 1) : rbx_lock_held(fd, RBX_LOCK_OWNER);
    if (others < 0)
        return rbx_fail(others == -EINVAL ? -ENOLCK : others, "cannot see who has box '%s': %m",
                        box->name.text);
    if (may_create(o))
        return rbx_life_is_orphan(header, others) ? clear_orphan(box) : 0;
    /* Relaxed: a copy. */
    uint32_t policy = atomic_load_explicit(&header->policy, memory_order_relaxed);
    box->only_looks = policy == RBX_OWNER_UNLINKS && others == 0;
    return 0;
}

static int map_joined(struct rbx_box *box, const rbx_box_options *o,
                      const struct rbx_box_header *header)
{
    uint64_t payload_here = o->backing == RBX_SYSV ? 0 : header->size;
    box->size = (size_t)header->size;
    int err = map_again(box, o, rbx_header_file_size(payload_here, header->page_size));
    if (err == 0 && o->backing == RBX_SYSV)
        err = join_segment(box, o);
    return err;
}

static int join_open(struct rbx_box *box, const rbx_box_options *o,
                     const struct rbx_file_facts *facts)
{
    struct rbx_box_header header;
    int err = rbx_header_read(&header, box->fd.fd, facts->size, box->name.text);
    if (err == 0)
        err = rbx_name_check_header(&box->name, &header);
    if (err == 0)
        err = check_page_size(box, &header);
    if (err == 0)
        err = deal_with_orphan(box, o, &header);
    if (err == 0)
        err = check_wanted(&header, o, box->name.text);
    if (err == 0)
        err = attach(box);
    if (err < 0)
        return err;
    err = map_joined(box, o, &header);
    if (err < 0 && err != RBX_RETRY && !box->only_looks) {
        /* It was in use when we came; if all others have left since, they left it to us. */
        rbx_handle_detach(box);
        rbx_life_reclaim(&box->name, &box->id, 0);
    }
    return err;
}

/* 0, -ENOENT when there is none, RBX_RETRY when it changed under our hands, or another -errno. */
static int join(struct rbx_box *box, const rbx_box_options *o)
{
    struct rbx_file_facts facts;
    int err = open_file(box, o, &box->fd, &facts);
    if (err < 0)
        return err;
    box->id = facts.id;
    return join_open(box, o, &facts);
}

static int join_raw(struct rbx_box *box, const rbx_box_options *o)
{
    const char *called = box->name.text;
    uint64_t size;
    int err;
    if (o->backing == RBX_SYSV) {
        struct rbx_sysv_facts facts = {0};
        int32_t id;
        err = rbx_sysv_find(box->name.key, &id);
        if (err == 0)
            err = rbx_sysv_look(id, &facts);
        if (err == 0)
            err = rbx_sysv_map(&box->data, id, !o->read_only);
        if (err < 0)
            return rbx_fail(err, "cannot open the System V segment with key %s: %m", called);
        size = facts.size;
    } else {
        struct rbx_file_facts facts;
        err = open_file(box, o, &box->fd, &facts);
        if (err < 0)
            return err;
        box->id = facts.id;
        size = facts.size;
    }
    if (size > SIZE_MAX - (1U << 30))
        return rbx_fail(-ENOMEM, "'%s' is too large for this program to map", called);
    if (size == 0 || o->size > size)
        return rbx_fail(-EPROTO, "'%s' has %llu bytes; this program asked for %zu", called,
                        (unsigned long long)size, o->size);
    box->size = o->size ? o->size : (size_t)size;
    if (o->backing == RBX_SYSV) {
        rbx_handle_tune(box, o);
        return 0;
    }
    uint64_t page;
    err = rbx_file_page_size(box->fd.fd, &page);
    if (err < 0)
        return rbx_fail(err, "cannot look at the file system of '%s': %m", called);
    return rbx_handle_map(box, &box->fd, (box->size + page - 1) / page * page, o);
}

/* ---- opening ------------------------------------------------------------------------------ */

static struct rbx_box *handle_for(const char *name, const rbx_box_options *o, int *err)
{
    struct rbx_box *box = rbx_handle_new();
    if (!box) {
        *err = -ENOMEM;
        return NULL;
    }
    box->read_only = o->read_only;
    box->raw = o->raw;
    *err = rbx_name_parse(&box->name, name, o->backing, o->raw);
    if (*err < 0) {
        rbx_handle_free(box);
        return NULL;
    }
    return box;
}

typedef int opener(struct rbx_box *box, const rbx_box_options *o);

/* A handle of its own for one try of `open`, freed when that fails. */
static int try_open(rbx_box **out, const char *name, const rbx_box_options *o, opener *open)
{
    int err;
    struct rbx_box *box = handle_for(name, o, &err);
    if (!box)
        return err;
    err = open(box, o);
    if (err < 0)
        rbx_handle_free(box);
    else
        *out = box;
    return err;
}

/* For create only: out of the way what a crash left behind, -EEXIST for anything else. */
static int make_way(const struct rbx_box *box)
{
    const char *called = box->name.text;
    struct rbx_file_facts facts;
    int err = rbx_name_look(&box->name, &facts);
    if (err == -ENOENT)
        return 0;
    if (err < 0)
        return rbx_fail(err, "cannot create box '%s': %m", called);
    err = rbx_life_reclaim(&box->name, NULL, 0);
    switch (err) {
    case 0:
    case -ENOENT:
        return 0;
    case -EAGAIN:
        return RBX_RETRY;
    case -EBUSY:
        return rbx_fail(-EEXIST, "box '%s' exists already; RBX_OPEN_OR_CREATE would join it",
                        called);
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return rbx_fail(err, "cannot create box '%s': %m", called);
    default:
        return rbx_fail(-EEXIST, "'%s' exists already, and is not a box that can be made anew",
                        called);
    }
}

static int create_only(struct rbx_box *box, const rbx_box_options *o)
{
    int err = make_way(box);
    return err < 0 ? err : rbx_box_make(box, o);
}

static int open_once(rbx_box **out, const char *name, const rbx_box_options *o)
{
    if (o->raw)
        return try_open(out, name, o, join_raw);
    if (o->backing == RBX_MEMFD)
        return try_open(out, name, o, rbx_box_make);
    if (o->how == RBX_CREATE_ONLY)
        return try_open(out, name, o, create_only);
    int err = try_open(out, name, o, join);
    if (err == -ENOENT && may_create(o))
        err = try_open(out, name, o, rbx_box_make);
    return err;
}

int rbx_box_open(rbx_box **out, const char *name, const rbx_box_options *options)
{
    static const rbx_box_options join_anything = {.how = RBX_OPEN_ONLY};
    const rbx_box_options *o = options ? options : &join_anything;
    *out = NULL;
    int err = check_options(o, name);
    if (err < 0)
        return err;
    /* Each further round is owed to another process that came or went in the meantime. What counts
       against patience is waiting, not the time that a callback or the reserving of memory takes.
     */
    for (uint64_t waited = 0, pause = FIRST_PAUSE_NS; waited < RBX_PATIENCE_NS; waited += pause) {
        err = open_once(out, name, o);
        if (err != RBX_RETRY)
            return err;
        rbx_clock_pause(pause);
        pause = pause * 2 > LONGEST_PAUSE_NS ? LONGEST_PAUSE_NS : pause * 2;
    }
    return being_changed(name);
}
