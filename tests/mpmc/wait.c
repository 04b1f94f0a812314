/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One wait at a time on a ring of many: what ends it. Whether somebody has fallen asleep is seen
 * on the bells. No test asserts that something is fast; a wait that never ends runs into the
 * time-out.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "many.h"
#include "os/clock.h"
#include "wait.h"

SUITES(wait, 60);

#define MS UINT64_C(1000000)

/* --- Bells that are shared --- */

Test(wait, an_announcement_is_over_once_the_bell_has_rung_whoever_announces_himself_then)
{
    rbx_bell bell = {0};
    uint32_t bits = rbx_bell_announce(&bell);
    rbx_or_seq_cst(&bell.bits, RBX_BELL_PUBLISHER_FENCES); /* somebody joins */
    cr_assert(rbx_bell_is_unrung(&bell, &bits));
    cr_assert_eq(bits, RBX_BELL_ASLEEP | RBX_BELL_PUBLISHER_FENCES);
    cr_assert(rbx_bell_ring(&bell, true));
    (void)rbx_bell_announce(&bell);
    cr_assert_not(rbx_bell_is_unrung(&bell, &bits));
}

/* --- What others have in hand --- */

/* Another sender has claimed a place, and later ones have been published: up to a ringful. */
BOTH(wait, a_receiver_behind_a_claim_that_is_kept_waits_no_longer_than_it_would)
{
    for (uint64_t later = 0; later < 8; later++)
        for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
            struct pair pair;
            rbx_tx other;
            void *place;
            uint64_t got;
            const rbx_wait_options options = {.how = (rbx_wait_how)how};
            pair_of(&pair, v, 8, 8);
            succeeds(rbx_tx_open(&other, pair.ring));
            succeeds(rbx_rx_wait_by(&pair.rx, &options));
            cr_assert_eq(rbx_try_claim(&other, &place), 0);
            send_numbers(&pair.tx, 0, later);
            uint64_t begun = rbx_clock_monotonic();
            if (v->flags & RBX_STRICT)
                recv_numbers(&pair.rx, 0, later);
            cr_assert_eq(rbx_recv_for(&pair.rx, &got, MS), -ETIMEDOUT, "%llu later",
                         (unsigned long long)later);
            cr_assert_geq(rbx_clock_monotonic() - begun, MS);
            rbx_tx_close(&other);
            pair_close(&pair);
        }
}

/* Another receiver has peeked, and later messages have been received: up to a ringful. */
BOTH(wait, a_sender_behind_a_peek_that_is_kept_waits_no_longer_than_it_would)
{
    for (uint64_t later = 0; later < 8; later++)
        for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
            struct pair pair;
            rbx_rx other;
            const void *shown;
            uint64_t number = 0;
            const rbx_wait_options options = {.how = (rbx_wait_how)how};
            pair_of(&pair, v, 8, 8);
            succeeds(rbx_rx_open(&other, pair.ring));
            succeeds(rbx_tx_wait_by(&pair.tx, &options));
            cr_assert_eq(fill(&pair.tx), 8);
            cr_assert_eq(rbx_try_peek(&other, &shown), 0);
            recv_numbers(&pair.rx, 1, later);
            uint64_t begun = rbx_clock_monotonic();
            if (v->flags & RBX_STRICT)
                cr_assert_eq(fill(&pair.tx), later);
            cr_assert_eq(rbx_send_for(&pair.tx, &number, MS), -ETIMEDOUT, "%llu later",
                         (unsigned long long)later);
            cr_assert_geq(rbx_clock_monotonic() - begun, MS);
            rbx_rx_close(&other);
            pair_close(&pair);
        }
}

/* --- Shutting down --- */

/* Who shuts a ring down closes its tail first, and may die then. */
BOTH(wait, a_shutdown_that_died_half_way_is_one)
{
    for (int end = 0; end < 2; end++)
        for (uint64_t left = 0; left < 3; left++) {
            struct pair pair;
            uint64_t number = 0;
            pair_of(&pair, v, 8, 8);
            send_numbers(&pair.tx, 0, left);
            rbx_or_seq_cst(&mpmc_of(&pair)->tail, RBX_TAIL_CLOSED);
            if (end == 0) {
                cr_assert_eq(rbx_send_for(&pair.tx, &number, MS), -EPIPE);
            } else {
                recv_numbers(&pair.rx, 0, left);
                cr_assert_eq(rbx_recv_for(&pair.rx, &number, 300 * MS), -EPIPE);
                while (rbx_try_recv(&pair.rx, &number) == -EAGAIN)
                    ;
                cr_assert_eq(rbx_try_recv(&pair.rx, &number), -EPIPE);
            }
            pair_close(&pair);
        }
}

