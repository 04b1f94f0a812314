/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* verdicts.h: histories written by hand, with what the checker must say of each. */
#ifndef RBX_TESTS_MPMC_VERDICTS_H
#define RBX_TESTS_MPMC_VERDICTS_H

#include <stdbool.h>

/* Whether it says so of all of them; else it tells of which it does not. */
bool verdicts_are_right(void);

#endif
