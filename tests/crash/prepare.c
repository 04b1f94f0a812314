/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* prepare.c: what the survivors do before a call, and while the victim waits to begin it. */
#include <errno.h>
#include <string.h>

#include "calls.h"

/* --- What the survivors do before --- */

void a_sender_dies(struct world *w)
{
    world_let_die(w, TX_END, 0);
}

void a_receiver_dies(struct world *w)
{
    world_let_die(w, RX_END, 0);
    w->strays_allowed++;
}

void both_die(struct world *w)
{
    a_receiver_dies(w);
    a_sender_dies(w);
}

/* A dead sender's place, and messages behind it. */
void a_sender_dies_in_between(struct world *w)
{
    a_sender_dies(w);
    world_send(w, FIRST);
    w->voids++;
}

/* As many places as are left, and all messages that are there. */
void both_die_in_batches(struct world *w)
{
    world_let_die(w, RX_END, 2);
    w->strays_allowed += 2;
    if (w->slots > 2)
        world_let_die(w, TX_END, w->slots - 2);
}

void leave_an_orphan(struct world *w)
{
    a_receiver_dies(w);
    if (rbx_ring_repair(w->ring, NULL) < 0)
        blame(w, "rbx_ring_repair: %s", rbx_last_error());
}

void put_back(struct world *w)
{
    const void *shown;
    if (rbx_try_peek(&w->rx[FIRST], &shown) < 0 || rbx_release_n(&w->rx[FIRST], 0) < 0)
        blame(w, "a survivor could not put a message back: %s", rbx_last_error());
    w->strays_allowed++;
}

void leave_a_tombstone(struct world *w)
{
    void *place;
    if (rbx_try_claim(&w->tx[FIRST], &place) < 0 || rbx_abort(&w->tx[FIRST]) < 0)
        blame(w, "a survivor could not leave a tombstone: %s", rbx_last_error());
    w->voids++;
}

void fill_with_tombstones(struct world *w)
{
    for (unsigned i = 0; i < w->slots && !w->failed; i++)
        leave_a_tombstone(w);
}

void leave_a_tombstone_and_send(struct world *w)
{
    leave_a_tombstone(w);
    world_send(w, FIRST);
}

/* One of the survivors has claimed a place, and messages are behind it. */
void keep_a_claim(struct world *w)
{
    if (rbx_tx_open(&w->tx[KEEPER], w->ring) < 0 ||
        rbx_try_claim(&w->tx[KEEPER], &w->kept_place) < 0)
        blame(w, "a survivor could not claim: %s", rbx_last_error());
    world_send(w, FIRST);
    w->voids++;
}

/* One has peeked at a message, and the others have gone round. */
void keep_a_peek(struct world *w)
{
    if (rbx_rx_open(&w->rx[KEEPER], w->ring) < 0 ||
        rbx_try_peek(&w->rx[KEEPER], &w->kept_message) < 0) {
        blame(w, "a survivor could not peek: %s", rbx_last_error());
        return;
    }
    memcpy(w->kept_copy, w->kept_message, message_size(w));
    for (unsigned i = 1; i < w->slots; i++) {
        world_send(w, FIRST);
        world_receive(w, FIRST);
    }
    w->strays_allowed++;
    w->voids++;
}

/* The next that sends (receives) has somebody to wake: nobody sleeps, but the bell says so. */
void fall_asleep_receiving(struct world *w)
{
    const rbx_wait_options sleeps = {.spin_ns = RBX_NO_SPIN};
    char message[MESSAGE_MAX];
    rbx_rx_wait_by(&w->rx[FIRST], &sleeps);
    if (rbx_recv_for(&w->rx[FIRST], message, 1000) != -ETIMEDOUT)
        blame(w, "a survivor should have received nothing");
}

void fall_asleep_sending(struct world *w)
{
    const rbx_wait_options sleeps = {.spin_ns = RBX_NO_SPIN};
    char message[MESSAGE_MAX];
    ledger_make(w, FIRST, message);
    rbx_tx_wait_by(&w->tx[FIRST], &sleeps);
    if (rbx_send_for(&w->tx[FIRST], message, 1000) != -ETIMEDOUT)
        blame(w, "a survivor should have found the ring full");
}

/* --- What the survivors do meanwhile --- */

void overtake(struct world *w)
{
    for (unsigned i = 0; i < 2 * w->slots + 1; i++) {
        world_send(w, FIRST);
        world_receive(w, FIRST);
    }
}

void overtake_and_fill(struct world *w)
{
    overtake(w);
    world_fill(w);
}

/* Nobody knows yet that one has died. */
void both_die_and_overtake(struct world *w)
{
    both_die(w);
    overtake(w);
    w->voids += 2;
}
