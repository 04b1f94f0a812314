/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * link.c: link files. Three lines of text:
 *
 *     ringbox link 1
 *     BACKING NAME          shm ticks | file /run/app/ticks | sysv 0x52494e47
 *     ID                    of the box that it was made for, 32 hexadecimal digits
 *
 * A link stands for the name, as a symbolic link would; the id only tells whose it is to remove.
 * Link files come and go as boxes do: linked whole, unlinked under NAME on their own inode.
 */
#include "link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../error.h"
#include "../os/fd.h"
#include "../os/file.h"
#include "../os/lock.h"
#include "draft.h"
#include "handle.h"
#include "life.h"

#define FIRST_LINE "ringbox link 1\n"

enum { TEXT_MAX = 4608, ID_DIGITS = 32 };

static const char *const backing_words[] = {
    [RBX_SHM] = "shm", [RBX_FILE] = "file", [RBX_SYSV] = "sysv"};

struct link {
    rbx_box_backing backing;
    char name[TEXT_MAX];
    char id[ID_DIGITS + 1];
};

static void print_id(const uint8_t id[16], char digits[ID_DIGITS + 1])
{
    for (int i = 0; i < 16; i++)
        snprintf(digits + 2 * i, 3, "%02x", id[i]);
}

static int parse_backing(const char *word, size_t length, rbx_box_backing *backing)
{
    for (int b = RBX_SHM; b <= RBX_SYSV; b++) {
        if (backing_words[b] && strlen(backing_words[b]) == length &&
            memcmp(backing_words[b], word, length) == 0) {
            *backing = (rbx_box_backing)b;
            return 0;
        }
    }
    return -EPROTO;
}

static int parse(const char *text, struct link *link)
{
    if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0)
        return -EPROTO;
    const char *second = text + strlen(FIRST_LINE);
    const char *space = strchr(second, ' ');
    const char *third = strchr(second, '\n');
    if (!space || !third || space > third)
        return -EPROTO;
    size_t length = (size_t)(third - space - 1);
    memcpy(link->name, space + 1, length);
    link->name[length] = '\0';
    third++;
    if (strlen(third) != ID_DIGITS + 1 || third[ID_DIGITS] != '\n' ||
        strspn(third, "0123456789abcdef") != ID_DIGITS)
        return -EPROTO;
    memcpy(link->id, third, ID_DIGITS);
    link->id[ID_DIGITS] = '\0';
    return parse_backing(second, (size_t)(space - second), &link->backing);
}

/* Opens and reads a link file; -EPROTO for any other file. */
static int read_link(struct rbx_fd *fd, int dir, const char *entry, enum rbx_fd_access access,
                     struct rbx_file_facts *facts, struct link *link)
{
    char text[TEXT_MAX];
    int err = rbx_file_look_at(dir, entry, facts);
    if (err == 0 && facts->type == RBX_FILE_LINK)
        err = -ELOOP;
    if (err == 0 && facts->type == RBX_FILE_DIRECTORY)
        err = -EISDIR;
    if (err == 0 && facts->type == RBX_FILE_SPECIAL)
        err = -EPROTO;
    if (err == 0)
        err = rbx_fd_open(fd, dir, entry, access);
    if (err < 0)
        return err;
    err = rbx_file_look(fd->fd, facts);
    if (err == 0 && (facts->type != RBX_FILE_REGULAR || facts->size >= sizeof text))
        err = -EPROTO;
    if (err == 0)
        err = rbx_file_read(fd->fd, text, (size_t)facts->size, 0);
    if (err == 0) {
        text[facts->size] = '\0';
        err = parse(text, link);
    }
    if (err < 0)
        rbx_fd_close(fd);
    return err;
}

/* Unlinks the entry if it still means the open file. Closes it. */
static int remove_read(struct rbx_fd *fd, int dir, const char *entry, const struct rbx_file_id *id)
{
    struct rbx_file_facts now;
    int err = rbx_lock_wait(fd->fd, RBX_LOCK_NAME, RBX_LOCK_EXCLUSIVE, RBX_PATIENCE_NS);
    if (err == 0)
        err = rbx_file_look_at(dir, entry, &now);
    if (err == 0 && rbx_file_same(&now.id, id))
        err = rbx_file_unlink(dir, entry);
    rbx_fd_close(fd);
    return err == -ENOENT ? 0 : err;
}

