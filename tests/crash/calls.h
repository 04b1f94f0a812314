/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* calls.h: the parts that scenarios.c puts together. */
#ifndef RBX_TESTS_CRASH_CALLS_H
#define RBX_TESTS_CRASH_CALLS_H

#include "crash.h"

/* --- calls.c: the victim's; begin_: before the instructions that count --- */

void begin_send(struct victim *v);
void begin_send_n(struct victim *v);
void begin_recv(struct victim *v);
void begin_recv_n(struct victim *v);
void begin_send_patiently(struct victim *v);
void begin_recv_patiently(struct victim *v);
void call_try_send(struct victim *v);
void call_try_send_n(struct victim *v);
void call_send_for(struct victim *v);
void begin_claim(struct victim *v);
void call_commit(struct victim *v);
void call_claim_commit(struct victim *v);
void call_abort(struct victim *v);
void call_claim_abort(struct victim *v);
void call_tx_open(struct victim *v);
void call_tx_close(struct victim *v);
void call_try_recv(struct victim *v);
void call_try_recv_n(struct victim *v);
void call_recv_for(struct victim *v);
void begin_peek(struct victim *v);
void call_release(struct victim *v);
void call_put_back(struct victim *v);
void call_peek_release(struct victim *v);
void call_peek_put_back(struct victim *v);
void call_rx_open(struct victim *v);
void call_rx_close_peeked(struct victim *v);
void call_rx_close(struct victim *v);
void call_repair(struct victim *v);
void call_shutdown(struct victim *v);

/* --- prepare.c: the survivors' --- */

void a_sender_dies(struct world *w);
void a_receiver_dies(struct world *w);
void both_die(struct world *w);
void a_sender_dies_in_between(struct world *w);
void both_die_in_batches(struct world *w);
void leave_an_orphan(struct world *w);
void put_back(struct world *w);
void leave_a_tombstone(struct world *w);
void fill_with_tombstones(struct world *w);
void leave_a_tombstone_and_send(struct world *w);
void keep_a_claim(struct world *w);
void keep_a_peek(struct world *w);
void fall_asleep_receiving(struct world *w);
void fall_asleep_sending(struct world *w);
void overtake(struct world *w);
void overtake_and_fill(struct world *w);
void both_die_and_overtake(struct world *w);

#endif
