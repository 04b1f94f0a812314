/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "send.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../error.h"
#include "../os/fd.h"
#include "../os/file.h"
#include "handle.h"

/*
 * What is sent is an open file description of its own, so that the receiver's locks are the
 * receiver's: with ours they would outlive it, and ours would outlive us.
 */
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
    struct rbx_fd fd = RBX_FD_CLOSED;
    err = rbx_fd_reopen(&fd, box->fd.fd, box->read_only ? RBX_FD_READ : RBX_FD_WRITE);
    if (err < 0)
        return rbx_fail(err, "cannot reopen box '%s' through /proc/self/fd to send it: %m", called);
    err = rbx_fd_send(sock, &fd, &message, sizeof message);
    rbx_fd_close(&fd);
    return err < 0 ? rbx_fail(err, "cannot send box '%s': %m", called) : 0;
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

/* `box` has a name and an open descriptor of unknown origin. */
static int adopt(struct rbx_box *box)
{
    const char *called = box->name.text;
    struct rbx_file_facts facts;
    struct rbx_box_header header;
    int err = rbx_file_look(box->fd.fd, &facts);
    if (err < 0)
        return rbx_fail(err, "cannot look at the received box '%s': %m", called);
    if (facts.type != RBX_FILE_REGULAR || !rbx_file_is_sealed(box->fd.fd))
        return rbx_fail(-EPROTO,
                        "the received box '%s' is refused: it is not sealed, so its sender could "
                        "truncate it under us",
                        called);
    err = rbx_header_read(&header, box->fd.fd, facts.size, called);
    if (err < 0)
        return err;
    if (header.backing != RBX_MEMFD)
        return rbx_fail(-EPROTO, "the received box '%s' is no memfd box", called);
    box->id = facts.id;
    box->read_only = !rbx_fd_is_writable(&box->fd);
    box->size = (size_t)header.size;
    err = rbx_handle_attach(box);
    if (err < 0)
        return rbx_fail(err, "cannot lock the received box '%s': %m", called);
    const rbx_box_options plain = {0};
    return rbx_handle_map(box, rbx_header_file_size(header.size, header.page_size), &plain);
}

int rbx_box_recv(int sock, rbx_box **out)
{
    struct rbx_box_message message;
    *out = NULL;
    struct rbx_box *box = rbx_handle_new();
    if (!box)
        return -ENOMEM;
    int err = rbx_fd_receive(&box->fd, sock, &message, sizeof message);
    if (err < 0)
        rbx_fail(err, "cannot receive a box: %m");
    else
        err = check_message(&message);
    if (err == 0)
        err = rbx_name_parse(&box->name, message.label, RBX_MEMFD, false);
    if (err == 0)
        err = adopt(box);
    if (err < 0)
        rbx_handle_free(box);
    else
        *out = box;
    return err;
}
