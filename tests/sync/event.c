/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* event.c: events, of every kind. What the kernel does for sleepers is watched: the linker wraps
   the system call. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../support/clock.h"
#include "../support/support.h"

TestSuite(event, .timeout = 120);

enum { KINDS = 3, CROWD = 4, BRIEFLY_NS = 20000000 };

static const char *const kind_noun[KINDS] = {"futex", "busy", "fd"};

/* ---- What the kernel is asked for ---------------------------------------------------------- */

/* Shared with children. */
static struct watch {
    _Atomic int sleeps; /* begun */
    _Atomic int dies_when_woken, dies_before_wake;
    _Atomic int through;
} * watch;

static void watches(void)
{
    watch = mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(watch, MAP_FAILED);
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    int operation = number == SYS_futex ? (int)b & FUTEX_CMD_MASK : -1;
    if (watch && operation == FUTEX_WAKE && watch->dies_before_wake == getpid())
        raise(SIGKILL);
    if (watch && operation == FUTEX_WAIT_BITSET)
        watch->sleeps++;
    long answer = __real_syscall(number, a, b, c, d, e, f);
    if (watch && operation == FUTEX_WAIT_BITSET && answer == 0 &&
        watch->dies_when_woken == getpid())
        raise(SIGKILL);
    return answer;
}

static void briefly(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
}

/* Until so many have gone to sleep, and the last of them, of process `pid`, does. */
static void until_asleep(int sleeps, pid_t pid)
{
    while (watch->sleeps < sleeps || !is_asleep(pid))
        sched_yield();
}

/* ---- Events and threads -------------------------------------------------------------------- */

static rbx_event *event_of(int kind, bool manual)
{
    const rbx_event_options options = {.how = (rbx_event_how)kind, .manual = manual};
    rbx_event *event;
    succeeds(rbx_event_open(&event, NULL, &options));
    return event;
}

static rbx_event *named(const char *name, const rbx_event_options *options)
{
    rbx_event *event;
    succeeds(rbx_event_open(&event, name, options));
    return event;
}

static void closes(rbx_event *event)
{
    succeeds(rbx_event_close(event));
}

struct crowd {
    rbx_event *event;
    pthread_t threads[CROWD];
    _Atomic int through, wrong;
};

static void *waits(void *arg)
{
    struct crowd *crowd = arg;
    int err = rbx_event_wait(crowd->event);
    if (err != 0)
        crowd->wrong = err;
    crowd->through++;
    return NULL;
}

static void gathers(struct crowd *crowd, rbx_event *event, void *(*body)(void *))
{
    *crowd = (struct crowd){.event = event};
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(pthread_create(&crowd->threads[i], NULL, body, crowd), 0);
}

static void disperses(struct crowd *crowd)
{
    for (int i = 0; i < CROWD; i++)
        pthread_join(crowd->threads[i], NULL);
    cr_assert_eq(crowd->wrong, 0);
}

static void until_through(const struct crowd *crowd, int count)
{
    while (crowd->through < count)
        briefly();
}

Test(event, with_automatic_reset_lets_one_through_for_each_set)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rbx_event *event = event_of(kind, false);
        struct crowd crowd;
        gathers(&crowd, event, waits);
        for (int sets = 1; sets <= CROWD; sets++) {
            succeeds(rbx_event_set(event));
            until_through(&crowd, sets);
            for (int looks = 0; looks < 20; looks++) {
                briefly();
                cr_assert_eq(crowd.through, sets, "%s", kind_noun[kind]);
            }
        }
        disperses(&crowd);
        cr_assert_eq(rbx_event_is_set(event), 0);
        closes(event);
    }
}

Test(event, with_manual_reset_lets_all_through_until_it_is_reset)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rbx_event *event = event_of(kind, true);
        struct crowd crowd;
        gathers(&crowd, event, waits);
        succeeds(rbx_event_set(event));
        disperses(&crowd);
        cr_assert_eq(rbx_event_try_wait(event), 0);
        cr_assert_eq(rbx_event_is_set(event), 1);
        succeeds(rbx_event_reset(event));
        cr_assert_eq(rbx_event_is_set(event), 0);
        cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
        refuses(-ETIMEDOUT, "not set in time", rbx_event_wait_for(event, BRIEFLY_NS));
        closes(event);
    }
}

