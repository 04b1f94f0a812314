/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios.c: what is interrupted, and when. */
#include "calls.h"

#define ALL (ON(DEFAULT) | ON(STRICT) | ON(DROP) | ON(SPSC) | ON(LOCKED))
#define MANY (ON(DEFAULT) | ON(STRICT) | ON(DROP)) /* of both ends, without a lock */
#define SEATED (ALL & ~ON(SPSC))                   /* of both ends */
#define NOT_DROP (ALL & ~ON(DROP))                 /* RBX_DROP is receivers' business */

/* clang-format off */
#define TRY_SEND .end = TX_END, .sends = 1, .begin = begin_send, .call = call_try_send
#define TRY_SEND_N .end = TX_END, .sends = BATCH, .begin = begin_send_n, .call = call_try_send_n
#define TRY_RECV .end = RX_END, .takes = 1, .holds = 1, .begin = begin_recv, .call = call_try_recv
#define TRY_RECV_N .end = RX_END, .takes = BATCH, .holds = BATCH, .places = BATCH, \
                   .begin = begin_recv_n, .call = call_try_recv_n
#define COMMIT .end = TX_END, .sends = 1, .begin = begin_claim, .call = call_commit
#define REPAIR .flags = REPAIRS, .call = call_repair

const struct scenario scenarios[] = {
    {"try_send", NOT_DROP, EMPTY, TRY_SEND},
    {"try_send-last-place", NOT_DROP, LAST_PLACE, TRY_SEND},
    {"try_send-full", NOT_DROP, FULL, TRY_SEND, .flags = REFUSED},
    {"try_send-somebody-to-wake", NOT_DROP & SEATED, EMPTY, TRY_SEND, .flags = WAKES,
     .prepare = fall_asleep_receiving},
    {"try_send-over-tombstones", NOT_DROP & MANY, EMPTY, TRY_SEND, .prepare = fill_with_tombstones},
    {"try_send-after-a-receiver-died", NOT_DROP & MANY, FULL, TRY_SEND, .flags = REFUSED,
     .prepare = a_receiver_dies},
    {"try_send-over-a-peek", NOT_DROP & MANY, ONE, TRY_SEND, .flags = REFUSED,
     .prepare = keep_a_peek},
    {"try_send_n", NOT_DROP, EMPTY, TRY_SEND_N},
    {"try_send_n-last-place", NOT_DROP, LAST_PLACE, TRY_SEND_N},
    {"send_for-full", NOT_DROP, FULL, .end = TX_END, .sends = 1, .flags = REFUSED,
     .begin = begin_send_patiently, .call = call_send_for},
    {"claim-commit", NOT_DROP, ONE, .end = TX_END, .sends = 1, .call = call_claim_commit},
    {"claim-abort", NOT_DROP, ONE, .end = TX_END, .call = call_claim_abort},
    /* It is sent from the place, which it has in hand until it is in another. */
    {"commit-passed-over", ON(STRICT), EMPTY, COMMIT, .places = 2, .meanwhile = overtake},
    {"commit-passed-over-full", ON(STRICT), EMPTY, COMMIT, .places = 2, .flags = REFUSED,
     .meanwhile = overtake_and_fill},
    {"abort-passed-over", ON(STRICT), EMPTY, .end = TX_END, .begin = begin_claim,
     .meanwhile = overtake, .call = call_abort},
    {"tx_open", NOT_DROP, ONE, .end = TX_END, .flags = OPENS, .call = call_tx_open},
    {"tx_open-seat-of-a-dead-one", NOT_DROP & SEATED, ONE, .end = TX_END, .flags = OPENS,
     .prepare = a_sender_dies, .call = call_tx_open},
    {"tx_close", NOT_DROP, ONE, .end = TX_END, .flags = CLOSES, .call = call_tx_close},
    {"tx_close-claimed", NOT_DROP, ONE, .end = TX_END, .flags = CLOSES, .begin = begin_claim,
     .call = call_tx_close},
    {"tx_close-passed-over", ON(STRICT), EMPTY, .end = TX_END, .flags = CLOSES,
     .begin = begin_claim, .meanwhile = overtake, .call = call_tx_close},

    {"try_recv", ALL, ONE, TRY_RECV},
    {"try_recv-full", ALL, FULL, TRY_RECV},
    {"try_recv-empty", ALL, EMPTY, TRY_RECV, .flags = REFUSED},
    {"try_recv-somebody-to-wake", SEATED, FULL, TRY_RECV, .prepare = fall_asleep_sending},
    {"try_recv-an-orphan", NOT_DROP & MANY, TWO, TRY_RECV, .prepare = leave_an_orphan},
    {"try_recv-what-was-put-back", MANY, TWO, TRY_RECV, .prepare = put_back},
    {"try_recv-a-tombstone", MANY, EMPTY, TRY_RECV, .prepare = leave_a_tombstone_and_send},
    {"try_recv-a-tombstone-only", MANY, EMPTY, TRY_RECV, .flags = REFUSED,
     .prepare = leave_a_tombstone},
    {"try_recv-after-a-sender-died", MANY, EMPTY, TRY_RECV, .flags = REFUSED,
     .prepare = a_sender_dies_in_between},
    {"try_recv-past-a-claim", MANY, EMPTY, TRY_RECV, .flags = REFUSED, .prepare = keep_a_claim},
    {"try_recv_n", ALL, FULL, TRY_RECV_N},
    {"recv_for-empty", ALL, EMPTY, .end = RX_END, .takes = 1, .holds = 1, .flags = REFUSED,
     .begin = begin_recv_patiently, .call = call_recv_for},
    {"peek-release", ALL, TWO, .end = RX_END, .takes = 1, .holds = 1, .call = call_peek_release},
    {"peek-put-back", ALL, TWO, .end = RX_END, .holds = 1, .call = call_peek_put_back},
    {"release-overtaken", ON(STRICT), ONE, .end = RX_END, .takes = 1, .holds = 1,
     .begin = begin_peek, .meanwhile = overtake, .call = call_release},
    {"put-back-overtaken", ON(STRICT), ONE, .end = RX_END, .holds = 1, .begin = begin_peek,
     .meanwhile = overtake, .call = call_put_back},
    {"rx_open", ALL, ONE, .end = RX_END, .flags = OPENS, .call = call_rx_open},
    {"rx_open-seat-of-a-dead-one", SEATED, TWO, .end = RX_END, .flags = OPENS,
     .prepare = a_receiver_dies, .call = call_rx_open},
    {"rx_close", ALL, ONE, .end = RX_END, .flags = CLOSES, .call = call_rx_close},
    {"rx_close-peeked", ALL, TWO, .end = RX_END, .holds = 1, .flags = CLOSES,
     .begin = begin_peek, .call = call_rx_close_peeked},
    {"rx_close-overtaken", ON(STRICT), ONE, .end = RX_END, .holds = 1, .flags = CLOSES,
     .begin = begin_peek, .meanwhile = overtake, .call = call_rx_close_peeked},

    {"repair-nobody", ALL, ONE, REPAIR},
    {"repair-a-sender", SEATED, ONE, REPAIR, .prepare = a_sender_dies},
    {"repair-a-receiver", SEATED, ONE, REPAIR, .holds = 1, .prepare = a_receiver_dies},
    {"repair-both", SEATED, ONE, REPAIR, .holds = 1, .prepare = both_die},
    {"repair-batches", MANY, TWO, REPAIR, .holds = 2, .prepare = both_die_in_batches},
    {"repair-both-overtaken", ON(STRICT), ONE, REPAIR, .holds = 1, .prepare = both_die_and_overtake},
    {"shutdown", NOT_DROP, TWO, .flags = SHUTS, .call = call_shutdown},
};
/* clang-format on */
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;
