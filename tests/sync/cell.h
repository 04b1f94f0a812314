/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cell.h: what the tests of cells share. */
#ifndef RBX_TESTS_SYNC_CELL_H
#define RBX_TESTS_SYNC_CELL_H

#include <errno.h>
#include <string.h>

#include "../support/support.h"

/* Every change here adds one to both: so both are the version. */
struct pair {
    uint64_t one;
    uint64_t other;
};

static inline rbx_cell *opened_pair(const char *name)
{
    rbx_cell *cell;
    succeeds(rbx_cell_open(&cell, name, sizeof(struct pair), NULL, NULL));
    return cell;
}

static inline void closes(rbx_cell *cell)
{
    succeeds(rbx_cell_close(cell));
}

static inline struct pair snapshot(const rbx_cell *cell)
{
    struct pair now;
    succeeds(rbx_cell_snapshot(cell, &now));
    return now;
}

static inline int add_one(void *value, size_t size, void *arg)
{
    struct pair *pair = value;
    (void)arg;
    pair->one++;
    pair->other++;
    return (int)size;
}

static inline int difference(const void *value, size_t size, void *one)
{
    const struct pair *pair = value;
    (void)size;
    if (one)
        *(uint64_t *)one = pair->one;
    return pair->one == pair->other ? 0 : -EILSEQ;
}

#define is_whole(cell, version)                                                                    \
    do {                                                                                           \
        uint64_t one_of_them;                                                                      \
        succeeds(rbx_cell_read((cell), difference, &one_of_them));                                 \
        cr_assert_eq(one_of_them, (version));                                                      \
        cr_assert_eq(rbx_cell_version(cell), (version));                                           \
        struct pair seen = snapshot(cell);                                                         \
        cr_assert_eq(seen.one, (version));                                                         \
        cr_assert_eq(seen.other, (version));                                                       \
    } while (0)

#endif
