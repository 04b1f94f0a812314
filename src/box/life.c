/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "life.h"

#include <errno.h>

#include "../error.h"
#include "../os/lock.h"
#include "../os/map.h"
#include "../os/process.h"
#include "link.h"

static int32_t segment_of(const struct rbx_box_header *header)
{
    return atomic_load_explicit(&header->sysv_id, memory_order_relaxed); /* set before READY */
}

static bool is_making(const struct rbx_box_header *header)
{
    return atomic_load_explicit(&header->state, memory_order_relaxed) == RBX_BOX_MAKING;
}

bool rbx_life_same_ipc(const struct rbx_box_header *header)
{
    uint64_t own = rbx_process_ipc_namespace();
    return own == 0 || header->ipc_namespace == 0 || own == header->ipc_namespace;
}

/* Only what is certain counts: a segment that may not be looked at is not lost. */
bool rbx_life_lost_segment(const struct rbx_box_header *header)
{
    struct rbx_sysv_facts facts;
    if (header->backing != RBX_SYSV || is_making(header) || !rbx_life_same_ipc(header))
        return false;
    int err = rbx_sysv_look(segment_of(header), &facts);
    return err == -EIDRM || (err == 0 && facts.key != header->sysv_key);
}

bool rbx_life_is_orphan(const struct rbx_box_header *header, int attached)
{
    if (header->backing == RBX_SYSV && !rbx_life_same_ipc(header))
        return false; /* its segment could not be removed from here */
    if (rbx_life_lost_segment(header))
        return true;
    uint32_t policy = atomic_load_explicit(&header->policy, memory_order_relaxed); /* a copy */
    return attached == 0 && (policy != RBX_KEEP || is_making(header));
}

/*
 * The segment of a maker that died on the way, or -1. It is there or not. The key was free when the
 * name was made; so what has it, is no older (by the coarser clock of the two, and some slack), of
 * the right size and used by nobody is what that process made. Its pid says so too, where pids can
 * be compared.
 */
static int32_t half_made_segment(int32_t key, const struct rbx_box_header *header)
{
    enum { SLACK_S = 2 };
    struct rbx_sysv_facts facts;
    int32_t id;
    if (rbx_sysv_find(key, &id) < 0 || rbx_sysv_look(id, &facts) < 0 ||
        facts.size != header->size || facts.attached != 0 ||
        facts.created_s + SLACK_S < header->created_ns / 1000000000U)
        return -1;
    bool same_pids = header->creator_pid_namespace != 0 &&
                     header->creator_pid_namespace == rbx_process_self().pid_namespace;
    return same_pids && facts.creator_pid != header->creator_pid ? -1 : id;
}

/*
 * The System V segment goes before the name: without it the name is refused, and can be reclaimed
 * if we die here, while a segment without a name could not.
 */
static int remove_segment(const struct rbx_name *name, const struct rbx_box_header *header)
{
    struct rbx_sysv_facts facts;
    /* By the name: a peer that can write to the header might have us remove what is not its own. */
    if (name->backing != RBX_SYSV)
        return 0;
    if (!rbx_life_same_ipc(header))
        return -EXDEV;
    int32_t id = is_making(header) ? half_made_segment(name->key, header) : segment_of(header);
    int err = rbx_sysv_look(id, &facts);
    if (err == 0 && facts.key == name->key)
        err = rbx_sysv_remove(id);
    return err == -EIDRM ? 0 : err;
}

/* The caller is the one who may, and has seen that the name means this box. */
static int remove_all(const struct rbx_name *name, const struct rbx_box_header *header,
                      bool header_is_ours)
{
    int err = remove_segment(name, header);
    if (err < 0)
        return err;
    rbx_link_remove(header_is_ours ? NULL : name, header);
    return rbx_file_unlink(rbx_name_dir(name), name->entry);
}

int rbx_life_remove(struct rbx_box *box)
{
    int err = rbx_lock_wait(box->fd.fd, RBX_LOCK_NAME, RBX_LOCK_EXCLUSIVE, RBX_PATIENCE_NS);
    if (err < 0)
        return rbx_fail(err == -EAGAIN ? -ETIMEDOUT : err, "cannot lock the name of box '%s': %m",
                        box->name.text);
    int means = rbx_name_means(&box->name, &box->id);
    err = means <= 0 ? means : remove_all(&box->name, box->header, true);
    rbx_lock_drop(box->fd.fd, RBX_LOCK_NAME);
    if (err == -EBUSY) /* something is mounted over it; -EBUSY is for a handle that lives on */
        err = -EPERM;
    return err < 0 ? rbx_fail(err, "cannot remove box '%s': %m", box->name.text) : 0;
}

