/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "send.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../error.h"
#include "../os/fd.h"
#include "../os/file.h"
#include "handle.h"

enum { TO_LOCK, TO_MAP, DESCRIPTORS };

/*
 * What is sent are open file descriptions of their own, so that the receiver's locks are the
 * receiver's: with ours they would outlive it, and ours would outlive us.
 */
static int open_copies(const struct rbx_box *box, struct rbx_fd fds[DESCRIPTORS])
{
    enum rbx_fd_access access = box->read_only ? RBX_FD_READ : RBX_FD_WRITE;
    int err = rbx_fd_reopen(&fds[TO_LOCK], box->fd.fd, access);
    return err < 0 ? err : rbx_fd_reopen(&fds[TO_MAP], box->fd.fd, access);
}

int rbx_box_send(int sock, const rbx_box *box)
{
    const char *called = box->name.text;
    int err = rbx_handle_check(box);
    if (err < 0)
        return err;
    if (box->name.backing != RBX_MEMFD)
        return rbx_fail(-ENOTSUP, "box '%s' is no memfd: the other side opens it by its name",
                        called);
    struct rbx_box_message message = {.magic = RBX_SEND_MAGIC, .version = RBX_SEND_VERSION};
    snprintf(message.label, sizeof message.label, "%s", called);
    struct rbx_fd fds[DESCRIPTORS] = {RBX_FD_CLOSED, RBX_FD_CLOSED};
    err = open_copies(box, fds);
    if (err < 0)
        rbx_fail(err, "cannot reopen box '%s' through /proc/self/fd to send it: %m", called);
    else {
        err = rbx_fd_send(fds, DESCRIPTORS, sock, &message, sizeof message);
        if (err < 0)
            rbx_fail(err, "cannot send box '%s': %m", called);
    }
    rbx_fd_give_away(&fds[TO_LOCK]);
    rbx_fd_give_away(&fds[TO_MAP]);
    return err;
}

static int check_message(const struct rbx_box_message *message)
{
    if (memcmp(message->magic, RBX_SEND_MAGIC, sizeof message->magic) != 0 ||
        !memchr(message->label, '\0', sizeof message->label))
        return rbx_fail(-EPROTO, "what came over the socket is no box");
    if (message->version != RBX_SEND_VERSION)
        return rbx_fail(-EPROTO,
                        "the box was sent by another ringbox: its message has version %u, this "
                        "program knows %u",
                        message->version, RBX_SEND_VERSION);
    return 0;
}

/* box->fd and `to_map` are of unknown origin. */
static int adopt(struct rbx_box *box, const struct rbx_fd *to_map)
{
    const char *called = box->name.text;
    struct rbx_file_facts facts = {0}, second = {0};
    struct rbx_box_header header;
    int err = rbx_file_look(box->fd.fd, &facts);
    if (err == 0)
        err = rbx_file_look(to_map->fd, &second);
    if (err < 0)
        return rbx_fail(err, "cannot look at the received box '%s': %m", called);
    if (facts.type != RBX_FILE_REGULAR || !rbx_file_same(&facts.id, &second.id) ||
        !rbx_file_is_sealed(box->fd.fd))
        return rbx_fail(-EPROTO,
                        "the received box '%s' is refused: it is not a sealed memfd, so its sender "
                        "could truncate it under us",
                        called);
    err = rbx_header_read(&header, box->fd.fd, facts.size, called);
    if (err < 0)
        return err;
    err = rbx_name_check_header(&box->name, &header);
    if (err < 0)
        return err;
    uint64_t page_size;
    if (rbx_file_page_size(to_map->fd, &page_size) < 0 || page_size != header.page_size)
        return rbx_fail(-EPROTO, "the header of the received box '%s' is damaged", called);
    box->id = facts.id;
    box->read_only = !rbx_fd_is_writable(&box->fd) || !rbx_fd_is_writable(to_map);
    box->size = (size_t)header.size;
    err = rbx_handle_attach(box);
    if (err < 0)
        return rbx_fail(err == -EBADF ? -EPROTO : err, "cannot lock the received box '%s': %m",
                        called);
    const rbx_box_options plain = {0};
    return rbx_handle_map(box, to_map, rbx_header_file_size(header.size, header.page_size), &plain);
}

static int receive(int sock, struct rbx_box *box, struct rbx_fd fds[DESCRIPTORS])
{
    struct rbx_box_message message;
    int err = rbx_fd_receive(fds, DESCRIPTORS, sock, &message, sizeof message);
    if (err == -EPROTO)
        return rbx_fail(err, "what came over the socket is no box");
    if (err == -EPIPE)
        return rbx_fail(err, "the other side closed the socket without sending a box");
    if (err < 0)
        return rbx_fail(err, "cannot receive a box: %m");
    err = check_message(&message);
    if (err < 0)
        return err;
    err = rbx_name_parse(&box->name, message.label, RBX_MEMFD, false);
    if (err < 0)
        return err == -ENOMEM ? err : -EPROTO;
    rbx_fd_move(&box->fd, &fds[TO_LOCK]);
    return adopt(box, &fds[TO_MAP]);
}

int rbx_box_recv(int sock, rbx_box **out)
{
    struct rbx_fd fds[DESCRIPTORS] = {RBX_FD_CLOSED, RBX_FD_CLOSED};
    *out = NULL;
    struct rbx_box *box = rbx_handle_new();
    if (!box)
        return -ENOMEM;
    int err = receive(sock, box, fds);
    rbx_fd_close(&fds[TO_LOCK]);
    rbx_fd_close(&fds[TO_MAP]);
    if (err < 0)
        rbx_handle_free(box);
    else
        *out = box;
    return err;
}
