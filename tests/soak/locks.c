/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * locks.c: the mutex and the read-write lock. What they protect are two counts that are equal, and
 * equal to how often somebody entered, unless somebody is inside, or has died there. Who enters
 * notes that it is the holder; it reads a count, dawdles and writes it: two holders would be seen
 * by either.
 */
#include <errno.h>
#include <stdio.h>

#include "soak.h"

static rbx_mutex *mutex_now;
static rbx_rwlock *rwlock_now;

static bool begin(int err, const char *noun)
{
    uint64_t state = mix(round_now.seed ^ 1);
    round_now.slots = round_now.first_out = 2 + draw_from(&state, 5);
    if (err < 0)
        fail("a %s could not be made: %s", noun, rbx_last_error());
    return err == 0;
}

static bool begin_mutex(void)
{
    const rbx_mutex_options options = {.inherit_priority = round_now.seed & 1,
                                       .box.how = RBX_CREATE_ONLY};
    return begin(rbx_mutex_open(&mutex_now, round_now.name, &options), "mutex");
}

static bool begin_rwlock(void)
{
    const rbx_rwlock_options options = {.seats = SLOTS + 1, .box.how = RBX_CREATE_ONLY};
    return begin(rbx_rwlock_open(&rwlock_now, round_now.name, &options), "read-write lock");
}

/* --- Inside --- */

static bool is_whole(void)
{
    uint64_t entered = atomic_load(&ledger->entered);
    return atomic_load(&ledger->first) == entered && atomic_load(&ledger->second) == entered;
}

/* One more than was read. */
static void add_slowly(_Atomic uint64_t *count)
{
    uint64_t before = atomic_load(count);
    if (draw(16) == 0)
        hold("has the lock");
    atomic_store(count, before + 1);
}

/* Holds it, and was told of a death or not. */
static void change_inside(bool told)
{
    uint32_t before = atomic_load(&ledger->holder);
    if (before != 0 && !is_doomed(before))
        fail("TWO HOLDERS: life %u lives, and life %u has the lock", before, me.life);
    if (told && round_now.is_calm)
        fail("a lock says -EOWNERDEAD, and nobody has died");
    if (!told && (before != 0 || !is_whole()))
        fail("UNTOLD: life %u has died inside, and what is protected is %s", before,
             is_whole() ? "whole" : "half done");
    atomic_store(&ledger->holder, me.life);
    if (told) {
        atomic_store(&ledger->first, atomic_load(&ledger->entered));
        atomic_store(&ledger->second, atomic_load(&ledger->entered));
    }
}

static void work_inside(void)
{
    atomic_fetch_add(&ledger->entered, 1);
    add_slowly(&ledger->first);
    add_slowly(&ledger->second);
    if (atomic_load(&ledger->holder) != me.life || !is_whole())
        fail("TWO HOLDERS: life %u was inside, and so was life %u", me.life,
             atomic_load(&ledger->holder));
    atomic_store(&ledger->holder, 0);
    atomic_fetch_add_explicit(&me.slot->moved, 1, memory_order_relaxed);
}

static bool is_expected(int err, unsigned how, bool is_forever)
{
    return err == 0 || err == -EOWNERDEAD || (err == -EBUSY && how == 0) ||
           (err == -ETIMEDOUT && how == 1 && !is_forever);
}

static void check(const char *call, int err)
{
    if (err < 0)
        fail("%s answered %d: %s", call, err, rbx_last_error());
}

/* --- The mutex --- */

static void use_mutex(rbx_mutex *mutex)
{
    unsigned how = draw(3);
    uint64_t timeout = draw_timeout();
    does("lock", how == 2 || timeout == RBX_FOREVER);
    int err = how == 0   ? rbx_mutex_try_lock(mutex)
              : how == 1 ? rbx_mutex_lock_for(mutex, timeout)
                         : rbx_mutex_lock(mutex);
    if (!is_expected(err, how, timeout == RBX_FOREVER))
        check("lock", err);
    if (err < 0 && err != -EOWNERDEAD)
        return;
    change_inside(err == -EOWNERDEAD);
    if (err == -EOWNERDEAD)
        check("consistent", rbx_mutex_consistent(mutex));
    work_inside();
    does("unlock", false);
    check("unlock", rbx_mutex_unlock(mutex));
}

static void play_mutex(void)
{
    const rbx_mutex_options joins = {.box.how = RBX_OPEN_ONLY};
    rbx_mutex *mutex;
    does("joins", false);
    int err = rbx_mutex_open(&mutex, round_now.name, &joins);
    check("joining", err);
    while (err == 0 && is_well() && phase() == RUN && !feels_like_leaving()) {
        use_mutex(mutex);
        did();
        dawdle();
    }
    if (err == 0)
        check("closing", rbx_mutex_close(mutex));
}

/* --- The read-write lock: in_hand is the life that reads --- */

static void look_for_readers(void)
{
    for (unsigned i = 0; i < round_now.slots; i++) {
        uint32_t reader = atomic_load(&ledger->slot[i].in_hand);
        if (reader != 0 && !is_doomed(reader))
            fail("life %u writes, and life %u reads", me.life, reader);
    }
}

