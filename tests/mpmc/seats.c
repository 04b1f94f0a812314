/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Seats: as many endpoints as the ring was made for, through whichever handle. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "many.h"

SUITES(seats, 60);

static rbx_ring_options with_seats(const struct variant *v, unsigned senders, unsigned receivers)
{
    rbx_ring_options options = options_for(v, 8, 4);
    options.senders = senders;
    options.receivers = receivers;
    return options;
}

EACH(seats, a_ring_has_as_many_seats_as_it_was_made_with)
{
    static rbx_tx tx[RBX_SEATS_MAX + 1];
    static rbx_rx rx[RBX_SEATS_MAX + 1];
    const unsigned numbers[][2] = {{1, 1}, {1, 3}, {3, 1}, {5, 7}, {0, 0}, {256, 256}};
    const char *names[] = {NULL, own_name("made")};
    for (size_t i = 0; i < 2 * sizeof numbers / sizeof *numbers; i++) {
        const rbx_ring_options options = with_seats(v, numbers[i / 2][0], numbers[i / 2][1]);
        const unsigned senders = options.senders ? options.senders : RBX_SEATS;
        const unsigned receivers = options.receivers ? options.receivers : RBX_SEATS;
        rbx_ring *ring;
        memset(tx, 0, sizeof tx);
        memset(rx, 0, sizeof rx);
        succeeds(rbx_ring_open(&ring, names[i % 2], &options));
        cr_assert_eq(described(ring).senders, senders);
        cr_assert_eq(described(ring).receivers, receivers);
        for (unsigned s = 0; s < senders; s++)
            succeeds(rbx_tx_open(&tx[s], ring));
        for (unsigned r = 0; r < receivers; r++)
            succeeds(rbx_rx_open(&rx[r], ring));
        refuses(-EBUSY, "living sender", rbx_tx_open(&tx[senders], ring));
        refuses(-EBUSY, "living receiver", rbx_rx_open(&rx[receivers], ring));
        for (uint64_t n = 0; n < 600; n++) {
            send_numbers(&tx[n % senders], n, 1);
            recv_numbers(&rx[n % receivers], n, 1);
        }
        /* What is freed in the middle is there again. */
        rbx_tx_close(&tx[senders / 2]);
        rbx_rx_close(&rx[receivers / 2]);
        succeeds(rbx_tx_open(&tx[senders], ring));
        succeeds(rbx_rx_open(&rx[receivers], ring));
        refuses(-EBUSY, "living sender", rbx_tx_open(&tx[senders / 2], ring));
        refuses(-EBUSY, "living receiver", rbx_rx_open(&rx[receivers / 2], ring));
        send_numbers(&tx[senders], 7, 1);
        recv_numbers(&rx[receivers], 7, 1);
        for (unsigned n = 0; n <= RBX_SEATS_MAX; n++) {
            rbx_tx_close(&tx[n]);
            rbx_rx_close(&rx[n]);
        }
        cr_assert_eq(described(ring).tx.state, RBX_END_NONE);
        succeeds(rbx_ring_close(ring));
    }
}

EACH(seats, more_than_there_can_be_are_refused)
{
    const unsigned bad[][2] = {{257, 1}, {1, 257}, {UINT32_MAX, 1}, {1, UINT32_MAX}, {257, 257}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const rbx_ring_options options = with_seats(v, bad[i][0], bad[i][1]);
        rbx_ring *ring;
        uint64_t bytes;
        refuses(-EINVAL, "at most 256", rbx_ring_open(&ring, NULL, &options));
        refuses(-EINVAL, "at most 256", rbx_ring_bytes(&options, &bytes));
    }
}

EACH(seats, two_handles_of_a_named_ring_share_its_seats)
{
    const char *name = own_name("two");
    const rbx_ring_options options = with_seats(v, 3, 2);
    rbx_ring *one, *two;
    rbx_tx tx[4];
    rbx_rx rx[3];
    succeeds(rbx_ring_open(&one, name, &options));
    succeeds(rbx_ring_open(&two, name, &options));
    succeeds(rbx_tx_open(&tx[0], one));
    succeeds(rbx_tx_open(&tx[1], two));
    succeeds(rbx_tx_open(&tx[2], one));
    refuses(-EBUSY, "3 living senders", rbx_tx_open(&tx[3], two));
    refuses(-EBUSY, "3 living senders", rbx_tx_open(&tx[3], one));
    succeeds(rbx_rx_open(&rx[0], two));
    succeeds(rbx_rx_open(&rx[1], one));
    refuses(-EBUSY, "2 living receivers", rbx_rx_open(&rx[2], two));
    for (uint64_t n = 0; n < 60; n++) {
        send_numbers(&tx[n % 3], n, 1);
        recv_numbers(&rx[n % 2], n, 1);
    }
    rbx_ring *handles[] = {one, two};
    for (int i = 0; i < 2; i++)
        for (unsigned seat = 0; seat < 3; seat++) {
            rbx_end_info info;
            succeeds(rbx_ring_sender(handles[i], seat, &info));
            cr_assert_eq(info.state, RBX_END_ALIVE);
            cr_assert_eq(info.pid, getpid());
        }
    rbx_tx_close(&tx[0]);
    succeeds(rbx_tx_open(&tx[3], two));
    for (int i = 1; i < 4; i++)
        rbx_tx_close(&tx[i]);
    rbx_rx_close(&rx[0]);
    rbx_rx_close(&rx[1]);
    succeeds(rbx_ring_close(two));
    succeeds(rbx_ring_close(one));
}

