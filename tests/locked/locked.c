/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What only a ring under a lock does. What all rings of many do is in tests/mpmc. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../mpmc/puppet.h"

TestSuite(locked, .timeout = 60);

static const struct variant *const v = &variants[LOCKED];

Test(locked, who_has_the_lock_is_told_so_by_every_other_call)
{
    rbx_ring *ring = ring_for(v, NULL, 4);
    rbx_tx tx, other;
    rbx_rx rx;
    void *place;
    const void *shown;
    uint64_t number = 0;
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_tx_open(&other, ring));
    succeeds(rbx_rx_open(&rx, ring));
    cr_assert_eq(rbx_try_claim(&tx, &place), 0);
    refuses(-EDEADLK, "commit, abort or release first", rbx_try_send(&other, &number));
    refuses(-EDEADLK, "has the lock", rbx_send(&other, &number));
    refuses(-EDEADLK, "has the lock", (int)rbx_send_n(&other, &number, 1));
    refuses(-EDEADLK, "has the lock", rbx_claim(&other, &place));
    cr_assert_null(place);
    refuses(-EDEADLK, "has the lock", rbx_recv(&rx, &number));
    refuses(-EDEADLK, "has the lock", rbx_try_recv(&rx, &number));
    refuses(-EDEADLK, "has the lock", (int)rbx_recv_n(&rx, &number, 1));
    refuses(-EDEADLK, "has the lock", rbx_try_peek(&rx, &shown));
    cr_assert_eq(rbx_commit(&tx), 0);
    cr_assert_eq(rbx_try_peek(&rx, &shown), 0);
    refuses(-EDEADLK, "has the lock", rbx_try_send(&other, &number));
    cr_assert_eq(rbx_release(&rx), 0);
    send_numbers(&other, 5, 1);
    recv_numbers(&rx, 5, 1);
    rbx_tx_close(&tx);
    rbx_tx_close(&other);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(ring));
}

/* It says -EDEADLK, rather than that somebody else did it before. */
Test(locked, who_has_the_lock_cannot_shut_down_and_is_told_why)
{
    rbx_ring *ring = ring_for(v, NULL, 4);
    rbx_tx tx;
    void *place;
    succeeds(rbx_tx_open(&tx, ring));
    cr_assert_eq(rbx_try_claim(&tx, &place), 0);
    refuses(-EDEADLK, "has the lock", rbx_ring_shutdown(ring));
    cr_assert_not(described(ring).shut);
    cr_assert_eq(rbx_abort(&tx), 0);
    succeeds(rbx_ring_shutdown(ring));
    refuses(-EINVAL, "shut down before", rbx_ring_shutdown(ring));
    rbx_tx_close(&tx);
    succeeds(rbx_ring_close(ring));
}
