/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* any-spin.c: waits on many rings that look before they sleep, or never sleep. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "set.h"

TestSuite(any_spin, .timeout = 120);

enum { ROUNDS = 500 };

/* One of two that send to and fro. It waits on a second ring, too, through which nothing comes. */
struct side {
    rbx_rx rx, idle;
    rbx_tx tx;
    pthread_t thread;
    int err;
};

/* Numbers come in their order, and go back. */
static void *echo(void *arg)
{
    struct side *side = arg;
    rbx_any ends[] = {{.rx = &side->idle}, {.rx = &side->rx}};
    for (uint64_t round = 0, number; round < ROUNDS && side->err == 0; round++) {
        int ready = rbx_wait_any(ends, 2, RBX_FOREVER);
        if (ready != 1 || ends[0].ready || !ends[1].ready)
            side->err = 1;
        else if (rbx_try_recv(&side->rx, &number) != 0 || number != round)
            side->err = 2;
        else
            side->err = rbx_send(&side->tx, &number);
    }
    return NULL;
}

struct game {
    rbx_ring *to, *fro, *idle[2];
    struct side far;
    rbx_tx tx;
    rbx_rx rx, idle_rx;
};

static void game_open(struct game *game, const struct variant *v, const rbx_wait_options *how)
{
    memset(game, 0, sizeof *game);
    rbx_ring **rings[] = {&game->to, &game->fro, &game->idle[0], &game->idle[1]};
    for (int i = 0; i < 4; i++)
        *rings[i] = ring_for(v, NULL, CAPACITY);
    succeeds(rbx_tx_open(&game->tx, game->to));
    succeeds(rbx_rx_open(&game->far.rx, game->to));
    succeeds(rbx_tx_open(&game->far.tx, game->fro));
    succeeds(rbx_rx_open(&game->rx, game->fro));
    succeeds(rbx_rx_open(&game->far.idle, game->idle[0]));
    succeeds(rbx_rx_open(&game->idle_rx, game->idle[1]));
    rbx_rx *all[] = {&game->far.rx, &game->rx, &game->far.idle, &game->idle_rx};
    for (int i = 0; i < 4; i++)
        succeeds(rbx_rx_wait_by(all[i], how));
}

static void game_close(struct game *game)
{
    rbx_rx *receivers[] = {&game->far.rx, &game->rx, &game->far.idle, &game->idle_rx};
    rbx_ring *rings[] = {game->to, game->fro, game->idle[0], game->idle[1]};
    rbx_tx_close(&game->tx);
    rbx_tx_close(&game->far.tx);
    for (int i = 0; i < 4; i++) {
        rbx_rx_close(receivers[i]);
        succeeds(rbx_ring_close(rings[i]));
    }
}

static void play(struct game *game)
{
    rbx_any ends[] = {{.rx = &game->rx}, {.rx = &game->idle_rx}};
    cr_assert_eq(pthread_create(&game->far.thread, NULL, echo, &game->far), 0);
    for (uint64_t round = 0, number; round < ROUNDS; round++) {
        succeeds(rbx_send(&game->tx, &round));
        cr_assert_eq(rbx_wait_any(ends, 2, RBX_FOREVER), 1, "round %d", (int)round);
        cr_assert(ends[0].ready && !ends[1].ready);
        succeeds(rbx_try_recv(&game->rx, &number));
        cr_assert_eq(number, round);
    }
    pthread_join(game->far.thread, NULL);
    cr_assert_eq(game->far.err, 0);
}

static uint64_t sleeps_of(const rbx_ring *ring)
{
    rbx_end_info info;
    succeeds(rbx_ring_receiver(ring, 0, &info));
    return info.sleeps;
}

Test(any_spin, who_is_to_spin_or_to_yield_hears_of_everything_and_never_sleeps)
{
    const rbx_wait_options ways[] = {{.how = RBX_WAIT_SPIN}, {.how = RBX_WAIT_YIELD}};
    for (int way = 0; way < 2; way++)
        for (int sort = 0; sort < SORTS; sort++) {
            struct game game;
            game_open(&game, &sorts[sort], &ways[way]);
            play(&game);
            cr_assert_eq(sleeps_of(game.to) + sleeps_of(game.fro), 0);
            cr_assert_eq(sleeps_of(game.idle[0]) + sleeps_of(game.idle[1]), 0);
            game_close(&game);
        }
}

Test(any_spin, who_spins_for_a_while_hears_of_everything)
{
    for (int sort = 0; sort < SORTS; sort++) {
        struct game game;
        game_open(&game, &sorts[sort], &(rbx_wait_options){.spin_ns = 50000});
        play(&game);
        game_close(&game);
    }
}

/* Where the other side needs the core by which it would send. */
Test(any_spin, on_one_core_the_other_side_has_its_turn)
{
    cpu_set_t allowed, last;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (size_t core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed)) {
            CPU_ZERO(&last);
            CPU_SET(core, &last);
        }
    cr_assert_eq(sched_setaffinity(0, sizeof last, &last), 0);
    for (int sort = 0; sort < SORTS; sort++) {
        struct game game;
        game_open(&game, &sorts[sort], NULL);
        rbx_any ends[] = {{.rx = &game.rx}, {.rx = &game.idle_rx}};
        do /* one that is kept from its core for so long does not come to sleep */
            cr_assert_eq(rbx_wait_any(ends, 2, MS), -ETIMEDOUT);
        while (game.rx.patience.sleeps == 0);
        cr_assert(game.rx.patience.same_core, "it has slept, and so has looked where they run");
        play(&game);
        game_close(&game);
    }
}
