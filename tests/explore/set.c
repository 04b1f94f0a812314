/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void set_forget(struct set *set)
{
    if (!set->hash) {
        set->room = (size_t)1 << 16;
        set->hash = calloc(set->room, sizeof *set->hash);
        set->number = calloc(set->room, sizeof *set->number);
    } else {
        memset(set->hash, 0, set->room * sizeof *set->hash);
    }
    set->count = 0;
}

static void put(struct set *set, uint64_t hash, uint32_t number)
{
    size_t i = hash & (set->room - 1);
    while (set->hash[i] != 0)
        i = (i + 1) & (set->room - 1);
    set->hash[i] = hash;
    set->number[i] = number;
}

static void grow(struct set *set)
{
    struct set old = *set;
    set->room *= 2;
    set->hash = calloc(set->room, sizeof *set->hash);
    set->number = calloc(set->room, sizeof *set->number);
    if (!set->hash || !set->number) {
        fprintf(stderr, "no memory for more than %zu states\n", set->count);
        exit(1);
    }
    for (size_t i = 0; i < old.room; i++)
        if (old.hash[i] != 0)
            put(set, old.hash[i], old.number[i]);
    free(old.hash);
    free(old.number);
}

bool set_add(struct set *set, uint64_t hash)
{
    hash += hash == 0;
    for (size_t i = hash & (set->room - 1); set->hash[i] != 0; i = (i + 1) & (set->room - 1))
        if (set->hash[i] == hash)
            return true;
    if (++set->count * 2 > set->room)
        grow(set);
    put(set, hash, (uint32_t)(set->count - 1));
    return false;
}

uint32_t set_number(const struct set *set, uint64_t hash)
{
    size_t i = (hash + (hash == 0)) & (set->room - 1);
    while (set->hash[i] != hash + (hash == 0))
        i = (i + 1) & (set->room - 1);
    return set->number[i];
}
