/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * box.h: a box is a named piece of shared memory with an owner.
 *
 * It is made once, joined by anyone who knows its name (and may), and unlinked once, by its owner.
 *
 *     struct counter { _Atomic uint64_t hits; };
 *
 *     rbx_box *box;
 *     const rbx_box_options options = {.size = sizeof(struct counter)};
 *     if (rbx_box_open(&box, "hits", &options) < 0) {
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *         return 1;
 *     }
 *     struct counter *counter = rbx_box_as(box, struct counter);
 *     counter->hits++;
 *     rbx_box_close(box);
 *
 * What holds:
 *  - Nobody ever sees a half-made box: it gets its name when its memory is reserved and filled.
 *  - A full file system is -ENOSPC when the box is made, never a SIGBUS later.
 *  - Who is attached, and whether the owner lives, is the kernel's knowledge: locks that it drops
 *    at exit, crash or kill -9. There is no heartbeat, no time-out and no pid file.
 *  - An owner that closes late never removes a successor's box.
 *  - What does not fit (foreign, truncated, another version, size or byte order) is refused.
 *
 * When everybody who used a box has died, its contents are not to be trusted: whoever opens it next
 * to create it gets a NEW, zeroed box. To keep the contents make it with RBX_KEEP, or open what is
 * left with RBX_OPEN_ONLY and take it with rbx_box_own. As long as one process is attached the box
 * lives on, and a restarted one joins it; to be its owner again it calls rbx_box_own.
 *
 * A handle belongs to one thread at a time; its data to everyone. No call but rbx_box_close takes
 * NULL for a box. After fork() the child may use the memory of a handle that it inherited, and must
 * still close it, but is not attached: every other call on it answers -EBADF. A child that wants a
 * handle opens its own. No thread should be cancelled inside a call.
 *
 * Processes that can open a named box are trusted with it: one that can write could truncate the
 * file under the others, and one that can only read could hold locks that make others wait (two
 * seconds at most). Where they are not, use a memfd box: it is sealed.
 */
#ifndef RINGBOX_BOX_H
#define RINGBOX_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>

RBX_BEGIN_DECLS

typedef struct rbx_box rbx_box;

/* The longest name of a shared memory box, in bytes. */
#define RBX_NAME_MAX 200

/* The largest payload that any box may have: 64 TiB, or 1 GiB where addresses have 32 bits. */
#define RBX_BOX_SIZE_MAX ((uint64_t)1 << (sizeof(void *) > 4 ? 46 : 30))

typedef enum rbx_box_how {
    RBX_OPEN_OR_CREATE = 0,
    RBX_CREATE_ONLY,
    RBX_OPEN_ONLY,
} rbx_box_how;

/* Where the memory lives, and so what `name` means. */
typedef enum rbx_box_backing {
    RBX_SHM = 0, /* POSIX shared memory: a name of up to RBX_NAME_MAX bytes without '/'; the file is
                    /dev/shm/ringbox.NAME */
    RBX_FILE,    /* a file: its path, on tmpfs, hugetlbfs or a disk */
    RBX_MEMFD,   /* no name, only a label: sealed, and handed on with rbx_box_send */
    RBX_SYSV,    /* a System V segment: its key as a number, "0x52494e47" or "1380535879" */
} rbx_box_backing;

/* Who removes the name. Every policy leaves the memory to those who still have it mapped. */
typedef enum rbx_box_policy {
    RBX_OWNER_UNLINKS = 0, /* the owner (its creator, unless ownership moved), when it closes */
    RBX_LAST_ONE_OUT,      /* whoever closes last */
    RBX_KEEP,              /* nobody: it stays until someone opens, owns and closes it */
} rbx_box_policy;

