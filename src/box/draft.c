/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "draft.h"

#include <errno.h>
#include <stdio.h>

#include "../os/process.h"

/* Drafts of one directory must be distinct from each other, not secret. */
static int draw_entry(struct rbx_draft *draft, const struct rbx_name *name)
{
    uint64_t unique;
    int err = rbx_random(&unique, sizeof unique);
    if (err == 0)
        snprintf(draft->entry, sizeof draft->entry, "%s" RBX_DRAFT_PREFIX "%016llx",
                 name->backing == RBX_FILE ? "" : RBX_SHM_DIRECTORY "/",
                 (unsigned long long)unique);
    return err;
}

static int create_unnamed(struct rbx_fd *fd, struct rbx_fd *second, const struct rbx_name *name)
{
    int err = rbx_fd_create_unnamed(fd, rbx_name_dir(name),
                                    name->backing == RBX_FILE ? "." : RBX_SHM_DIRECTORY);
    if (err < 0)
        return err;
    err = rbx_fd_reopen(second, fd->fd, RBX_FD_WRITE);
    if (err < 0)
        rbx_fd_close(fd);
    return err == -ENOENT ? -EOPNOTSUPP : err; /* no /proc here */
}

static int create_named(struct rbx_draft *draft, struct rbx_fd *fd, struct rbx_fd *second,
                        const struct rbx_name *name)
{
    int err = draw_entry(draft, name);
    if (err == 0)
        err = rbx_fd_create(fd, rbx_name_dir(name), draft->entry);
    if (err < 0) {
        draft->entry[0] = '\0';
        return err;
    }
    err = rbx_fd_open(second, rbx_name_dir(name), draft->entry, RBX_FD_WRITE);
    if (err < 0) {
        rbx_draft_discard(draft, name);
        rbx_fd_close(fd);
    }
    return err;
}

int rbx_draft_create(struct rbx_draft *draft, struct rbx_fd *fd, struct rbx_fd *second,
                     const struct rbx_name *name)
{
    draft->entry[0] = '\0';
    int err = create_unnamed(fd, second, name);
    if (err != -EOPNOTSUPP)
        return err;
    /* A reclaimer may take one before it is locked; hardly one after another. */
    for (int tries = 0; tries < 8; tries++) {
        err = create_named(draft, fd, second, name);
        if (err != -ENOENT)
            break;
    }
    return err;
}

int rbx_draft_publish(struct rbx_draft *draft, const struct rbx_fd *fd, const struct rbx_name *name)
{
    if (!draft->entry[0])
        return rbx_file_link(fd->fd, rbx_name_dir(name), name->entry);
    int err = rbx_file_link_from(rbx_name_dir(name), draft->entry, name->entry);
    if (err == 0)
        rbx_draft_discard(draft, name);
    return err;
}

void rbx_draft_discard(struct rbx_draft *draft, const struct rbx_name *name)
{
    if (draft->entry[0])
        rbx_file_unlink(rbx_name_dir(name), draft->entry);
    draft->entry[0] = '\0';
}
