/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One wait on many rings: whom it says is ready, whom it refuses, what ends it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "set.h"

TestSuite(any, .timeout = 60);

static bool is_rx_ready(rbx_rx *rx)
{
    rbx_any end = {.rx = rx};
    int ready = rbx_wait_any(&end, 1, 0);
    cr_assert_eq(ready, end.ready ? 1 : -ETIMEDOUT);
    return end.ready;
}

static bool is_tx_ready(rbx_tx *tx)
{
    rbx_any end = {.tx = tx};
    int ready = rbx_wait_any(&end, 1, 0);
    cr_assert_eq(ready, end.ready ? 1 : -ETIMEDOUT);
    return end.ready;
}

/* --- Whom it says is ready --- */

/* Through several laps, so that frames end and positions wrap at every place. */
Test(any, a_receiver_is_ready_when_there_is_a_message_and_a_sender_when_there_is_room)
{
    struct set set;
    set_open(&set, "ready");
    for (int i = 0; i < SORTS; i++)
        for (uint64_t round = 0; round < 100; round++) {
            uint64_t sent = 0, got;
            cr_assert_not(is_rx_ready(&set.rx[i]), "sort %d, round %d", i, (int)round);
            for (; sent < 1 + round % CAPACITY; sent++) {
                cr_assert(is_tx_ready(&set.tx[i]));
                cr_assert_eq(rbx_try_send(&set.tx[i], &sent), 0);
            }
            for (uint64_t taken = 0; taken < sent; taken++) {
                cr_assert(is_rx_ready(&set.rx[i]), "sort %d, round %d", i, (int)round);
                cr_assert_eq(rbx_try_recv(&set.rx[i], &got), 0);
                cr_assert_eq(got, taken);
            }
        }
    set_close(&set);
}

Test(any, it_agrees_with_what_a_try_to_send_says)
{
    struct set set;
    set_open(&set, "room");
    for (int i = 0; i < SORTS; i++) {
        uint64_t got, number = 0;
        fill(&set.tx[i]);
        for (int round = 0; round < 50; round++) {
            cr_assert_not(is_tx_ready(&set.tx[i]), "sort %d, round %d", i, round);
            while (!is_tx_ready(&set.tx[i])) { /* a frame, at most */
                cr_assert_eq(rbx_try_send(&set.tx[i], &number), -EAGAIN);
                cr_assert_eq(rbx_try_recv(&set.rx[i], &got), 0);
            }
            cr_assert_eq(rbx_try_send(&set.tx[i], &number), 0);
            fill(&set.tx[i]);
        }
    }
    set_close(&set);
}

Test(any, all_that_are_ready_are_marked_and_nobody_else)
{
    struct set set;
    rbx_any ends[2 * SORTS] = {0};
    set_open(&set, "marks");
    for (int i = 0; i < SORTS; i++) {
        ends[2 * i].rx = &set.rx[i];
        ends[2 * i + 1].tx = &set.tx[i];
    }
    for (unsigned which = 0; which < 1U << SORTS; which++) {
        uint64_t message = 7;
        for (int i = 0; i < SORTS; i++)
            if (which & 1U << i)
                fill(&set.tx[i]);
        for (unsigned n = 1; n <= 2 * SORTS; n++) {
            int wanted = 0;
            for (unsigned i = 0; i < n; i++)
                wanted += (which >> i / 2 & 1) == (i % 2 == 0);
            int ready = rbx_wait_any(ends, n, 0);
            cr_assert_eq(ready, wanted > 0 ? wanted : -ETIMEDOUT, "%d, not %d", ready, wanted);
            for (unsigned i = 0; i < n; i++)
                cr_assert_eq(ends[i].ready, (which >> i / 2 & 1) == (i % 2 == 0));
        }
        for (int i = 0; i < SORTS; i++)
            while (rbx_try_recv(&set.rx[i], &message) == 0)
                ;
    }
    set_close(&set);
}

