/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.h: what time it is for the tests, and how they let some pass. In nanoseconds. */
#ifndef RBX_TESTS_SUPPORT_CLOCK_H
#define RBX_TESTS_SUPPORT_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <ringbox/wait.h>

static inline uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Exactly, if short. */
static inline void pass(uint64_t ns)
{
    if (ns >= 100000) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000U),
                                     .tv_nsec = (long)(ns % 1000000000U)},
                  NULL);
        return;
    }
    for (uint64_t until = now() + ns; now() < until;)
        rbx_pause();
}

#endif