Test(event, with_manual_reset_lets_through_whoever_waited_when_it_was_set_and_reset_at_once)
{
    watches();
    const rbx_event_options options = {.manual = true, .spin_ns = RBX_NO_SPIN};
    rbx_event *event = named(NULL, &options);
    struct crowd crowd;
    gathers(&crowd, event, waits);
    while (watch->sleeps < CROWD)
        briefly();
    succeeds(rbx_event_set(event));
    succeeds(rbx_event_reset(event));
    disperses(&crowd);
    closes(event);
}

Test(event, that_was_set_before_the_wait_is_not_lost)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rbx_event *event = event_of(kind, false);
        cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_set(event));
        cr_assert_eq(rbx_event_is_set(event), 1);
        succeeds(rbx_event_wait(event));
        cr_assert_eq(rbx_event_try_wait(event), -EAGAIN, "set twice, it let two through");
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_reset(event));
        succeeds(rbx_event_reset(event));
        cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
        closes(event);
    }
}

Test(event, can_be_set_from_the_beginning)
{
    for (int kind = 0; kind < KINDS; kind++) {
        const rbx_event_options options = {.how = (rbx_event_how)kind, .set = true};
        rbx_event *event = named(NULL, &options);
        succeeds(rbx_event_wait_for(event, 0));
        cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
        closes(event);
    }
}

Test(event, is_waited_for_no_less_than_was_asked)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rbx_event *event = event_of(kind, false);
        refuses(-ETIMEDOUT, "not set in time", rbx_event_wait_for(event, 0));
        uint64_t begun = now();
        cr_assert_eq(rbx_event_wait_for(event, BRIEFLY_NS), -ETIMEDOUT);
        cr_assert_geq(now() - begun, BRIEFLY_NS);
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_wait_for(event, RBX_FOREVER - 1));
        closes(event);
    }
}

/* ---- Signals ------------------------------------------------------------------------------- */

static void handle(int number)
{
    (void)number;
}

struct sleeper {
    rbx_event *event;
    _Atomic int answer; /* 1: none yet */
};

static void *sleeps(void *arg)
{
    struct sleeper *sleeper = arg;
    sleeper->answer = rbx_event_wait(sleeper->event);
    return NULL;
}

Test(event, wait_ends_when_a_signal_handler_has_run)
{
    const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
    for (int kind = 0; kind < KINDS; kind++) {
        struct sleeper sleeper = {.event = event_of(kind, false), .answer = 1};
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, sleeps, &sleeper), 0);
        bool goes_on = kind == RBX_EVENT_BUSY;
        for (int signals = 0; goes_on ? signals < 20 : sleeper.answer == 1; signals++) {
            pthread_kill(thread, SIGUSR1);
            briefly();
        }
        if (goes_on) {
            cr_assert_eq(sleeper.answer, 1, "a busy wait ended by a signal");
            succeeds(rbx_event_set(sleeper.event));
        }
        pthread_join(thread, NULL);
        cr_assert_eq(sleeper.answer, goes_on ? 0 : -EINTR);
        closes(sleeper.event);
    }
}

/* A signal that comes just as a slice ends is missed: nearly each one, if slices were as long. */
Test(event, wait_is_not_deaf_to_timers_of_a_round_time)
{
    const struct sigaction action = {.sa_handler = handle};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    rbx_event *event = event_of(RBX_EVENT_FUTEX, false);
    int heard = 0;
    for (int i = 0; i < 8; i++) {
        const struct itimerval quarter = {.it_value = {.tv_usec = 250000}};
        cr_assert_eq(setitimer(ITIMER_REAL, &quarter, NULL), 0);
        heard += rbx_event_wait_for(event, 400000000) == -EINTR;
    }
    cr_assert_geq(heard, 3);
    closes(event);
}

/* ---- Many ---------------------------------------------------------------------------------- */

struct pair {
    rbx_event *there, *back;
    int rounds;
};

static int answers(void *arg)
{
    struct pair *pair = arg;
    for (int i = 0; i < pair->rounds; i++)
        if (rbx_event_wait(pair->there) != 0 || rbx_event_set(pair->back) != 0)
            return 1;
    return 0;
}

static const char *names[2];

