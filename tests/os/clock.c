/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A century is more than seconds of 32 bits can say; whoever may wait for so long waits. */
#include "../../src/os/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/os/futex.h"
#include "../../src/os/mutex.h"
#include "../../src/os/sysvsem.h"
#include "../support/support.h"

TestSuite(clock, .timeout = 60);

#define A_CENTURY_NS 3155760000000000000U

static void ignore(int number)
{
    (void)number;
}

/* From now on, until the test ends, no sleep lasts for long. */
static void interrupt_all(void)
{
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = ignore}, NULL);
    ualarm(20000, 20000);
}

Test(clock, a_time_of_day_keeps_its_nanoseconds)
{
    struct timespec time = rbx_clock_timespec(1700000000999999999U);
    cr_assert_eq(time.tv_sec, 1700000000);
    cr_assert_eq(time.tv_nsec, 999999999);
    cr_assert_gt(rbx_clock_timespec(UINT64_MAX).tv_sec, time.tv_sec);
}

Test(clock, a_futex_is_waited_for_a_century)
{
    static const uint32_t word = 7;
    interrupt_all();
    cr_assert_eq(rbx_futex_wait(&word, 7, rbx_clock_monotonic() + A_CENTURY_NS, true), -EINTR);
}

Test(clock, a_system_v_semaphore_is_waited_for_a_century)
{
    int32_t id;
    succeeds(rbx_sysvsem_create(IPC_PRIVATE, 1, 0600, &id));
    interrupt_all();
    int err = rbx_sysvsem_change(id, 0, -1, false, rbx_clock_monotonic() + A_CENTURY_NS);
    succeeds(rbx_sysvsem_remove(id));
    cr_assert_eq(err, -EINTR);
}

static struct rbx_os_mutex mutex;

struct waiter {
    _Atomic pid_t thread;
    int answer;
};

static void *wait_for_mutex(void *arg)
{
    struct waiter *waiter = arg;
    waiter->thread = (pid_t)syscall(SYS_gettid);
    waiter->answer = rbx_os_mutex_lock_until(&mutex, rbx_clock_monotonic() + A_CENTURY_NS);
    return NULL;
}

Test(clock, a_mutex_is_waited_for_a_century)
{
    static struct waiter waiter;
    pthread_t thread;
    succeeds(rbx_os_mutex_init(&mutex, false));
    succeeds(rbx_os_mutex_try(&mutex));
    cr_assert_eq(pthread_create(&thread, NULL, wait_for_mutex, &waiter), 0);
    while (waiter.thread == 0)
        sched_yield();
    await_sleep_of(waiter.thread);
    succeeds(rbx_os_mutex_unlock(&mutex));
    pthread_join(thread, NULL);
    cr_assert_eq(waiter.answer, 0);
}
