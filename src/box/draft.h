/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * draft.h: a file in the making, that gets its name in one step when it is whole.
 *
 * It has no name at all where the file system and /proc allow it, so that a crash leaves nothing.
 * Where they do not, it has a unique one, and a crash leaves that for rbx_box_reclaim_unused.
 */
#ifndef RBX_BOX_DRAFT_H
#define RBX_BOX_DRAFT_H

#include "name.h"

struct rbx_draft {
    char entry[64]; /* "" when it has no name */
};

/* Creates it where `name` will be, and opens it twice: once to lock, once to map or write. */
int rbx_draft_create(struct rbx_draft *draft, struct rbx_fd *fd, struct rbx_fd *second,
                     const struct rbx_name *name);
/* -EEXIST: the name is taken; -ENOENT: a reclaimer took the draft in the moment before its maker
   locked it. */
int rbx_draft_publish(struct rbx_draft *draft, const struct rbx_fd *fd,
                      const struct rbx_name *name);
/* Removes what is left of it, published or not. */
void rbx_draft_discard(struct rbx_draft *draft, const struct rbx_name *name);

#endif