/* All zero is a sensible default, but for the size that creating a box needs. */
typedef struct rbx_box_options {
    size_t size; /* payload in bytes; when joining it must be the box's, or 0 for any */
    rbx_box_how how;
    rbx_box_backing backing;
    rbx_box_policy policy; /* of a new box; one that is joined has its own */
    unsigned mode;         /* who may read and write a new box, exactly (no umask): 0600, which 0
                              means, and bits of 0066. And whom to trust: a box that another user (but
                              root) made is joined only if this admits others */
    uint64_t tag;          /* yours: kept in a new box; when not 0, must equal an existing box's */
    bool raw;              /* map somebody else's object as it is: no header, no promises, never
                              made, never unlinked; `name` is that of shm_open, a path, or a key */
    bool read_only;        /* the data may not be written through this handle; joins only */
    bool huge_pages;       /* use them where the system has some, else ordinary pages */
    bool prefault;         /* map every page now, so that no access faults later */
    bool lock_memory;      /* keep it in RAM; where that is refused the box opens unlocked, and
                              rbx_box_info.locked says so */
    /* Fills the zeroed payload of a new box before anyone else can see it. A negative return
       (-errno) gives the box up and is what rbx_box_open returns. When two processes create at once
       each fills its own, and the loser's is thrown away unseen. (The memory of a System V box has
       its key from the start: other programs than this library's could see it sooner.) */
    int (*init)(void *data, size_t size, void *arg);
    void *init_arg;
} rbx_box_options;

/*
 * Opens the box `name`; `options` may be NULL to join whatever has that name. On failure *box is
 * NULL and nothing is left behind:
 *   -EINVAL  an argument makes no sense by itself    -ENAMETOOLONG  the name is too long
 *   -EEXIST  create only, and it exists              -ENOENT        open only, and it does not
 *   -EPROTO  what has that name is no box, or not of the size, tag, version or machine wanted
 *   -EISDIR, -ELOOP  a directory, or a symbolic link (never followed) has that name
 *   -ENOTSUP a memfd box where there is no /proc
 *   -EACCES, -EPERM  not allowed                     -EFBIG   over RBX_BOX_SIZE_MAX or a file limit
 *   -ENOSPC  no room for it                          -ENOMEM, -EMFILE, -ENFILE  nor for us
 *   -ESTALE  its System V segment was removed        -ENOLCK  a file system without locks
 *   -EBUSY   another process is creating or removing it and does not come to an end
 */
RBX_API int rbx_box_open(rbx_box **box, const char *name, const rbx_box_options *options);

/*
 * Closes the handle, unmaps its memory and, as the policy says, removes the name. NULL is fine.
 * -EBUSY, and nothing is done, while a lock, event, semaphore or cell is attached to memory in it
 * through this handle: no other failure is -EBUSY. Else the handle is gone whatever is returned; an
 * error says that the name could not be removed, and -ETIMEDOUT that another process was about to
 * remove it and did not come to an end. What is left is an orphan, for rbx_box_reclaim.
 */
RBX_API int rbx_box_close(rbx_box *box);

/* The payload: aligned to 4096 bytes, and zeroed when the box was made. */
RBX_API void *rbx_box_data(const rbx_box *box);
RBX_API size_t rbx_box_size(const rbx_box *box);
RBX_API const char *rbx_box_name(const rbx_box *box);
RBX_API bool rbx_box_is_owner(const rbx_box *box);
RBX_API bool rbx_box_was_created(const rbx_box *box); /* by this handle */

/* The payload as a T, or NULL (and a sentence) when a T does not fit or would be misaligned. */
#ifdef __cplusplus
#define rbx_box_as(box, T) (static_cast<T *>(rbx_box_fit((box), sizeof(T), alignof(T))))
#else
#define rbx_box_as(box, T) ((T *)rbx_box_fit((box), sizeof(T), _Alignof(T)))
#endif
RBX_API void *rbx_box_fit(const rbx_box *box, size_t size, size_t alignment);

/*
 * Copies a part of the payload, of any box, out to `buffer` or in from it, and nothing that is not
 * in the box: -ERANGE. In a read-only one nothing is written: -EACCES. Others may change the bytes
 * while they are copied.
 */
RBX_API int rbx_box_read(const rbx_box *box, size_t offset, void *buffer, size_t size);
RBX_API int rbx_box_write(rbx_box *box, size_t offset, const void *buffer, size_t size);

