/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cell.c: a value in four copies, of which a version says which one counts.
 *
 * The value is buffer[version % 4]. Change n makes version n: its writer, which holds the mutex,
 * fills buffer[n % 4] and then stores n. So what is read stands in a buffer that is not written to
 * until three more changes have been made, and a writer that dies has changed nothing that counts.
 *
 *     writer of change n                          snapshot
 *       lock: sees version n - 1                    v = version                  (C1)
 *       release fence                (C2)           copy buffer[v % 4]
 *       fill buffer[n % 4]                          acquire fence                (C2)
 *       version = n                  (C1)           version - v < 3? then it is whole
 *       unlock
 *
 * Why it is whole. Having read v, the copy sees in each word what change v stored there or
 * something later (C1). Later stores to that buffer are those of changes v + 4, v + 8 and so on; or
 * of a writer that died before it had stored such a version. Each of them began with version v + 3
 * or a later one published: by the same thread before, or by an earlier holder of the mutex; in
 * either case before its release fence. If the copy had read a word that one of them stored after
 * that fence, then the fence would synchronise with the acquire fence here, which comes after the
 * read (C2), and the second look at the version would see v + 3 or later. It saw less: so no word
 * came from any of them. Neither fence can be left out: without the writer's, its words could be
 * seen before v + 3 is; without the other, the second look could come before the copy.
 */
#include <ringbox/cell.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "os/fd.h"
#include "os/mutex.h"
#include "sync/object.h"
#include "wait.h"

enum { BUFFERS = 4, LINE = 64, WORD = 8, LINE_WORDS = LINE / WORD };

struct body {
    struct rbx_os_mutex mutex;
    rbx_atomic64 version; /* how many changes were made; whoever holds the mutex writes it */
    uint64_t unused[LINE_WORDS - 1];
    rbx_atomic64 words[]; /* the buffers, each of so many lines; likewise */
};

_Static_assert(offsetof(struct body, version) == 64, "layout");
_Static_assert(offsetof(struct body, words) == 128, "layout");
_Static_assert(sizeof(struct rbx_object_header) + offsetof(struct body, words) == RBX_CELL_BYTES(0),
               "layout");
_Static_assert(UINT64_MAX % BUFFERS == BUFFERS - 1, "the version may wrap");

struct rbx_cell {
    struct rbx_object object;
    struct body *shared;
    size_t size;   /* of the value; checked once, and not read from shared memory again */
    size_t stride; /* from buffer to buffer, in words */
    bool read_only;
    void *scratch; /* what a change works on; for whoever holds the mutex; none when read-only */
    /* A thread of this process holds the mutex through this handle. Only the holder writes it.
       Relaxed: a close that races with a call is the caller's mistake. */
    atomic_bool held;
};

static size_t stride_of(size_t size)
{
    return (size + LINE - 1) / LINE * LINE_WORDS;
}

/* The version is a peer's to write, and so may be anything: it ends up in one of the four. */
static inline rbx_atomic64 *buffer_of(const rbx_cell *cell, uint64_t version)
{
    return cell->shared->words + version % BUFFERS * cell->stride;
}

/* Relaxed, here and below: C1 and C2 order the words of a buffer. They are atomic since a snapshot
   that comes too late reads what is being written, to find out afterwards. */
static inline void store_word(rbx_atomic64 *to, const char *from, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, from, size);
    rbx_store_relaxed(to, word);
}

static inline void load_word(char *to, const rbx_atomic64 *from, size_t size)
{
    uint64_t word = rbx_load_relaxed(from);
    memcpy(to, &word, size);
}

static inline void store_words(rbx_atomic64 *to, const char *from, size_t size)
{
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 8
#endif
    for (; size >= WORD; size -= WORD, to++, from += WORD)
        store_word(to, from, WORD);
    if (size)
        store_word(to, from, size);
}

static inline void load_words(char *to, const rbx_atomic64 *from, size_t size)
{
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 8
#endif
    for (; size >= WORD; size -= WORD, to += WORD, from++)
        load_word(to, from, WORD);
    if (size)
        load_word(to, from, size);
}