static void write_inside(rbx_rwlock *lock, bool told)
{
    look_for_readers();
    change_inside(told);
    if (told)
        check("consistent", rbx_rwlock_consistent(lock));
    work_inside();
    look_for_readers();
}

static void read_inside(bool told)
{
    atomic_store(&me.slot->in_hand, me.life);
    for (int looks = 2; looks > 0; looks--) {
        uint32_t writer = atomic_load(&ledger->holder);
        if (writer != 0 && !is_doomed(writer))
            fail("life %u reads, and life %u writes", me.life, writer);
        if (!told && !is_whole())
            fail("UNTOLD: a reader sees what is half done");
        hold("has the lock, to read");
    }
    if (told && round_now.is_calm)
        fail("a reader was told -EOWNERDEAD, and nobody has died");
    atomic_store(&me.slot->in_hand, 0);
    atomic_fetch_add_explicit(&me.slot->moved, 1, memory_order_relaxed);
}

static void use_rwlock(rbx_rwlock *lock)
{
    unsigned how = draw(3);
    bool writes = draw(4) == 0;
    uint64_t timeout = draw_timeout();
    int err;
    does(writes ? "write" : "read", how == 2 || timeout == RBX_FOREVER);
    if (writes)
        err = how == 0   ? rbx_rwlock_try_write(lock)
              : how == 1 ? rbx_rwlock_write_for(lock, timeout)
                         : rbx_rwlock_write(lock);
    else
        err = how == 0   ? rbx_rwlock_try_read(lock)
              : how == 1 ? rbx_rwlock_read_for(lock, timeout)
                         : rbx_rwlock_read(lock);
    if (!is_expected(err, how, timeout == RBX_FOREVER))
        check(writes ? "write" : "read", err);
    if (err < 0 && err != -EOWNERDEAD)
        return;
    if (writes)
        write_inside(lock, err == -EOWNERDEAD);
    else
        read_inside(err == -EOWNERDEAD);
    does("unlock", false);
    check("unlock", rbx_rwlock_unlock(lock));
}

static void play_rwlock(void)
{
    const rbx_rwlock_options joins = {.box.how = RBX_OPEN_ONLY};
    rbx_rwlock *lock;
    does("joins", false);
    int err = rbx_rwlock_open(&lock, round_now.name, &joins);
    check("joining", err);
    while (err == 0 && is_well() && phase() == RUN && !feels_like_leaving()) {
        use_rwlock(lock);
        did();
        dawdle();
    }
    if (err == 0)
        check("closing", rbx_rwlock_close(lock));
}

static void bury(unsigned slot, uint32_t life)
{
    (void)life;
    atomic_store(&ledger->slot[slot].in_hand, 0);
}

/* --- The end: whoever comes next gets it, and is told what there is to tell --- */

static void judge_mutex(void)
{
    int err = rbx_mutex_try_lock(mutex_now);
    if (err < 0 && err != -EOWNERDEAD)
        fail("at the end the mutex answers %d: %s", err, rbx_last_error());
    change_inside(err == -EOWNERDEAD);
    atomic_store(&ledger->holder, 0);
    if (err == -EOWNERDEAD)
        check("consistent", rbx_mutex_consistent(mutex_now));
    check("unlock", rbx_mutex_unlock(mutex_now));
}

static void judge_rwlock(void)
{
    int err = rbx_rwlock_write(rwlock_now);
    if (err < 0 && err != -EOWNERDEAD)
        fail("at the end the lock answers %d: %s", err, rbx_last_error());
    look_for_readers();
    change_inside(err == -EOWNERDEAD);
    atomic_store(&ledger->holder, 0);
    if (err == -EOWNERDEAD)
        check("consistent", rbx_rwlock_consistent(rwlock_now));
    check("unlock", rbx_rwlock_unlock(rwlock_now));
}

static void tell(void)
{
    printf("  holder %u, entered %llu, first %llu, second %llu\n", atomic_load(&ledger->holder),
           (unsigned long long)atomic_load(&ledger->entered),
           (unsigned long long)atomic_load(&ledger->first),
           (unsigned long long)atomic_load(&ledger->second));
}

static void end_mutex(void)
{
    check("closing", rbx_mutex_close(mutex_now));
    mutex_now = NULL;
}

static void end_rwlock(void)
{
    check("closing", rbx_rwlock_close(rwlock_now));
    rwlock_now = NULL;
}

const struct game mutex_game = {.noun = "mutex",
                                .begin = begin_mutex,
                                .play = play_mutex,
                                .judge = judge_mutex,
                                .tell = tell,
                                .end = end_mutex};
const struct game rwlock_game = {.noun = "read-write lock",
                                 .begin = begin_rwlock,
                                 .play = play_rwlock,
                                 .bury = bury,
                                 .judge = judge_rwlock,
                                 .tell = tell,
                                 .end = end_rwlock};
