/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * life.h: how a name begins and ends (docs/box.md, and tests/model/name.pml as a model).
 *
 * A name is only ever made by link(), which fails when it is taken, and only ever removed by a
 * process that holds NAME on the inode and has seen, under that lock, that the name means it. While
 * it holds the lock nobody else may remove the name, so nobody can put another in its place, and
 * the unlink removes what was looked at. (POSIX has no compare-and-unlink.)
 */
#ifndef RBX_BOX_LIFE_H
#define RBX_BOX_LIFE_H

#include "handle.h"

/* How long to wait for another process that is in the middle of one of these steps. */
#define RBX_PATIENCE_NS 2000000000U

/* The owner's end of the name: whoever is attached. 0 also when it means another box by now.
   -ETIMEDOUT: for RBX_PATIENCE_NS somebody else was about to remove it. Never -EBUSY. */
int rbx_life_remove(struct rbx_box *box);

/*
 * Removes the name if nobody uses its box: no handle attached and the policy not 'keep'. With `id`
 * only if it still means that file. 0: removed; -ENOENT: it was gone; -EBUSY: in use, about to be,
 * or kept; -EAGAIN: for longer than `patience_ns` somebody else was removing it.
 */
int rbx_life_reclaim(const struct rbx_name *name, const struct rbx_file_id *id,
                     uint64_t patience_ns);

/* The same for a file in the making, at an absolute path, that its maker has left. */
int rbx_life_reclaim_draft(const char *path);

/* Whether a box without handles is one that rbx_life_reclaim may remove. */
bool rbx_life_is_orphan(const struct rbx_box_header *header, int attached);

/* Whether the System V keys and ids of a box are those of this process. */
bool rbx_life_same_ipc(const struct rbx_box_header *header);

/* Whether a System V box has certainly lost its segment. */
bool rbx_life_lost_segment(const struct rbx_box_header *header);

#endif
