/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * header.h: the first page of every box, and the lock bytes on its inode (docs/box.md).
 *
 * Everyone but the handles that have the box mapped reads the header as a copy, once, and checks
 * it before use: a peer may have written anything there.
 */
#ifndef RBX_BOX_HEADER_H
#define RBX_BOX_HEADER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/box.h>

#define RBX_HEADER_MAGIC "ringbox" /* eight bytes with its NUL; the same in every version */
#define RBX_HEADER_VERSION 1U
#define RBX_HEADER_BYTE_ORDER 0x01020304U
#define RBX_HEADER_SIZE 4096U
#define RBX_LINK_PATH_MAX 2048U

enum rbx_box_state { RBX_BOX_READY = 0, RBX_BOX_MAKING = 1 };

struct rbx_box_header {
    /* Written by the creator before the box has a name; constant from then on. */
    char magic[8];
    uint32_t byte_order;
    uint32_t version;
    uint32_t word_bits;
    uint32_t header_size;
    uint32_t backing;
    uint32_t page_size; /* what the file is a multiple of */
    uint64_t size;      /* payload */
    uint64_t tag;
    uint8_t id[16];
    uint64_t created_ns;
    int32_t creator_pid;
    int32_t sysv_key;
    uint64_t ipc_namespace; /* System V: where sysv_key and sysv_id mean anything; 0: unknown */
    uint64_t creator_pid_namespace; /* where creator_pid means anything; 0: unknown */
    uint8_t reserved_constant[32];

    /* Written by whoever holds OWNER. Relaxed: the lock, a system call, orders them for all who
       decide by them; others show them to people. */
    _Atomic uint32_t policy;
    _Atomic int32_t owner_pid;
    _Atomic uint64_t owner_start;
    _Atomic uint64_t owner_pid_namespace;
    uint8_t reserved_owner[40];

    /* System V boxes: written by the creator, which holds GATE until it is done. */
    _Atomic uint32_t state;
    _Atomic int32_t sysv_id;
    uint8_t reserved_sysv[56];

    /* Written once, under NAME; the first byte last. "" for none. */
    char link[RBX_LINK_PATH_MAX];

    uint8_t reserved[RBX_HEADER_SIZE - 256 - RBX_LINK_PATH_MAX];
};

_Static_assert(offsetof(struct rbx_box_header, byte_order) == 8, "layout");
_Static_assert(offsetof(struct rbx_box_header, size) == 32, "layout");
_Static_assert(offsetof(struct rbx_box_header, id) == 48, "layout");
_Static_assert(offsetof(struct rbx_box_header, policy) == 128, "layout");
_Static_assert(offsetof(struct rbx_box_header, state) == 192, "layout");
_Static_assert(offsetof(struct rbx_box_header, link) == 256, "layout");
_Static_assert(sizeof(struct rbx_box_header) == RBX_HEADER_SIZE, "layout");

/*
 * Lock bytes, far past the end of any file. No two that one description holds are neighbours:
 * the kernel would merge them into one lock.
 */
#define RBX_LOCK_BASE ((uint64_t)1 << 62)
/* Exclusive: by whoever unlinks the name, or writes the link file. */
#define RBX_LOCK_NAME (RBX_LOCK_BASE + 0)
/* Shared: while attaching. Exclusive: by a reclaimer, and by the maker of a System V box. */
#define RBX_LOCK_GATE (RBX_LOCK_BASE + 2)
/* Exclusive: by the owning handle, for its whole life. */
#define RBX_LOCK_OWNER (RBX_LOCK_BASE + 4)
/* Exclusive: by whoever repairs what lives in the box. */
#define RBX_LOCK_REPAIR (RBX_LOCK_BASE + 6)
/* Every second byte from here on: for the endpoints of what lives in the box (src/ring/seat.h). */
#define RBX_LOCK_SEATS (RBX_LOCK_BASE + ((uint64_t)1 << 20))
/* From here on, as far as the payload is long: the byte of each seat of the locks and semaphores
   that live there, by where in the payload the seat begins (src/sync/seat.h). */
#define RBX_LOCK_PAYLOAD (RBX_LOCK_BASE + ((uint64_t)1 << 48))
/* One byte a handle, drawn at random, for its whole life: exclusive, or shared by a read-only
   handle, which is allowed no other. */
#define RBX_LOCK_ATTACH (RBX_LOCK_BASE + ((uint64_t)1 << 61))
#define RBX_LOCK_ATTACH_COUNT ((uint64_t)1 << 61)

static inline uint64_t rbx_header_file_size(uint64_t payload, uint64_t page_size)
{
    return (RBX_HEADER_SIZE + payload + page_size - 1) / page_size * page_size;
}

/*
 * Whether `header`, a copy of the start of a file of `file_size` bytes, is that of a box that this
 * build can use: 0 or -EPROTO, with a sentence that calls the file `name`.
 */
int rbx_header_check(const struct rbx_box_header *header, uint64_t file_size, const char *name);

/* Reads and checks the header of an open file. */
int rbx_header_read(struct rbx_box_header *copy, int fd, uint64_t file_size, const char *name);

#endif
