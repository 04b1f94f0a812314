/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How a ring of many is shut down: what was sent is received, what was refused is not. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "many.h"
#include "os/clock.h"

SUITES(ending, 120);

#define MS UINT64_C(1000000)

/* --- One after another --- */

EACH(ending, after_shutdown_the_rest_is_received_and_nothing_sent)
{
    struct pair pair;
    uint64_t number = 9, got[4];
    void *place;
    const void *shown;
    pair_of(&pair, v, 8, 16);
    send_numbers(&pair.tx, 0, 9);
    cr_assert_not(described(pair.ring).shut);
    succeeds(rbx_ring_shutdown(pair.ring));
    cr_assert(described(pair.ring).shut);
    refuses(-EINVAL, "shut down before", rbx_ring_shutdown(pair.ring));
    for (int i = 0; i < 2; i++) {
        refuses(-EPIPE, "shut down", rbx_try_send(&pair.tx, &number));
        refuses(-EPIPE, "shut down", rbx_send(&pair.tx, &number));
        refuses(-EPIPE, "shut down", rbx_send_for(&pair.tx, &number, 0));
        refuses(-EPIPE, "shut down", (int)rbx_try_send_n(&pair.tx, &number, 1));
        refuses(-EPIPE, "shut down", (int)rbx_send_n(&pair.tx, &number, 1));
        refuses(-EPIPE, "shut down", rbx_claim(&pair.tx, &place));
        refuses(-EINVAL, "claimed no place", rbx_commit(&pair.tx));
    }
    recv_numbers(&pair.rx, 0, 5);
    cr_assert_eq(rbx_peek(&pair.rx, &shown), 0);
    cr_assert_eq(*(const uint64_t *)shown, 5);
    cr_assert_eq(rbx_release(&pair.rx), 0);
    cr_assert_eq(rbx_recv_n(&pair.rx, got, 4), 3);
    for (int i = 0; i < 2; i++) {
        refuses(-EPIPE, "shut down", rbx_try_recv(&pair.rx, got));
        refuses(-EPIPE, "shut down", rbx_recv(&pair.rx, got));
        refuses(-EPIPE, "shut down", rbx_recv_for(&pair.rx, got, 0));
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
    pair_close(&pair);
}

EACH(ending, a_full_ring_that_was_shut_down_says_so_to_senders)
{
    struct pair pair;
    uint64_t number = 0;
    pair_of(&pair, v, 8, 4);
    cr_assert_eq(fill(&pair.tx), 4);
    succeeds(rbx_ring_shutdown(pair.ring));
    refuses(-EPIPE, "shut down", rbx_try_send(&pair.tx, &number));
    refuses(-EPIPE, "shut down", rbx_send(&pair.tx, &number));
    recv_numbers(&pair.rx, 0, 4);
    cr_assert_eq(rbx_try_recv(&pair.rx, &number), -EPIPE);
    cr_assert_eq(rbx_try_send(&pair.tx, &number), -EPIPE);
    pair_close(&pair);
}

EACH(ending, other_receivers_take_the_rest_of_a_ring_that_was_shut_down)
{
    struct pair pair;
    rbx_rx late, latest;
    uint64_t got;
    pair_of(&pair, v, 8, 16);
    send_numbers(&pair.tx, 0, 9);
    recv_numbers(&pair.rx, 0, 4);
    succeeds(rbx_ring_shutdown(pair.ring));
    rbx_rx_close(&pair.rx);
    succeeds(rbx_rx_open(&pair.rx, pair.ring));
    succeeds(rbx_rx_open(&late, pair.ring));
    recv_numbers(&pair.rx, 4, 3);
    recv_numbers(&late, 7, 2);
    cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE);
    cr_assert_eq(rbx_try_recv(&late, &got), -EPIPE);
    refuses(-EPIPE, "shut down", rbx_rx_open(&latest, pair.ring));
    rbx_rx_close(&late);
    pair_close(&pair);
}