Test(any, an_end_with_something_in_hand_or_of_a_ring_that_is_shut_is_ready)
{
    struct set set;
    set_open(&set, "shut");
    for (int i = 0; i < SORTS; i++) {
        void *place;
        const void *shown;
        uint64_t message = 1;
        cr_assert_eq(rbx_try_claim(&set.tx[i], &place), 0);
        cr_assert(is_tx_ready(&set.tx[i]));
        cr_assert_eq(rbx_try_send(&set.tx[i], &message), -EBUSY);
        cr_assert_eq(rbx_commit(&set.tx[i]), 0);
        cr_assert_eq(rbx_try_peek(&set.rx[i], &shown), 0);
        cr_assert(is_rx_ready(&set.rx[i]));
        cr_assert_eq(rbx_try_recv(&set.rx[i], &message), -EBUSY);
        cr_assert_eq(rbx_release(&set.rx[i]), 0);
        cr_assert_not(is_rx_ready(&set.rx[i]));
        fill(&set.tx[i]);
        cr_assert_not(is_tx_ready(&set.tx[i]));
        cr_assert_eq(rbx_ring_shutdown(set.rings[i]), 0);
        cr_assert(is_tx_ready(&set.tx[i]));
        cr_assert_eq(rbx_try_send(&set.tx[i], &message), -EPIPE);
        cr_assert(is_tx_ready(&set.tx[i]));
        while (rbx_try_recv(&set.rx[i], &message) == 0)
            cr_assert(is_rx_ready(&set.rx[i]));
        cr_assert(is_rx_ready(&set.rx[i]));
        cr_assert_eq(rbx_try_recv(&set.rx[i], &message), -EPIPE);
        cr_assert(is_rx_ready(&set.rx[i]));
    }
    set_close(&set);
}

/* A claim that was given up is a tombstone, which a try skips. */
Test(any, what_is_given_up_and_put_back_is_no_hidden_work)
{
    for (int i = 1; i < 3; i++) {
        rbx_ring *ring = ring_for(&sorts[i], own_name("back"), CAPACITY);
        rbx_tx tx;
        rbx_rx one, two;
        void *place;
        const void *shown;
        uint64_t got;
        succeeds(rbx_tx_open(&tx, ring));
        succeeds(rbx_rx_open(&one, ring));
        succeeds(rbx_rx_open(&two, ring));
        check_empty(&two);
        cr_assert_eq(rbx_try_claim(&tx, &place), 0);
        cr_assert_not(is_rx_ready(&two));
        cr_assert_eq(rbx_abort(&tx), 0);
        while (is_rx_ready(&two)) /* until it has been skipped */
            check_empty(&two);
        send_numbers(&tx, 5, 1);
        cr_assert_eq(rbx_try_peek(&one, &shown), 0);
        cr_assert_not(is_rx_ready(&two));
        cr_assert_eq(rbx_release_n(&one, 0), 0);
        cr_assert(is_rx_ready(&two), "an orphan is there to be received");
        cr_assert_eq(rbx_try_recv(&two, &got), 0);
        cr_assert_eq(got, 5);
        while (is_rx_ready(&two))
            check_empty(&two);
        rbx_tx_close(&tx);
        rbx_rx_close(&one);
        rbx_rx_close(&two);
        succeeds(rbx_ring_close(ring));
    }
}

Test(any, in_a_strict_ring_who_may_go_around_others_is_ready)
{
    rbx_ring *ring = ring_for(&sorts[2], own_name("around"), CAPACITY);
    rbx_tx slow, tx;
    rbx_rx rx, idle;
    void *place;
    const void *shown;
    uint64_t got;
    succeeds(rbx_tx_open(&slow, ring));
    succeeds(rbx_tx_open(&tx, ring));
    succeeds(rbx_rx_open(&rx, ring));
    succeeds(rbx_rx_open(&idle, ring));
    cr_assert_eq(rbx_try_claim(&slow, &place), 0);
    cr_assert_not(is_rx_ready(&rx));
    send_numbers(&tx, 1, 1);
    cr_assert(is_rx_ready(&rx), "there is a later one");
    cr_assert_eq(rbx_try_recv(&rx, &got), 0);
    cr_assert_not(is_rx_ready(&rx));
    cr_assert_eq(rbx_abort(&slow), 0);
    while (is_rx_ready(&rx))
        check_empty(&rx);
    fill(&tx);
    cr_assert_eq(rbx_try_peek(&idle, &shown), 0);
    cr_assert_not(is_tx_ready(&tx), "what is peeked at is no place");
    cr_assert_eq(rbx_try_recv(&rx, &got), 0);
    cr_assert(is_tx_ready(&tx), "another is free");
    cr_assert_eq(rbx_try_send(&tx, &got), 0);
    cr_assert_not(is_tx_ready(&tx));
    rbx_tx_close(&slow);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    rbx_rx_close(&idle);
    succeeds(rbx_ring_close(ring));
}

