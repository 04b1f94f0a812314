/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* walk.c: what can be said of boxes, one's own or all that are there. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <ringbox/box.h>

#include "../error.h"
#include "../os/lock.h"
#include "../os/process.h"
#include "handle.h"
#include "life.h"

/*
 * Alive is what the kernel says: OWNER is held. The one doubt is a lock that outlived the process
 * that took it. Looked at twice, since a new owner writes its identity just after it has the lock.
 */
static rbx_owner_state judge_owner(bool held, const struct rbx_box_header *header, int fd)
{
    struct rbx_box_header again;
    if (atomic_load_explicit(&header->policy, memory_order_relaxed) != RBX_OWNER_UNLINKS)
        return RBX_OWNER_NONE;
    if (!held)
        return RBX_OWNER_DEAD;
    struct rbx_process owner = {
        .pid = atomic_load_explicit(&header->owner_pid, memory_order_relaxed),
        .start = atomic_load_explicit(&header->owner_start, memory_order_relaxed),
        .pid_namespace = atomic_load_explicit(&header->owner_pid_namespace, memory_order_relaxed),
    };
    if (!rbx_process_is_gone(&owner))
        return RBX_OWNER_ALIVE;
    if (rbx_file_read(fd, &again, sizeof again, 0) < 0 ||
        atomic_load_explicit(&again.owner_pid, memory_order_relaxed) != owner.pid ||
        atomic_load_explicit(&again.owner_start, memory_order_relaxed) != owner.start)
        return RBX_OWNER_ALIVE;
    return RBX_OWNER_SUSPECT;
}

/* `own` handles of this descriptor itself, which the kernel does not report to it. */
static int survey(int fd, const struct rbx_box_header *header, const struct rbx_box *own,
                  rbx_box_info *info)
{
    int others = rbx_handle_count(fd, RBX_ATTACHED_MAX);
    if (others < 0)
        return others;
    int held = own && own->owner ? 1 : rbx_lock_held(fd, RBX_LOCK_OWNER);
    if (held < 0)
        return held;
    info->backing = (rbx_box_backing)header->backing;
    info->policy =
        (rbx_box_policy)atomic_load_explicit(&header->policy, memory_order_relaxed); /* a copy */
    info->owner = judge_owner(held, header, fd);
    info->owner_pid = atomic_load_explicit(&header->owner_pid, memory_order_relaxed);
    info->creator_pid = header->creator_pid;
    info->attached = others + (own ? 1 : 0);
    info->stale = rbx_life_lost_segment(header);
    info->unused = rbx_life_is_orphan(header, info->attached);
    info->size = header->size;
    info->tag = header->tag;
    info->page_size = header->page_size;
    info->created_ns = header->created_ns;
    memcpy(info->id, header->id, sizeof info->id);
    return 0;
}

static int describe_raw(const rbx_box *box, rbx_box_info *info)
{
    info->size = box->size;
    info->attached = -1;
    info->problem = -ENOTSUP; /* no header: whoever made it knows */
    return 0;
}

int rbx_box_describe(const rbx_box *box, rbx_box_info *info)
{
    *info = (rbx_box_info){.name = box->name.text,
                           .backing = box->name.backing,
                           .read_only = box->read_only,
                           .locked = box->locked};
    struct rbx_box_header copy;
    struct rbx_file_facts facts;
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    if (box->raw)
        return describe_raw(box, info);
    err = rbx_file_look(box->fd.fd, &facts);
    if (err < 0)
        return rbx_fail(err, "cannot look at box '%s': %m", box->name.text);
    err = rbx_header_read(&copy, box->fd.fd, facts.size, box->name.text);
    if (err < 0)
        return err;
    err = survey(box->fd.fd, &copy, box, info);
    if (err < 0)
        return rbx_fail(err, "cannot see who has box '%s': %m", box->name.text);
    info->mode = facts.mode;
    info->uid = facts.uid;
    int stale = rbx_box_stale(box);
    info->stale = stale > 0;
    return stale < 0 ? stale : 0;
}

struct walk {
    const char *directory; /* NULL: only the names of shared memory */
    bool has_shm_names;
    rbx_box_visit *visit;
    void *arg;
    int answer; /* the visitor's last */
};