/* That was a promise: the place is taken, and commit never finds the ring full. */
BOTH(ending, a_claim_that_is_older_than_the_shutdown_may_be_committed_or_aborted)
{
    for (int aborts = 0; aborts < 2; aborts++)
        for (uint64_t before = 0; before < 4; before++) {
            struct pair pair;
            uint64_t number = before, got;
            void *place;
            pair_of(&pair, v, 8, 4);
            send_numbers(&pair.tx, 0, before);
            cr_assert_eq(rbx_try_claim(&pair.tx, &place), 0);
            memcpy(place, &number, 8);
            succeeds(rbx_ring_shutdown(pair.ring));
            recv_numbers(&pair.rx, 0, before);
            cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EAGAIN, "it may still come");
            cr_assert_eq(rbx_recv_for(&pair.rx, &got, MS), -ETIMEDOUT);
            cr_assert_eq(aborts ? rbx_abort(&pair.tx) : rbx_commit(&pair.tx), 0);
            refuses(-EPIPE, "shut down", rbx_try_claim(&pair.tx, &place));
            if (!aborts)
                recv_numbers(&pair.rx, before, 1);
            cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE);
            pair_close(&pair);
        }
}

BOTH(ending, what_is_put_back_after_the_end_is_received)
{
    for (int closes = 0; closes < 2; closes++) {
        struct pair pair;
        rbx_rx other;
        const void *shown;
        uint64_t got;
        pair_of(&pair, v, 8, 4);
        succeeds(rbx_rx_open(&other, pair.ring));
        send_numbers(&pair.tx, 0, 2);
        cr_assert_eq(rbx_try_peek(&other, &shown), 0);
        succeeds(rbx_ring_shutdown(pair.ring));
        recv_numbers(&pair.rx, 1, 1);
        cr_assert_eq(rbx_try_recv(&pair.rx, &got), -EPIPE, "as far as is known");
        if (closes)
            rbx_rx_close(&other);
        else
            cr_assert_eq(rbx_release_n(&other, 0), 0);
        cr_assert_eq(rbx_recv(&pair.rx, &got), 0);
        cr_assert_eq(got, 0);
        cr_assert_eq(rbx_recv(&pair.rx, &got), -EPIPE);
        rbx_rx_close(&other);
        pair_close(&pair);
    }
}

/* --- While others wait --- */

enum { WAITERS = 4 };

struct waiter {
    rbx_tx tx;
    rbx_rx rx;
    bool receives;
    ptrdiff_t answer;
    pthread_t thread;
};

static void *wait_for_it(void *arg)
{
    struct waiter *waiter = arg;
    uint64_t number = 0;
    if (waiter->receives)
        waiter->answer = rbx_recv(&waiter->rx, &number);
    else
        waiter->answer = rbx_send(&waiter->tx, &number);
    return NULL;
}

static rbx_end_info one_of(rbx_ring *ring, bool receives, unsigned seat)
{
    rbx_end_info info;
    succeeds(receives ? rbx_ring_receiver(ring, seat, &info) : rbx_ring_sender(ring, seat, &info));
    return info;
}