/* ---- opening and closing ------------------------------------------------------------------- */

static int format(void *memory, const struct rbx_object_plan *plan)
{
    struct body *body = (void *)((char *)memory + sizeof(struct rbx_object_header));
    int err = rbx_os_mutex_init(&body->mutex, false);
    if (err < 0)
        return rbx_fail(err, "cannot make the mutex of a cell: %m");
    if (plan->options)
        store_words(body->words, plan->options, (size_t)plan->shape.detail[0]);
    return 0;
}

static int check(const struct rbx_object_shape *shape, const struct rbx_object_plan *plan,
                 const char *name)
{
    uint64_t size = shape->detail[0], tag = shape->detail[1];
    uint64_t wanted = plan->shape.detail[0], wanted_tag = plan->shape.detail[1];
    if (size == 0 || size > RBX_CELL_SIZE_MAX || shape->size < RBX_CELL_BYTES(size) || shape->flags)
        return rbx_fail(-EPROTO, "the header of cell '%s' is damaged", name);
    if (size != wanted)
        return rbx_fail(-EPROTO, "cell '%s' holds %llu bytes; this program asked for %llu", name,
                        (unsigned long long)size, (unsigned long long)wanted);
    if (wanted_tag && wanted_tag != tag)
        return rbx_fail(-EPROTO, "cell '%s' has the tag %#llx; this program asked for %#llx", name,
                        (unsigned long long)tag, (unsigned long long)wanted_tag);
    return 0;
}

static int check_size(size_t size)
{
    return size > 0 && size <= RBX_CELL_SIZE_MAX
               ? 0
               : rbx_fail(-EINVAL, "a cell holds 1 to %zu bytes, not %zu", RBX_CELL_SIZE_MAX, size);
}

static struct rbx_object_plan plan_for(size_t size, const void *initial,
                                       const rbx_cell_options *options)
{
    return (struct rbx_object_plan){.noun = "cell",
                                    .shape = {.kind = RBX_OBJECT_CELL,
                                              .detail = {size, options ? options->tag : 0},
                                              .size = RBX_CELL_BYTES(size)},
                                    .only_joins = options && options->box.read_only &&
                                                  options->box.how != RBX_CREATE_ONLY,
                                    .may_read_only = true,
                                    .options = initial,
                                    .format = format,
                                    .check = check};
}

static int new_handle(rbx_cell **made, size_t size)
{
    int err = check_size(size);
    if (err < 0)
        return err;
    *made = calloc(1, sizeof **made);
    if (!*made)
        return rbx_fail(-ENOMEM, "cannot allocate a cell handle: %m");
    (*made)->size = size;
    (*made)->stride = stride_of(size);
    return 0;
}

/* What is left to do for a handle when its object was opened, or was not. */
static int finish(rbx_cell **cell, rbx_cell *made, int err)
{
    if (err < 0) {
        free(made);
        return err;
    }
    made->shared = rbx_object_body(&made->object);
    made->read_only = made->object.box && made->object.box->read_only;
    if (!made->read_only) {
        made->scratch = aligned_alloc(LINE, made->stride * sizeof(uint64_t));
        if (!made->scratch) {
            err = rbx_fail(-ENOMEM, "cannot allocate %zu bytes for changes of a cell: %m",
                           made->size);
            rbx_cell_close(made);
            return err;
        }
    }
    *cell = made;
    return 0;
}

int rbx_cell_open(rbx_cell **cell, const char *name, size_t size, const void *initial,
                  const rbx_cell_options *options)
{
    *cell = NULL;
    rbx_cell *made;
    int err = new_handle(&made, size);
    if (err < 0)
        return err;
    const struct rbx_object_plan plan = plan_for(size, initial, options);
    const rbx_box_options defaults = {.policy = RBX_LAST_ONE_OUT};
    return finish(cell, made,
                  rbx_object_open(&made->object, name, &plan, options ? &options->box : &defaults));
}

int rbx_cell_init(void *memory, size_t bytes, size_t size, const void *initial,
                  const rbx_cell_options *options)
{
    int err = check_size(size);
    if (err < 0)
        return err;
    const struct rbx_object_plan plan = plan_for(size, initial, options);
    return rbx_object_init(memory, bytes, &plan);
}

