/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who dies at one end of a ring, how the other end hears of it, and who follows. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "pair.h"

TestSuite(death, .timeout = 120);

#define MS UINT64_C(1000000)

/* --- Successors of the dead --- */

static const rbx_ring_options sevens = {.message_size = 8, .capacity = 40}; /* seven in a frame */

struct life {
    const char *name;
    uint64_t count; /* messages sent, or received, before it dies */
    bool holds;     /* and with one claimed, or peeked */
};

static int send_and_claim(void *arg)
{
    struct life *life = arg;
    rbx_ring *ring;
    static rbx_tx tx;
    void *place;
    int err = rbx_ring_open(&ring, life->name, &sevens);
    if (err == 0)
        err = rbx_tx_open(&tx, ring);
    for (uint64_t i = 0; err == 0 && i < life->count; i++)
        err = rbx_try_send(&tx, &i);
    if (err == 0 && life->holds) {
        err = rbx_try_claim(&tx, &place);
        if (err == 0)
            memset(place, 0xee, 8);
    }
    return err;
}

static int recv_and_peek(void *arg)
{
    struct life *life = arg;
    rbx_ring *ring;
    static rbx_rx rx;
    const void *shown;
    uint64_t got;
    int err = rbx_ring_open(&ring, life->name, &sevens);
    if (err == 0)
        err = rbx_rx_open(&rx, ring);
    for (uint64_t i = 0; err == 0 && i < life->count; i++)
        err = rbx_try_recv(&rx, &got) < 0 || got != i ? -EPROTO : 0;
    if (err == 0 && life->holds)
        err = (int)rbx_try_peek_n(&rx, &shown, 5);
    return err;
}

static void check_rest(rbx_rx *rx, uint64_t from, uint64_t to)
{
    uint64_t got;
    for (uint64_t i = from; i < to; i++) {
        cr_assert_eq(rbx_try_recv(rx, &got), 0, "message %llu", (unsigned long long)i);
        cr_assert_eq(got, i);
    }
    cr_assert_eq(rbx_try_recv(rx, &got), -EAGAIN);
}

Test(death, who_follows_a_killed_sender_goes_on_where_it_was)
{
    const char *name = own_name("tx");
    for (int holds = 0; holds < 2; holds++)
        for (uint64_t count = 0; count < 23; count++) {
            rbx_ring *ring;
            rbx_tx tx;
            rbx_rx rx;
            struct life life = {.name = name, .count = count, .holds = holds};
            succeeds(rbx_ring_open(&ring, name, &sevens));
            struct child sender = start(send_and_claim, &life);
            murder(&sender);
            cr_assert_eq(described(ring).tx.state, RBX_END_DEAD);
            cr_assert_eq(described(ring).sent, count);
            succeeds(rbx_rx_open(&rx, ring));
            if (count % 2 == 0)
                check_rest(&rx, 0, count);
            succeeds(rbx_tx_open(&tx, ring));
            for (uint64_t i = count; i < count + 9; i++)
                cr_assert_eq(rbx_try_send(&tx, &i), 0);
            check_rest(&rx, count % 2 == 0 ? count : 0, count + 9);
            cr_assert_eq(described(ring).sent, count + 9);
            rbx_tx_close(&tx);
            rbx_rx_close(&rx);
            succeeds(rbx_ring_close(ring));
        }
}

