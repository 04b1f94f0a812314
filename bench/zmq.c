/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wires.h"

#include <zmq.h>

#include <stdlib.h>

struct bench_end {
    void *context, *socket;
};

static void close_end(bench_end *end)
{
    if (end->socket)
        zmq_close(end->socket);
    if (end->context)
        zmq_ctx_term(end->context);
    free(end);
}

static bench_end *open_end(int type, int (*attach)(void *socket, const char *address),
                           const char *address)
{
    bench_end *end = calloc(1, sizeof *end);
    if (!end)
        return NULL;
    const int waiting = 4096; /* messages on each side, as in the other queues, rather than 1000 */
    const int reconnect_ms = 1;   /* the sender may be there first */
    end->context = zmq_ctx_new(); /* with one thread for what goes out and comes in: its default */
    if (end->context)
        end->socket = zmq_socket(end->context, type);
    if (end->socket && zmq_setsockopt(end->socket, ZMQ_SNDHWM, &waiting, sizeof waiting) == 0 &&
        zmq_setsockopt(end->socket, ZMQ_RCVHWM, &waiting, sizeof waiting) == 0 &&
        zmq_setsockopt(end->socket, ZMQ_RECONNECT_IVL, &reconnect_ms, sizeof reconnect_ms) == 0 &&
        attach(end->socket, address) == 0)
        return end;
    const int failed = zmq_errno();
    close_end(end);
    errno = failed;
    return NULL;
}

/* PUSH and PULL: PAIR, its documentation says, is for threads of one process. */
static bench_end *open_sender(const char *address)
{
    return open_end(ZMQ_PUSH, zmq_connect, address);
}

static bench_end *open_receiver(const char *address)
{
    return open_end(ZMQ_PULL, zmq_bind, address);
}

/* From and into the caller's memory: a zmq_msg_t would be one copy and one call more. */
static bool send_message(bench_end *end, const void *message, size_t size)
{
    return zmq_send(end->socket, message, size, 0) == (int)size;
}

static bool recv_message(bench_end *end, void *message, size_t size)
{
    return zmq_recv(end->socket, message, size, 0) == (int)size;
}

static const char *why(void)
{
    return zmq_strerror(zmq_errno());
}

const struct bench_wire bench_zmq = {open_sender,  open_receiver, send_message,
                                     recv_message, close_end,     why};
