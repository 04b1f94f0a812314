/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hostile.h: what the hostile process, its victims and who watches them share. */
#ifndef RBX_TESTS_HOSTILE_H
#define RBX_TESTS_HOSTILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/ringbox.h>

#include "../support/chance.h"

enum { VICTIMS = 4, CELL_SIZE = 200, MEMBERS = 3 };

/* Out of the hostile one's reach. */
struct stage {
    uint64_t seed;
    _Atomic bool over;    /* victims and the hostile one are to stop */
    _Atomic unsigned met; /* victims that have opened what there is */
    struct {
        _Atomic uint64_t calls, served, refused; /* of these: 0 or more; -EPROTO */
        const char *_Atomic doing; /* as all are forked, a string is the same in each */
    } victim[VICTIMS];
};

struct scene {
    const char *title;
    int (*make)(const struct scene *scene, const char *name); /* whose box has that name */
    void (*suffer)(const struct scene *scene, const char *name, unsigned victim);
    void (*unmake)(void);
    rbx_ring_kind kind;
    unsigned flags;
    /* Left alone, from the payload on: a C library's mutex, which who can write to it can make
       crash its users (docs/sync.md). */
    size_t spared, spared_size;
};

extern const struct scene scenes[];
extern const unsigned scene_count;
extern struct stage *stage;

#endif
