/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alarm.c: what an alarm leaves behind that is closed, and the signals of its thread. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../support/support.h"
#include "os/alarm.h"
#include "os/futex.h"

TestSuite(alarm, .timeout = 60);

static uint32_t words[2];

/* The memory may be a lock's next, whose wake-up is for one: it must not go to the alarm's wait. */
static void nobody_waits_after_close(enum rbx_alarm_by by)
{
    struct rbx_alarm other, alarm;
    succeeds(rbx_alarm_open(&other, by)); /* so that the thread has somebody to stay for */
    succeeds(rbx_alarm_set(&other, &words[0], 0, true, UINT64_MAX));
    for (int i = 0; i < 200; i++) {
        succeeds(rbx_alarm_open(&alarm, by));
        succeeds(rbx_alarm_set(&alarm, &words[1], 0, true, UINT64_MAX));
        await_sleep_of_others(NULL, NULL); /* on that word, too */
        rbx_alarm_close(&alarm);
        cr_assert_not(rbx_futex_wake_one(&words[1], true), "round %d", i);
    }
    rbx_alarm_close(&other);
}

Test(alarm, nobody_waits_on_the_word_of_an_alarm_that_a_thread_watched_and_that_is_closed)
{
    nobody_waits_after_close(RBX_ALARM_BY_THREAD);
}

Test(alarm, nobody_waits_on_the_word_of_an_alarm_that_io_uring_watched_and_that_is_closed)
{
    struct rbx_alarm alarm;
    if (rbx_alarm_open(&alarm, RBX_ALARM_BY_URING) < 0)
        cr_skip_test("SKIP: io_uring cannot wait for futexes here");
    rbx_alarm_close(&alarm);
    nobody_waits_after_close(RBX_ALARM_BY_URING);
}

static void blocks_signals(pid_t thread, void *arg)
{
    unsigned long long blocked = status_of(thread, "SigBlk:", 16);
    (void)arg;
    cr_assert(blocked >> (SIGUSR1 - 1) & 1);
    cr_assert(blocked >> (SIGTERM - 1) & 1);
}

/* The program's handlers are for the program's threads. */
Test(alarm, the_thread_that_watches_takes_no_signal_and_who_starts_it_keeps_its_own)
{
    struct rbx_alarm alarm;
    sigset_t before, after;
    sigprocmask(SIG_SETMASK, NULL, &before);
    succeeds(rbx_alarm_open(&alarm, RBX_ALARM_BY_THREAD));
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < SIGRTMAX; signal++)
        cr_assert_eq(sigismember(&before, signal), sigismember(&after, signal), "%d", signal);
    /* (It begins with all blocked in any case.) */
    cr_assert_geq(await_sleep_of_others(blocks_signals, NULL), 1);
    rbx_alarm_close(&alarm);
}