/* --- Whom it refuses --- */

Test(any, it_is_for_1_to_128_different_ends_that_are_open)
{
    struct set set;
    rbx_rx closed = {0}, copy;
    rbx_any ends[RBX_ANY_MAX + 1] = {0};
    set_open(&set, "bad");
    uint64_t message = 1;
    cr_assert_eq(rbx_try_send(&set.tx[0], &message), 0);
    for (int i = 0; i <= RBX_ANY_MAX; i++)
        ends[i].rx = &set.rx[0];
    refuses(-EINVAL, "not for 0", rbx_wait_any(ends, 0, 0));
    refuses(-EINVAL, "not for 129", rbx_wait_any(ends, RBX_ANY_MAX + 1, 0));
    refuses(-EINVAL, "1 to 128", rbx_wait_any(NULL, 2, 0));
    ends[0].ready = true;
    refuses(-EINVAL, "end 1 of a wait on many is there twice", rbx_wait_any(ends, 2, 0));
    cr_assert_not(ends[0].ready);
    ends[1].rx = NULL;
    refuses(-EINVAL, "end 1 of a wait on many names no endpoint", rbx_wait_any(ends, 2, 0));
    ends[1] = (rbx_any){.rx = &set.rx[1], .tx = &set.tx[1]};
    refuses(-EINVAL, "both", rbx_wait_any(ends, 2, 0));
    ends[1] = (rbx_any){.rx = &closed};
    refuses(-EINVAL, "closed", rbx_wait_any(ends, 2, 0));
    memcpy(&copy, &set.rx[1], sizeof copy);
    ends[1] = (rbx_any){.rx = &copy};
    refuses(-EINVAL, "somewhere else", rbx_wait_any(ends, 2, 0));
    ends[1] = (rbx_any){.tx = &set.tx[0]};
    cr_assert_eq(rbx_wait_any(ends, 2, 0), 2, "nobody was left on the list: %s", rbx_last_error());
    set_close(&set);
}

static int waits_with_what_it_inherited(void *arg)
{
    struct set *set = arg;
    for (int i = 0; i < SORTS; i++) {
        rbx_any rx = {.rx = &set->rx[i]}, tx = {.tx = &set->tx[i]};
        if (rbx_wait_any(&rx, 1, 0) != -EINVAL || rbx_wait_any(&tx, 1, 0) != -EINVAL ||
            !strstr(rbx_last_error(), "before fork()"))
            return 1;
    }
    return 0;
}

Test(any, a_forked_child_is_refused_the_ends_of_its_parent)
{
    struct set set;
    set_open(&set, "fork");
    cr_assert_eq(in_child(waits_with_what_it_inherited, &set), 0);
    set_close(&set);
}

/* --- What ends it --- */

struct sleeper {
    struct set set;
    rbx_any ends[RBX_ANY_MAX];
    _Atomic pid_t thread;
    _Atomic int answer;
    size_t n;
};

static void *wait_once(void *arg)
{
    struct sleeper *sleeper = arg;
    atomic_store(&sleeper->thread, (pid_t)syscall(SYS_gettid));
    atomic_store(&sleeper->answer, rbx_wait_any(sleeper->ends, sleeper->n, HOUR));
    return NULL;
}

static pthread_t begin_waiting(struct sleeper *sleeper)
{
    pthread_t thread;
    atomic_store(&sleeper->thread, 0);
    cr_assert_eq(pthread_create(&thread, NULL, wait_once, sleeper), 0);
    while (atomic_load(&sleeper->thread) == 0)
        rbx_clock_pause(MS / 20);
    await_sleep_of(atomic_load(&sleeper->thread));
    return thread;
}

