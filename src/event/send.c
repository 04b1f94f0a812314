/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* send.c: an fd event over a Unix socket. */
#include <errno.h>
#include <string.h>

#include "../error.h"
#include "../os/eventfd.h"
#include "../os/fd.h"
#include "handle.h"

#define MAGIC "rbx-evt"

enum { VERSION = 1, MANUAL = 1 };

/* What travels with the descriptor. */
struct message {
    char magic[8];
    uint32_t version;
    uint32_t flags;
};

_Static_assert(sizeof(struct message) == 16, "no padding on the wire");

int rbx_event_send(int sock, const rbx_event *event)
{
    int err = rbx_event_check_fd(event);
    if (err < 0)
        return err;
    const struct message message = {
        .magic = MAGIC, .version = VERSION, .flags = event->view.manual ? MANUAL : 0};
    const struct rbx_fd fd = {.fd = event->fd};
    err = rbx_fd_send(&fd, 1, sock, &message, sizeof message);
    return err < 0 ? rbx_fail(err, "cannot send an event: %m") : 0;
}

static int check_message(const struct message *message, int fd)
{
    if (memcmp(message->magic, MAGIC, sizeof message->magic) != 0)
        return rbx_fail(-EPROTO, "what came over the socket is no event");
    if (message->version != VERSION)
        return rbx_fail(-EPROTO,
                        "the event was sent by another ringbox: its message has version %u, this "
                        "program knows %d",
                        message->version, VERSION);
    if (message->flags & ~(uint32_t)MANUAL)
        return rbx_fail(-EPROTO, "what came over the socket is no event that this program knows");
    int err = rbx_eventfd_adopt(fd);
    if (err == -EINVAL)
        return rbx_fail(-EPROTO, "the descriptor that came over the socket is no eventfd");
    return err < 0 ? rbx_fail(err, "cannot use the eventfd that came over the socket: %m") : 0;
}

int rbx_event_recv(int sock, rbx_event **event)
{
    struct message message;
    struct rbx_fd fd = RBX_FD_CLOSED;
    *event = NULL;
    int err = rbx_fd_receive(&fd, 1, sock, &message, sizeof message);
    if (err == -EPROTO)
        return rbx_fail(err, "what came over the socket is no event");
    if (err == -EPIPE)
        return rbx_fail(err, "the other side closed the socket without sending an event");
    if (err < 0)
        return rbx_fail(err, "cannot receive an event: %m");
    err = check_message(&message, fd.fd);
    if (err == 0)
        err = rbx_event_of_fd(event, fd.fd, message.flags & MANUAL);
    if (err < 0)
        rbx_fd_give_away(&fd);
    else
        (void)rbx_fd_let_go(&fd);
    return err;
}