Test(death, who_follows_a_killed_receiver_gets_what_it_had_not_released)
{
    const char *name = own_name("rx");
    for (int holds = 0; holds < 2; holds++)
        for (uint64_t count = 0; count < 23; count++) {
            rbx_ring *ring;
            rbx_tx tx;
            rbx_rx rx;
            struct life life = {.name = name, .count = count, .holds = holds};
            succeeds(rbx_ring_open(&ring, name, &sevens));
            succeeds(rbx_tx_open(&tx, ring));
            for (uint64_t i = 0; i < 30; i++)
                cr_assert_eq(rbx_try_send(&tx, &i), 0);
            struct child receiver = start(recv_and_peek, &life);
            murder(&receiver);
            cr_assert_eq(described(ring).rx.state, RBX_END_DEAD);
            cr_assert_eq(described(ring).received, count);
            succeeds(rbx_rx_open(&rx, ring));
            check_rest(&rx, count, 30);
            for (uint64_t i = 0; i < 40; i++)
                cr_assert_eq(rbx_try_send(&tx, &i), 0, "the whole capacity is back");
            check_rest(&rx, 0, 40);
            rbx_tx_close(&tx);
            rbx_rx_close(&rx);
            succeeds(rbx_ring_close(ring));
        }
}

/* --- Death while we wait --- */

static const rbx_ring_options eights = {.message_size = 8, .capacity = 14}; /* three frames */

struct both {
    const char *name;
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
    struct child *victim;
};

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

static int open_sender(void *arg)
{
    struct both *both = arg;
    int err = rbx_ring_open(&both->ring, both->name, &eights);
    if (err == 0)
        err = rbx_tx_open(&both->tx, both->ring);
    for (uint64_t i = 0; err == 0 && i < 3; i++)
        err = rbx_send(&both->tx, &i);
    return err;
}

static int open_receiver(void *arg)
{
    struct both *both = arg;
    int err = rbx_ring_open(&both->ring, both->name, &eights);
    return err < 0 ? err : rbx_rx_open(&both->rx, both->ring);
}

static int open_sender_and_close(void *arg)
{
    struct both *both = arg;
    int err = open_sender(arg);
    rbx_tx_close(&both->tx);
    return err;
}

static void *murder_when_we_sleep(void *arg)
{
    struct both *both = arg;
    while (both->rx.patience.how == RBX_WAIT_SLEEP &&
           !((rbx_load_relaxed(&both->rx.spsc.shared->message.bits) |
              rbx_load_relaxed(&both->rx.spsc.shared->room.bits)) &
             RBX_BELL_ASLEEP))
        rbx_clock_pause(MS / 20);
    kill(both->victim->pid, SIGKILL);
    return NULL;
}

Test(death, leaves_nothing_to_repair)
{
    rbx_ring *ring;
    rbx_repaired repaired = {.tombstones = 1};
    succeeds(rbx_ring_open(&ring, own_name("ring"), &sevens));
    cr_assert_eq(rbx_ring_repair(ring, &repaired), 0);
    cr_assert_eq(repaired.tombstones, 0);
    succeeds(rbx_ring_close(ring));
}

Test(death, a_sender_that_dies_while_we_wait_is_reported_once)
{
    for (int way = RBX_WAIT_SLEEP; way <= RBX_WAIT_SPIN; way++) {
        struct both ours = {.name = own_name("dies")}, theirs = {.name = ours.name};
        uint64_t got;
        succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
        succeeds(rbx_rx_open(&ours.rx, ours.ring));
        succeeds(rbx_rx_wait_by(&ours.rx, &(rbx_wait_options){.how = (rbx_wait_how)way}));
        for (int death = 0; death < 2; death++) {
            struct child sender = start(open_sender, &theirs);
            for (uint64_t i = 0; i < 3; i++) {
                cr_assert_eq(rbx_recv(&ours.rx, &got), 0);
                cr_assert_eq(got, i);
            }
            ours.victim = &sender;
            pthread_t thread = begin(murder_when_we_sleep, &ours);
            refuses(-EOWNERDEAD, "its sender has died", rbx_recv(&ours.rx, &got));
            pthread_join(thread, NULL);
            reap(&sender);
            cr_assert_eq(rbx_recv_for(&ours.rx, &got, 30 * MS), -ETIMEDOUT, "said once");
            cr_assert_eq(described(ours.ring).tx.state, RBX_END_DEAD);
        }
        struct child last = start(open_sender_and_close, &theirs);
        for (uint64_t i = 0; i < 3; i++)
            cr_assert_eq(rbx_recv(&ours.rx, &got), 0);
        cr_assert_eq(finish(&last), 0);
        rbx_rx_close(&ours.rx);
        succeeds(rbx_ring_close(ours.ring));
    }
}

