/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync-rwlock.h: what the acts of the read-write lock share.
 *
 * What it protects are two words, which a writer makes equal again before it unlocks. Others are
 * told of a death if and only if it was a writer's who had the lock.
 */
#ifndef RBX_TESTS_CRASH_SYNC_RWLOCK_H
#define RBX_TESTS_CRASH_SYNC_RWLOCK_H

#include <errno.h>

#include "sync.h"

#define LONG_NS (40 * RBX_SLICE_NS)

/* In the page: what is protected; how often who waits was told of a death; and how often that was
   put right beside the victim, or by who waits. */
enum { ONE, OTHER, TOLD, REPAIRS };

static inline uint32_t get(const struct stage *s, int word)
{
    return atomic_load(&s->page->word[word]);
}

static inline bool is_whole(const struct stage *s)
{
    return get(s, ONE) == get(s, OTHER);
}

static inline void change_one(struct stage *s)
{
    atomic_fetch_add(&s->page->word[ONE], 1);
}

static inline void change_other(struct stage *s)
{
    atomic_fetch_add(&s->page->word[OTHER], 1);
}

static inline rbx_rwlock *open_one(struct stage *s)
{
    rbx_rwlock *lock = NULL;
    ANSWERS(s, 0, rbx_rwlock_open(&lock, s->name, NULL));
    return lock;
}

static inline void open_lock(struct stage *s)
{
    s->handle[0] = open_one(s);
}

/* The survivor's: two can read. */
static inline void open_two(struct stage *s)
{
    open_lock(s);
    s->handle[1] = open_one(s);
}

static inline void close_lock(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_close(s->handle[0]));
    s->handle[0] = NULL;
}

static inline void close_other(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_close(s->handle[1]));
    s->handle[1] = NULL;
}

static inline void close_two(struct stage *s)
{
    close_lock(s);
    close_other(s);
}

static inline void unlock(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_unlock(s->handle[0]));
}

static inline void read_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_read(s->handle[0]));
}

static inline void write_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_write(s->handle[0]));
}

static inline void put_right(struct stage *s)
{
    atomic_store(&s->page->word[OTHER], get(s, ONE));
    ANSWERS(s, 0, rbx_rwlock_consistent(s->handle[0]));
}

static inline void put_right_beside(struct stage *s)
{
    put_right(s);
    atomic_fetch_add(&s->page->word[REPAIRS], 1);
}

static inline void put_right_and_unlock(struct stage *s)
{
    put_right(s);
    unlock(s);
}

static inline void open_and_read(struct stage *s)
{
    open_lock(s);
    read_it(s);
}

static inline void open_and_write(struct stage *s)
{
    open_lock(s);
    write_it(s);
}

static inline rbx_rwlock_info described(struct stage *s)
{
    rbx_rwlock_info info;
    ANSWERS(s, 0, rbx_rwlock_describe(s->handle[0], &info));
    return info;
}

static inline int call_read(struct stage *s)
{
    return rbx_rwlock_read(s->handle[0]);
}

static inline int call_write(struct stage *s)
{
    return rbx_rwlock_write(s->handle[0]);
}

static inline int call_unlock(struct stage *s)
{
    return rbx_rwlock_unlock(s->handle[0]);
}

static inline int call_open(struct stage *s)
{
    rbx_rwlock *lock = NULL;
    int err = rbx_rwlock_open(&lock, s->name, NULL);
    s->handle[0] = lock;
    return err;
}

/* Two read at a time, or one writes, as often as one likes; and nobody is told of any death. */
static inline void use(struct stage *s)
{
    for (int i = 0; i < 2; i++) {
        ANSWERS(s, 0, rbx_rwlock_write_for(s->handle[i], LONG_NS));
        ANSWERS(s, -EBUSY, rbx_rwlock_try_read(s->handle[1 - i]));
        ANSWERS(s, 0, rbx_rwlock_unlock(s->handle[i]));
        ANSWERS(s, 0, rbx_rwlock_read_for(s->handle[0], LONG_NS));
        ANSWERS(s, 0, rbx_rwlock_read_for(s->handle[1], LONG_NS));
        ANSWERS(s, 0, rbx_rwlock_unlock(s->handle[0]));
        ANSWERS(s, 0, rbx_rwlock_unlock(s->handle[1]));
    }
    HOLDS(s, is_whole(s));
    rbx_rwlock_info info = described(s);
    HOLDS(s, info.readers == 0 && info.waiting_readers == 0);
    HOLDS(s, !info.writing && !info.draining && !info.broken && !info.lost);
}

/* Each is told of a death until a writer has put it right. Whether anybody was, at any time. */
static inline bool is_told(struct stage *s)
{
    uint32_t repairs = get(s, REPAIRS);
    int err = rbx_rwlock_read_for(s->handle[0], LONG_NS);
    bool told = err == -EOWNERDEAD;
    HOLDS(s, err == 0 || told);
    HOLDS(s, told || is_whole(s));
    unlock(s);
    if (s->waiter)
        waiter_ends(s);
    bool still = told && get(s, REPAIRS) == repairs;
    ANSWERS(s, still ? -EOWNERDEAD : 0, rbx_rwlock_write_for(s->handle[0], LONG_NS));
    if (still)
        put_right(s);
    unlock(s);
    return told || get(s, TOLD) + get(s, REPAIRS) > 0;
}

/* The others' tries say that somebody has it, or that nobody has; but nobody is dead. */
static inline void try_beside(struct stage *s)
{
    static int (*const tries[])(rbx_rwlock *) = {rbx_rwlock_try_write, rbx_rwlock_try_read};
    for (int i = 0; i < 2; i++) {
        int err = tries[i](s->handle[0]);
        HOLDS(s, err == -EBUSY || (err == 0 && is_whole(s)));
        if (err == 0)
            unlock(s);
    }
}

/* The victim has it in any case. */
static inline void find_it_held(struct stage *s)
{
    ANSWERS(s, -EBUSY, rbx_rwlock_try_read(s->handle[0]));
    ANSWERS(s, -EBUSY, rbx_rwlock_try_write(s->handle[0]));
}

static inline void dead_reader(struct stage *s, bool returned)
{
    (void)returned;
    HOLDS(s, !is_told(s));
    use(s);
}

static inline void dead_writer(struct stage *s, bool returned)
{
    HOLDS(s, is_told(s) || !returned);
    use(s);
}

/* It had the lock when its call began: if nobody is told, its change is there whole. */
static inline void dead_unlocker(struct stage *s, bool returned)
{
    bool told = is_told(s);
    HOLDS(s, !told || !returned);
    HOLDS(s, told || (get(s, ONE) == 1 && get(s, OTHER) == 1));
    use(s);
}

static inline void has_it_to_write(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    find_it_held(s);
}

static inline void has_unlocked(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, !is_told(s));
    use(s);
}

static inline void leave_locked(struct stage *s)
{
    unlock(s);
    close_lock(s);
}

#endif
