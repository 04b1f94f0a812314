/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.h: time, in nanoseconds. */
#ifndef RBX_OS_CLOCK_H
#define RBX_OS_CLOCK_H

#include <stdint.h>

uint64_t rbx_clock_monotonic(void);
uint64_t rbx_clock_realtime(void);
/* Sleeps; a signal ends it early. */
void rbx_clock_pause(uint64_t ns);

#endif
