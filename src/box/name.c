/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "name.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"

/* The length of the UTF-8 sequence at `s`, or 0 when it is none (overlong and surrogates too). */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size_t length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

int rbx_name_check_text(const char *text, const char *what)
{
    if (!*text)
        return rbx_fail(-EINVAL, "%s may not be empty", what);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t length = utf8_length(s);
        if (length == 0)
            return rbx_fail(-EINVAL, "%s is not UTF-8 (at byte %td)", what, (const char *)s - text);
        if (*s < 0x20 || *s == 0x7f)
            return rbx_fail(-EINVAL, "%s holds a control character (at byte %td)", what,
                            (const char *)s - text);
        s += length;
    }
    return 0;
}

static int parse_shm(struct rbx_name *name, const char *text, bool raw)
{
    const char *leaf = raw && *text == '/' ? text + 1 : text;
    if (strlen(leaf) > RBX_NAME_MAX)
        return rbx_fail(-ENAMETOOLONG, "the name of a box may have %d bytes; '%.40s...' has %zu",
                        RBX_NAME_MAX, leaf, strlen(leaf));
    if (strchr(leaf, '/') || !*leaf)
        return rbx_fail(-EINVAL,
                        "'%s' cannot name a box: no '/' in a shared memory name (RBX_FILE takes "
                        "paths)",
                        text);
    if (strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0)
        return rbx_fail(-EINVAL, "'%s' cannot name a box", text);
    snprintf(name->entry, sizeof name->entry, "%s/%s%s", RBX_SHM_DIRECTORY,
             raw ? "" : RBX_SHM_PREFIX, leaf);
    return 0;
}

static int parse_path(struct rbx_name *name, const char *text)
{
    const char *slash = strrchr(text, '/');
    const char *leaf = slash ? slash + 1 : text;
    if (strlen(leaf) > NAME_MAX || strlen(text) >= PATH_MAX)
        return rbx_fail(-ENAMETOOLONG, "the path '%.40s...' is too long for a box", text);
    if (!*leaf || strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0)
        return rbx_fail(-EISDIR, "'%s' is a directory: a box is a file", text);
    char directory[PATH_MAX];
    size_t length = slash ? (size_t)(slash - text) : 0;
    memcpy(directory, text, length);
    directory[length] = '\0';
    const char *where = !slash ? "." : length == 0 ? "/" : directory;
    int err = rbx_fd_open_directory(&name->dir, where);
    if (err < 0)
        return rbx_fail(err, "cannot reach the directory of box '%s': %m", text);
    snprintf(name->entry, sizeof name->entry, "%s", leaf);
    return 0;
}

static int parse_key(struct rbx_name *name, const char *text)
{
    char *end;
    errno = 0;
    long long key = strtoll(text, &end, 0);
    if (errno || end == text || *end || key < INT32_MIN || key > (long long)UINT32_MAX)
        return rbx_fail(-EINVAL, "'%s' is no System V key: a number of 32 bits, as in 0x52494e47",
                        text);
    if (key == 0)
        return rbx_fail(-EINVAL, "key 0 is IPC_PRIVATE, which no other process can open");
    name->key = (int32_t)(uint32_t)key;
    snprintf(name->entry, sizeof name->entry, "%s/%s0x%08x", RBX_SHM_DIRECTORY, RBX_SYSV_PREFIX,
             (unsigned)name->key);
    return 0;
}

int rbx_name_parse(struct rbx_name *name, const char *text, rbx_box_backing backing, bool raw)
{
    *name = (struct rbx_name){.backing = backing, .dir = RBX_FD_CLOSED};
    int err = 0;
    if (!text)
        text = "";
    if (backing != RBX_MEMFD || *text)
        err = rbx_name_check_text(text, "the name of a box");
    if (err < 0)
        return err;
    switch (backing) {
    case RBX_SHM:
        err = parse_shm(name, text, raw);
        break;
    case RBX_FILE:
        err = parse_path(name, text);
        break;
    case RBX_MEMFD:
        if (strlen(text) > RBX_NAME_MAX)
            err = rbx_fail(-ENAMETOOLONG,
                           "the label of a box may have %d bytes; '%.40s...' is "
                           "longer",
                           RBX_NAME_MAX, text);
        break;
    case RBX_SYSV:
        err = parse_key(name, text);
        break;
    default:
        err = rbx_fail(-EINVAL, "there is no backing number %d", (int)backing);
    }
    if (err < 0)
        return err;
    name->text = strdup(text);
    if (!name->text) {
        rbx_name_free(name);
        return rbx_fail(-ENOMEM, "cannot keep the name of a box: %m");
    }
    return 0;
}

void rbx_name_free(struct rbx_name *name)
{
    rbx_fd_close(&name->dir);
    free(name->text);
    name->text = NULL;
}

int rbx_name_look(const struct rbx_name *name, struct rbx_file_facts *facts)
{
    return rbx_file_look_at(rbx_name_dir(name), name->entry, facts);
}

int rbx_name_means(const struct rbx_name *name, const struct rbx_file_id *id)
{
    struct rbx_file_facts facts;
    int err = rbx_name_look(name, &facts);
    if (err == -ENOENT)
        return 0;
    return err < 0 ? err : rbx_file_same(&facts.id, id);
}

int rbx_name_check_header(const struct rbx_name *name, const struct rbx_box_header *header)
{
    static const char *const words[] = {"shm", "file", "memfd", "System V"};
    if (header->backing != (uint32_t)name->backing)
        return rbx_fail(-EPROTO, "box '%s' was made as a %s box; this program asked for a %s one",
                        name->text, words[header->backing], words[name->backing]);
    if (header->backing == RBX_SYSV && header->sysv_key != name->key)
        return rbx_fail(-EPROTO, "the control file of box '%s' is that of key 0x%08x", name->text,
                        (unsigned)header->sysv_key);
    return 0;
}

const char *rbx_name_of_entry(const char *entry, rbx_box_backing *backing)
{
    const size_t shm = sizeof RBX_SHM_PREFIX - 1, sysv = sizeof RBX_SYSV_PREFIX - 1;
    if (strncmp(entry, RBX_SHM_PREFIX, shm) == 0 && entry[shm]) {
        *backing = RBX_SHM;
        return entry + shm;
    }
    if (strncmp(entry, RBX_SYSV_PREFIX, sysv) == 0 && entry[sysv]) {
        *backing = RBX_SYSV;
        return entry + sysv;
    }
    return NULL;
}