/* One end after the other becomes ready, for a sleeper on all of them. */
static void check_each_wakes(const char *label)
{
    static struct sleeper sleeper;
    struct set *set = &sleeper.set;
    set_open(set, label);
    for (int i = 0; i < SORTS; i++)
        fill(&set->tx[i]);
    for (int end = 0; end < 2 * SORTS; end++) {
        int sort = end / 2;
        uint64_t message = 3;
        /* The senders of full rings; and for every other end a receiver of an empty one. */
        sleeper.n = 0;
        for (int i = 0; i < SORTS; i++)
            sleeper.ends[sleeper.n++] = (rbx_any){.tx = &set->tx[i]};
        if (end % 2) {
            while (rbx_try_recv(&set->rx[sort], &message) == 0)
                ;
            sleeper.ends[sort] = (rbx_any){.rx = &set->rx[sort]};
        }
        pthread_t thread = begin_waiting(&sleeper);
        if (end % 2)
            cr_assert_eq(rbx_try_send(&set->tx[sort], &message), 0);
        else
            while (rbx_try_recv(&set->rx[sort], &message) == 0)
                ;
        pthread_join(thread, NULL);
        cr_assert_eq(atomic_load(&sleeper.answer), 1, "end %d: %d", end, sleeper.answer);
        for (int i = 0; i < SORTS; i++)
            cr_assert_eq(sleeper.ends[i].ready, i == sort, "end %d", end);
        fill(&set->tx[sort]);
    }
    set_close(set);
}

Test(any, each_of_many_ends_wakes_a_sleeper_on_all)
{
    check_each_wakes("each");
}