Test(death, a_sender_that_was_dead_before_is_reported_too)
{
    struct both ours = {.name = own_name("dead")}, theirs = {.name = ours.name};
    uint64_t got;
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    struct child sender = start(open_sender, &theirs);
    murder(&sender);
    succeeds(rbx_rx_open(&ours.rx, ours.ring));
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(rbx_recv(&ours.rx, &got), 0, "what it sent comes first");
    cr_assert_eq(rbx_recv(&ours.rx, &got), -EOWNERDEAD);
    cr_assert_eq(rbx_recv_for(&ours.rx, &got, MS), -ETIMEDOUT);
    rbx_rx_close(&ours.rx);
    succeeds(rbx_ring_close(ours.ring));
}

Test(death, a_receiver_that_dies_while_we_wait_is_reported_once)
{
    struct both ours = {.name = own_name("dies")}, theirs = {.name = ours.name};
    uint64_t number = 0;
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    succeeds(rbx_tx_open(&ours.tx, ours.ring));
    struct child receiver = start(open_receiver, &theirs);
    uint64_t count = fill(&ours.tx);
    ours.victim = &receiver;
    ours.rx.spsc.shared = ours.tx.spsc.shared; /* for its bells */
    pthread_t thread = begin(murder_when_we_sleep, &ours);
    refuses(-EOWNERDEAD, "its receiver has died", rbx_send(&ours.tx, &number));
    pthread_join(thread, NULL);
    reap(&receiver);
    cr_assert_eq(rbx_send_for(&ours.tx, &number, 30 * MS), -ETIMEDOUT, "said once");
    memset(&ours.rx, 0, sizeof ours.rx);
    succeeds(rbx_rx_open(&ours.rx, ours.ring));
    for (uint64_t i = 0, got; i < count; i++) {
        cr_assert_eq(rbx_recv(&ours.rx, &got), 0);
        cr_assert_eq(got, i);
    }
    cr_assert_eq(rbx_recv_for(&ours.rx, &number, MS), -ETIMEDOUT);
    cr_assert_eq(rbx_send(&ours.tx, &number), 0);
    both_close(&ours);
}

Test(death, a_peer_that_closes_or_never_came_is_not_dead)
{
    struct both ours = {.name = own_name("closes")}, theirs = {.name = ours.name};
    uint64_t got;
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    succeeds(rbx_rx_open(&ours.rx, ours.ring));
    cr_assert_eq(rbx_recv_for(&ours.rx, &got, 300 * MS), -ETIMEDOUT, "longer than a slice");
    struct child sender = start(open_sender_and_close, &theirs);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(rbx_recv(&ours.rx, &got), 0);
    cr_assert_eq(rbx_recv_for(&ours.rx, &got, 300 * MS), -ETIMEDOUT);
    cr_assert_eq(finish(&sender), 0);
    cr_assert_eq(rbx_recv_for(&ours.rx, &got, 300 * MS), -ETIMEDOUT);
    rbx_rx_close(&ours.rx);
    succeeds(rbx_ring_close(ours.ring));
}

Test(death, a_receiver_that_never_came_or_is_stopped_is_not_dead_until_it_is)
{
    struct both ours = {.name = own_name("stopped")}, theirs = {.name = ours.name};
    uint64_t number = 0;
    int status;
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    succeeds(rbx_tx_open(&ours.tx, ours.ring));
    fill(&ours.tx);
    cr_assert_eq(rbx_send_for(&ours.tx, &number, 300 * MS), -ETIMEDOUT, "longer than a slice");
    struct child receiver = start(open_receiver, &theirs);
    kill(receiver.pid, SIGSTOP);
    cr_assert_eq(waitpid(receiver.pid, &status, WUNTRACED), receiver.pid);
    cr_assert_eq(rbx_send_for(&ours.tx, &number, 300 * MS), -ETIMEDOUT);
    murder(&receiver);
    cr_assert_eq(rbx_send(&ours.tx, &number), -EOWNERDEAD);
    rbx_tx_close(&ours.tx);
    succeeds(rbx_ring_close(ours.ring));
}

