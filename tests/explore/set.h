/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* set.h: a set of hashes, of 64 bits each, numbered as they come. A zeroed one must be made empty
   first. */
#ifndef EXPLORE_SET_H
#define EXPLORE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct set {
    uint64_t *hash;
    uint32_t *number;
    size_t room, count;
};

void set_forget(struct set *set);
/* Whether it was there before. */
bool set_add(struct set *set, uint64_t hash);
/* Of one that is there: how many were added before it. */
uint32_t set_number(const struct set *set, uint64_t hash);

#endif
