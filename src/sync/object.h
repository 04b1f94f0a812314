/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * object.h: what locks, events, semaphores and cells have in common: shared memory that begins with
 * a header, and a process's handle on it.
 *
 * The memory is in a box of the object's own (opened by name), in a box of the caller's (attached
 * at an address there), in no box that we know of (attached without one), or this process's own.
 */
#ifndef RBX_SYNC_OBJECT_H
#define RBX_SYNC_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/atomic.h>
#include <ringbox/box.h>

#include "../box/handle.h"

enum rbx_object_kind {
    RBX_OBJECT_MUTEX = 1,
    RBX_OBJECT_RWLOCK,
    RBX_OBJECT_EVENT,
    RBX_OBJECT_SEM,
    RBX_OBJECT_CELL,
};

#define RBX_OBJECT_MAGIC "rbxsync" /* eight bytes with its NUL; the same in every version */
#define RBX_OBJECT_VERSION 1U
#define RBX_OBJECT_BYTE_ORDER 0x01020304U
#define RBX_OBJECT_ALIGNMENT 64U

/* What an object is, whole: constant once it is made, and kept by each handle as a checked copy. */
struct rbx_object_shape {
    uint32_t kind;
    uint32_t flags;     /* the kind's own, as are the next two */
    uint64_t detail[2]; /* seats, bytes of a value, ... */
    uint64_t size;      /* of all the memory, the header included */
};

struct rbx_object_header {
    char magic[8]; /* written last */
    uint32_t byte_order;
    uint32_t version;
    struct rbx_object_shape shape;
    uint8_t reserved[16];
};

_Static_assert(sizeof(struct rbx_object_shape) == 32, "layout");
_Static_assert(sizeof(struct rbx_object_header) == 64, "layout");

/* What a kind of object, or one call, asks for. */
struct rbx_object_plan {
    struct rbx_object_shape shape; /* of a new one; of an existing one, its kind only */
    const char *noun;              /* "mutex" */
    bool only_joins;               /* no shape: whatever is there */
    bool has_seats;                /* each handle locks bytes of the box */
    bool may_read_only;            /* a read-only handle is of some use */
    const void *options;           /* for the next two */
    /* Makes the rest in memory that is zeroed: 0 or -errno and a sentence. */
    int (*format)(void *memory, const struct rbx_object_plan *plan);
    /* Whether addresses that are computed from the shape of an existing one stay inside it, and it
       is what was asked for: 0, or -EPROTO and a sentence that calls it `name`. */
    int (*check)(const struct rbx_object_shape *shape, const struct rbx_object_plan *plan,
                 const char *name);
};

/* The part of each handle that all kinds have. */
struct rbx_object {
    struct rbx_box *box; /* NULL: in none that we know of */
    const char *noun;
    void *memory; /* a header, and what the kind keeps behind it */
    struct rbx_object_shape shape;
    struct rbx_fd
        locks; /* a description of this handle's own, for seats in a box of the caller's */
    bool owns_box;
    bool owns_memory;
    bool in_process; /* nobody in another process can see it */
    /* It is one process's, or its seats are, and no descriptor that fork() closes tells whose:
       `forks` does. */
    bool counts_forks;
    uint32_t forks; /* of the process that opened it: see rbx_fd_forks */
};

/*
 * With a name: makes or joins the object in a box of its own, as box->how says (NULL: joins any);
 * a policy of RBX_OWNER_UNLINKS means RBX_LAST_ONE_OUT. Without one: in new memory of this
 * process's own. 0, or an error as of rbx_box_open.
 */
int rbx_object_open(struct rbx_object *object, const char *name, const struct rbx_object_plan *plan,
                    const rbx_box_options *box);
/* Makes one in zeroed memory of the caller's. */
int rbx_object_init(void *memory, size_t size, const struct rbx_object_plan *plan);
/* Joins the one in `memory`: which is in `box`, or, when that is NULL, wherever. */
int rbx_object_attach(struct rbx_object *object, rbx_box *box, void *memory, size_t size,
                      const struct rbx_object_plan *plan);
/* The handle is none from then on, whatever is returned. */
int rbx_object_close(struct rbx_object *object);

/* The name of its box, or "in memory". */
const char *rbx_object_name(const struct rbx_object *object);

/* Whether this process opened the handle, rather than inherited it through fork(): of memory of the
   parent's own a child has a copy, in which nobody else does anything. One without seats, in memory
   of the caller's outside of any box, goes on as it is. */
static inline bool rbx_object_is_ours(const struct rbx_object *object)
{
    return (!object->box || rbx_handle_is_ours(object->box)) &&
           (!object->counts_forks || object->forks == rbx_fd_forks());
}

int rbx_object_inherited(const struct rbx_object *object); /* -EBADF and a sentence */

static inline int rbx_object_check(const struct rbx_object *object)
{
    return rbx_object_is_ours(object) ? 0 : rbx_object_inherited(object);
}

/* What follows the header. */
static inline void *rbx_object_body(const struct rbx_object *object)
{
    return (char *)object->memory + sizeof(struct rbx_object_header);
}

#endif
