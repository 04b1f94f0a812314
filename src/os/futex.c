/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int operation(int op, bool in_process)
{
    return in_process ? op | FUTEX_PRIVATE_FLAG : op;
}

/* The one whose struct timespec is the C library's. */
#ifdef SYS_futex_time64
static const long futex_call = sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
#else
static const long futex_call = SYS_futex;
#endif

int rbx_futex_wait(const void *word, uint32_t value, uint64_t deadline_ns, bool in_process)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000U),
                                .tv_nsec = (long)(deadline_ns % 1000000000U)};
    /* The kind with a bit set takes an absolute time. */
    long slept = syscall(futex_call, word, operation(FUTEX_WAIT_BITSET, in_process), value,
                         &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    return slept < 0 ? -errno : 0;
}

void rbx_futex_wake(const void *word, bool in_process)
{
    syscall(futex_call, word, operation(FUTEX_WAKE, in_process), INT_MAX, NULL, NULL, 0);
}

bool rbx_futex_wake_one(const void *word, bool in_process)
{
    return syscall(futex_call, word, operation(FUTEX_WAKE, in_process), 1, NULL, NULL, 0) > 0;
}

/* Newer than the headers that many systems compile with. */
struct waiter { /* struct futex_waitv */
    uint64_t value, address;
    uint32_t flags, reserved;
};
enum { CALL_WAITV = 449, SIZE_U32 = 2 };

int rbx_futex_wait_any(const struct rbx_futex *futexes, unsigned count, uint64_t deadline_ns)
{
    struct waiter waiters[RBX_FUTEXES_MAX];
    int64_t deadline[2] = {(int64_t)(deadline_ns / 1000000000U),
                           (int64_t)(deadline_ns % 1000000000U)};
    for (unsigned i = 0; i < count; i++)
        waiters[i] =
            (struct waiter){.value = futexes[i].value,
                            .address = (uintptr_t)futexes[i].word,
                            .flags = SIZE_U32 | (futexes[i].in_process ? FUTEX_PRIVATE_FLAG : 0U)};
    long woken = syscall(CALL_WAITV, waiters, count, 0, deadline, CLOCK_MONOTONIC);
    return woken < 0 ? -errno : 0;
}