/* What the second line says of a box: for a file, wherever the reader's working directory is. */
static int target_of(const struct rbx_name *name, char *target, size_t size)
{
    if (name->backing == RBX_FILE)
        return rbx_directory_absolute(name->dir.fd, name->entry, target, size);
    if (name->backing == RBX_SYSV)
        snprintf(target, size, "0x%08x", (unsigned)name->key);
    else
        snprintf(target, size, "%s", name->text);
    return 0;
}

/* Opens a link file if it is one, was made for the box of this id and, if given, of this name. */
static int open_own_link(struct rbx_fd *fd, struct rbx_file_facts *facts,
                         const struct rbx_name *name, const char *path, const uint8_t box_id[16])
{
    struct link link = {0};
    char target[TEXT_MAX], id[ID_DIGITS + 1];
    int err = name ? target_of(name, target, sizeof target) : 0;
    if (err == 0)
        err = read_link(fd, RBX_AT_CWD, path, RBX_FD_WRITE, facts, &link);
    if (err < 0)
        return err;
    print_id(box_id, id);
    if (strcmp(link.id, id) == 0 &&
        (!name || (link.backing == name->backing && strcmp(link.name, target) == 0)))
        return 0;
    rbx_fd_close(fd);
    return -ENOENT;
}

/* The path that a header speaks of, as a copy that ends. */
static void copy_path(char path[RBX_LINK_PATH_MAX], const struct rbx_box_header *header)
{
    memcpy(path, header->link, RBX_LINK_PATH_MAX);
    path[RBX_LINK_PATH_MAX - 1] = '\0';
}

void rbx_link_remove(const struct rbx_name *name, const struct rbx_box_header *header)
{
    struct rbx_fd fd = RBX_FD_CLOSED;
    struct rbx_file_facts facts;
    char path[RBX_LINK_PATH_MAX];
    copy_path(path, header);
    if (path[0] && open_own_link(&fd, &facts, name, path, header->id) == 0)
        remove_read(&fd, RBX_AT_CWD, path, &facts.id);
}

static int write_link(const struct rbx_box *box, const struct rbx_name *at, const char *target)
{
    char text[TEXT_MAX], id[ID_DIGITS + 1];
    print_id(box->header->id, id);
    int length = snprintf(text, sizeof text, FIRST_LINE "%s %s\n%s\n",
                          backing_words[box->name.backing], target, id);
    if (length < 0 || (size_t)length >= sizeof text)
        return -ENAMETOOLONG;
    struct rbx_fd fd = RBX_FD_CLOSED, second = RBX_FD_CLOSED;
    struct rbx_draft draft = {""};
    struct rbx_file_facts facts;
    int err = rbx_file_look(box->fd.fd, &facts);
    if (err == 0)
        err = rbx_draft_create(&draft, &fd, &second, at);
    if (err == 0) /* so that nobody takes the draft for one that its maker has left */
        err = rbx_lock_try(fd.fd, RBX_LOCK_ATTACH, RBX_LOCK_EXCLUSIVE);
    if (err == 0)
        err = rbx_file_chmod(fd.fd, facts.mode & 0666U);
    if (err == 0)
        err = rbx_file_write(fd.fd, text, (size_t)length, 0);
    if (err == 0)
        err = rbx_draft_publish(&draft, &fd, at);
    rbx_draft_discard(&draft, at);
    rbx_fd_close(&second);
    rbx_fd_close(&fd);
    return err;
}

/* Removes a link that an earlier box of this name left; -EEXIST when it is anything else. */
static int make_way(const struct rbx_box *box, const struct rbx_name *at, const char *target)
{
    struct rbx_fd fd = RBX_FD_CLOSED;
    struct rbx_file_facts facts;
    struct link old = {0};
    int err = read_link(&fd, rbx_name_dir(at), at->entry, RBX_FD_WRITE, &facts, &old);
    if (err == -ENOENT)
        return 0;
    if (err < 0)
        return -EEXIST;
    if (old.backing == box->name.backing && strcmp(old.name, target) == 0)
        return remove_read(&fd, rbx_name_dir(at), at->entry, &facts.id);
    rbx_fd_close(&fd);
    return -EEXIST;
}

