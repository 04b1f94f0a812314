/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What each call answers, on a ring in memory. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "pair.h"

static struct pair pair;

/* Eight-byte messages, seven in a frame; two frames that count and one to be lazy with. */
static void set_up(void)
{
    pair_open(&pair, 8, 14);
    cr_assert_eq(pair.shape.frame.per_frame, 7);
    cr_assert_eq(pair.shape.frames, 3);
}

static void tear_down(void)
{
    pair_close(&pair);
}

TestSuite(calls, .timeout = 60, .init = set_up, .fini = tear_down);

#define MS UINT64_C(1000000)

static void send_numbers(uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++)
        cr_assert_eq(rbx_try_send(&pair.tx, &i), 0);
}

static void recv_numbers(uint64_t from, uint64_t count)
{
    uint64_t got;
    for (uint64_t i = from; i < from + count; i++) {
        cr_assert_eq(rbx_try_recv(&pair.rx, &got), 0);
        cr_assert_eq(got, i);
    }
}

static void check_empty(void)
{
    uint64_t got;
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EAGAIN);
}

/* Fills the ring; how many messages that took. */
static uint64_t fill(void)
{
    uint64_t count = 0;
    while (rbx_try_send(&pair.tx, &count) == 0)
        count++;
    cr_assert_geq(count, pair_least(&pair));
    cr_assert_leq(count, pair_most(&pair));
    return count;
}

Test(calls, an_empty_ring_says_again)
{
    uint64_t got[2];
    const void *shown = got;
    check_empty();
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 2), -EAGAIN);
    cr_assert_eq(rbx_try_peek(&pair.rx, &shown), -EAGAIN);
    cr_assert_null(shown);
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 2), -EAGAIN);
}

Test(calls, a_full_ring_says_again_until_a_frame_is_taken)
{
    uint64_t count = fill(), got;
    void *place = &got;
    cr_assert_eq(rbx_try_send(&pair.tx, &count), -EAGAIN);
    cr_assert_eq(rbx_try_send_n(&pair.tx, &count, 1), -EAGAIN);
    cr_assert_eq(rbx_try_claim(&pair.tx, &place), -EAGAIN);
    cr_assert_null(place);
    recv_numbers(0, count - pair_least(&pair) + 1);
    cr_assert_eq(rbx_try_send(&pair.tx, &count), 0);
}

Test(calls, messages_come_out_in_the_order_in_which_they_went_in)
{
    for (uint64_t lap = 0; lap < 1000; lap++) {
        send_numbers(lap * 13, 13);
        recv_numbers(lap * 13, 13);
        check_empty();
    }
}

Test(calls, calls_that_can_wait_do_not_wait_without_need)
{
    uint64_t numbers[4] = {0, 1, 2, 3}, got[8] = {0};
    const void *shown;
    void *place;
    cr_assert_eq(rbx_send(&pair.tx, &numbers[0]), 0);
    cr_assert_eq(rbx_send_for(&pair.tx, &numbers[1], 0), 0);
    cr_assert_eq(rbx_send_n(&pair.tx, numbers + 2, 2), 2);
    cr_assert_eq(rbx_send_n_for(&pair.tx, numbers, 4, 0), 4);
    cr_assert_eq(rbx_claim(&pair.tx, &place), 0);
    memcpy(place, &numbers[1], 8);
    cr_assert_eq(rbx_commit(&pair.tx), 0);
    cr_assert_eq(rbx_claim_for(&pair.tx, &place, 0), 0);
    cr_assert_eq(rbx_abort(&pair.tx), 0);

    cr_assert_eq(rbx_recv(&pair.rx, got), 0);
    cr_assert_eq(rbx_recv_for(&pair.rx, got + 1, 0), 0);
    cr_assert_eq(rbx_recv_n(&pair.rx, got + 2, 1), 1);
    cr_assert_eq(rbx_recv_n_for(&pair.rx, got + 3, 1, 0), 1);
    cr_assert_eq(memcmp(got, numbers, sizeof numbers), 0);
    cr_assert_eq(rbx_peek(&pair.rx, &shown), 0);
    cr_assert_eq(*(const uint64_t *)shown, 0);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_peek_for(&pair.rx, &shown, 0), 0);
    cr_assert_eq(*(const uint64_t *)shown, 1);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_peek_n(&pair.rx, &shown, 1), 1);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_peek_n_for(&pair.rx, &shown, 1, 0), 1);
    cr_assert_eq(*(const uint64_t *)shown, 3);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    recv_numbers(1, 1);
    check_empty();
}

