/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.h: time, in nanoseconds. */
#ifndef RBX_OS_CLOCK_H
#define RBX_OS_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t rbx_clock_monotonic(void);
uint64_t rbx_clock_realtime(void);
/* The same, but no more than time_t can say: 68 years where it has 32 bits. A longer time would
   come out as a negative one, which is refused. */
struct timespec rbx_clock_timespec(uint64_t ns);
/* Sleeps; a signal ends it early. */
void rbx_clock_pause(uint64_t ns);

#endif