/* --- Inside a batch --- */

/* Dies, of SIGSEGV, inside recv_n: its buffer ends after eight messages. */
static int die_in_recv_n(void *arg)
{
    struct both *both = arg;
    int err = open_receiver(arg);
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, SIG_DFL);
    mprotect(pages + 4096, 4096, PROT_NONE);
    if (err == 0)
        rbx_try_recv_n(&both->rx, pages + 4096 - 8 * 8, 20);
    return 1;
}

Test(death, who_dies_inside_recv_n_leaves_it_all_to_the_next_one)
{
    struct both ours = {.name = own_name("batch")}, theirs = {.name = ours.name};
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    succeeds(rbx_tx_open(&ours.tx, ours.ring));
    uint64_t count = fill(&ours.tx);
    struct child receiver = start_running(die_in_recv_n, &theirs);
    cr_assert_eq(reap(&receiver), 128 + SIGSEGV);
    succeeds(rbx_rx_open(&ours.rx, ours.ring));
    check_rest(&ours.rx, 0, count);
    both_close(&ours);
}

/* Dies likewise inside send_n, after the first of two frames. */
static int die_in_send_n(void *arg)
{
    struct both *both = arg;
    int err = rbx_ring_open(&both->ring, both->name, &eights);
    if (err == 0)
        err = rbx_tx_open(&both->tx, both->ring);
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *numbers = (uint64_t *)(void *)(pages + 4096 - 10 * 8);
    for (uint64_t i = 0; i < 10; i++)
        numbers[i] = i;
    signal(SIGSEGV, SIG_DFL);
    mprotect(pages + 4096, 4096, PROT_NONE);
    if (err == 0)
        rbx_try_send_n(&both->tx, numbers, 14);
    return 1;
}

Test(death, who_dies_inside_send_n_has_sent_the_first_so_many)
{
    struct both ours = {.name = own_name("batch")}, theirs = {.name = ours.name};
    uint64_t number = 7;
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    struct child sender = start_running(die_in_send_n, &theirs);
    cr_assert_eq(reap(&sender), 128 + SIGSEGV);
    succeeds(rbx_tx_open(&ours.tx, ours.ring));
    succeeds(rbx_rx_open(&ours.rx, ours.ring));
    cr_assert_eq(described(ours.ring).sent, 7, "whole frames");
    cr_assert_eq(rbx_try_send(&ours.tx, &number), 0);
    check_rest(&ours.rx, 0, 8);
    both_close(&ours);
}

Test(death, send_n_that_stops_for_a_death_says_so_in_the_next_call)
{
    struct both ours = {.name = own_name("partly")}, theirs = {.name = ours.name};
    uint64_t numbers[64] = {0};
    succeeds(rbx_ring_open(&ours.ring, ours.name, &eights));
    succeeds(rbx_tx_open(&ours.tx, ours.ring));
    struct child receiver = start(open_receiver, &theirs);
    ours.victim = &receiver;
    ours.rx.spsc.shared = ours.tx.spsc.shared; /* for its bells */
    pthread_t thread = begin(murder_when_we_sleep, &ours);
    cr_assert_eq(rbx_send_n(&ours.tx, numbers, 64), 21);
    pthread_join(thread, NULL);
    reap(&receiver);
    cr_assert_eq(rbx_send_n(&ours.tx, numbers, 64), -EOWNERDEAD);
    cr_assert_eq(rbx_send_n_for(&ours.tx, numbers, 64, 300 * MS), -ETIMEDOUT);
    rbx_tx_close(&ours.tx);
    succeeds(rbx_ring_close(ours.ring));
}
