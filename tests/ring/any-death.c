/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One wait on many rings, and a death at the other end of one of them. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "ring/handle.h"
#include "set.h"

TestSuite(any_death, .timeout = 120);

/* Only receivers, or only senders of rings that are full, of the rings of all sorts; the others of
   each pair are a puppet's or were never opened. */
struct scene {
    struct set set;
    rbx_any ends[SORTS];
    enum rbx_ring_end which;
};

static void scene_open(struct scene *scene, const char *label, enum rbx_ring_end which)
{
    struct set *set = &scene->set;
    set_join(set, label);
    scene->which = which;
    for (int i = 0; i < SORTS; i++) {
        scene->ends[i] =
            which == RBX_TX ? (rbx_any){.tx = &set->tx[i]} : (rbx_any){.rx = &set->rx[i]};
        if (which == RBX_TX) {
            succeeds(rbx_tx_open(&set->tx[i], set->rings[i]));
            fill(&set->tx[i]);
        } else {
            succeeds(rbx_rx_open(&set->rx[i], set->rings[i]));
        }
    }
}

static void scene_close(struct scene *scene)
{
    set_close(&scene->set);
}

static int try_it(struct scene *scene, int sort)
{
    uint64_t message = 9;
    return scene->which == RBX_TX ? rbx_try_send(&scene->set.tx[sort], &message)
                                  : rbx_try_recv(&scene->set.rx[sort], &message);
}

static int wait_for_it(struct scene *scene, int sort)
{
    uint64_t message = 9;
    return scene->which == RBX_TX ? rbx_send_for(&scene->set.tx[sort], &message, MS)
                                  : rbx_recv_for(&scene->set.rx[sort], &message, MS);
}

static can *opens_other_end(enum rbx_ring_end which)
{
    return which == RBX_TX ? opens_rx : opens_tx;
}

static int kill_soon(void *pid)
{
    await_sleep_of(getppid());
    kill(*(pid_t *)pid, SIGKILL);
    return 0;
}

/* Whom it waits for dies while it sleeps, and at once somebody else waits for his ring. */
static void check_death(const char *label, bool waits)
{
    for (int which = RBX_TX; which < RBX_ENDS; which++)
        for (int sort = 0; sort < SORTS; sort++) {
            struct scene scene;
            scene_open(&scene, label, (enum rbx_ring_end)which);
            struct puppet other = puppet_start(&sorts[sort], scene.set.names[sort]);
            cr_assert_eq(puppet_does(&other, opens_other_end((enum rbx_ring_end)which), 0, 0), 0);
            struct child killer = start_running(kill_soon, &other.pid);
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, RBX_FOREVER), 1);
            for (int i = 0; i < SORTS; i++)
                cr_assert_eq(scene.ends[i].ready, i == sort, "end %d of sort %d", which, sort);
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, RBX_FOREVER), 1, "it is not forgotten");
            cr_assert_eq(waits ? wait_for_it(&scene, sort) : try_it(&scene, sort), -EOWNERDEAD);
            cr_assert_not_null(strstr(rbx_last_error(), "has died"));
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, RBX_SLICE_NS + 50 * MS), -ETIMEDOUT,
                         "it is said once");
            cr_assert_eq(try_it(&scene, sort), -EAGAIN);
            cr_assert_eq(wait_for_it(&scene, sort), -ETIMEDOUT);
            cr_assert_eq(finish(&killer), 0);
            puppet_bury(&other);
            scene_close(&scene);
        }
}

Test(any_death, it_wakes_a_sleeper_on_many_and_the_next_try_says_so_once)
{
    check_death("dies", false);
}

Test(any_death, or_the_next_call_that_waits)
{
    check_death("died", true);
}

Test(any_death, a_wait_that_only_looks_finds_it)
{
    for (int which = RBX_TX; which < RBX_ENDS; which++)
        for (int sort = 0; sort < SORTS; sort++) {
            struct scene scene;
            scene_open(&scene, "looks", (enum rbx_ring_end)which);
            struct puppet other = puppet_start(&sorts[sort], scene.set.names[sort]);
            cr_assert_eq(puppet_does(&other, opens_other_end((enum rbx_ring_end)which), 0, 0), 0);
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, 0), -ETIMEDOUT);
            puppet_kill(&other);
            cr_assert_eq(try_it(&scene, sort), -EAGAIN, "a try alone says nothing");
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, 0), 1);
            cr_assert_eq(try_it(&scene, sort), -EOWNERDEAD);
            scene_close(&scene);
        }
}

Test(any_death, a_successor_makes_it_no_news)
{
    for (int which = RBX_TX; which < RBX_ENDS; which++)
        for (int sort = 0; sort < SORTS; sort++) {
            struct scene scene;
            scene_open(&scene, "next", (enum rbx_ring_end)which);
            struct puppet other = puppet_start(&sorts[sort], scene.set.names[sort]);
            cr_assert_eq(puppet_does(&other, opens_other_end((enum rbx_ring_end)which), 0, 0), 0);
            puppet_kill(&other);
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, 0), 1);
            other = puppet_start(&sorts[sort], scene.set.names[sort]);
            cr_assert_eq(puppet_does(&other, opens_other_end((enum rbx_ring_end)which), 0, 0), 0);
            cr_assert_eq(try_it(&scene, sort), -EAGAIN);
            cr_assert_eq(rbx_wait_any(scene.ends, SORTS, 0), -ETIMEDOUT);
            puppet_dismiss(&other);
            scene_close(&scene);
        }
}