int rbx_cell_attach(rbx_cell **cell, rbx_box *box, void *memory, size_t bytes, size_t size,
                    const rbx_cell_options *options)
{
    *cell = NULL;
    rbx_cell *made;
    int err = new_handle(&made, size);
    if (err < 0)
        return err;
    const struct rbx_object_plan plan = plan_for(size, NULL, options);
    return finish(cell, made, rbx_object_attach(&made->object, box, memory, bytes, &plan));
}

/* ---- the mutex ----------------------------------------------------------------------------- */

/* Why the mutex was not had. */
static int refused(const rbx_cell *cell, int err)
{
    const char *name = rbx_object_name(&cell->object);
    switch (err) {
    case -ETIMEDOUT:
        return rbx_fail(err, "cell '%s' was used by others for as long as this one would wait",
                        name);
    case -EDEADLK:
        return rbx_fail(err, "this thread is in a callback of cell '%s' already", name);
    default:
        return rbx_fail(err, "cannot lock cell '%s': %m", name);
    }
}

/* 0, -EOWNERDEAD or an error. */
static int lock_mutex(const rbx_cell *cell, uint64_t deadline)
{
    struct rbx_os_mutex *mutex = &cell->shared->mutex;
    int err = rbx_os_mutex_lock_until(mutex, deadline);
    if (err != -EOWNERDEAD)
        return err;
    /* Whatever it was doing: the value is as it was before, or after. This does not fail. */
    rbx_os_mutex_consistent(mutex);
    return 0;
}

static int lock(rbx_cell *cell, uint64_t deadline)
{
    int err = rbx_object_check(&cell->object);
    if (err < 0)
        return err;
    if (cell->read_only)
        return rbx_fail(-EACCES, "cell '%s' was opened read-only: it can be read by snapshot only",
                        rbx_object_name(&cell->object));
    err = lock_mutex(cell, deadline);
    if (err < 0)
        return refused(cell, err);
    atomic_store_explicit(&cell->held, true, memory_order_relaxed);
    return 0;
}

static void unlock(rbx_cell *cell)
{
    atomic_store_explicit(&cell->held, false, memory_order_relaxed);
    rbx_os_mutex_unlock(&cell->shared->mutex);
}

/* Not by a thread that has ended with it: the mutex can be had then. */
static bool is_held_here(rbx_cell *cell)
{
    if (!rbx_object_is_ours(&cell->object) ||
        !atomic_load_explicit(&cell->held, memory_order_relaxed))
        return false;
    if (lock(cell, rbx_wait_deadline(0)) < 0)
        return true;
    unlock(cell);
    return false;
}

int rbx_cell_close(rbx_cell *cell)
{
    if (!cell)
        return 0;
    if (is_held_here(cell))
        return rbx_fail(-EBUSY, "cell '%s' is used by a callback of this process",
                        rbx_object_name(&cell->object));
    int err = rbx_object_close(&cell->object);
    free(cell->scratch);
    free(cell);
    return err;
}

/* ---- reading and changing ------------------------------------------------------------------ */

/* With the mutex held: makes change `next` of *value. */
static inline void publish(rbx_cell *cell, uint64_t next, const void *value)
{
    /* C2: whoever sees one of these words sees version next - 1, too; pairs with C2 in take. */
    rbx_release_fence();
    store_words(buffer_of(cell, next), value, cell->size);
    /* C1: publishes the words; pairs with C1 in take and rbx_cell_version. */
    rbx_store_release(&cell->shared->version, next);
}

/* Relaxed: with the mutex held nobody else writes it. */
static inline uint64_t version_held(const rbx_cell *cell)
{
    return rbx_load_relaxed(&cell->shared->version);
}

/* Its callback forked, and has returned in the child as well: the mutex, and the change, are the
   parent's. */
static int came_back_in_child(rbx_cell *cell)
{
    atomic_store_explicit(&cell->held, false, memory_order_relaxed);
    return rbx_fail(-EBADF, "a callback of cell '%s' forked: in the child it has done nothing",
                    rbx_object_name(&cell->object));
}

