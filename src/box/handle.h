/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* handle.h: a process's own half of a box. */
#ifndef RBX_BOX_HANDLE_H
#define RBX_BOX_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../os/fd.h"
#include "../os/file.h"
#include "header.h"
#include "name.h"

/* Not an error: another process came or went, and the whole step is to be tried again. No errno,
   lest one that a callback or the system gives be taken for it. */
#define RBX_RETRY (-4096)

struct rbx_box {
    struct rbx_name name;
    /* An open file description of this handle's own: it holds ATTACH and, in the owner, OWNER.
       Never mapped, since a mapping would keep the locks in a child after fork; there it is closed.
       A raw System V box has none. */
    struct rbx_fd fd;
    struct rbx_file_id id;
    struct rbx_box_header *header; /* NULL when raw */
    void *map;                     /* header and payload; of a System V box, only the header */
    size_t map_size;
    void *data;
    size_t size;
    bool created;
    bool owner;
    bool read_only;
    bool raw;
    bool locked;
    _Atomic unsigned users; /* locks, events and the like that are attached to memory in it */
    bool is_rings;          /* a ring handle closes it, and locks its seats through `fd` */
    bool only_looks; /* came to a box whose owner was dead, without the right to make it anew */
};

/* Whether this process attached the handle, rather than inherited it through fork(). */
static inline bool rbx_handle_is_ours(const struct rbx_box *box)
{
    return rbx_fd_is_open(&box->fd) || (box->raw && box->name.backing == RBX_SYSV);
}

/* 0, or -EBADF and a sentence: the handle was inherited through fork(). */
int rbx_handle_check(const struct rbx_box *box);

struct rbx_box *rbx_handle_new(void);
/* Detaches and frees; the name is left as it is. */
void rbx_handle_free(struct rbx_box *box);

/* Nobody counts further: each lock costs two calls, and anyone who may read can take many. */
#define RBX_ATTACHED_MAX 4096

/* How many other handles the box behind `fd` has, as far as `limit`. */
int rbx_handle_count(int fd, int limit);
/* Locks a byte of ATTACH that is this description's alone. */
int rbx_handle_attach(struct rbx_box *box);
/* Locks OWNER (-EAGAIN: another has it) and writes who we are. */
int rbx_handle_take_ownership(struct rbx_box *box);

/* Maps the first `file_size` bytes of `fd`, another description of the box's file, as its header
   and payload. */
int rbx_handle_map(struct rbx_box *box, const struct rbx_fd *fd, uint64_t file_size,
                   const rbx_box_options *options);
/* Unmaps and detaches; the handle keeps its name. */
void rbx_handle_detach(struct rbx_box *box);
/* Applies huge_pages, lock_memory and prefault to the mapped payload. */
void rbx_handle_tune(struct rbx_box *box, const rbx_box_options *options);

#endif