static int answers_by_name(void *arg)
{
    struct pair *pair = arg, own = {.rounds = pair->rounds};
    if (rbx_event_open(&own.there, names[0], NULL) < 0 ||
        rbx_event_open(&own.back, names[1], NULL) < 0)
        return 2;
    int err = answers(&own);
    return rbx_event_close(own.there) < 0 || rbx_event_close(own.back) < 0 ? 3 : err;
}

Test(event, of_two_processes_that_take_turns_loses_no_wake_up)
{
    static const int rounds[KINDS] = {100000, 1000, 100000};
    names[0] = own_name("there");
    names[1] = own_name("back");
    for (int kind = 0; kind < KINDS; kind++) {
        const rbx_event_options options = {.how = (rbx_event_how)kind};
        bool has_fd = kind == RBX_EVENT_FD;
        struct pair pair = {.there = named(has_fd ? NULL : names[0], &options),
                            .back = named(has_fd ? NULL : names[1], &options),
                            .rounds = rounds[kind]};
        struct child other = start_running(has_fd ? answers : answers_by_name, &pair);
        for (int i = 0; i < pair.rounds; i++) {
            succeeds(rbx_event_set(pair.there));
            succeeds(rbx_event_wait(pair.back));
        }
        cr_assert_eq(said(&other), 0);
        cr_assert_eq(finish(&other), 0);
        cr_assert_eq(rbx_event_is_set(pair.there), 0);
        cr_assert_eq(rbx_event_is_set(pair.back), 0);
        closes(pair.there);
        closes(pair.back);
    }
}

struct hammer {
    rbx_event *event, *thanks;
    _Atomic int through, over, gone;
};

static void *thanks_for_each(void *arg)
{
    struct hammer *hammer = arg;
    for (;;) {
        if (rbx_event_wait(hammer->event) != 0)
            return hammer;
        if (hammer->over)
            break;
        hammer->through++;
        rbx_event_set(hammer->thanks);
    }
    rbx_event_set(hammer->event); /* the next one leaves, too */
    return NULL;
}

Test(event, with_many_that_wait_lets_exactly_one_through_each_time)
{
    static const int rounds[KINDS] = {20000, 500, 20000};
    for (int kind = 0; kind < KINDS; kind++) {
        struct hammer hammer = {.event = event_of(kind, false), .thanks = event_of(kind, false)};
        pthread_t threads[CROWD];
        for (int i = 0; i < CROWD; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, thanks_for_each, &hammer), 0);
        for (int round = 1; round <= rounds[kind]; round++) {
            succeeds(rbx_event_set(hammer.event));
            succeeds(rbx_event_wait(hammer.thanks));
            cr_assert_eq(hammer.through, round);
        }
        hammer.over = 1;
        succeeds(rbx_event_set(hammer.event));
        for (int i = 0; i < CROWD; i++) {
            void *wrong;
            pthread_join(threads[i], &wrong);
            cr_assert_null(wrong);
        }
        closes(hammer.event);
        closes(hammer.thanks);
    }
}

static void *sets_often(void *arg)
{
    struct hammer *hammer = arg;
    for (int i = 0; i < 20000; i++)
        if (rbx_event_set(hammer->event) != 0)
            return hammer;
    return NULL;
}

static void *counts(void *arg)
{
    struct hammer *hammer = arg;
    while (!hammer->over)
        if (rbx_event_wait(hammer->event) == 0)
            hammer->through++;
    hammer->gone++;
    return NULL;
}

Test(event, lets_no_more_through_than_many_have_set_it)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct hammer hammer = {.event = event_of(kind, false)};
        pthread_t setters[CROWD], waiters[CROWD];
        for (int i = 0; i < CROWD; i++) {
            cr_assert_eq(pthread_create(&setters[i], NULL, sets_often, &hammer), 0);
            cr_assert_eq(pthread_create(&waiters[i], NULL, counts, &hammer), 0);
        }
        for (int i = 0; i < CROWD; i++) {
            void *wrong;
            pthread_join(setters[i], &wrong);
            cr_assert_null(wrong);
        }
        while (rbx_event_is_set(hammer.event) == 1) /* the last set lets one through */
            briefly();
        hammer.over = 1;
        int sets = CROWD * 20000;
        for (; hammer.gone < CROWD; sets++) {
            succeeds(rbx_event_set(hammer.event));
            while (hammer.gone < CROWD && rbx_event_is_set(hammer.event) == 1)
                briefly();
        }
        for (int i = 0; i < CROWD; i++)
            pthread_join(waiters[i], NULL);
        cr_assert_leq(hammer.through, sets, "%s", kind_noun[kind]);
        cr_assert_geq(hammer.through, CROWD);
        closes(hammer.event);
    }
}