/* Whether the box has a link file elsewhere. */
static bool is_linked_elsewhere(const struct rbx_box *box, const char *path)
{
    struct rbx_fd fd = RBX_FD_CLOSED;
    struct rbx_file_facts facts;
    char kept[RBX_LINK_PATH_MAX];
    copy_path(kept, box->header);
    if (!kept[0] || strcmp(kept, path) == 0)
        return false;
    int err = open_own_link(&fd, &facts, NULL, kept, box->header->id);
    rbx_fd_close(&fd);
    return err == 0;
}

/* The caller holds NAME on the box. */
static int link_locked(struct rbx_box *box, const struct rbx_name *at, const char *path)
{
    char target[TEXT_MAX];
    char *kept = box->header->link;
    int means = rbx_name_means(&box->name, &box->id);
    if (means <= 0)
        return means < 0 ? means : -ESTALE;
    if (is_linked_elsewhere(box, path))
        return -EBUSY;
    int err = target_of(&box->name, target, sizeof target);
    if (err == 0)
        err = make_way(box, at, target);
    if (err < 0)
        return err;
    /* Written down before it exists, so that whoever removes the box finds it. */
    kept[0] = '\0';
    memcpy(kept + 1, path + 1, strlen(path));
    kept[0] = path[0];
    err = write_link(box, at, target);
    if (err < 0)
        kept[0] = '\0';
    return err;
}

int rbx_box_link(rbx_box *box, const char *link_path)
{
    const char *called = box->name.text;
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    if (box->raw || box->name.backing == RBX_MEMFD || box->read_only)
        return rbx_fail(-ENOTSUP, "box '%s' cannot have a link file: it is %s", called,
                        box->raw         ? "mapped raw"
                        : box->read_only ? "open read-only here"
                                         : "a memfd, without a name");
    struct rbx_name at;
    err = rbx_name_parse(&at, link_path, RBX_FILE, false);
    if (err < 0)
        return err;
    char path[RBX_LINK_PATH_MAX];
    err = rbx_directory_absolute(at.dir.fd, at.entry, path, sizeof path);
    if (err == 0)
        err = rbx_lock_wait(box->fd.fd, RBX_LOCK_NAME, RBX_LOCK_EXCLUSIVE, RBX_PATIENCE_NS);
    if (err == 0) {
        err = link_locked(box, &at, path);
        rbx_lock_drop(box->fd.fd, RBX_LOCK_NAME);
    }
    rbx_name_free(&at);
    if (err == -EBUSY)
        return rbx_fail(-EBUSY, "box '%s' has a link file already: '%.*s'", called,
                        (int)sizeof box->header->link, box->header->link);
    if (err == -ESTALE)
        return rbx_fail(err, "the name of box '%s' is gone or means another box", called);
    if (err == -EEXIST)
        return rbx_fail(err, "'%s' exists and is no link file to box '%s': not overwritten",
                        link_path, called);
    if (err < 0)
        return rbx_fail(err == -EAGAIN ? -EBUSY : err, "cannot write the link file '%s': %m",
                        link_path);
    return 0;
}

int rbx_box_open_link(rbx_box **box, const char *link_path, const rbx_box_options *options)
{
    struct rbx_fd fd = RBX_FD_CLOSED;
    struct rbx_file_facts facts;
    struct link link = {0};
    rbx_box_options wanted = options ? *options : (rbx_box_options){0};
    *box = NULL;
    int err = rbx_name_check_text(link_path ? link_path : "", "the path of a link file");
    if (err < 0)
        return err;
    if (wanted.raw || wanted.how == RBX_CREATE_ONLY)
        return rbx_fail(-EINVAL,
                        "a link file names a box that exists: neither raw nor create only");
    err = read_link(&fd, RBX_AT_CWD, link_path, RBX_FD_READ, &facts, &link);
    if (err == -EPROTO)
        return rbx_fail(err, "'%s' is not a ringbox link file", link_path);
    if (err < 0)
        return rbx_fail(err, "cannot open the link file '%s': %m", link_path);
    rbx_fd_close(&fd);
    wanted.how = RBX_OPEN_ONLY;
    wanted.backing = link.backing;
    return rbx_box_open(box, link.name, &wanted);
}