Test(calls, a_wait_without_time_is_over_at_once)
{
    uint64_t got[2];
    const void *shown;
    void *place;
    refuses(-ETIMEDOUT, "nothing came", rbx_recv_for(&pair.rx, got, 0));
    refuses(-ETIMEDOUT, "nothing came", (int)rbx_recv_n_for(&pair.rx, got, 2, 0));
    refuses(-ETIMEDOUT, "nothing came", rbx_peek_for(&pair.rx, &shown, 0));
    refuses(-ETIMEDOUT, "nothing came", (int)rbx_peek_n_for(&pair.rx, &shown, 2, 1));
    fill();
    refuses(-ETIMEDOUT, "was full", rbx_send_for(&pair.tx, got, 0));
    refuses(-ETIMEDOUT, "was full", (int)rbx_send_n_for(&pair.tx, got, 2, 0));
    refuses(-ETIMEDOUT, "was full", rbx_claim_for(&pair.tx, &place, 1));
    cr_assert_null(place);
}

Test(calls, batches_answer_how_many)
{
    uint64_t numbers[64], got[64];
    for (uint64_t i = 0; i < 64; i++)
        numbers[i] = i;
    cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, 0), 0);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 0), 0);
    cr_assert_eq(rbx_try_send_n(&pair.tx, numbers, 10), 10);
    ptrdiff_t more = rbx_try_send_n(&pair.tx, numbers + 10, 54);
    cr_assert_eq(more, (ptrdiff_t)pair_most(&pair) - 10, "%td", more);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got, 3), 3);
    cr_assert_eq(rbx_try_recv_n(&pair.rx, got + 3, 61), (ptrdiff_t)pair_most(&pair) - 3);
    cr_assert_eq(memcmp(got, numbers, pair_most(&pair) * 8), 0);
    check_empty();
}

Test(calls, a_batch_that_runs_out_of_time_answers_how_many_went)
{
    uint64_t numbers[64] = {0};
    cr_assert_eq(rbx_send_n_for(&pair.tx, numbers, 64, MS), (ptrdiff_t)pair_most(&pair));
    cr_assert_eq(rbx_send_n_for(&pair.tx, numbers, 64, MS), -ETIMEDOUT, "the next call says why");
}

Test(calls, a_claimed_place_is_sent_by_commit_and_not_by_abort)
{
    for (uint64_t i = 0; i < 100; i++) {
        void *place, *again;
        cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
        cr_assert_eq((uintptr_t)place % 8, 0);
        memset(place, 0xff, 8);
        check_empty();
        cr_assert_eq(rbx_abort(&pair.tx), 0);
        check_empty();
        cr_assert_eq(rbx_try_claim(&pair.tx, &again), 0);
        cr_assert_eq(again, place);
        memcpy(again, &i, 8);
        cr_assert_eq(rbx_commit(&pair.tx), 0);
        recv_numbers(i, 1);
    }
}

Test(calls, between_claim_and_commit_the_sender_is_busy)
{
    uint64_t number = 0;
    void *place, *other = &number;
    cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
    refuses(-EBUSY, "commit or abort", rbx_try_send(&pair.tx, &number));
    refuses(-EBUSY, "commit or abort", rbx_send(&pair.tx, &number));
    refuses(-EBUSY, "commit or abort", (int)rbx_try_send_n(&pair.tx, &number, 1));
    refuses(-EBUSY, "commit or abort", (int)rbx_send_n(&pair.tx, &number, 1));
    refuses(-EBUSY, "commit or abort", rbx_try_claim(&pair.tx, &other));
    refuses(-EBUSY, "commit or abort", rbx_claim(&pair.tx, &other));
    cr_assert_null(other);
    memcpy(place, &number, 8);
    cr_assert_eq(rbx_commit(&pair.tx), 0);
    refuses(-EINVAL, "claimed no place", rbx_commit(&pair.tx));
    refuses(-EINVAL, "claimed no place", rbx_abort(&pair.tx));
    recv_numbers(0, 1);
}

