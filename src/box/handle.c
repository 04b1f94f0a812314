/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "../os/lock.h"
#include "../os/map.h"
#include "../os/process.h"

struct rbx_box *rbx_handle_new(void)
{
    struct rbx_box *box = calloc(1, sizeof *box);
    if (!box) {
        rbx_fail(-ENOMEM, "cannot allocate a box handle: %m");
        return NULL;
    }
    box->fd = RBX_FD_CLOSED;
    box->name.dir = RBX_FD_CLOSED;
    return box;
}

void rbx_handle_detach(struct rbx_box *box)
{
    if (box->name.backing == RBX_SYSV && box->data)
        rbx_sysv_unmap(box->data);
    if (box->map)
        rbx_unmap(box->map, box->map_size);
    box->data = box->map = NULL;
    box->header = NULL;
    rbx_fd_close(&box->fd);
}

void rbx_handle_free(struct rbx_box *box)
{
    rbx_handle_detach(box);
    rbx_name_free(&box->name);
    free(box);
}

int rbx_handle_check(const struct rbx_box *box)
{
    if (rbx_handle_is_ours(box))
        return 0;
    return rbx_fail(-EBADF,
                    "this handle of box '%s' was inherited through fork(): its memory may be used, "
                    "for the rest the child opens its own",
                    box->name.text);
}

int rbx_handle_count(int fd, int limit)
{
    return rbx_lock_count(fd, RBX_LOCK_ATTACH, RBX_LOCK_ATTACH_COUNT, limit);
}

/* A shared lock does not tell whether another handle shares it: look. */
static int lock_attach_byte(int fd, uint64_t byte, bool read_only)
{
    int err = rbx_lock_try(fd, byte, read_only ? RBX_LOCK_SHARED : RBX_LOCK_EXCLUSIVE);
    if (err < 0 || !read_only)
        return err;
    int shared = rbx_lock_held(fd, byte);
    if (shared == 0)
        return 0;
    rbx_lock_drop(fd, byte);
    return shared < 0 ? shared : -EAGAIN;
}

int rbx_handle_attach(struct rbx_box *box)
{
    /* With 2^61 bytes to draw from, a second draw is as good as never needed. */
    for (int draws = 0; draws < 8; draws++) {
        uint64_t drawn;
        int err = rbx_random(&drawn, sizeof drawn);
        if (err == 0)
            err = lock_attach_byte(box->fd.fd, RBX_LOCK_ATTACH + drawn % RBX_LOCK_ATTACH_COUNT,
                                   box->read_only);
        if (err != -EAGAIN)
            return err == -EINVAL || err == -EOPNOTSUPP || err == -ENOSYS ? -ENOLCK : err;
    }
    return -EBUSY;
}

int rbx_handle_take_ownership(struct rbx_box *box)
{
    int err = rbx_lock_try(box->fd.fd, RBX_LOCK_OWNER, RBX_LOCK_EXCLUSIVE);
    if (err < 0)
        return err;
    struct rbx_process self = rbx_process_self();
    struct rbx_box_header *header = box->header;
    /* Relaxed, as the header says: for people, or ordered by OWNER. */
    atomic_store_explicit(&header->owner_pid, self.pid, memory_order_relaxed);
    atomic_store_explicit(&header->owner_start, self.start, memory_order_relaxed);
    atomic_store_explicit(&header->owner_pid_namespace, self.pid_namespace, memory_order_relaxed);
    box->owner = true;
    return 0;
}

int rbx_handle_map(struct rbx_box *box, const struct rbx_fd *fd, uint64_t file_size,
                   const rbx_box_options *options)
{
    int err = rbx_map(&box->map, fd->fd, file_size, !box->read_only);
    if (err < 0)
        return rbx_fail(err, "cannot map the %llu bytes of box '%s': %m",
                        (unsigned long long)file_size, box->name.text);
    box->map_size = (size_t)file_size;
    if (box->raw) {
        box->data = box->map;
    } else {
        box->header = box->map;
        if (box->name.backing != RBX_SYSV)
            box->data = (char *)box->map + RBX_HEADER_SIZE;
    }
    if (box->data)
        rbx_handle_tune(box, options);
    return 0;
}

void rbx_handle_tune(struct rbx_box *box, const rbx_box_options *options)
{
    bool apart = box->name.backing == RBX_SYSV;
    void *at = apart ? box->data : box->map;
    size_t size = apart ? box->size : box->map_size;
    if (options->huge_pages)
        rbx_map_prefer_huge(at, size);
    if (options->lock_memory)
        box->locked = rbx_map_lock(at, size);
    if (options->prefault)
        rbx_map_prefault(at, size, !box->read_only);
}