/* It says how many; and the news comes after that. There is room without any receiver only in a
   ring of many, when another sender gives up its place. */
Test(any_death, a_batch_that_sent_some_leaves_the_news_for_later)
{
    for (int sort = 1; sort < 3; sort++) {
        rbx_ring *ring = ring_for(&sorts[sort], own_name("batch"), CAPACITY);
        const uint64_t messages[2] = {0};
        rbx_tx tx, first;
        void *place;
        succeeds(rbx_tx_open(&first, ring));
        succeeds(rbx_tx_open(&tx, ring));
        cr_assert_eq(rbx_try_claim(&first, &place), 0);
        cr_assert_eq(fill(&tx), CAPACITY - 1);
        struct puppet other = puppet_start(&sorts[sort], own_name("batch"));
        cr_assert_eq(puppet_does(&other, opens_rx, 0, 0), 0);
        puppet_kill(&other);
        rbx_any end = {.tx = &tx};
        cr_assert_eq(rbx_wait_any(&end, 1, 0), 1);
        cr_assert_eq(rbx_abort(&first), 0);
        cr_assert_eq(rbx_try_send_n(&tx, messages, 2), 1);
        cr_assert_eq(rbx_wait_any(&end, 1, 0), 1);
        cr_assert_eq(rbx_try_send_n(&tx, messages, 2), -EOWNERDEAD);
        cr_assert_eq(rbx_wait_any(&end, 1, 0), -ETIMEDOUT);
        rbx_tx_close(&tx);
        rbx_tx_close(&first);
        succeeds(rbx_ring_close(ring));
    }
}

/* What a dead one had in hand comes first. */
Test(any_death, what_the_dead_one_left_is_received_before_its_death_is_told)
{
    for (int sort = 0; sort < SORTS; sort++) {
        struct scene scene;
        uint64_t got = 0;
        scene_open(&scene, "left", RBX_RX);
        struct puppet sender = puppet_start(&sorts[sort], scene.set.names[sort]);
        cr_assert_eq(puppet_does(&sender, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&sender, sends, 0, 77), 0);
        puppet_kill(&sender);
        cr_assert_eq(rbx_wait_any(scene.ends, SORTS, RBX_FOREVER), 1);
        cr_assert_eq(rbx_try_recv(&scene.set.rx[sort], &got), 0);
        cr_assert_eq(got, 77);
        cr_assert_eq(rbx_wait_any(scene.ends, SORTS, RBX_FOREVER), 1);
        cr_assert_eq(rbx_try_recv(&scene.set.rx[sort], &got), -EOWNERDEAD);
        scene_close(&scene);
    }
}

/* In a ring of many: a claim that holds up what others have sent, and a message in the hands of
   another receiver. */
Test(any_death, a_dead_ones_claim_and_peek_are_seen_to_by_who_waits_on_many)
{
    for (int sort = 1; sort < 3; sort++) {
        struct scene scene;
        rbx_tx tx;
        scene_open(&scene, "hands", RBX_RX);
        rbx_ring *ring = scene.set.rings[sort];
        succeeds(rbx_tx_open(&tx, ring));
        struct puppet other = puppet_start(&sorts[sort], scene.set.names[sort]);
        cr_assert_eq(puppet_does(&other, opens_tx, 0, 0), 0);
        cr_assert_eq(puppet_does(&other, claims, 0, 1), 0);
        if (sort == 1)
            send_numbers(&tx, 5, 1); /* in a strict ring that could be received at once */
        cr_assert_eq(rbx_wait_any(scene.ends, SORTS, MS), -ETIMEDOUT);
        struct child killer = start_running(kill_soon, &other.pid);
        do
            cr_assert_geq(rbx_wait_any(scene.ends, SORTS, RBX_FOREVER), 1);
        while (sort == 1 && rbx_try_recv(&scene.set.rx[sort], &(uint64_t){0}) == -EAGAIN);
        cr_assert_eq(finish(&killer), 0);
        puppet_bury(&other);
        other = puppet_start(&sorts[sort], scene.set.names[sort]);
        cr_assert_eq(puppet_does(&other, opens_rx, 0, 0), 0);
        while (rbx_try_recv(&scene.set.rx[sort], &(uint64_t){0}) == 0)
            ;
        send_numbers(&tx, 6, 1);
        cr_assert_eq(puppet_does(&other, peeks, 0, 6), 0);
        cr_assert_eq(rbx_wait_any(scene.ends, SORTS, MS), -ETIMEDOUT);
        killer = start_running(kill_soon, &other.pid);
        cr_assert_eq(rbx_wait_any(scene.ends, SORTS, RBX_FOREVER), 1);
        recv_numbers(&scene.set.rx[sort], 6, 1);
        cr_assert_eq(finish(&killer), 0);
        puppet_bury(&other);
        rbx_tx_close(&tx);
        scene_close(&scene);
    }
}