Test(calls, peek_shows_what_release_takes)
{
    uint64_t got;
    const void *shown, *again;
    send_numbers(0, 12);
    cr_assert_eq(rbx_try_peek(&pair.rx, &shown), 0);
    cr_assert_eq(*(const uint64_t *)shown, 0);
    refuses(-EBUSY, "release first", rbx_try_recv(&pair.rx, &got));
    refuses(-EBUSY, "release first", rbx_recv(&pair.rx, &got));
    refuses(-EBUSY, "release first", (int)rbx_try_recv_n(&pair.rx, &got, 1));
    refuses(-EBUSY, "release first", (int)rbx_recv_n(&pair.rx, &got, 1));
    refuses(-EBUSY, "release first", rbx_try_peek(&pair.rx, &again));
    refuses(-EBUSY, "release first", (int)rbx_peek_n(&pair.rx, &again, 1));
    cr_assert_eq(rbx_release_n(&pair.rx, 0), 0, "none of them is fine");
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &again, 100), 7, "what one frame has");
    cr_assert_eq(again, shown);
    cr_assert_eq(rbx_stride(&pair.rx), 8);
    for (uint64_t i = 0; i < 7; i++)
        cr_assert_eq(((const uint64_t *)shown)[i], i);
    refuses(-EINVAL, "shown 7 messages, no more", rbx_release_n(&pair.rx, 8));
    cr_assert_eq(rbx_release_n(&pair.rx, 3), 0);
    refuses(-EINVAL, "peeked at nothing", rbx_release_n(&pair.rx, 0));
    refuses(-EINVAL, "peeked at nothing", rbx_release(&pair.rx));
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 2), 2);
    cr_assert_eq(*(const uint64_t *)shown, 3);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 0), 0);
    cr_assert_null(shown);
    recv_numbers(5, 7);
    check_empty();
}

/* --- Endpoints --- */

/* Every call of an endpoint that is not open. */
static void refuse_everything(rbx_tx *tx, rbx_rx *rx)
{
    uint64_t number[2];
    void *place;
    const void *shown;
    const rbx_wait_options wait = {0};
    refuses(-EINVAL, "sender is closed", rbx_try_send(tx, number));
    refuses(-EINVAL, "sender is closed", rbx_send(tx, number));
    refuses(-EINVAL, "sender is closed", rbx_send_for(tx, number, 1));
    refuses(-EINVAL, "sender is closed", (int)rbx_try_send_n(tx, number, 2));
    refuses(-EINVAL, "sender is closed", (int)rbx_send_n(tx, number, 2));
    refuses(-EINVAL, "sender is closed", (int)rbx_send_n_for(tx, number, 2, 1));
    refuses(-EINVAL, "sender is closed", rbx_try_claim(tx, &place));
    refuses(-EINVAL, "sender is closed", rbx_claim(tx, &place));
    refuses(-EINVAL, "sender is closed", rbx_claim_for(tx, &place, 1));
    refuses(-EINVAL, "sender is closed", rbx_commit(tx));
    refuses(-EINVAL, "sender is closed", rbx_abort(tx));
    refuses(-EINVAL, "sender is closed", rbx_tx_wait_by(tx, &wait));
    rbx_tx_close(tx);
    refuses(-EINVAL, "receiver is closed", rbx_try_recv(rx, number));
    refuses(-EINVAL, "receiver is closed", rbx_recv(rx, number));
    refuses(-EINVAL, "receiver is closed", rbx_recv_for(rx, number, 1));
    refuses(-EINVAL, "receiver is closed", (int)rbx_try_recv_n(rx, number, 2));
    refuses(-EINVAL, "receiver is closed", (int)rbx_recv_n(rx, number, 2));
    refuses(-EINVAL, "receiver is closed", (int)rbx_recv_n_for(rx, number, 2, 1));
    refuses(-EINVAL, "receiver is closed", rbx_try_peek(rx, &shown));
    refuses(-EINVAL, "receiver is closed", rbx_peek(rx, &shown));
    refuses(-EINVAL, "receiver is closed", rbx_peek_for(rx, &shown, 1));
    refuses(-EINVAL, "receiver is closed", (int)rbx_try_peek_n(rx, &shown, 2));
    refuses(-EINVAL, "receiver is closed", (int)rbx_peek_n(rx, &shown, 2));
    refuses(-EINVAL, "receiver is closed", (int)rbx_peek_n_for(rx, &shown, 2, 1));
    refuses(-EINVAL, "receiver is closed", rbx_release(rx));
    refuses(-EINVAL, "receiver is closed", rbx_release_n(rx, 1));
    refuses(-EINVAL, "receiver is closed", rbx_rx_wait_by(rx, &wait));
    rbx_rx_close(rx);
}

Test(calls, endpoints_that_were_never_opened_refuse_everything)
{
    static rbx_tx tx;
    static rbx_rx rx;
    refuse_everything(&tx, &rx);
}

Test(calls, closed_endpoints_refuse_everything)
{
    send_numbers(0, 5);
    recv_numbers(0, 2);
    rbx_tx_close(&pair.tx);
    rbx_rx_close(&pair.rx);
    refuse_everything(&pair.tx, &pair.rx);
}

