/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One wait at a time: what ends it. Whether the other side has fallen asleep is seen on its bell.
 * No test asserts that something is fast; a wait that never ends runs into the time-out.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/clock.h"
#include "pair.h"

TestSuite(wait, .timeout = 120);

#define MS UINT64_C(1000000)

static const rbx_ring_options eights = {.message_size = 8, .capacity = 14};
static const rbx_wait_options no_spin = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};

static void wait_for_bit(const rbx_bell *bell, uint32_t bit)
{
    while (!(rbx_load_relaxed(&bell->bits) & bit))
        rbx_clock_pause(MS / 20);
}

static void wait_for_sleeper(const rbx_bell *bell)
{
    wait_for_bit(bell, RBX_BELL_ASLEEP);
}

/* Both ends of one ring, and another thread (or process) that does something while we wait. */
struct both {
    const char *name;
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
    atomic_bool over;
    pthread_t sleeper;
};

static void both_open(struct both *both, const char *name)
{
    memset(both, 0, sizeof *both);
    both->name = name;
    succeeds(rbx_ring_open(&both->ring, name, &eights));
    succeeds(rbx_tx_open(&both->tx, both->ring));
    succeeds(rbx_rx_open(&both->rx, both->ring));
    succeeds(rbx_tx_wait_by(&both->tx, &no_spin));
    succeeds(rbx_rx_wait_by(&both->rx, &no_spin));
}

static void both_close(struct both *both)
{
    rbx_tx_close(&both->tx);
    rbx_rx_close(&both->rx);
    succeeds(rbx_ring_close(both->ring));
}

static uint64_t fill(rbx_tx *tx)
{
    uint64_t count = 0;
    while (rbx_try_send(tx, &count) == 0)
        count++;
    return count;
}

static pthread_t begin(void *(*body)(void *arg), void *arg)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, body, arg), 0);
    return thread;
}

/* --- Waking --- */

static void *send_to_a_sleeper(void *arg)
{
    struct both *both = arg;
    for (uint64_t i = 0; i < 20; i++) {
        void *place;
        wait_for_sleeper(both->tx.spsc.bell);
        if (i % 3 == 0)
            rbx_try_send(&both->tx, &i);
        else if (i % 3 == 1)
            rbx_try_send_n(&both->tx, &i, 1);
        else if (rbx_try_claim(&both->tx, &place) == 0) {
            memcpy(place, &i, 8);
            rbx_commit(&both->tx);
        }
    }
    return NULL;
}

Test(wait, every_way_to_send_wakes_every_way_to_receive)
{
    const char *names[] = {NULL, own_name("wakes")};
    for (int where = 0; where < 2; where++) {
        struct both both;
        uint64_t got;
        const void *shown;
        both_open(&both, names[where]);
        pthread_t thread = begin(send_to_a_sleeper, &both);
        for (uint64_t i = 0; i < 20; i++) {
            if (i % 4 == 0)
                cr_assert_eq(rbx_recv(&both.rx, &got), 0);
            else if (i % 4 == 1)
                cr_assert_eq(rbx_recv_n(&both.rx, &got, 1), 1);
            else if (i % 4 == 2)
                cr_assert_eq(rbx_recv_for(&both.rx, &got, 3600 * 1000 * MS), 0);
            else {
                cr_assert_eq(rbx_peek(&both.rx, &shown), 0);
                memcpy(&got, shown, 8);
                cr_assert_eq(rbx_release(&both.rx), 0);
            }
            cr_assert_eq(got, i);
        }
        pthread_join(thread, NULL);
        rbx_ring_info info = described(both.ring);
        cr_assert_geq(info.rx.sleeps, 1);
        cr_assert_geq(info.tx.wakes, 1);
        cr_assert_eq(info.tx.sleeps, 0);
        both_close(&both);
    }
}

static void *make_room_for_a_sleeper(void *arg)
{
    struct both *both = arg;
    uint64_t got[64];
    while (!atomic_load(&both->over)) {
        if (rbx_load_relaxed(&both->tx.spsc.shared->room.bits) & RBX_BELL_ASLEEP)
            while (rbx_try_recv_n(&both->rx, got, 64) > 0)
                ;
        rbx_clock_pause(MS / 20);
    }
    return NULL;
}

Test(wait, receiving_wakes_every_way_to_send)
{
    const char *names[] = {NULL, own_name("room")};
    for (int where = 0; where < 2; where++) {
        struct both both;
        uint64_t number = 0;
        void *place;
        both_open(&both, names[where]);
        pthread_t thread = begin(make_room_for_a_sleeper, &both);
        for (uint64_t i = 0; i < 20; i++) {
            fill(&both.tx);
            if (i % 4 == 0)
                cr_assert_eq(rbx_send(&both.tx, &number), 0);
            else if (i % 4 == 1)
                cr_assert_eq(rbx_send_n(&both.tx, &number, 1), 1);
            else if (i % 4 == 2)
                cr_assert_eq(rbx_send_for(&both.tx, &number, 3600 * 1000 * MS), 0);
            else {
                cr_assert_eq(rbx_claim(&both.tx, &place), 0);
                cr_assert_eq(rbx_abort(&both.tx), 0);
            }
        }
        atomic_store(&both.over, true);
        pthread_join(thread, NULL);
        rbx_ring_info info = described(both.ring);
        cr_assert_geq(info.tx.sleeps, 1);
        cr_assert_geq(info.rx.wakes, 1);
        both_close(&both);
    }
}