/* Nobody else removes the name, and nobody attaches, until these are dropped. */
static int lock_out_everyone(int fd, uint64_t patience_ns)
{
    int err = rbx_lock_wait(fd, RBX_LOCK_NAME, RBX_LOCK_EXCLUSIVE, patience_ns);
    if (err < 0)
        return err;
    err = rbx_lock_try(fd, RBX_LOCK_GATE, RBX_LOCK_EXCLUSIVE);
    return err == -EAGAIN ? -EBUSY : err;
}

static int judge(struct rbx_box_header *header, const struct rbx_file_facts *facts, int fd,
                 const struct rbx_name *name)
{
    /* First who is attached, then the header: only an attached handle may change that. */
    int attached = rbx_handle_count(fd, 1);
    if (attached < 0)
        return attached;
    int err = rbx_header_read(header, fd, facts->size, name->text);
    if (err == 0)
        err = rbx_name_check_header(name, header);
    if (err < 0)
        return err;
    if (header->backing == RBX_SYSV && !rbx_life_same_ipc(header))
        return -EXDEV;
    return rbx_life_is_orphan(header, attached) ? 0 : -EBUSY;
}

static int reclaim_open(const struct rbx_name *name, const struct rbx_file_facts *facts, int fd,
                        uint64_t patience_ns)
{
    struct rbx_box_header header;
    /* Without locks first, so that a box in use is not held up by being looked at. */
    int err = judge(&header, facts, fd, name);
    if (err == 0)
        err = lock_out_everyone(fd, patience_ns);
    if (err == 0)
        err = judge(&header, facts, fd, name);
    if (err < 0)
        return err;
    /* Last: until now a handle that has gone since could have removed the name. */
    int means = rbx_name_means(name, &facts->id);
    if (means <= 0)
        return means < 0 ? means : -ENOENT;
    return remove_all(name, &header, false);
}

/* Opens what has a name, for writing, if it is a regular file: else -EPROTO. */
static int open_regular(struct rbx_fd *fd, int dir, const char *entry, struct rbx_file_facts *facts)
{
    int err = rbx_file_look_at(dir, entry, facts);
    if (err == 0 && facts->type == RBX_FILE_REGULAR)
        err = rbx_fd_open(fd, dir, entry, RBX_FD_WRITE);
    if (err == 0 && rbx_fd_is_open(fd))
        err = rbx_file_look(fd->fd, facts);
    if (err == 0 && facts->type != RBX_FILE_REGULAR)
        err = rbx_fail(-EPROTO, "'%s' is not a regular file, and so no box", entry);
    if (err < 0)
        rbx_fd_close(fd);
    return err;
}

int rbx_life_reclaim(const struct rbx_name *name, const struct rbx_file_id *id,
                     uint64_t patience_ns)
{
    struct rbx_fd fd = RBX_FD_CLOSED;
    struct rbx_file_facts facts;
    int err = open_regular(&fd, rbx_name_dir(name), name->entry, &facts);
    if (err < 0)
        return err;
    err = id && !rbx_file_same(id, &facts.id) ? -ENOENT
                                              : reclaim_open(name, &facts, fd.fd, patience_ns);
    rbx_fd_close(&fd); /* and with it the locks */
    return err;
}

int rbx_life_reclaim_draft(const char *path)
{
    struct rbx_fd fd = RBX_FD_CLOSED;
    struct rbx_file_facts facts, now;
    int err = open_regular(&fd, RBX_AT_CWD, path, &facts);
    if (err < 0)
        return err;
    err = lock_out_everyone(fd.fd, 0);
    if (err == 0) {
        int attached = rbx_handle_count(fd.fd, 1);
        err = attached > 0 ? -EBUSY : attached;
    }
    if (err == 0)
        err = rbx_file_look_at(RBX_AT_CWD, path, &now);
    if (err == 0)
        err = rbx_file_same(&now.id, &facts.id) ? rbx_file_unlink(RBX_AT_CWD, path) : -ENOENT;
    rbx_fd_close(&fd);
    return err;
}
