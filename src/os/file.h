/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* file.h: names, sizes, contents and seals of files. */
#ifndef RBX_OS_FILE_H
#define RBX_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fd.h"

#define RBX_AT_CWD (-100) /* AT_FDCWD: relative to the working directory */

/* Which file: as long as somebody has it open, no other file has the same identity. */
struct rbx_file_id {
    uint64_t device;
    uint64_t inode;
};

enum rbx_file_type { RBX_FILE_REGULAR, RBX_FILE_DIRECTORY, RBX_FILE_LINK, RBX_FILE_SPECIAL };

struct rbx_file_facts {
    struct rbx_file_id id;
    enum rbx_file_type type;
    uint64_t size;
    unsigned mode;
    unsigned uid;
};

static inline bool rbx_file_same(const struct rbx_file_id *a, const struct rbx_file_id *b)
{
    return a->device == b->device && a->inode == b->inode;
}

int rbx_file_look(int fd, struct rbx_file_facts *facts);
/* Of what has the name itself: a symbolic link is not followed. */
int rbx_file_look_at(int dir, const char *path, struct rbx_file_facts *facts);

/* Gives an unnamed file its name in one step; -EEXIST when the name is taken. Needs /proc. */
int rbx_file_link(int fd, int dir, const char *path);
/* A second name for a named file, in one step. */
int rbx_file_link_from(int dir, const char *from, const char *path);
int rbx_file_unlink(int dir, const char *path);
int rbx_file_chmod(int fd, unsigned mode);

/*
 * Makes the file `size` bytes of zeros that are really there: -ENOSPC now rather than SIGBUS later.
 * -EFBIG, without the SIGXFSZ, when the process may not make a file that large.
 */
int rbx_file_reserve(int fd, uint64_t size);
/* Exactly `size` bytes at `offset`, or -ENODATA when the file ends before. */
int rbx_file_read(int fd, void *bytes, size_t size, uint64_t offset);
int rbx_file_write(int fd, const void *bytes, size_t size, uint64_t offset);

/* Against growing, shrinking and further seals. */
int rbx_file_seal(int fd);
int rbx_file_is_sealed(int fd);

/* The unit of mapping, never 0: the system's page, or the huge page of a hugetlbfs file. */
int rbx_file_page_size(int fd, uint64_t *size);

/* Calls `each` for every entry; stops when that returns other than 0, and returns it. */
int rbx_directory_each(const char *path, int (*each)(const char *entry, void *arg), void *arg);
/* The absolute path of an entry of an open directory. Needs /proc. */
int rbx_directory_absolute(int dir, const char *entry, char *path, size_t size);

#endif
