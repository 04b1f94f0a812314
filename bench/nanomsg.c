/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wires.h"

#include <nanomsg/nn.h>
#include <nanomsg/pair.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct bench_end {
    int socket;
};

static void close_end(bench_end *end)
{
    nn_close(end->socket);
    free(end);
}

/* The library of nng has these names too: which of them is meant depends on the order that the
   program is linked in, and a mistake there would measure nng twice. */
static bool is_nanomsg(void)
{
    Dl_info from;
    return dladdr((void *)(uintptr_t)nn_send, &from) != 0 && strstr(from.dli_fname, "nanomsg");
}

/* PAIR, the least machinery that joins two. What waits on each side is its default, 128 KB. */
static bench_end *open_end(int (*attach)(int socket, const char *address), const char *address)
{
    if (!is_nanomsg()) {
        errno = ELIBBAD;
        return NULL;
    }
    const int reconnect_ms = 1; /* the sender may be there first */
    bench_end *end = calloc(1, sizeof *end);
    if (!end)
        return NULL;
    end->socket = nn_socket(AF_SP, NN_PAIR);
    if (end->socket >= 0 &&
        nn_setsockopt(end->socket, NN_SOL_SOCKET, NN_RECONNECT_IVL, &reconnect_ms,
                      sizeof reconnect_ms) == 0 &&
        attach(end->socket, address) >= 0)
        return end;
    const int failed = nn_errno();
    close_end(end);
    errno = failed;
    return NULL;
}

static bench_end *open_sender(const char *address)
{
    return open_end(nn_connect, address);
}

static bench_end *open_receiver(const char *address)
{
    return open_end(nn_bind, address);
}

/* From and into the caller's memory: one copy, as there would be with a chunk of the library's. */
static bool send_message(bench_end *end, const void *message, size_t size)
{
    return nn_send(end->socket, message, size, 0) == (int)size;
}

static bool recv_message(bench_end *end, void *message, size_t size)
{
    return nn_recv(end->socket, message, size, 0) == (int)size;
}

static const char *why(void)
{
    return errno == ELIBBAD ? "linked with another library's calls of the same names"
                            : nn_strerror(nn_errno());
}

const struct bench_wire bench_nanomsg = {open_sender,  open_receiver, send_message,
                                         recv_message, close_end,     why};