/* A ring with a place that somebody has claimed, shut down: the last message is still to come. */
static void shut_before_the_last(struct pair *pair, const struct variant *v, rbx_tx *other)
{
    void *place;
    pair_of(pair, v, 8, 8);
    succeeds(rbx_tx_open(other, pair->ring));
    cr_assert_eq(rbx_try_claim(other, &place), 0);
    memcpy(place, &(uint64_t){77}, 8);
    succeeds(rbx_ring_shutdown(pair->ring));
}

BOTH(wait, a_receiver_that_waits_for_the_last_message_waits_no_longer_than_it_would)
{
    for (int how = RBX_WAIT_SLEEP; how <= RBX_WAIT_SPIN; how++) {
        struct pair pair;
        rbx_tx other;
        uint64_t got, begun = rbx_clock_monotonic();
        const rbx_wait_options options = {.how = (rbx_wait_how)how};
        shut_before_the_last(&pair, v, &other);
        succeeds(rbx_rx_wait_by(&pair.rx, &options));
        cr_assert_eq(rbx_recv_for(&pair.rx, &got, 5 * MS), -ETIMEDOUT);
        cr_assert_geq(rbx_clock_monotonic() - begun, 5 * MS);
        cr_assert_eq(rbx_recv_for(&pair.rx, &got, 0), -ETIMEDOUT);
        cr_assert_eq(rbx_commit(&other), 0);
        recv_numbers(&pair.rx, 77, 1);
        cr_assert_eq(rbx_recv_for(&pair.rx, &got, MS), -EPIPE);
        rbx_tx_close(&other);
        pair_close(&pair);
    }
}

struct last {
    struct pair pair;
    rbx_tx other;
    bool gives_up;
    pthread_t sleeper;
    atomic_bool over;
};

static void *finish_when_asleep(void *arg)
{
    struct last *last = arg;
    while (!(rbx_load_relaxed(&mpmc_of(&last->pair)->message.bits) & RBX_BELL_ASLEEP))
        rbx_clock_pause(MS / 20);
    cr_assert_eq(last->gives_up ? rbx_abort(&last->other) : rbx_commit(&last->other), 0);
    return NULL;
}

BOTH(wait, a_receiver_sleeps_until_the_last_message_comes_or_will_not)
{
    for (int gives_up = 0; gives_up < 2; gives_up++) {
        struct last last = {.gives_up = gives_up};
        pthread_t thread;
        uint64_t got = 0;
        shut_before_the_last(&last.pair, v, &last.other);
        cr_assert_eq(pthread_create(&thread, NULL, finish_when_asleep, &last), 0);
        cr_assert_eq(rbx_recv(&last.pair.rx, &got), gives_up ? -EPIPE : 0);
        cr_assert_eq(got, gives_up ? 0 : 77);
        pthread_join(thread, NULL);
        rbx_tx_close(&last.other);
        pair_close(&last.pair);
    }
}

static void do_nothing(int number)
{
    (void)number;
}

/* A signal that comes just before the sleep does not end it: so more than one. */
static void *interrupt(void *arg)
{
    struct last *last = arg;
    while (!atomic_load(&last->over)) {
        pthread_kill(last->sleeper, SIGUSR1);
        rbx_clock_pause(MS / 5);
    }
    return NULL;
}

BOTH(wait, a_signal_handler_that_runs_ends_the_wait_for_the_last_message)
{
    const struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    struct last last = {.sleeper = pthread_self()};
    pthread_t thread;
    uint64_t got = 0;
    sigaction(SIGUSR1, &action, NULL);
    shut_before_the_last(&last.pair, v, &last.other);
    cr_assert_eq(pthread_create(&thread, NULL, interrupt, &last), 0);
    cr_assert_eq(rbx_recv(&last.pair.rx, &got), -EINTR);
    cr_assert_eq(rbx_recv_n_for(&last.pair.rx, &got, 1, 3600 * 1000 * MS), -EINTR);
    atomic_store(&last.over, true);
    pthread_join(thread, NULL);
    cr_assert_eq(rbx_commit(&last.other), 0);
    recv_numbers(&last.pair.rx, 77, 1);
    rbx_tx_close(&last.other);
    pair_close(&last.pair);
}