/* --- Time --- */

Test(wait, nobody_gives_up_before_the_time_is_over)
{
    const rbx_wait_options ways[] = {
        {.how = RBX_WAIT_SLEEP}, no_spin, {.how = RBX_WAIT_YIELD}, {.how = RBX_WAIT_SPIN}};
    const char *names[] = {NULL, own_name("time")};
    for (int where = 0; where < 2; where++)
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
            for (uint64_t ns = 1000; ns <= 300 * MS; ns *= 17) {
                struct both both;
                uint64_t got;
                const void *shown;
                void *place;
                both_open(&both, names[where]);
                succeeds(rbx_tx_wait_by(&both.tx, &ways[way]));
                succeeds(rbx_rx_wait_by(&both.rx, &ways[way]));
                uint64_t begun = rbx_clock_monotonic();
                cr_assert_eq(rbx_recv_for(&both.rx, &got, ns), -ETIMEDOUT);
                cr_assert_geq(rbx_clock_monotonic() - begun, ns);
                begun = rbx_clock_monotonic();
                cr_assert_eq(rbx_peek_for(&both.rx, &shown, ns), -ETIMEDOUT);
                cr_assert_geq(rbx_clock_monotonic() - begun, ns);
                fill(&both.tx);
                begun = rbx_clock_monotonic();
                cr_assert_eq(rbx_send_for(&both.tx, &got, ns), -ETIMEDOUT);
                cr_assert_geq(rbx_clock_monotonic() - begun, ns);
                begun = rbx_clock_monotonic();
                cr_assert_eq(rbx_claim_for(&both.tx, &place, ns), -ETIMEDOUT);
                cr_assert_geq(rbx_clock_monotonic() - begun, ns);
                cr_assert_not(rbx_load_relaxed(&both.tx.spsc.bell->bits) & RBX_BELL_ASLEEP);
                cr_assert_not(rbx_load_relaxed(&both.tx.spsc.shared->room.bits) & RBX_BELL_ASLEEP);
                if (ways[way].how != RBX_WAIT_SLEEP)
                    cr_assert_eq(described(both.ring).rx.sleeps, 0);
                both_close(&both);
            }
}

/* Each slice begins with a spin: one that filled it would be no sleep, and would not look for the
   dead. */
Test(wait, who_is_to_spin_for_seconds_sleeps_all_the_same)
{
    const rbx_wait_options long_spin = {.how = RBX_WAIT_SLEEP, .spin_ns = 2000000000};
    struct both both;
    uint64_t got;
    both_open(&both, NULL);
    succeeds(rbx_rx_wait_by(&both.rx, &long_spin));
    cr_assert_eq(rbx_recv_for(&both.rx, &got, RBX_SLICE_NS), -ETIMEDOUT);
    cr_assert_geq(described(both.ring).rx.sleeps, 1);
    both_close(&both);
}

