/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

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
    struct timespec deadline = rbx_clock_timespec(deadline_ns);
    /* The kind with a bit set takes an absolute time. */
    long slept = syscall(futex_call, word, operation(FUTEX_WAIT_BITSET, in_process), value,
                         &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    return slept < 0 ? -errno : 0;
}

/* What <linux/futex.h> and the C library may be too old for. */
#define FUTEX_OF_32_BITS 2U
#ifdef SYS_futex_waitv
static const long waitv_call = SYS_futex_waitv;
#else
static const long waitv_call = 449; /* the same everywhere */
#endif

struct rbx_futex rbx_futex_of(const void *word, uint32_t value, bool in_process)
{
    return (struct rbx_futex){.value = value,
                              .word = (uintptr_t)word,
                              .flags = FUTEX_OF_32_BITS |
                                       (in_process ? (uint32_t)FUTEX_PRIVATE_FLAG : 0)};
}

int rbx_futex_wait_any(const struct rbx_futex *futexes, unsigned count, uint64_t deadline_ns)
{
    if (count == 1) {
        const void *word =
            (const void *)(uintptr_t)futexes->word; /* NOLINT(performance-no-int-to-ptr) */
        return rbx_futex_wait(word, (uint32_t)futexes->value, deadline_ns,
                              futexes->flags & FUTEX_PRIVATE_FLAG);
    }
    /* Of 64 bits each, whatever the C library's. */
    const int64_t deadline[2] = {(int64_t)(deadline_ns / 1000000000U),
                                 (int64_t)(deadline_ns % 1000000000U)};
    long slept = syscall(waitv_call, futexes, count, 0, deadline, CLOCK_MONOTONIC);
    if (slept >= 0)
        return 0;
    bool understood = errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR;
    return understood ? -errno : -ENOSYS;
}

void rbx_futex_wake(const void *word, bool in_process)
{
    syscall(futex_call, word, operation(FUTEX_WAKE, in_process), INT_MAX, NULL, NULL, 0);
}

bool rbx_futex_wake_one(const void *word, bool in_process)
{
    return syscall(futex_call, word, operation(FUTEX_WAKE, in_process), 1, NULL, NULL, 0) > 0;
}
