/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "arm.h"

#include <errno.h>

#include "../error.h"
#include "seat.h"

/* After a slice of this length somebody who is in the middle of a call may have died there; each
   is twice as long as the one before. */
#define STUCK_SLICE_NS 2000000U

static int check(const rbx_ring *ring, enum rbx_ring_end end, unsigned seat, const void *endpoint,
                 int32_t process)
{
    const struct rbx_chair *chair = &ring->chairs[end][seat];
    if (atomic_load(&chair->endpoint) == endpoint && atomic_load(&chair->taken) == process)
        return 0;
    return rbx_fail(-EINVAL,
                    "this %s of ring '%s' was opened somewhere else, or by a parent before fork()",
                    end == RBX_TX ? "sender" : "receiver", rbx_ring_name(ring));
}

/* One by one: to clear first the words that rbx_arm_is_ready fills in costs more than all the rest
   where there are many ends. */
static void begin(struct rbx_armed *armed, struct rbx_end end, rbx_patience *patience)
{
    armed->end = end;
    armed->tx = NULL;
    armed->rx = NULL;
    armed->patience = patience;
    armed->outlook.bell = NULL;
    armed->outlook.count = 0;
    armed->outlook.known_shut = armed->outlook.stuck = armed->outlook.strict = false;
    armed->word = NULL;
    armed->value = 0;
    armed->in_process = end.ring->in_process;
    armed->due = 0;
    armed->stuck_slice = STUCK_SLICE_NS;
}

int rbx_arm_tx_of(struct rbx_armed *armed, rbx_tx *tx, int32_t process)
{
    if (tx->hold == RBX_HOLD_CLOSED)
        return rbx_tx_refuse(tx);
    begin(armed, (struct rbx_end){tx->ring, RBX_TX, tx->seat}, &tx->patience);
    armed->tx = tx;
    return check(tx->ring, RBX_TX, tx->seat, tx, process);
}

int rbx_arm_rx_of(struct rbx_armed *armed, rbx_rx *rx, int32_t process)
{
    if (rx->hold == RBX_HOLD_CLOSED)
        return rbx_rx_refuse(rx);
    begin(armed, (struct rbx_end){rx->ring, RBX_RX, rx->seat}, &rx->patience);
    armed->rx = rx;
    return check(rx->ring, RBX_RX, rx->seat, rx, process);
}

bool rbx_arm_is_ready(struct rbx_armed *armed)
{
    rbx_tx *tx = armed->tx;
    rbx_rx *rx = armed->rx;
    if (tx)
        return tx->hold != RBX_HOLD_NONE || tx->bereaved != 0 ||
               tx->ring->kind->may_send(tx, &armed->outlook);
    return rx->hold != RBX_HOLD_NONE || rx->bereaved != 0 ||
           rx->ring->kind->may_receive(rx, &armed->outlook);
}

bool rbx_arm_is_over(const struct rbx_armed *armed)
{
    const struct rbx_outlook *outlook = &armed->outlook;
    const struct rbx_awaited awaited = {
        .words = outlook->words, .count = outlook->count, .known_shut = outlook->known_shut};
    return rbx_wait_is_over(outlook->bell, &awaited);
}

void rbx_arm_announce(struct rbx_armed *armed)
{
    armed->value = rbx_bell_announce(armed->outlook.bell);
}

void rbx_arm_fence(struct rbx_armed *armed, unsigned count)
{
    rbx_bell *bells[RBX_ARM_MAX];
    for (unsigned i = 0; i < count; i++)
        bells[i] = armed[i].outlook.bell;
    (void)rbx_bell_fence_all(bells, count); /* certain or not, whoever sleeps looks once more */
}

bool rbx_arm_holds(struct rbx_armed *armed)
{
    rbx_bell *bell = armed->outlook.bell;
    armed->word = &bell->bits;
    return rbx_bell_is_unrung(bell, &armed->value) && !rbx_arm_is_over(armed);
}

void rbx_arm_disarm(struct rbx_armed *armed)
{
    const rbx_patience *patience = armed->patience;
    rbx_bell_retract(armed->outlook.bell, patience->shared || patience->polled);
}

bool rbx_arm(struct rbx_armed *armed)
{
    rbx_arm_announce(armed);
    rbx_arm_fence(armed, 1);
    if (rbx_arm_holds(armed))
        return true;
    rbx_arm_disarm(armed);
    return false;
}

/* --- The dead --- */

/* Short while somebody is stuck, and ever longer; but in a strict ring, where others may go on
   around him. */
static uint64_t slice_of(const struct rbx_armed *armed)
{
    return armed->outlook.stuck && armed->stuck_slice < RBX_SLICE_NS ? armed->stuck_slice
                                                                     : RBX_SLICE_NS;
}

uint64_t rbx_arm_due(struct rbx_armed *armed, uint64_t now)
{
    uint64_t due = now + slice_of(armed);
    if (armed->due == 0 || due < armed->due)
        armed->due = due;
    return armed->due;
}

bool rbx_arm_mind(struct rbx_armed *armed)
{
    uint32_t *mourned = armed->tx ? &armed->tx->mourned : &armed->rx->mourned;
    uint32_t *bereaved = armed->tx ? &armed->tx->bereaved : &armed->rx->bereaved;
    const struct rbx_end end = armed->end;
    uint32_t death = end.ring->kind->forsaken(end.ring, end.which, *mourned);
    armed->due = 0;
    if (!armed->outlook.stuck)
        armed->stuck_slice = STUCK_SLICE_NS;
    else if (!armed->outlook.strict && armed->stuck_slice < RBX_SLICE_NS)
        armed->stuck_slice *= 2;
    if (rbx_arm_is_ready(armed)) /* it may have died just after */
        return true;
    *bereaved = death;
    return death != 0;
}
