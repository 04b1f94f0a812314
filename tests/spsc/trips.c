/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Many waits: messages that go there and back, however each side waits, on as many cores as it
 * likes or on one, with membarrier and without; and streams that are shut down as they flow.
 *
 * A wake-up that is lost costs a slice of a quarter of a second each time: with thousands of them
 * the test does not end in its time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/thread.h"
#include "pair.h"

TestSuite(trips, .timeout = 200);

static const rbx_ring_options eights = {.message_size = 8, .capacity = 14};

enum refusal { NEVER, BEFORE_OPENING, AFTER_OPENING };

/* One side: what it is sent on `in` it sends back on `out`. */
struct side {
    const char *in, *out; /* names; or the rings */
    rbx_ring *in_ring, *out_ring;
    rbx_wait_options wait;
    bool one_core;
    enum refusal refusal;
    int refused_with;
    uint64_t trips;
    rbx_tx tx;
    rbx_rx rx;
};

static void stay_on_one_core(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    for (size_t core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; core++)
        if (CPU_ISSET(core, &all))
            CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static int side_open(struct side *side)
{
    int err = 0;
    if (side->one_core)
        stay_on_one_core();
    if (side->refusal == BEFORE_OPENING &&
        !refuse_syscall(SYS_membarrier, side->refused_with, -1, 0))
        return -ENOTSUP;
    if (side->in)
        err = rbx_ring_open(&side->in_ring, side->in, &eights);
    if (err == 0 && side->out)
        err = rbx_ring_open(&side->out_ring, side->out, &eights);
    if (err == 0)
        err = rbx_tx_open(&side->tx, side->out_ring);
    if (err == 0)
        err = rbx_rx_open(&side->rx, side->in_ring);
    if (err == 0)
        err = rbx_tx_wait_by(&side->tx, &side->wait);
    if (err == 0)
        err = rbx_rx_wait_by(&side->rx, &side->wait);
    if (err == 0 && side->refusal == AFTER_OPENING &&
        !refuse_syscall(SYS_membarrier, side->refused_with, -1, 0))
        err = -ENOTSUP;
    return err;
}

static int side_close(struct side *side)
{
    rbx_tx_close(&side->tx);
    rbx_rx_close(&side->rx);
    int err = side->in ? rbx_ring_close(side->in_ring) : 0;
    return err == 0 && side->out ? rbx_ring_close(side->out_ring) : err;
}

/* Bursts now and then, so that rings run full too. */
static uint64_t burst(uint64_t trip)
{
    return trip % 16 == 15 ? 40 : 1;
}

static int echo(void *arg)
{
    struct side *side = arg;
    int err = side_open(side);
    for (uint64_t trip = 0, expected = 0; err == 0 && trip < side->trips; trip++)
        for (uint64_t i = 0; err == 0 && i < burst(trip); i++, expected++) {
            uint64_t number = 0;
            err = rbx_recv(&side->rx, &number);
            if (err == 0 && number != expected)
                err = -EPROTO;
            if (err == 0 && i + 1 == burst(trip))
                err = rbx_send(&side->tx, &number);
        }
    int closed = side_close(side);
    return err < 0 ? err : closed;
}

static int call(struct side *side)
{
    int err = 0;
    for (uint64_t trip = 0, number = 0, got; err == 0 && trip < side->trips; trip++) {
        for (uint64_t i = 0; err == 0 && i < burst(trip); i++, number++)
            err = rbx_send(&side->tx, &number);
        if (err == 0)
            err = rbx_recv(&side->rx, &got);
        if (err == 0 && got != number - 1)
            err = -EPROTO;
    }
    return err;
}

static void *echo_thread(void *arg)
{
    return (void *)(intptr_t)echo(arg);
}

static const rbx_wait_options ways[] = {{.how = RBX_WAIT_SLEEP},
                                        {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN},
                                        {.how = RBX_WAIT_SLEEP, .spin_ns = 1000},
                                        {.how = RBX_WAIT_YIELD},
                                        {.how = RBX_WAIT_SPIN}};
enum { WAYS = sizeof ways / sizeof *ways };

static int may_refuse(void *arg)
{
    (void)arg;
    return refuse_syscall(SYS_membarrier, EPERM, -1, 0);
}

static void between_processes(struct side ours, struct side theirs)
{
    if ((ours.refusal || theirs.refusal) && in_child(may_refuse, NULL) == 0)
        cr_skip_test("SKIP: seccomp is not allowed");
    ours.in = theirs.out = own_name("back");
    ours.out = theirs.in = own_name("there");
    ours.trips = theirs.trips;
    struct child other = start_running(echo, &theirs);
    int err = side_open(&ours);
    cr_assert_eq(err, 0, "%s", rbx_last_error());
    err = call(&ours);
    cr_assert_eq(err, 0, "%d: %s", err, rbx_last_error());
    cr_assert_eq(said(&other), 0);
    cr_assert_eq(finish(&other), 0);
    succeeds(side_close(&ours));
}

static void between_threads(struct side ours, struct side theirs)
{
    rbx_ring *there, *back;
    pthread_t thread;
    void *answer;
    succeeds(rbx_ring_open(&there, NULL, &eights));
    succeeds(rbx_ring_open(&back, NULL, &eights));
    ours.in_ring = theirs.out_ring = back;
    ours.out_ring = theirs.in_ring = there;
    ours.trips = theirs.trips;
    cr_assert_eq(pthread_create(&thread, NULL, echo_thread, &theirs), 0);
    cr_assert_eq(side_open(&ours), 0);
    cr_assert_eq(call(&ours), 0, "%s", rbx_last_error());
    pthread_join(thread, &answer);
    cr_assert_eq((intptr_t)answer, 0);
    succeeds(side_close(&ours));
    succeeds(rbx_ring_close(there));
    succeeds(rbx_ring_close(back));
}

Test(trips, threads_wait_for_each_other_in_any_two_ways)
{
    for (int a = 0; a < WAYS; a++)
        for (int b = 0; b < WAYS; b++)
            between_threads((struct side){.wait = ways[a]},
                            (struct side){.wait = ways[b], .trips = 1000});
}

Test(trips, processes_wait_for_each_other_in_any_two_ways)
{
    for (int a = 0; a < WAYS; a++)
        for (int b = 0; b < WAYS; b++)
            between_processes((struct side){.wait = ways[a]},
                              (struct side){.wait = ways[b], .trips = 1000});
}

Test(trips, threads_on_one_core_make_progress)
{
    for (int a = 0; a < WAYS; a++)
        for (int b = 0; b < WAYS; b++)
            between_threads((struct side){.wait = ways[a], .one_core = true},
                            (struct side){.wait = ways[b], .one_core = true, .trips = 200});
}

Test(trips, processes_on_one_core_make_progress)
{
    for (int a = 0; a < WAYS; a++)
        for (int b = 0; b < WAYS; b++)
            between_processes((struct side){.wait = ways[a], .one_core = true},
                              (struct side){.wait = ways[b], .one_core = true, .trips = 200});
}

/* --- Without membarrier. What a process may no longer do it may never do again: so each of these
   is a process, and a test, of its own. --- */

static const rbx_wait_options no_spin = {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN};

#define WITHOUT_MEMBARRIER(name, here, there, error)                                               \
    Test(trips, name)                                                                              \
    {                                                                                              \
        between_processes(                                                                         \
            (struct side){.wait = no_spin, .refusal = here, .refused_with = error},                \
            (struct side){                                                                         \
                .wait = no_spin, .refusal = there, .refused_with = error, .trips = 20000});        \
    }

WITHOUT_MEMBARRIER(with_membarrier, NEVER, NEVER, 0)
WITHOUT_MEMBARRIER(without_membarrier_on_one_side, BEFORE_OPENING, NEVER, EPERM)
WITHOUT_MEMBARRIER(without_membarrier_on_the_other_side, NEVER, BEFORE_OPENING, ENOSYS)
WITHOUT_MEMBARRIER(without_membarrier_on_both_sides, BEFORE_OPENING, BEFORE_OPENING, EPERM)
WITHOUT_MEMBARRIER(membarrier_is_taken_away_from_one_side, AFTER_OPENING, NEVER, EPERM)
WITHOUT_MEMBARRIER(membarrier_is_taken_away_from_the_other_side, NEVER, AFTER_OPENING, ENOSYS)
WITHOUT_MEMBARRIER(membarrier_is_taken_away_from_both_sides, AFTER_OPENING, AFTER_OPENING, EINVAL)

static int open_without(void *arg)
{
    static struct side side;
    side = *(struct side *)arg;
    return side_open(&side);
}

Test(trips, who_may_not_use_membarrier_says_so_on_the_bells_until_a_successor_may)
{
    if (!rbx_thread_accept_fences() || !rbx_thread_fence_others())
        cr_skip_test("SKIP: there is no membarrier here");
    struct side theirs = {.in = own_name("in"),
                          .out = own_name("out"),
                          .refusal = BEFORE_OPENING,
                          .refused_with = EPERM};
    rbx_ring *in, *out;
    rbx_tx tx;
    rbx_rx rx;
    succeeds(rbx_ring_open(&in, theirs.in, &eights));
    succeeds(rbx_ring_open(&out, theirs.out, &eights));
    struct child other = start_running(open_without, &theirs);
    int err = said(&other);
    if (err == -ENOTSUP)
        cr_skip_test("SKIP: seccomp is not allowed");
    cr_assert_eq(err, 0);
    succeeds(rbx_tx_open(&tx, in));
    succeeds(rbx_rx_open(&rx, out));
    const uint32_t mask = RBX_BELL_PUBLISHER_FENCES | RBX_BELL_SLEEPER_BARE;
    cr_assert_eq(rbx_load_relaxed(&tx.spsc.shared->message.bits) & mask, RBX_BELL_SLEEPER_BARE);
    cr_assert_eq(rbx_load_relaxed(&tx.spsc.shared->room.bits) & mask, RBX_BELL_PUBLISHER_FENCES);
    cr_assert_eq(rbx_load_relaxed(&rx.spsc.shared->message.bits) & mask, RBX_BELL_PUBLISHER_FENCES);
    cr_assert_eq(rbx_load_relaxed(&rx.spsc.shared->room.bits) & mask, RBX_BELL_SLEEPER_BARE);
    murder(&other);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    rbx_ring *rings[] = {in, out};
    for (int i = 0; i < 2; i++) {
        succeeds(rbx_tx_open(&tx, rings[i]));
        succeeds(rbx_rx_open(&rx, rings[i]));
        cr_assert_eq(rbx_load_relaxed(&tx.spsc.shared->message.bits) & mask, 0);
        cr_assert_eq(rbx_load_relaxed(&tx.spsc.shared->room.bits) & mask, 0);
        rbx_tx_close(&tx);
        rbx_rx_close(&rx);
        succeeds(rbx_ring_close(rings[i]));
    }
}

/* --- What is shut down as it flows --- */

struct stream {
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
    unsigned how;
    unsigned pause; /* before the shutdown */
    atomic_uint ready;
    uint64_t sent;
    int error;
};

static void meet(struct stream *stream)
{
    atomic_fetch_add(&stream->ready, 1);
    while (atomic_load(&stream->ready) < 3)
        sched_yield();
}

/* Until that is refused; counts what was said to be sent. */
static void *send_all(void *arg)
{
    struct stream *stream = arg;
    meet(stream);
    for (;;) {
        uint64_t numbers[9];
        void *place;
        ptrdiff_t sent;
        for (uint64_t i = 0; i < 9; i++)
            numbers[i] = stream->sent + i;
        switch (stream->how % 3) {
        case 0:
            sent = rbx_send(&stream->tx, numbers);
            sent = sent == 0 ? 1 : sent;
            break;
        case 1:
            sent = rbx_send_n(&stream->tx, numbers, 9);
            break;
        default:
            sent = rbx_claim(&stream->tx, &place);
            if (sent == 0) {
                memcpy(place, numbers, 8);
                sent = rbx_commit(&stream->tx);
            }
            sent = sent == 0 ? 1 : sent;
        }
        if (sent < 0) {
            stream->error = sent == -EPIPE ? 0 : (int)sent;
            return NULL;
        }
        stream->sent += (uint64_t)sent;
    }
}

static void *shut_down(void *arg)
{
    struct stream *stream = arg;
    meet(stream);
    for (unsigned i = 0; i < stream->pause; i++)
        rbx_pause();
    rbx_ring_shutdown(stream->ring);
    return NULL;
}

static void shut_down_while_it_flows(unsigned round)
{
    struct stream stream = {.how = round, .pause = round * 7919 % 4000};
    pthread_t sender, third;
    uint64_t received = 0;
    succeeds(rbx_ring_open(&stream.ring, NULL, &eights));
    succeeds(rbx_tx_open(&stream.tx, stream.ring));
    succeeds(rbx_rx_open(&stream.rx, stream.ring));
    cr_assert_eq(pthread_create(&sender, NULL, send_all, &stream), 0);
    cr_assert_eq(pthread_create(&third, NULL, shut_down, &stream), 0);
    meet(&stream);
    for (;;) {
        uint64_t got[5];
        const void *shown;
        ptrdiff_t n;
        switch (round / 3 % 3) {
        case 0:
            n = rbx_recv(&stream.rx, got);
            n = n == 0 ? 1 : n;
            break;
        case 1:
            n = rbx_peek_n(&stream.rx, &shown, 5);
            if (n > 0) {
                memcpy(got, shown, (size_t)n * 8);
                rbx_release(&stream.rx);
            }
            break;
        default:
            n = rbx_recv_n(&stream.rx, got, 5);
        }
        if (n < 0) {
            cr_assert_eq(n, -EPIPE, "%td: %s", n, rbx_last_error());
            break;
        }
        for (ptrdiff_t i = 0; i < n; i++)
            cr_assert_eq(got[i], received++);
    }
    pthread_join(sender, NULL);
    pthread_join(third, NULL);
    cr_assert_eq(stream.error, 0);
    cr_assert_eq(received, stream.sent, "round %u: %llu were sent, %llu received", round,
                 (unsigned long long)stream.sent, (unsigned long long)received);
    rbx_tx_close(&stream.tx);
    rbx_rx_close(&stream.rx);
    succeeds(rbx_ring_close(stream.ring));
}

Test(trips, what_was_sent_before_or_beside_a_shutdown_is_received_and_nothing_else)
{
    for (unsigned round = 0; round < 6000; round++)
        shut_down_while_it_flows(round);
}