/* ---- Deaths -------------------------------------------------------------------------------- */

static int waits_by_name(void *name)
{
    rbx_event *event;
    if (rbx_event_open(&event, name, NULL) < 0 || rbx_event_wait(event) != 0)
        return 1;
    watch->through++;
    return rbx_event_close(event) < 0;
}

static int dies_when_woken(void *name)
{
    watch->dies_when_woken = getpid();
    return waits_by_name(name);
}

static int dies_before_it_wakes(void *name)
{
    rbx_event *event;
    watch->dies_before_wake = getpid();
    return rbx_event_open(&event, name, NULL) < 0 || rbx_event_set(event) < 0;
}

static void has_been_killed(struct child *child)
{
    cr_assert_eq(reap(child), 128 + SIGKILL);
}

Test(event, that_woke_one_who_was_killed_then_lets_another_through)
{
    watches();
    const char *name = own_name("event");
    rbx_event *event = named(name, NULL);
    struct child victim = start_running(dies_when_woken, (void *)(uintptr_t)name);
    until_asleep(1, victim.pid);
    struct child other = start_running(waits_by_name, (void *)(uintptr_t)name);
    until_asleep(watch->sleeps + 1, other.pid);
    /* The kernel wakes first whoever came first; one who has just looked up may be later. */
    succeeds(rbx_event_set(event));
    while (watch->through == 0)
        briefly();
    cr_assert_eq(said(&other), 0);
    cr_assert_eq(finish(&other), 0);
    cr_assert_eq(watch->through, 1);
    kill(victim.pid, SIGKILL); /* if it was not the one who was woken */
    has_been_killed(&victim);
    closes(event);
}

Test(event, whose_setter_was_killed_before_it_woke_anybody_lets_one_through)
{
    watches();
    const char *name = own_name("event");
    rbx_event *event = named(name, NULL);
    struct child waiter = start_running(waits_by_name, (void *)(uintptr_t)name);
    until_asleep(1, waiter.pid);
    struct child setter = start_running(dies_before_it_wakes, (void *)(uintptr_t)name);
    has_been_killed(&setter);
    cr_assert_eq(said(&waiter), 0);
    cr_assert_eq(finish(&waiter), 0);
    cr_assert_eq(rbx_event_is_set(event), 0);
    closes(event);
}

Test(event, whose_waiters_were_killed_in_their_sleep_goes_on)
{
    watches();
    const char *name = own_name("event");
    rbx_event *event = named(name, NULL);
    for (int i = 0; i < 3; i++) {
        struct child waiter = start_running(waits_by_name, (void *)(uintptr_t)name);
        until_asleep(watch->sleeps + 1, waiter.pid);
        murder(&waiter);
    }
    for (int i = 0; i < 2; i++) {
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_wait(event));
        cr_assert_eq(rbx_event_try_wait(event), -EAGAIN);
    }
    closes(event);
}

/* ---- And where nobody waits ---------------------------------------------------------------- */

Test(event, without_sleepers_stays_out_of_the_kernel)
{
    watches();
    const char *name = own_name("event");
    rbx_event *event = named(name, NULL);
    struct child waiter = start_running(waits_by_name, (void *)(uintptr_t)name);
    until_asleep(1, waiter.pid);
    succeeds(rbx_event_set(event));
    cr_assert_eq(said(&waiter), 0);
    cr_assert_eq(finish(&waiter), 0);
    succeeds(rbx_event_set(event)); /* finds out that nobody sleeps any more */
    succeeds(rbx_event_wait(event));
    watch->dies_before_wake = getpid();
    for (int i = 0; i < 1000; i++) {
        succeeds(rbx_event_set(event));
        succeeds(rbx_event_wait(event));
    }
    closes(event);
}