Test(any, where_the_kernel_lacks_the_call_each_wakes_it_too)
{
    if (!refuse_syscall(SYS_futex_waitv, ENOSYS, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    check_each_wakes("lacks");
}

Test(any, where_a_sandbox_refuses_the_call_each_wakes_it_too)
{
    if (!refuse_syscall(SYS_futex_waitv, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    check_each_wakes("refused");
}

Test(any, where_membarrier_is_refused_each_wakes_it_too)
{
    if (!refuse_syscall(SYS_membarrier, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    check_each_wakes("bare");
}

/* It was there when they were opened. Then others must fence from now on, on each bell. */
Test(any, where_membarrier_is_refused_only_now_every_bell_says_so)
{
    struct set set;
    rbx_any ends[SORTS] = {0};
    set_open(&set, "late");
    for (int i = 0; i < SORTS; i++)
        ends[i].rx = &set.rx[i];
    const rbx_bell *bells[] = {&set.rx[0].spsc.shared->message, &set.rx[1].mpmc.shared->message,
                               &set.rx[2].mpmc.shared->message};
    for (int i = 0; i < 3; i++)
        if (rbx_load_relaxed(&bells[i]->bits) & RBX_BELL_SLEEPER_BARE)
            cr_skip_test("SKIP: membarrier is refused here from the beginning");
    if (!refuse_syscall(SYS_membarrier, EPERM, -1, 0))
        cr_skip_test("SKIP: seccomp is not allowed here");
    cr_assert_eq(rbx_wait_any(ends, SORTS, MS), -ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        cr_assert(rbx_load_relaxed(&bells[i]->bits) & RBX_BELL_SLEEPER_BARE, "bell %d", i);
    set_close(&set);
}

Test(any, a_shutdown_wakes_it)
{
    for (int sort = 0; sort < SORTS; sort++)
        for (int sends = 0; sends < 2; sends++) {
            static struct sleeper sleeper;
            struct set *set = &sleeper.set;
            set_open(set, "ends");
            for (int i = 0; i < SORTS; i++) {
                if (sends)
                    fill(&set->tx[i]);
                sleeper.ends[i] =
                    sends ? (rbx_any){.tx = &set->tx[i]} : (rbx_any){.rx = &set->rx[i]};
            }
            sleeper.n = SORTS;
            pthread_t thread = begin_waiting(&sleeper);
            cr_assert_eq(rbx_ring_shutdown(set->rings[sort]), 0);
            pthread_join(thread, NULL);
            cr_assert_eq(atomic_load(&sleeper.answer), 1);
            cr_assert(sleeper.ends[sort].ready);
            set_close(set);
        }
}

Test(any, it_sleeps_on_128_ends_and_any_of_them_wakes_it)
{
    static struct sleeper sleeper;
    static rbx_rx rx[RBX_ANY_MAX];
    rbx_ring_options options = options_for(&sorts[1], 8, CAPACITY);
    rbx_tx tx;
    options.receivers = RBX_ANY_MAX;
    sleeper.n = RBX_ANY_MAX;
    set_open(&sleeper.set, "few");
    rbx_ring *ring;
    succeeds(rbx_ring_open(&ring, own_name("many"), &options));
    succeeds(rbx_tx_open(&tx, ring));
    for (int i = 0; i < RBX_ANY_MAX; i++) {
        succeeds(rbx_rx_open(&rx[i], ring));
        succeeds(rbx_rx_wait_by(&rx[i], &no_spin));
        sleeper.ends[i].rx =
            i < RBX_ANY_MAX - SORTS ? &rx[i] : &sleeper.set.rx[i - RBX_ANY_MAX + SORTS];
    }
    for (int i = 0; i < SORTS; i++) {
        uint64_t message = 1;
        pthread_t thread = begin_waiting(&sleeper);
        cr_assert_eq(rbx_try_send(&sleeper.set.tx[i], &message), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(atomic_load(&sleeper.answer), 1);
        cr_assert(sleeper.ends[RBX_ANY_MAX - SORTS + i].ready);
        cr_assert_eq(rbx_try_recv(&sleeper.set.rx[i], &message), 0);
    }
    pthread_t thread = begin_waiting(&sleeper);
    send_numbers(&tx, 0, 1);
    pthread_join(thread, NULL);
    cr_assert_eq(atomic_load(&sleeper.answer), RBX_ANY_MAX - SORTS, "they share a message");
    for (int i = 0; i < RBX_ANY_MAX; i++)
        rbx_rx_close(&rx[i]);
    rbx_tx_close(&tx);
    succeeds(rbx_ring_close(ring));
    set_close(&sleeper.set);
}

Test(any, nobody_gives_up_before_the_time_is_over)
{
    const rbx_wait_options ways[] = {
        {.how = RBX_WAIT_SLEEP}, no_spin, {.how = RBX_WAIT_YIELD}, {.how = RBX_WAIT_SPIN}};
    struct set set;
    set_open(&set, "time");
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        for (uint64_t ns = 0; ns <= 300 * MS; ns = ns * 17 + 1000)
            for (int n = 1; n <= SORTS; n += SORTS - 1) {
                rbx_any ends[SORTS] = {0};
                for (int i = 0; i < n; i++)
                    ends[i].rx = &set.rx[i];
                succeeds(rbx_rx_wait_by(&set.rx[0], &ways[way]));
                uint64_t begun = rbx_clock_monotonic();
                cr_assert_eq(rbx_wait_any(ends, (size_t)n, ns), -ETIMEDOUT);
                cr_assert_geq(rbx_clock_monotonic() - begun, ns);
            }
    set_close(&set);
}

/* A wait on some falls asleep once for each slice, whoever else comes and goes. */
Test(any, while_nothing_happens_it_wakes_once_in_a_slice)
{
    struct set set;
    rbx_any ends[SORTS] = {0};
    set_open(&set, "idle");
    for (int i = 0; i < SORTS; i++)
        ends[i].rx = &set.rx[i];
    cr_assert_eq(rbx_wait_any(ends, SORTS, 2 * RBX_SLICE_NS + 50 * MS), -ETIMEDOUT);
    for (int i = 0; i < SORTS; i++) {
        rbx_end_info info;
        succeeds(rbx_ring_receiver(set.rings[i], 0, &info));
        cr_assert_leq(info.sleeps, 3);
        cr_assert_geq(info.sleeps, 1);
    }
    set_close(&set);
}

static void note_signal(int number)
{
    (void)number;
}

/* The handler may have run before the wait has begun: so signals come again and again. */
static void *pester(void *arg)
{
    struct sleeper *sleeper = arg;
    while (atomic_load(&sleeper->answer) == 0) {
        pid_t thread = atomic_load(&sleeper->thread);
        if (thread != 0 && is_asleep(thread))
            syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
        rbx_clock_pause(MS);
    }
    return NULL;
}

Test(any, a_signal_handler_ends_it)
{
    static struct sleeper sleeper;
    const struct sigaction act = {.sa_handler = note_signal};
    sigaction(SIGUSR1, &act, NULL);
    set_open(&sleeper.set, "signal");
    for (size_t n = 1; n <= SORTS; n++) {
        pthread_t thread, other;
        for (size_t i = 0; i < n; i++)
            sleeper.ends[i] = (rbx_any){.rx = &sleeper.set.rx[i]};
        sleeper.n = n;
        atomic_store(&sleeper.answer, 0);
        atomic_store(&sleeper.thread, 0);
        cr_assert_eq(pthread_create(&thread, NULL, wait_once, &sleeper), 0);
        cr_assert_eq(pthread_create(&other, NULL, pester, &sleeper), 0);
        pthread_join(thread, NULL);
        pthread_join(other, NULL);
        cr_assert_eq(atomic_load(&sleeper.answer), -EINTR);
    }
    set_close(&sleeper.set);
}
