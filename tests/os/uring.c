/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* uring.c: a futex wait that the kernel does by itself. The linker wraps the system calls, so that
   a word is rung at the worst moment. */
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "../support/support.h"
#include "os/clock.h"
#include "os/eventfd.h"
#include "os/futex.h"
#include "os/uring.h"

TestSuite(uring, .timeout = 60);

#define TASKRUN (1U << 2) /* the kernel's: there is work left */

static _Atomic uint32_t word;
static struct rbx_uring uring;
static int flag;
static bool rings_meanwhile;
static bool leaves_work;

static void ring(void)
{
    word++;
    rbx_futex_wake(&word, true);
}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    long answer = __real_syscall(number, a, b, c, d, e, f);
    if (number == SYS_io_uring_enter && rings_meanwhile) {
        int error = errno;
        rings_meanwhile = false;
        ring();
        /* The kernel's mark that there is work need not be visible when the word is. */
        atomic_fetch_and(uring.sq_flags, ~TASKRUN);
        errno = error;
    }
    if (number == SYS_io_uring_enter && leaves_work) {
        leaves_work = false;
        atomic_fetch_or(uring.sq_flags, TASKRUN);
    }
    return answer;
}

static void begin(void)
{
    flag = rbx_eventfd_make(false);
    cr_assert_geq(flag, 0);
    if (rbx_uring_open(&uring, flag) < 0)
        cr_skip_test("SKIP: io_uring cannot wait for futexes here");
}

static void end(void)
{
    rbx_uring_close(&uring);
    rbx_eventfd_close(flag);
}

static void waits(uint64_t deadline_ns)
{
    cr_assert_eq(rbx_uring_wait(&uring, flag, &word, word, true, deadline_ns), 0);
}

static bool is_set(void)
{
    return rbx_eventfd_wait(flag, 0) == 0;
}

Test(uring, sets_the_flag_when_the_word_is_rung)
{
    begin();
    for (int i = 0; i < 100; i++) {
        waits(UINT64_MAX);
        cr_assert_not(is_set());
        ring();
        cr_assert_eq(rbx_eventfd_wait(flag, UINT64_MAX), 0);
        cr_assert_eq(rbx_eventfd_take(flag), 0);
    }
    end();
}

/* The kernel sets the flag for the first work that it leaves, and not for what comes after it. */
Test(uring, sets_the_flag_when_there_is_work_left_that_nothing_was_said_of)
{
    begin();
    leaves_work = true;
    waits(UINT64_MAX);
    cr_assert(is_set());
    cr_assert_eq(rbx_eventfd_take(flag), 0);
    atomic_store(uring.sq_flags, 0);
    waits(UINT64_MAX);
    cr_assert_not(is_set());
    end();
}

Test(uring, hears_what_rings_before_it_waits)
{
    begin();
    uint32_t before = word;
    ring();
    cr_assert_eq(rbx_uring_wait(&uring, flag, &word, before, true, UINT64_MAX), 0);
    cr_assert(is_set());
    end();
}

Test(uring, hears_what_rings_while_the_flag_is_silenced)
{
    begin();
    for (int i = 0; i < 100; i++) {
        rings_meanwhile = true;
        waits(UINT64_MAX);
        cr_assert(is_set());
        cr_assert_eq(rbx_eventfd_take(flag), 0);
    }
    end();
}

Test(uring, forgets_what_it_waited_for_before)
{
    static _Atomic uint32_t other;
    begin();
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(rbx_uring_wait(&uring, flag, &other, other, true, UINT64_MAX), 0);
        waits(UINT64_MAX);
        other++;
        rbx_futex_wake(&other, true);
        cr_assert_not(is_set());
    }
    ring();
    cr_assert_eq(rbx_eventfd_wait(flag, UINT64_MAX), 0);
    end();
}

Test(uring, sets_the_flag_at_the_deadline_once)
{
    begin();
    for (int i = 0; i < 20; i++) {
        uint64_t deadline = rbx_clock_monotonic() + 1000000;
        waits(deadline);
        cr_assert_eq(rbx_eventfd_wait(flag, UINT64_MAX), 0);
        cr_assert_geq(rbx_clock_monotonic(), deadline);
        cr_assert_eq(rbx_eventfd_take(flag), 0);
    }
    waits(UINT64_MAX);
    cr_assert_not(is_set());
    end();
}

Test(uring, sets_the_flag_at_once_when_the_deadline_is_over)
{
    begin();
    for (int i = 0; i < 20; i++) {
        waits(rbx_clock_monotonic() - 1);
        cr_assert(is_set());
        cr_assert_eq(rbx_eventfd_take(flag), 0);
    }
    end();
}

Test(uring, says_that_the_kernel_cannot_read_the_word_and_can_wait_for_another)
{
    const void *nowhere = (const void *)(uintptr_t)sizeof word;
    begin();
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(rbx_uring_wait(&uring, flag, nowhere, 0, false, UINT64_MAX), -EFAULT);
        waits(UINT64_MAX);
        cr_assert_not(is_set());
        ring();
        cr_assert_eq(rbx_eventfd_wait(flag, UINT64_MAX), 0);
        cr_assert_eq(rbx_eventfd_take(flag), 0);
    }
    end();
}