static int read_until(rbx_cell *cell, rbx_cell_reader *fn, void *arg, uint64_t deadline)
{
    int err = lock(cell, deadline);
    if (err < 0)
        return err;
    uint32_t forks = rbx_fd_forks();
    int result = fn((const void *)buffer_of(cell, version_held(cell)), cell->size, arg);
    if (rbx_fd_forks() != forks)
        return came_back_in_child(cell);
    unlock(cell);
    return result;
}

static int change_until(rbx_cell *cell, rbx_cell_changer *fn, void *arg, uint64_t deadline)
{
    int err = lock(cell, deadline);
    if (err < 0)
        return err;
    uint32_t forks = rbx_fd_forks();
    uint64_t version = version_held(cell);
    memcpy(cell->scratch, (const void *)buffer_of(cell, version), cell->size);
    int result = fn(cell->scratch, cell->size, arg);
    if (rbx_fd_forks() != forks)
        return came_back_in_child(cell);
    if (result >= 0)
        publish(cell, version + 1, cell->scratch);
    unlock(cell);
    return result;
}

int rbx_cell_read(rbx_cell *cell, rbx_cell_reader *fn, void *arg)
{
    return read_until(cell, fn, arg, RBX_FOREVER);
}

int rbx_cell_read_for(rbx_cell *cell, rbx_cell_reader *fn, void *arg, uint64_t timeout_ns)
{
    return read_until(cell, fn, arg, rbx_wait_deadline(timeout_ns));
}

int rbx_cell_change(rbx_cell *cell, rbx_cell_changer *fn, void *arg)
{
    return change_until(cell, fn, arg, RBX_FOREVER);
}

int rbx_cell_change_for(rbx_cell *cell, rbx_cell_changer *fn, void *arg, uint64_t timeout_ns)
{
    return change_until(cell, fn, arg, rbx_wait_deadline(timeout_ns));
}

int rbx_cell_set(rbx_cell *cell, const void *value)
{
    int err = lock(cell, RBX_FOREVER);
    if (err < 0)
        return err;
    publish(cell, version_held(cell) + 1, value);
    unlock(cell);
    return 0;
}

/* ---- snapshots ----------------------------------------------------------------------------- */

/* Copies the value to `out`; false: not whole, see the top of this file. */
static inline bool take(const rbx_cell *cell, void *out)
{
    /* C1: the words of that version; pairs with C1 in publish. */
    uint64_t version = rbx_load_acquire(&cell->shared->version);
    load_words(out, buffer_of(cell, version), cell->size);
    rbx_acquire_fence(); /* C2: pairs with C2 in publish */
    /* Relaxed: the fence orders it. */
    return rbx_load_relaxed(&cell->shared->version) - version < BUFFERS - 1;
}

/* It was overtaken. Now it tries by the mutex as well: for a slice at a time, as a holder that has
   been stopped lets the value stand still. */
static __attribute__((noinline, cold)) int take_slowly(const rbx_cell *cell, void *out)
{
    enum { TRIES = 16, ROUNDS = 64 };
    for (int round = 0; round < ROUNDS; round++) {
        for (int tried = 0; tried < TRIES; tried++)
            if (take(cell, out))
                return 0;
        if (cell->read_only || lock_mutex(cell, rbx_wait_deadline(RBX_SLICE_NS)) < 0)
            continue;
        load_words(out, buffer_of(cell, version_held(cell)), cell->size);
        rbx_os_mutex_unlock(&cell->shared->mutex);
        return 0;
    }
    return rbx_fail(-EBUSY, "cell '%s' changed faster than it could be copied, time and again",
                    rbx_object_name(&cell->object));
}

int rbx_cell_snapshot(const rbx_cell *cell, void *out)
{
    int err = rbx_object_check(&cell->object);
    if (err < 0)
        return err;
    return take(cell, out) ? 0 : take_slowly(cell, out);
}

uint64_t rbx_cell_version(const rbx_cell *cell)
{
    /* C1: so that a snapshot from now on has as many; pairs with C1 in publish. */
    return rbx_load_acquire(&cell->shared->version);
}
