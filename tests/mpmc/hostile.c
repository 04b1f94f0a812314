/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Words that a peer has spoilt. Whatever they say, each call returns and stays inside the memory,
 * which the allocator and the address sanitizer watch; all that may come of it is an error, or
 * garbage.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "many.h"

SUITES(hostile, 60);

#define MS UINT64_C(1000000)

/* A wait that has a time-out ends, whatever state the slot is said to be in. */
BOTH(hostile, no_state_of_a_slot_makes_a_wait_endless)
{
    for (uint64_t state = 0; state < 8; state++)
        for (int lap = -1; lap <= 1; lap++)
            for (int end = 0; end < 2; end++) {
                struct pair pair;
                uint64_t number = 0;
                pair_of(&pair, v, 8, 8);
                send_numbers(&pair.tx, 0, 3);
                recv_numbers(&pair.rx, 0, 3);
                uint64_t position = 3 + (uint64_t)(int64_t)lap * 8;
                rbx_store_relaxed(slot_of(&pair, 3), position << 8 | state);
                int err = end ? rbx_recv_for(&pair.rx, &number, MS)
                              : rbx_send_for(&pair.tx, &number, MS);
                cr_assert(err == 0 || err == -ETIMEDOUT || err == -EPROTO, "%d", err);
                pair_close(&pair);
            }
}

BOTH(hostile, no_low_bits_of_an_index_make_a_wait_endless)
{
    for (uint64_t bits = 0; bits < 256; bits++)
        for (int end = 0; end < 4; end++) {
            struct pair pair;
            uint64_t number = 0;
            pair_of(&pair, v, 8, 8);
            send_numbers(&pair.tx, 0, 3);
            struct rbx_mpmc *mpmc = mpmc_of(&pair);
            rbx_store_relaxed(end & 2 ? &mpmc->head : &mpmc->tail, bits | (end & 2 ? 0 : 3 << 8));
            int err = 0;
            for (int i = 0; i < 20 && err == 0; i++)
                err = end & 1 ? rbx_recv_for(&pair.rx, &number, MS)
                              : rbx_send_for(&pair.tx, &number, MS);
            cr_assert(err == 0 || err == -ETIMEDOUT || err == -EPROTO || err == -EPIPE, "%d", err);
            pair_close(&pair);
        }
}