Test(calls, an_endpoint_that_could_not_be_opened_is_closed)
{
    rbx_tx tx;
    rbx_rx rx;
    memset(&tx, 0xff, sizeof tx);
    memset(&rx, 0xff, sizeof rx);
    refuses(-EBUSY, "living sender", rbx_tx_open(&tx, pair.ring));
    refuses(-EBUSY, "living receiver", rbx_rx_open(&rx, pair.ring));
    refuse_everything(&tx, &rx);
    send_numbers(0, 1);
    recv_numbers(0, 1);
}

Test(calls, a_ring_with_open_endpoints_is_not_closed)
{
    refuses(-EBUSY, "open endpoint", rbx_ring_close(pair.ring));
    rbx_tx_close(&pair.tx);
    refuses(-EBUSY, "open endpoint", rbx_ring_close(pair.ring));
    succeeds(rbx_tx_open(&pair.tx, pair.ring));
    rbx_rx_close(&pair.rx);
    refuses(-EBUSY, "open endpoint", rbx_ring_close(pair.ring));
    succeeds(rbx_ring_close(NULL));
}

Test(calls, a_claimed_place_is_given_up_when_the_sender_closes)
{
    void *place;
    for (uint64_t i = 0; i < 30; i++) {
        cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
        memset(place, 0xee, 8);
        rbx_tx_close(&pair.tx);
        check_empty();
        succeeds(rbx_tx_open(&pair.tx, pair.ring));
        send_numbers(i, 1);
        recv_numbers(i, 1);
    }
    cr_assert_eq(described(pair.ring).sent, 30);
}

Test(calls, what_was_peeked_stays_when_the_receiver_closes)
{
    const void *shown;
    send_numbers(0, 9);
    cr_assert_eq(rbx_try_peek_n(&pair.rx, &shown, 5), 5);
    rbx_rx_close(&pair.rx);
    succeeds(rbx_rx_open(&pair.rx, pair.ring));
    recv_numbers(0, 9);
}

Test(calls, there_are_three_ways_to_wait)
{
    const rbx_wait_options odd = {.how = (rbx_wait_how)3};
    for (int how = 0; how < 3; how++) {
        succeeds(rbx_tx_wait_by(&pair.tx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
        succeeds(rbx_rx_wait_by(&pair.rx, &(rbx_wait_options){.how = (rbx_wait_how)how}));
    }
    succeeds(rbx_tx_wait_by(&pair.tx, NULL));
    succeeds(rbx_rx_wait_by(&pair.rx, NULL));
    refuses(-EINVAL, "number 3", rbx_tx_wait_by(&pair.tx, &odd));
    refuses(-EINVAL, "number 3", rbx_rx_wait_by(&pair.rx, &odd));
}

/* --- Shutting down --- */

Test(calls, after_shutdown_the_rest_is_received_and_nothing_sent)
{
    uint64_t number = 9, got[4];
    void *place;
    const void *shown;
    send_numbers(0, 9);
    cr_assert_not(described(pair.ring).shut);
    succeeds(rbx_ring_shutdown(pair.ring));
    cr_assert(described(pair.ring).shut);
    refuses(-EINVAL, "shut down before", rbx_ring_shutdown(pair.ring));
    refuses(-EPIPE, "shut down", rbx_try_send(&pair.tx, &number));
    refuses(-EPIPE, "shut down", rbx_send(&pair.tx, &number));
    refuses(-EPIPE, "shut down", (int)rbx_send_n(&pair.tx, &number, 1));
    refuses(-EPIPE, "shut down", rbx_claim(&pair.tx, &place));
    refuses(-EINVAL, "claimed no place", rbx_commit(&pair.tx));
    recv_numbers(0, 5);
    cr_assert_eq(rbx_peek_n(&pair.rx, &shown, 4), 2);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_recv_n(&pair.rx, got, 4), 2);
    for (int i = 0; i < 2; i++) {
        refuses(-EPIPE, "shut down", rbx_try_recv(&pair.rx, got));
        refuses(-EPIPE, "shut down", rbx_recv(&pair.rx, got));
        refuses(-EPIPE, "shut down", (int)rbx_recv_n(&pair.rx, got, 4));
        refuses(-EPIPE, "shut down", rbx_peek(&pair.rx, &shown));
        refuses(-EINVAL, "peeked at nothing", rbx_release(&pair.rx));
    }
    rbx_tx_close(&pair.tx);
    rbx_rx_close(&pair.rx);
    refuses(-EPIPE, "shut down", rbx_tx_open(&pair.tx, pair.ring));
    refuses(-EPIPE, "shut down", rbx_rx_open(&pair.rx, pair.ring));
    rbx_ring_info info = described(pair.ring);
    cr_assert_eq(info.sent, 9);
    cr_assert_eq(info.received, 9);
    cr_assert_eq(info.tx.state, RBX_END_NONE);
}

Test(calls, another_receiver_takes_the_rest_of_a_ring_that_was_shut_down)
{
    send_numbers(0, 9);
    recv_numbers(0, 4);
    succeeds(rbx_ring_shutdown(pair.ring));
    rbx_rx_close(&pair.rx);
    succeeds(rbx_rx_open(&pair.rx, pair.ring));
    recv_numbers(4, 5);
    uint64_t got;
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE);
}

