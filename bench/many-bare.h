/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* many-bare.h: ours without the store that makes a death harmless, compiled apart. */
#ifndef RBX_BENCH_MANY_BARE_H
#define RBX_BENCH_MANY_BARE_H

#include "crowd.h"

/* Messages of 8 bytes. */
Crossing cross_bare(Shape shape, uint64_t total);

#endif
