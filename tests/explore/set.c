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
    } else {
        memset(set->hash, 0, set->room * sizeof *set->hash);
    }
    set->count = 0;
}

static void put(uint64_t *table, size_t room, uint64_t hash)
{
    size_t i = hash & (room - 1);
    while (table[i] != 0)
        i = (i + 1) & (room - 1);
    table[i] = hash;
}

static void grow(struct set *set)
{
    size_t room = set->room * 2;
    uint64_t *table = calloc(room, sizeof *table);
    if (!table) {
        fprintf(stderr, "no memory for more than %zu states\n", set->count);
        exit(1);
    }
    for (size_t i = 0; i < set->room; i++)
        if (set->hash[i] != 0)
            put(table, room, set->hash[i]);
    free(set->hash);
    set->hash = table;
    set->room = room;
}

bool set_add(struct set *set, uint64_t hash)
{
    hash += hash == 0;
    for (size_t i = hash & (set->room - 1); set->hash[i] != 0; i = (i + 1) & (set->room - 1))
        if (set->hash[i] == hash)
            return true;
    if (++set->count * 2 > set->room)
        grow(set);
    put(set->hash, set->room, hash);
    return false;
}
