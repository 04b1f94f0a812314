/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Positions where integers end. Several endpoints do whatever they can, in turns, and a model of
 * what must come out watches: each message once, and each sender's in order, but for what was put
 * back.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/chance.h"
#include "puppet.h"

SUITES(positions, 120);

enum { ENDS = 3, MOST = 4096 };

static uint64_t random_state;

static uint64_t draw(uint64_t limit)
{
    return next_random(&random_state) % limit;
}

static struct world {
    struct pair pair;
    rbx_tx tx[ENDS];
    rbx_rx rx[ENDS];
    bool claimed[ENDS], peeked[ENDS];
    uint64_t in_place[ENDS]; /* number that is claimed, and shown */
    uint64_t shown[ENDS];
    uint64_t made, sent, received;
    uint8_t came[MOST], was_sent[MOST], was_back[MOST];
    uint64_t last[ENDS]; /* of each sender: 1 + the last number that came */
    bool locked;
} w;

static void comes(uint64_t number)
{
    cr_assert_lt(number, w.made);
    cr_assert(w.was_sent[number] && !w.came[number], "%llu", (unsigned long long)number);
    w.came[number] = 1;
    w.received++;
    uint64_t sender = number % ENDS;
    if (!w.was_back[number]) {
        cr_assert_leq(w.last[sender], number, "out of order");
        w.last[sender] = number + 1;
    }
}

/* The next number of this sender. */
static uint64_t number_for(unsigned sender)
{
    while (w.made % ENDS != sender)
        w.made++;
    return w.made++;
}

static void send_somehow(unsigned i)
{
    rbx_tx *tx = &w.tx[i];
    uint64_t numbers[9];
    void *place;
    ptrdiff_t n = 0;
    if (w.claimed[i]) {
        uint64_t end = draw(4);
        int err = end == 0 ? rbx_abort(tx) : end == 1 ? -EAGAIN : rbx_commit(tx);
        cr_assert(err == 0 || err == -EAGAIN, "%d", err);
        w.claimed[i] = err != 0;
        if (err == 0 && end > 1) {
            w.was_sent[w.in_place[i]] = 1;
            w.sent++;
        }
        return;
    }
    switch (draw(4)) {
    case 0:
        n = (ptrdiff_t)draw(8) + 1;
        for (ptrdiff_t k = 0; k < n; k++)
            numbers[k] = number_for(i);
        n = rbx_try_send_n(tx, numbers, (size_t)n);
        break;
    case 1:
        numbers[0] = number_for(i);
        n = rbx_try_send(tx, numbers) == 0;
        break;
    case 2:
        if (rbx_try_claim(tx, &place) == 0) {
            w.claimed[i] = true;
            w.in_place[i] = number_for(i);
            memcpy(place, &w.in_place[i], 8);
            while (w.locked && w.claimed[i])
                send_somehow(i);
        }
        return;
    default:
        if (draw(8) == 0) {
            rbx_tx_close(tx);
            succeeds(rbx_tx_open(tx, w.pair.ring));
        }
        return;
    }
    cr_assert(n >= 0 || n == -EAGAIN, "%td", n);
    for (ptrdiff_t k = 0; k < n; k++) {
        w.was_sent[numbers[k]] = 1;
        w.sent++;
    }
}