/* Each has found the ring empty (full) by the time of the shutdown; most sleep. */
static void wake_all(const struct variant *v, const char *name, bool receives, rbx_wait_how how)
{
    static struct waiter waiters[WAITERS];
    rbx_ring *ring = ring_for(v, name, 2);
    const rbx_wait_options wait = {.how = how, .spin_ns = RBX_NO_SPIN};
    uint64_t got;
    memset(waiters, 0, sizeof waiters);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].receives = receives;
        succeeds(receives ? rbx_rx_open(&waiters[i].rx, ring) : rbx_tx_open(&waiters[i].tx, ring));
        succeeds(receives ? rbx_rx_wait_by(&waiters[i].rx, &wait)
                          : rbx_tx_wait_by(&waiters[i].tx, &wait));
        if (!receives && i == 0)
            fill(&waiters[0].tx);
    }
    uint64_t missed = one_of(ring, receives, 0).missed;
    for (int i = 0; i < WAITERS; i++)
        cr_assert_eq(pthread_create(&waiters[i].thread, NULL, wait_for_it, &waiters[i]), 0);
    for (unsigned i = 0; i < WAITERS; i++)
        while (how == RBX_WAIT_SLEEP ? one_of(ring, receives, i).sleeps == 0
                                     : one_of(ring, receives, i).missed == (i ? 0 : missed))
            rbx_clock_pause(MS / 20);
    succeeds(rbx_ring_shutdown(ring));
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        cr_assert_eq(waiters[i].answer, -EPIPE, "%td", waiters[i].answer);
        rbx_tx_close(&waiters[i].tx);
        rbx_rx_close(&waiters[i].rx);
    }
    if (!receives) {
        rbx_rx rx;
        succeeds(rbx_rx_open(&rx, ring));
        recv_numbers(&rx, 0, 2);
        cr_assert_eq(rbx_try_recv(&rx, &got), -EPIPE);
        rbx_rx_close(&rx);
    }
    succeeds(rbx_ring_close(ring));
}

EACH(ending, a_shutdown_ends_the_waits_of_all_receivers)
{
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
        wake_all(v, NULL, true, (rbx_wait_how)how);
        wake_all(v, own_name("wakes"), true, (rbx_wait_how)how);
    }
}

EACH(ending, a_shutdown_ends_the_waits_of_all_senders)
{
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
        wake_all(v, NULL, false, (rbx_wait_how)how);
        wake_all(v, own_name("wakes"), false, (rbx_wait_how)how);
    }
}

/* --- While it flows --- */

enum { SENDERS = 3, RECEIVERS = 3, MOST = 1 << 14 };

struct flow {
    rbx_ring *ring;
    unsigned round;
    atomic_uint arrived;
    atomic_uint shut; /* by how many */
    atomic_uchar received[SENDERS][MOST];
    uint64_t sent[SENDERS];
    int error;
};

struct party {
    struct flow *flow;
    unsigned number;
    rbx_tx tx;
    rbx_rx rx;
    pthread_t thread;
};

static void meet(struct flow *flow)
{
    atomic_fetch_add(&flow->arrived, 1);
    for (int looks = 0; atomic_load(&flow->arrived) < SENDERS + RECEIVERS + 2; looks++)
        if (looks < 100)
            rbx_pause();
        else
            sched_yield();
}

/* One send, of a kind that changes: how many messages were sent, or why none. */
static ptrdiff_t send_somehow(rbx_tx *tx, unsigned how, const uint64_t numbers[5])
{
    void *place;
    ptrdiff_t sent;
    switch (how % 4) {
    case 0:
        sent = rbx_send(tx, numbers);
        return sent == 0 ? 1 : sent;
    case 1:
        return rbx_send_n(tx, numbers, 5);
    case 2:
        sent = rbx_try_send(tx, numbers);
        return sent == 0 ? 1 : sent == -EAGAIN ? 0 : sent;
    default:
        sent = rbx_claim(tx, &place);
        if (sent < 0)
            return sent;
        memcpy(place, numbers, 8);
        do
            sent = rbx_commit(tx);
        while (sent == -EAGAIN); /* strict: passed over, and full */
        return sent == 0 ? 1 : sent;
    }
}

static void *send_all(void *arg)
{
    struct party *party = arg;
    struct flow *flow = party->flow;
    uint64_t sent = 0;
    meet(flow);
    for (unsigned how = flow->round + party->number; sent + 5 < MOST; how++) {
        uint64_t numbers[5];
        for (uint64_t i = 0; i < 5; i++)
            numbers[i] = (uint64_t)party->number << 32 | (sent + i);
        ptrdiff_t more = send_somehow(&party->tx, how, numbers);
        if (more < 0) {
            flow->error = more == -EPIPE ? flow->error : (int)more;
            break;
        }
        sent += (uint64_t)more;
    }
    flow->sent[party->number] = sent;
    return NULL;
}

