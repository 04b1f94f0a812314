/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wires.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#include <stdlib.h>

struct bench_end {
    nng_socket socket;
};

static _Thread_local int last_error;

static bool worked(int error)
{
    last_error = error;
    return error == 0;
}

static void close_end(bench_end *end)
{
    nng_close(end->socket);
    free(end);
}

/* PAIR, the least machinery that joins two. */
static bench_end *open_end(void)
{
    const int waiting = 4096; /* messages on each side, as in the other queues, rather than none */
    bench_end *end = calloc(1, sizeof *end);
    if (!end || !worked(nng_pair0_open(&end->socket))) {
        free(end);
        return NULL;
    }
    if (worked(nng_socket_set_int(end->socket, NNG_OPT_SENDBUF, waiting)) &&
        worked(nng_socket_set_int(end->socket, NNG_OPT_RECVBUF, waiting)) &&
        worked(nng_socket_set_ms(end->socket, NNG_OPT_RECONNMINT, 1)) &&
        worked(nng_socket_set_ms(end->socket, NNG_OPT_RECONNMAXT, 1)))
        return end;
    close_end(end);
    return NULL;
}

static bench_end *open_sender(const char *address)
{
    bench_end *end = open_end();
    /* Tries again by itself until the receiver is there. */
    if (end && !worked(nng_dial(end->socket, address, NULL, NNG_FLAG_NONBLOCK))) {
        close_end(end);
        end = NULL;
    }
    return end;
}

static bench_end *open_receiver(const char *address)
{
    bench_end *end = open_end();
    if (end && !worked(nng_listen(end->socket, address, NULL, 0))) {
        close_end(end);
        end = NULL;
    }
    return end;
}

/* The library makes a message of it, which a call with an nng_msg of ours would have to do too. It
   takes the memory as its own to write to, but only reads it without NNG_FLAG_ALLOC. */
static bool send_message(bench_end *end, const void *message, size_t size)
{
    return worked(nng_send(end->socket, (void *)(uintptr_t)message, size, 0));
}

static bool recv_message(bench_end *end, void *message, size_t size)
{
    size_t got = size;
    return worked(nng_recv(end->socket, message, &got, 0)) &&
           worked(got == size ? 0 : NNG_EMSGSIZE);
}

static const char *why(void)
{
    return nng_strerror(last_error);
}

const struct bench_wire bench_nng = {open_sender,  open_receiver, send_message,
                                     recv_message, close_end,     why};
