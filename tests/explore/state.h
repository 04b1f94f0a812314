/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* state.h: hashes of the state that the explorer is in: equal ones go on equally. */
#ifndef EXPLORE_STATE_H
#define EXPLORE_STATE_H

#include <stdint.h>

/* Of one thread's own: stack, registers, data. */
uint64_t state_piece(unsigned thread);

/* Of everything, `pieces` being those of all threads; the history counts, since it will be judged.
 */
uint64_t state_hash(const uint64_t *pieces, unsigned switches, unsigned last);

/* At an end: of what calls answered, who lives, and what the slots say. */
uint64_t state_outcome(void);

#endif
