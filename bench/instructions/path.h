/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* path.h: the calls whose instructions are counted, in pairs: what one does, the other undoes. */
#ifndef RBX_BENCH_INSTRUCTIONS_PATH_H
#define RBX_BENCH_INSTRUCTIONS_PATH_H

#include <ringbox/ringbox.h>

#include <stddef.h>

/* Messages of a batch. */
enum { batch = 16 };

/* A function of its own with one call of the library in it, as a program may have it. */
typedef ptrdiff_t call_fn(void *object, void *data);

struct call {
    const char *name;
    call_fn *run; /* NULL: none is needed */
    ptrdiff_t answer;
};

struct pair {
    struct call there, back;
};

struct path {
    const char *name;
    const struct pair *pairs;
    size_t count;
};

/* The calls on one kind of ring and size of message. */
struct ring_path {
    struct path path;
    rbx_ring_options options;
};

extern const struct ring_path ring_paths[];
extern const size_t ring_path_count;

/* Does nothing: what is counted of it, the others have too much. */
extern const struct path nothing_path;
extern const struct path mutex_path, rwlock_path, event_path, sem_path, cell_path;

#endif
