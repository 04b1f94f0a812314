/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* neighbour.c: one end of a ring whose other end may be a program for another machine. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <ringbox/ringbox.h>

enum { MESSAGES = 5000 }; /* many times the capacity, so that each waits for the other */

static int failed(const char *what)
{
    printf("%s: %s\n", what, rbx_last_error());
    return 1;
}

static int sends(rbx_ring *ring)
{
    rbx_tx tx;
    if (rbx_tx_open(&tx, ring) < 0)
        return failed("cannot open the sender's end");
    puts("a ring");
    fflush(stdout);
    for (uint64_t number = 0; number < MESSAGES; number++)
        if (rbx_send(&tx, &number) < 0)
            return failed("cannot send");
    rbx_tx_close(&tx);
    return rbx_ring_shutdown(ring) < 0 ? failed("cannot shut down") : 0;
}

static int receives(rbx_ring *ring)
{
    rbx_rx rx;
    uint64_t number, expected = 0;
    if (rbx_rx_open(&rx, ring) < 0)
        return failed("cannot open the receiver's end");
    int err;
    while ((err = rbx_recv(&rx, &number)) == 0)
        if (number != expected++) {
            printf("%llu came instead of %llu\n", (unsigned long long)number,
                   (unsigned long long)expected - 1);
            return 1;
        }
    rbx_rx_close(&rx);
    return err == -EPIPE && expected == MESSAGES ? 0 : failed("not all was received");
}

int main(int argc, char **argv)
{
    const rbx_ring_options options = {.message_size = 8, .capacity = 64};
    rbx_ring *ring;
    if (argc != 3)
        return 2;
    if (rbx_ring_open(&ring, argv[2], &options) < 0)
        return failed("cannot open the ring");
    int code = strcmp(argv[1], "send") == 0 ? sends(ring) : receives(ring);
    return rbx_ring_close(ring) < 0 ? failed("cannot close the ring") : code;
}