/* Gives ownership up: the name stays (RBX_KEEP). -EPERM when this handle does not own the box. */
RBX_API int rbx_box_leak(rbx_box *box);

/*
 * Takes ownership: this handle will unlink the name when it closes. Whatever the policy was, it is
 * RBX_OWNER_UNLINKS for everyone from now on. -EBUSY while another handle owns it, -ESTALE when the
 * name has moved on, -EACCES when read-only.
 */
RBX_API int rbx_box_own(rbx_box *box);

/* How many handles are attached, this one included, as far as 4096. -ENOTSUP for a raw box. */
RBX_API int rbx_box_attached(const rbx_box *box);

/* 1 when the name is gone or means another box by now, 0 when it still means this one. */
RBX_API int rbx_box_stale(const rbx_box *box);

/*
 * A link file is a small file, at a path of your choice, that names a box; opening the link opens
 * the box. A box has at most one, removed together with its name. A link that an earlier box of the
 * same name left behind is replaced; any other file at the path is -EEXIST.
 */
RBX_API int rbx_box_link(rbx_box *box, const char *link_path);
/* As rbx_box_open with RBX_OPEN_ONLY; the backing is the link's to say. */
RBX_API int rbx_box_open_link(rbx_box **box, const char *link_path, const rbx_box_options *options);

/*
 * Hands a memfd box over a connected Unix socket (stream, seqpacket or datagram). The receiver may
 * write to it only if the sender's handle may. Both follow the socket's blocking mode (-EAGAIN)
 * and its receive time-out; a signal is -EINTR, a closed peer -EPIPE. rbx_box_recv refuses, with
 * -EPROTO, a message that is no box or a box that is not sealed.
 */
RBX_API int rbx_box_send(int sock, const rbx_box *box);
RBX_API int rbx_box_recv(int sock, rbx_box **box);

typedef enum rbx_owner_state {
    RBX_OWNER_NONE = 0, /* nobody is meant to own it */
    RBX_OWNER_ALIVE,
    RBX_OWNER_DEAD,
    RBX_OWNER_SUSPECT, /* its process is gone, yet something still holds its lock: a raw clone()
                          that inherited the descriptor. Reported, and never reclaimed */
} rbx_owner_state;

typedef struct rbx_box_info {
    const char *name;
    rbx_box_backing backing;
    rbx_box_policy policy;
    rbx_owner_state owner;
    int owner_pid;   /* for people only: as its own PID namespace counts */
    int creator_pid; /* likewise */
    int attached;    /* handles */
    int problem;     /* 0, or -errno: why this cannot be used (then the rest may be 0, and
                        rbx_last_error() says more while the visitor runs) */
    bool unused;     /* rbx_box_reclaim would remove it */
    bool stale;      /* the name is gone, means another box, or lost its System V segment */
    bool read_only;  /* this handle; false in a walk */
    bool locked;     /* this handle's memory is locked in RAM; false in a walk */
    unsigned mode;
    unsigned uid;
    uint64_t size;
    uint64_t tag;
    uint64_t page_size;
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint8_t id[16];      /* random, one for each box ever made */
} rbx_box_info;

RBX_API int rbx_box_describe(const rbx_box *box, rbx_box_info *info);

/*
 * Shows `visit` every box of this user (root: of every user) in a directory, or, when that is
 * NULL, every POSIX and System V one; `info` is valid during the call only. Stops when visit
 * returns other than 0 and returns that.
 */
typedef int rbx_box_visit(const rbx_box_info *info, void *arg);
RBX_API int rbx_box_walk(const char *directory, rbx_box_visit *visit, void *arg);

/*
 * Removes a box that nobody uses: no handle is attached, and its policy is not RBX_KEEP.
 * -EBUSY when it is in use or kept. (To remove a kept one: rbx_box_open, rbx_box_own,
 * rbx_box_close.)
 */
RBX_API int rbx_box_reclaim(const char *name, rbx_box_backing backing);
/* The same for all boxes of this user there (as for rbx_box_walk); returns how many it removed. */
RBX_API int rbx_box_reclaim_unused(const char *directory);

RBX_END_DECLS

#endif