static void recv_somehow(unsigned i)
{
    rbx_rx *rx = &w.rx[i];
    uint64_t numbers[9];
    const void *shown;
    ptrdiff_t n = 0;
    if (w.peeked[i]) {
        uint64_t end = draw(4);
        if (end == 0)
            return;
        cr_assert_eq(end == 1 ? rbx_release_n(rx, 0) : rbx_release(rx), 0);
        w.peeked[i] = false;
        if (end == 1 && !w.locked)
            w.was_back[w.shown[i]] = 1;
        else if (end > 1)
            comes(w.shown[i]);
        return;
    }
    switch (draw(4)) {
    case 0:
        n = rbx_try_recv_n(rx, numbers, draw(8) + 1);
        break;
    case 1:
        n = rbx_try_recv(rx, numbers) == 0;
        break;
    case 2:
        if (rbx_try_peek(rx, &shown) == 0) {
            w.peeked[i] = true;
            memcpy(&w.shown[i], shown, 8);
            while (w.locked && w.peeked[i])
                recv_somehow(i);
        }
        return;
    default:
        if (draw(8) == 0) {
            rbx_rx_close(rx);
            succeeds(rbx_rx_open(rx, w.pair.ring));
        }
        return;
    }
    for (ptrdiff_t k = 0; k < n; k++)
        comes(numbers[k]);
}

static void cross(const struct variant *v, size_t capacity, uint64_t first_frame, int turns)
{
    const rbx_ring_options options = options_for(v, 8, capacity);
    memset(&w, 0, sizeof w);
    w.locked = is_locked(v);
    many_open_at(&w.pair, &options, first_frame);
    for (int i = 0; i < ENDS; i++) {
        succeeds(rbx_tx_open(&w.tx[i], w.pair.ring));
        succeeds(rbx_rx_open(&w.rx[i], w.pair.ring));
    }
    /* A message that one holds and another overtakes is not out of order: it was taken first. */
    for (int turn = 0; turn < turns && w.made < MOST - 64; turn++) {
        send_somehow((unsigned)draw(ENDS));
        unsigned i = (unsigned)draw(ENDS);
        for (int k = 0; k < ENDS; k++)
            if (w.peeked[k])
                w.was_back[w.shown[k]] = 1;
        recv_somehow(i);
        cr_assert_leq(w.sent - w.received, w.pair.shape.frames);
        rbx_ring_info info = described(w.pair.ring);
        cr_assert_leq(info.received, info.sent);
        if (!(v->flags & RBX_STRICT)) /* there also places that were passed over */
            cr_assert_leq(info.sent - info.received, w.pair.shape.frames);
    }
    for (unsigned i = 0; i < ENDS; i++) {
        rbx_tx_close(&w.tx[i]);
        rbx_rx_close(&w.rx[i]);
        if (w.peeked[i])
            w.was_back[w.shown[i]] = 1;
    }
    for (uint64_t number; rbx_try_recv(&w.pair.rx, &number) == 0;)
        comes(number);
    cr_assert_eq(w.received, w.sent);
    cr_assert_eq(fill(&w.pair.tx), w.pair.shape.frames);
    recv_numbers(&w.pair.rx, 0, w.pair.shape.frames);
    check_empty(&w.pair.rx);
    pair_close(&w.pair);
}

static const unsigned borders[] = {31, 32, 55, 56, 63};

EACH(positions, places_are_numbered_across_the_ends_of_integers)
{
    for (size_t border = 0; border < sizeof borders / sizeof *borders; border++)
        for (size_t capacity = 1; capacity <= 32; capacity *= 2)
            for (uint64_t before = 0; before < 40; before += 3)
                if (borders[border] < 56 || !is_locked(v) || before == 0)
                    cross(v, capacity, (UINT64_C(1) << borders[border]) - before, 200);
}

EACH(positions, a_ring_does_what_it_does_wherever_it_begins)
{
    for (int round = 0; round < 60; round++)
        cross(v, (size_t)1 << draw(6), draw(UINT64_C(1) << 55), 1500);
}

/* --- Passing over, orphans, and repairs --- */

