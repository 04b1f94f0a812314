/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* name.h: what a program calls a box, and the directory entry that this stands for. */
#ifndef RBX_BOX_NAME_H
#define RBX_BOX_NAME_H

#include <stdint.h>

#include <ringbox/box.h>

#include "../os/fd.h"
#include "../os/file.h"
#include "header.h"

#define RBX_SHM_DIRECTORY "/dev/shm"
#define RBX_SHM_PREFIX "ringbox."
#define RBX_SYSV_PREFIX "ringbox-sysv."
#define RBX_DRAFT_PREFIX "ringbox-draft."

struct rbx_name {
    rbx_box_backing backing;
    int32_t key;       /* RBX_SYSV */
    struct rbx_fd dir; /* RBX_FILE: where the entry is; else the entry is an absolute path */
    char entry[288];
    char *text; /* as the program said it */
};

/* Refuses, with a sentence, what can be no name. The result must be given back. */
int rbx_name_parse(struct rbx_name *name, const char *text, rbx_box_backing backing, bool raw);
void rbx_name_free(struct rbx_name *name);

/* Where to look the entry up. */
static inline int rbx_name_dir(const struct rbx_name *name)
{
    return name->backing == RBX_FILE ? name->dir.fd : RBX_AT_CWD;
}

/* What has the name now. */
int rbx_name_look(const struct rbx_name *name, struct rbx_file_facts *facts);
/* 1: it means this file; 0: another or none; or -errno. */
int rbx_name_means(const struct rbx_name *name, const struct rbx_file_id *id);

/*
 * The backing, and the name that rbx_box_open takes, of an entry of RBX_SHM_DIRECTORY. NULL when
 * the entry is no box.
 */
const char *rbx_name_of_entry(const char *entry, rbx_box_backing *backing);

/* Whether a header can be that of the box of this name, rather than of one that was copied or
   planted here: 0 or -EPROTO. What is done by a header is done to what it names. */
int rbx_name_check_header(const struct rbx_name *name, const struct rbx_box_header *header);

/* Whether `text` is non-empty printable UTF-8: 0 or -EINVAL, with a sentence that says `what`. */
int rbx_name_check_text(const char *text, const char *what);

#endif