/* It was there when they were opened. */
Test(wait, where_membarrier_is_refused_only_now_the_end_comes_all_the_same)
{
    struct both both;
    uint64_t got;
    both_open(&both, NULL);
    if (rbx_load_relaxed(&both.tx.spsc.bell->bits) & RBX_BELL_SLEEPER_BARE)
        cr_skip_test("SKIP: membarrier is refused here from the beginning");
    if (!refuse_syscall(SYS_membarrier, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    succeeds(rbx_ring_shutdown(both.ring));
    cr_assert_eq(rbx_try_recv(&both.rx, &got), -EAGAIN);
    cr_assert(rbx_load_relaxed(&both.tx.spsc.bell->bits) & RBX_BELL_SLEEPER_BARE);
    cr_assert_eq(rbx_try_recv(&both.rx, &got), -EPIPE);
    both_close(&both);
}

static void *disturb(void *arg)
{
    struct both *both = arg;
    while (!atomic_load(&both->over)) {
        wait_for_bit(&both->tx.spsc.shared->message, RBX_BELL_ASLEEP | RBX_BELL_SHUT);
        rbx_and_seq_cst(&both->tx.spsc.shared->message.bits, ~(uint32_t)RBX_BELL_ASLEEP);
        syscall(SYS_futex, &both->tx.spsc.shared->message.bits, 1 /* FUTEX_WAKE */, 1, NULL, NULL,
                0);
    }
    return NULL;
}

Test(wait, a_bell_that_rings_for_nothing_ends_no_wait)
{
    struct both both;
    uint64_t got, begun = rbx_clock_monotonic();
    both_open(&both, own_name("nothing"));
    pthread_t thread = begin(disturb, &both);
    cr_assert_eq(rbx_recv_for(&both.rx, &got, 50 * MS), -ETIMEDOUT);
    cr_assert_geq(rbx_clock_monotonic() - begun, 50 * MS);
    atomic_store(&both.over, true);
    succeeds(rbx_ring_shutdown(both.ring));
    pthread_join(thread, NULL);
    both_close(&both);
}

/* --- Signals --- */

static void do_nothing(int number)
{
    (void)number;
}

/* A signal that comes just before the sleep does not end it: so more than one. */
static void *interrupt(void *arg)
{
    struct both *both = arg;
    while (!atomic_load(&both->over)) {
        pthread_kill(both->sleeper, SIGUSR1);
        rbx_clock_pause(MS / 5);
    }
    return NULL;
}

Test(wait, a_signal_handler_that_runs_ends_a_sleep)
{
    for (int flags = 0; flags < 2; flags++) {
        const struct sigaction action = {.sa_handler = do_nothing,
                                         .sa_flags = flags ? SA_RESTART : 0};
        struct both both;
        uint64_t got;
        sigaction(SIGUSR1, &action, NULL);
        both_open(&both, NULL);
        both.sleeper = pthread_self();
        pthread_t thread = begin(interrupt, &both);
        cr_assert_eq(rbx_recv(&both.rx, &got), -EINTR);
        cr_assert_eq(rbx_recv_n_for(&both.rx, &got, 1, 3600 * 1000 * MS), -EINTR);
        fill(&both.tx);
        cr_assert_eq(rbx_send(&both.tx, &got), -EINTR);
        cr_assert_eq(rbx_send_n(&both.tx, &got, 1), -EINTR);
        atomic_store(&both.over, true);
        pthread_join(thread, NULL);
        cr_assert_eq(rbx_try_recv(&both.rx, &got), 0, "and the ring goes on");
        both_close(&both);
    }
}

/* --- Shutting down --- */

static void *shut_when_asleep(void *arg)
{
    struct both *both = arg;
    while (!((rbx_load_relaxed(&both->tx.spsc.bell->bits) |
              rbx_load_relaxed(&both->tx.spsc.shared->room.bits)) &
             RBX_BELL_ASLEEP))
        rbx_clock_pause(MS / 20);
    rbx_ring_shutdown(both->ring);
    return NULL;
}

Test(wait, a_shutdown_wakes_a_sleeping_receiver)
{
    const char *names[] = {NULL, own_name("shut")};
    for (int where = 0; where < 2; where++) {
        struct both both;
        uint64_t got;
        both_open(&both, names[where]);
        pthread_t thread = begin(shut_when_asleep, &both);
        refuses(-EPIPE, "shut down", rbx_recv(&both.rx, &got));
        pthread_join(thread, NULL);
        both_close(&both);
    }
}

Test(wait, a_shutdown_wakes_a_sleeping_sender)
{
    const char *names[] = {NULL, own_name("shut")};
    for (int where = 0; where < 2; where++) {
        struct both both;
        uint64_t got;
        both_open(&both, names[where]);
        uint64_t count = fill(&both.tx);
        pthread_t thread = begin(shut_when_asleep, &both);
        refuses(-EPIPE, "shut down", rbx_send(&both.tx, &got));
        pthread_join(thread, NULL);
        for (uint64_t i = 0; i < count; i++) {
            cr_assert_eq(rbx_recv(&both.rx, &got), 0);
            cr_assert_eq(got, i);
        }
        cr_assert_eq(rbx_recv(&both.rx, &got), -EPIPE);
        both_close(&both);
    }
}

static void *shut_soon(void *arg)
{
    struct both *both = arg;
    while (!atomic_load(&both->over))
        ;
    rbx_ring_shutdown(both->ring);
    return NULL;
}

Test(wait, a_shutdown_ends_waits_that_do_not_sleep)
{
    for (int way = RBX_WAIT_YIELD; way <= RBX_WAIT_SPIN; way++)
        for (int full = 0; full < 2; full++) {
            const rbx_wait_options options = {.how = (rbx_wait_how)way};
            struct both both;
            uint64_t got;
            both_open(&both, NULL);
            succeeds(rbx_rx_wait_by(&both.rx, &options));
            succeeds(rbx_tx_wait_by(&both.tx, &options));
            if (full)
                fill(&both.tx);
            pthread_t thread = begin(shut_soon, &both);
            atomic_store(&both.over, true);
            int answer = full ? rbx_send(&both.tx, &got) : rbx_recv(&both.rx, &got);
            cr_assert_eq(answer, -EPIPE);
            pthread_join(thread, NULL);
            both_close(&both);
        }
}
