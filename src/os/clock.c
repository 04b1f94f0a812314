/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clock.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t rbx_clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t rbx_clock_realtime(void)
{
    return read_clock(CLOCK_REALTIME);
}

struct timespec rbx_clock_timespec(uint64_t ns)
{
    uint64_t seconds = ns / 1000000000U;
    if (sizeof(time_t) < sizeof seconds && seconds > INT32_MAX)
        seconds = INT32_MAX;
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(ns % 1000000000U)};
}

void rbx_clock_pause(uint64_t ns)
{
    struct timespec pause = rbx_clock_timespec(ns);
    nanosleep(&pause, NULL);
}
