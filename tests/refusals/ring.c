/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ring.c: rings of every kind, while the system refuses one call after the other. */
#include "refusals.h"

#include <errno.h>
#include <stdint.h>

#include <ringbox/ringbox.h>

static int pass_one(rbx_ring *ring)
{
    rbx_tx tx = {0};
    rbx_rx rx = {0};
    uint64_t message = 1;
    rbx_ring_info info;
    int err = first(rbx_tx_open(&tx, ring), rbx_rx_open(&rx, ring));
    if (err == 0)
        err = rbx_send(&tx, &message);
    if (err == 0)
        err = rbx_recv(&rx, &message);
    if (err == 0 && rbx_recv_for(&rx, &message, 1000) == 0) /* one that waits asks for more */
        err = -EPROTO;
    err = first(err, rbx_ring_describe(ring, &info));
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    return err;
}

static int use(const char *name, const rbx_ring_options *options)
{
    rbx_ring *ring;
    int err = rbx_ring_open(&ring, name, options);
    if (err < 0)
        return err;
    err = pass_one(ring);
    if (name) {
        rbx_ring *joined;
        int second = rbx_ring_open(&joined, name, NULL);
        err = first(err, second);
        if (second == 0)
            err = first(err, rbx_ring_close(joined));
    }
    if (options->kind == RBX_MPMC && name)
        err = first(err, rbx_ring_repair(ring, NULL));
    return first(err, rbx_ring_close(ring));
}

static int spsc(void)
{
    return use(OWN_NAME, &(rbx_ring_options){.message_size = 8, .capacity = 4});
}

static int mpmc(void)
{
    return use(OWN_NAME, &(rbx_ring_options){.kind = RBX_MPMC, .message_size = 8, .capacity = 4});
}

static int strict(void)
{
    return use(OWN_NAME,
               &(rbx_ring_options){
                   .kind = RBX_MPMC, .flags = RBX_STRICT, .message_size = 8, .capacity = 4});
}

static int locked(void)
{
    return use(OWN_NAME, &(rbx_ring_options){.kind = RBX_LOCKED, .message_size = 8, .capacity = 4});
}

static int of_this_process(void)
{
    int err = 0;
    for (int kind = RBX_SPSC; kind <= RBX_LOCKED; kind++)
        err = first(err,
                    use(NULL, &(rbx_ring_options){
                                  .kind = (rbx_ring_kind)kind, .message_size = 8, .capacity = 4}));
    return err;
}

const struct act ring_acts[] = {
    {"a ring of one sender and one receiver", spsc},
    {"a ring of many", mpmc},
    {"a strict ring", strict},
    {"a ring under a lock", locked},
    {"rings of the threads of this process", of_this_process},
};
const size_t ring_act_count = sizeof ring_acts / sizeof *ring_acts;
