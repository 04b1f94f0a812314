/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* machine.h: the step that is being made, and on which machine: as every explorer has it. */
#ifndef EXPLORE_MACHINE_H
#define EXPLORE_MACHINE_H

#include <stdbool.h>

extern bool is_weak;     /* loads may be stale (views.h), rather than stores late as on x86 */
extern unsigned current; /* thread */
extern unsigned chosen;  /* number of the value that it reads, of those that there are */
extern bool exploring;   /* else accesses are made at once, for the scene and for the end */

#endif