EACH(seats, two_handles_of_one_memory_share_its_seats)
{
    const rbx_ring_options options = with_seats(v, 2, 2);
    struct pair pair;
    rbx_ring *other;
    rbx_tx tx, third_tx;
    rbx_rx rx, third_rx;
    many_open_at(&pair, &options, 0);
    succeeds(rbx_ring_attach(&other, pair.memory, pair.size, &options));
    succeeds(rbx_tx_open(&tx, other));
    succeeds(rbx_rx_open(&rx, other));
    cr_assert_neq(tx.seat, pair.tx.seat);
    cr_assert_neq(rx.seat, pair.rx.seat);
    refuses(-EBUSY, "2 living senders", rbx_tx_open(&third_tx, other));
    refuses(-EBUSY, "2 living receivers", rbx_rx_open(&third_rx, pair.ring));
    send_numbers(&tx, 0, 2);
    send_numbers(&pair.tx, 2, 2);
    recv_numbers(&pair.rx, 0, 2);
    recv_numbers(&rx, 2, 2);
    refuses(-ENOTSUP, "who has died", rbx_ring_repair(other, NULL));
    rbx_end_info info;
    succeeds(rbx_ring_sender(other, pair.tx.seat, &info));
    cr_assert_eq(info.state, RBX_END_UNKNOWN);
    rbx_tx_close(&tx);
    succeeds(rbx_tx_open(&third_tx, pair.ring));
    refuses(-EBUSY, "2 living senders", rbx_tx_open(&tx, other));
    rbx_tx_close(&third_tx);
    rbx_rx_close(&rx);
    succeeds(rbx_ring_close(other));
    pair_close(&pair);
}

/* --- Threads that open and close --- */

enum { THREADS = 4, OPENINGS = 1500, PLACES = 3 };

static struct stage {
    rbx_ring *rings[2];
    atomic_int in_seat[2][PLACES];
    atomic_int errors;
    atomic_uint opened;
} stage;

static void *open_and_close(void *arg)
{
    rbx_ring *ring = stage.rings[(uintptr_t)arg % 2];
    rbx_tx tx;
    rbx_rx rx;
    for (int i = 0; i < OPENINGS; i++) {
        int err = rbx_tx_open(&tx, ring);
        if (err == 0) {
            stage.opened++;
            stage.errors += atomic_fetch_add(&stage.in_seat[0][tx.seat], 1) != 0;
        }
        stage.errors += err != 0 && err != -EBUSY;
        int also = rbx_rx_open(&rx, ring);
        if (also == 0)
            stage.errors += atomic_fetch_add(&stage.in_seat[1][rx.seat], 1) != 0;
        stage.errors += also != 0 && also != -EBUSY;
        if (also == 0) {
            atomic_fetch_sub(&stage.in_seat[1][rx.seat], 1);
            rbx_rx_close(&rx);
        }
        if (err == 0) {
            atomic_fetch_sub(&stage.in_seat[0][tx.seat], 1);
            rbx_tx_close(&tx);
        }
    }
    return NULL;
}

/* Three seats for four threads, through two handles. */
EACH(seats, no_two_that_are_open_have_the_same_seat)
{
    const rbx_ring_options options = with_seats(v, PLACES, PLACES);
    const char *names[] = {NULL, own_name("race")};
    for (int where = 0; where < 2; where++) {
        pthread_t threads[THREADS];
        memset(&stage, 0, sizeof stage);
        succeeds(rbx_ring_open(&stage.rings[0], names[where], &options));
        stage.rings[1] = stage.rings[0];
        if (where == 1)
            succeeds(rbx_ring_open(&stage.rings[1], names[where], &options));
        for (uintptr_t i = 0; i < THREADS; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, open_and_close, (void *)i), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        cr_assert_eq(stage.errors, 0);
        cr_assert_gt(stage.opened, OPENINGS);
        cr_assert_eq(described(stage.rings[0]).tx.opened, stage.opened);
        cr_assert_eq(described(stage.rings[0]).tx.state, RBX_END_NONE);
        cr_assert_eq(described(stage.rings[0]).repaired.senders, 0, "nobody died");
        if (where == 1)
            succeeds(rbx_ring_close(stage.rings[1]));
        succeeds(rbx_ring_close(stage.rings[0]));
    }
}