static int entry_path(const struct walk *walk, const char *entry, char *path, size_t size)
{
    const char *directory = walk->directory ? walk->directory : RBX_SHM_DIRECTORY;
    int length = snprintf(path, size, "%s/%s", directory, entry);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

/* Whether the file begins as a box does; in somebody's directory most files will not. */
static bool looks_like_box(int fd)
{
    char magic[sizeof RBX_HEADER_MAGIC];
    return rbx_file_read(fd, magic, sizeof magic, 0) == 0 &&
           memcmp(magic, RBX_HEADER_MAGIC, sizeof magic) == 0;
}

static int examine(const char *path, const struct rbx_name *name, bool must_be_box,
                   rbx_box_info *info, bool *is_ours)
{
    struct rbx_file_facts facts;
    struct rbx_box_header header;
    struct rbx_fd fd = RBX_FD_CLOSED;
    unsigned self = rbx_process_user();
    *is_ours = false;
    int err = rbx_file_look_at(RBX_AT_CWD, path, &facts);
    if (err < 0 || (facts.uid != self && self != 0))
        return err;
    *is_ours = must_be_box;
    if (facts.type != RBX_FILE_REGULAR)
        return -EPROTO;
    err = rbx_fd_open(&fd, RBX_AT_CWD, path, RBX_FD_READ);
    if (err < 0)
        return err;
    err = rbx_file_look(fd.fd, &facts);
    *is_ours = must_be_box || looks_like_box(fd.fd);
    info->mode = facts.mode;
    info->uid = facts.uid;
    if (err == 0)
        err = rbx_header_read(&header, fd.fd, facts.size, name->text);
    if (err == 0)
        err = rbx_name_check_header(name, &header);
    if (err == 0)
        err = survey(fd.fd, &header, NULL, info);
    rbx_fd_close(&fd);
    return err;
}

static int visit_entry(const char *entry, void *arg)
{
    struct walk *walk = arg;
    rbx_box_backing backing = RBX_FILE;
    char path[PATH_MAX];
    const char *name = NULL;
    bool is_ours;
    if (strcmp(entry, ".") == 0 || strcmp(entry, "..") == 0 ||
        entry_path(walk, entry, path, sizeof path) < 0)
        return 0;
    if (walk->has_shm_names)
        name = rbx_name_of_entry(entry, &backing);
    bool must_be_box = name != NULL;
    if (!name && !walk->directory)
        return 0;
    if (!name)
        name = path;
    struct rbx_name parsed;
    if (rbx_name_parse(&parsed, name, backing, false) < 0)
        return 0; /* no program of ours can have named it so */
    rbx_box_info info = {.name = name, .backing = backing};
    int err = examine(path, &parsed, must_be_box, &info, &is_ours);
    rbx_name_free(&parsed);
    if (!is_ours || err == -ENOENT) /* it may have gone while we looked */
        return 0;
    info.problem = err;
    walk->answer = walk->visit(&info, walk->arg);
    return walk->answer;
}

/* However it is spelled. */
static bool is_shm_directory(const char *directory)
{
    struct rbx_file_facts given, shm;
    struct walk walk = {.directory = directory};
    char path[PATH_MAX];
    return !directory || (entry_path(&walk, ".", path, sizeof path) == 0 &&
                          rbx_file_look_at(RBX_AT_CWD, path, &given) == 0 &&
                          rbx_file_look_at(RBX_AT_CWD, RBX_SHM_DIRECTORY "/.", &shm) == 0 &&
                          rbx_file_same(&given.id, &shm.id));
}

int rbx_box_walk(const char *directory, rbx_box_visit *visit, void *arg)
{
    if (!visit)
        return rbx_fail(-EINVAL, "a walk needs someone to show the boxes to");
    struct walk walk = {.directory = directory,
                        .has_shm_names = is_shm_directory(directory),
                        .visit = visit,
                        .arg = arg};
    const char *where = directory ? directory : RBX_SHM_DIRECTORY;
    int err = rbx_directory_each(where, visit_entry, &walk);
    if (err < 0 && walk.answer == 0)
        return rbx_fail(err, "the walk through '%s' ended early: %m", where);
    return err;
}

int rbx_box_reclaim(const char *name, rbx_box_backing backing)
{
    if (backing == RBX_MEMFD)
        return rbx_fail(-EINVAL, "a memfd box has no name, and goes with its last handle");
    struct rbx_name parsed;
    int err = rbx_name_parse(&parsed, name, backing, false);
    if (err < 0)
        return err;
    err = rbx_life_reclaim(&parsed, NULL, 0);
    rbx_name_free(&parsed);
    if (err == -EBUSY || err == -EAGAIN)
        return rbx_fail(-EBUSY, "box '%s' is in use, or is one that is kept: own and close it",
                        name);
    if (err == -EXDEV)
        return rbx_fail(
            err,
            "box '%s' was made in another IPC namespace: reclaim it there or, when that "
            "has ended, remove its file in " RBX_SHM_DIRECTORY,
            name);
    if (err < 0 && err != -EPROTO)
        return rbx_fail(err, "cannot reclaim box '%s': %m", name);
    return err;
}

struct sweep {
    const char *directory;
    int removed;
};

static int sweep_box(const rbx_box_info *info, void *arg)
{
    struct sweep *sweep = arg;
    if (info->problem == 0 && info->unused && info->uid == rbx_process_user() &&
        rbx_box_reclaim(info->name, info->backing) == 0)
        sweep->removed++;
    return 0;
}

static int sweep_draft(const char *entry, void *arg)
{
    struct sweep *sweep = arg;
    struct walk walk = {.directory = sweep->directory};
    struct rbx_file_facts facts;
    char path[PATH_MAX];
    if (strncmp(entry, RBX_DRAFT_PREFIX, strlen(RBX_DRAFT_PREFIX)) == 0 &&
        entry_path(&walk, entry, path, sizeof path) == 0 &&
        rbx_file_look_at(RBX_AT_CWD, path, &facts) == 0 && facts.uid == rbx_process_user() &&
        rbx_life_reclaim_draft(path) == 0)
        sweep->removed++;
    return 0;
}

int rbx_box_reclaim_unused(const char *directory)
{
    struct sweep sweep = {.directory = directory};
    int err = rbx_box_walk(directory, sweep_box, &sweep);
    if (err < 0)
        return err;
    rbx_directory_each(directory ? directory : RBX_SHM_DIRECTORY, sweep_draft, &sweep);
    return sweep.removed;
}