static ptrdiff_t recv_somehow(rbx_rx *rx, unsigned how, uint64_t got[5])
{
    const void *shown;
    ptrdiff_t n;
    switch (how % 4) {
    case 0:
        n = rbx_recv(rx, got);
        return n == 0 ? 1 : n;
    case 1:
        n = rbx_peek_n(rx, &shown, 5);
        if (n > 0) {
            memcpy(got, shown, (size_t)n * 8);
            rbx_release(rx);
        }
        return n;
    case 2:
        n = rbx_peek(rx, &shown);
        return n < 0 ? n : rbx_release_n(rx, 0);
    default:
        return rbx_recv_n(rx, got, 5);
    }
}

static void *receive_all(void *arg)
{
    struct party *party = arg;
    struct flow *flow = party->flow;
    meet(flow);
    for (unsigned how = flow->round / 4 + party->number;; how++) {
        uint64_t got[5];
        ptrdiff_t n = recv_somehow(&party->rx, how, got);
        if (n < 0) {
            flow->error = n == -EPIPE ? flow->error : (int)n;
            return NULL;
        }
        for (ptrdiff_t i = 0; i < n; i++)
            if (got[i] >> 32 >= SENDERS || (uint32_t)got[i] >= MOST)
                flow->error = -EILSEQ;
            else
                atomic_fetch_add(&flow->received[got[i] >> 32][(uint32_t)got[i]], 1);
    }
}

static void *shut_down(void *arg)
{
    struct flow *flow = arg;
    meet(flow);
    for (unsigned i = 0; i < flow->round * 7919 % 4000; i++)
        rbx_pause();
    if (rbx_ring_shutdown(flow->ring) == 0)
        atomic_fetch_add(&flow->shut, 1);
    return NULL;
}

static void shut_down_while_it_flows(const struct variant *v, unsigned round)
{
    static struct flow flow;
    static struct party senders[SENDERS], receivers[RECEIVERS];
    pthread_t third, fourth;
    memset(&flow, 0, sizeof flow);
    flow.ring = ring_for(v, NULL, (size_t)1 << round % 5);
    flow.round = round;
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct party){.flow = &flow, .number = i};
        succeeds(rbx_tx_open(&senders[i].tx, flow.ring));
        pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        receivers[i] = (struct party){.flow = &flow, .number = i};
        succeeds(rbx_rx_open(&receivers[i].rx, flow.ring));
        pthread_create(&receivers[i].thread, NULL, receive_all, &receivers[i]);
    }
    pthread_create(&third, NULL, shut_down, &flow);
    pthread_create(&fourth, NULL, shut_down, &flow);
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    for (unsigned i = 0; i < RECEIVERS; i++)
        pthread_join(receivers[i].thread, NULL);
    pthread_join(third, NULL);
    pthread_join(fourth, NULL);
    cr_assert_eq(flow.error, 0, "round %u: %d", round, flow.error);
    cr_assert_eq(flow.shut, 1, "the second was told");
    for (unsigned i = 0; i < SENDERS; i++) {
        uint64_t n = 0;
        while (n < MOST && flow.received[i][n] == (n < flow.sent[i]))
            n++;
        cr_assert_eq(n, MOST, "round %u, sender %u sent %llu: number %llu came %d times", round, i,
                     (unsigned long long)flow.sent[i], (unsigned long long)n,
                     n < MOST ? flow.received[i][n] : 0);
        rbx_tx_close(&senders[i].tx);
    }
    for (unsigned i = 0; i < RECEIVERS; i++)
        rbx_rx_close(&receivers[i].rx);
    succeeds(rbx_ring_close(flow.ring));
}

EACH(ending, what_was_sent_before_or_beside_a_shutdown_is_received_and_nothing_else)
{
    for (unsigned round = 0; round < 300; round++)
        shut_down_while_it_flows(v, round);
}
