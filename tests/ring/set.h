/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* set.h: a ring of each sort, for tests of what holds for ends of all of them at once. */
#ifndef RBX_TESTS_RING_SET_H
#define RBX_TESTS_RING_SET_H

#include <stdint.h>
#include <string.h>

#include "../mpmc/puppet.h"
#include "os/clock.h"

#define MS UINT64_C(1000000)
#define HOUR (3600 * 1000 * MS)
enum { SORTS = 4, CAPACITY = 4 };

static const struct variant sorts[SORTS] = {
    {RBX_SPSC, 0}, {RBX_MPMC, 0}, {RBX_MPMC, RBX_STRICT}, {RBX_LOCKED, 0}};
static const rbx_wait_options no_spin = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};

/* A ring of each sort, and both its ends. */
struct set {
    rbx_ring *rings[SORTS];
    rbx_tx tx[SORTS];
    rbx_rx rx[SORTS];
    const char *names[SORTS];
};

static inline void set_join(struct set *set, const char *label)
{
    memset(set, 0, sizeof *set);
    for (int i = 0; i < SORTS; i++) {
        const char digit[2] = {(char)('0' + i)};
        char leaf[32] = "";
        strcat(strcat(leaf, label), digit);
        set->names[i] = own_name(leaf);
        set->rings[i] = ring_for(&sorts[i], set->names[i], CAPACITY);
    }
}

static inline void set_open(struct set *set, const char *label)
{
    set_join(set, label);
    for (int i = 0; i < SORTS; i++) {
        succeeds(rbx_tx_open(&set->tx[i], set->rings[i]));
        succeeds(rbx_rx_open(&set->rx[i], set->rings[i]));
        succeeds(rbx_tx_wait_by(&set->tx[i], &no_spin));
        succeeds(rbx_rx_wait_by(&set->rx[i], &no_spin));
    }
}

static inline void set_close(struct set *set)
{
    for (int i = 0; i < SORTS; i++) {
        rbx_tx_close(&set->tx[i]);
        rbx_rx_close(&set->rx[i]);
        succeeds(rbx_ring_close(set->rings[i]));
    }
}

#endif