/* Four slots that begin `before` the border, and somebody that keeps one while others go around. */
Test(strict_positions, others_go_on_around_what_is_kept_across_the_ends_of_integers)
{
    const struct variant *v = &variants[STRICT];
    for (size_t border = 0; border < sizeof borders / sizeof *borders; border++)
        for (uint64_t before = 0; before < 12; before++)
            for (int which = 0; which < 2; which++) {
                const rbx_ring_options options = options_for(v, 8, 4);
                struct pair pair;
                rbx_tx slow_tx;
                rbx_rx slow_rx;
                uint64_t number = 77;
                void *place;
                const void *shown;
                many_open_at(&pair, &options, (UINT64_C(1) << borders[border]) - before);
                succeeds(rbx_tx_open(&slow_tx, pair.ring));
                succeeds(rbx_rx_open(&slow_rx, pair.ring));
                if (which == 0) {
                    cr_assert_eq(rbx_try_claim(&slow_tx, &place), 0);
                    memcpy(place, &number, 8);
                } else {
                    send_numbers(&pair.tx, 77, 1);
                    cr_assert_eq(rbx_try_peek(&slow_rx, &shown), 0);
                }
                for (int lap = 0; lap < 5; lap++) {
                    cr_assert_eq(fill(&pair.tx), 3);
                    recv_numbers(&pair.rx, 0, 3);
                    check_empty(&pair.rx);
                }
                if (which == 0)
                    cr_assert_eq(rbx_commit(&slow_tx), 0);
                else
                    cr_assert_eq(rbx_release_n(&slow_rx, 0), 0);
                recv_numbers(&pair.rx, 77, 1);
                check_empty(&pair.rx);
                cr_assert_eq(fill(&pair.tx), 4);
                recv_numbers(&pair.rx, 0, 4);
                rbx_tx_close(&slow_tx);
                rbx_rx_close(&slow_rx);
                pair_close(&pair);
            }
}

static int format(void *data, size_t size, void *shape)
{
    (void)size;
    return rbx_ring_format(data, shape);
}

/* A batch's intent, a claim and a peek of one that dies, on both sides of the border. */
EACH(positions, the_dead_are_seen_to_across_the_ends_of_integers)
{
    const char *name = own_name("border");
    for (size_t border = 0; border < sizeof borders / sizeof *borders; border++)
        for (uint64_t before = 0; before < 5; before++) {
            const rbx_ring_options options = options_for(v, 8, 4);
            struct rbx_ring_shape shape;
            rbx_box *box;
            rbx_ring *ring;
            rbx_tx tx;
            rbx_rx rx;
            rbx_repaired what;
            succeeds(rbx_ring_plan(&shape, &options));
            shape.first_frame = (UINT64_C(1) << borders[border]) - before;
            const rbx_box_options boxed = {.size = (size_t)rbx_ring_size(&shape),
                                           .policy = RBX_LAST_ONE_OUT,
                                           .init = format,
                                           .init_arg = &shape};
            succeeds(rbx_box_open(&box, name, &boxed));
            succeeds(rbx_ring_open_box(&ring, box, NULL));
            succeeds(rbx_tx_open(&tx, ring));
            succeeds(rbx_rx_open(&rx, ring));
            struct puppet dies = puppet_start(v, name);
            cr_assert_eq(puppet_does(&dies, opens_tx, 0, 0), 0);
            cr_assert_eq(puppet_does(&dies, opens_rx, 0, 0), 0);
            send_numbers(&tx, 0, 2);
            cr_assert_eq(puppet_does(&dies, peeks, 0, 0), 0);
            if (!is_locked(v))
                cr_assert_eq(puppet_does(&dies, claims, 0, 99), 0);
            puppet_kill(&dies);
            succeeds(rbx_ring_repair(ring, &what));
            cr_assert_eq(what.senders, 1);
            cr_assert_eq(what.receivers, 1);
            cr_assert_eq(what.tombstones, !is_locked(v));
            cr_assert_eq(what.redelivered, !is_locked(v));
            recv_numbers(&rx, 0, 2);
            check_empty(&rx);
            for (int lap = 0; lap < 3; lap++) {
                cr_assert_eq(fill(&tx), 4);
                recv_numbers(&rx, 0, 4);
            }
            rbx_tx_close(&tx);
            rbx_rx_close(&rx);
            succeeds(rbx_ring_close(ring));
        }
}