Test(calls, a_claim_that_is_older_than_the_shutdown_may_be_committed_until_the_receiver_has_ended)
{
    void *place;
    uint64_t number = 0;
    cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
    memcpy(place, &number, 8);
    succeeds(rbx_ring_shutdown(pair.ring));
    cr_assert_eq(rbx_commit(&pair.tx), 0);
    refuses(-EPIPE, "shut down", rbx_try_claim(&pair.tx, &place));
    recv_numbers(0, 1);
    cr_assert_eq(rbx_try_recv(&pair.rx, &number), -EPIPE);
}

Test(calls, a_commit_after_the_receiver_has_ended_is_refused)
{
    void *place;
    uint64_t got;
    cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
    succeeds(rbx_ring_shutdown(pair.ring));
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE);
    refuses(-EPIPE, "shut down", rbx_commit(&pair.tx));
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE);
    refuses(-EPIPE, "shut down", rbx_try_send(&pair.tx, &got));
}

Test(calls, an_abort_after_the_shutdown_is_an_abort)
{
    void *place;
    cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
    succeeds(rbx_ring_shutdown(pair.ring));
    cr_assert_eq(rbx_abort(&pair.tx), 0);
    refuses(-EPIPE, "shut down", rbx_try_claim(&pair.tx, &place));
}

/* --- What a ring says of itself --- */

Test(calls, describe_counts_what_was_done)
{
    uint64_t got, count = fill(); /* and is refused once */
    rbx_ring_info info = described(pair.ring);
    cr_assert_eq(info.kind, RBX_SPSC);
    cr_assert_eq(info.message_size, 8);
    cr_assert_eq(info.alignment, 8);
    cr_assert_eq(info.capacity, 14);
    cr_assert_eq(info.sent, count);
    cr_assert_eq(info.received, 0);
    cr_assert_eq(info.high_water, count);
    cr_assert_eq(info.tx.missed, 1);
    cr_assert_eq(info.tx.opened, 1);
    cr_assert_eq(info.tx.state, RBX_END_ALIVE);
    cr_assert_eq(info.tx.pid, getpid());
    recv_numbers(0, count);
    check_empty();
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EAGAIN);
    rbx_rx_close(&pair.rx);
    info = described(pair.ring);
    cr_assert_eq(info.received, count);
    cr_assert_eq(info.rx.state, RBX_END_NONE);
    cr_assert_eq(info.rx.missed, 2);
    cr_assert_eq(info.rx.opened, 1);
    cr_assert_eq(info.rx.sleeps + info.rx.wakes + info.tx.sleeps + info.tx.wakes, 0);
    succeeds(rbx_rx_open(&pair.rx, pair.ring));
    cr_assert_eq(described(pair.ring).rx.opened, 2);
    send_numbers(0, 3);
    cr_assert_eq(described(pair.ring).sent, count + 3);
    cr_assert_eq(described(pair.ring).high_water, count, "of all times");
}

Test(calls, another_handle_cannot_know_who_lives_in_mere_memory)
{
    rbx_ring *other;
    succeeds(rbx_ring_attach(&other, pair.memory, pair.size, NULL));
    cr_assert_null(rbx_ring_box(other));
    cr_assert_eq(described(other).tx.state, RBX_END_UNKNOWN);
    cr_assert_eq(described(other).tx.pid, getpid());
    succeeds(rbx_ring_close(other));
}

static int close_everything(void *arg)
{
    (void)arg;
    rbx_tx_close(&pair.tx);
    rbx_rx_close(&pair.rx);
    return rbx_ring_close(pair.ring) == 0 ? 0 : 1;
}

Test(calls, a_child_can_close_what_it_inherited_in_mere_memory)
{
    send_numbers(0, 3);
    cr_assert_eq(in_child(close_everything, NULL), 0);
    cr_assert_eq(described(pair.ring).tx.state, RBX_END_ALIVE);
    recv_numbers(0, 3);
}
