/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync-rwlock.c: who dies or stops inside a call on a read-write lock.
 *
 * What it protects are two words, which a writer makes equal again before it unlocks. Others are
 * told of a death if and only if it was a writer's who had the lock.
 */
#include <errno.h>
#include <unistd.h>

#include "rwlock/words.h"
#include "sync.h"

enum { MOMENT_NS = 2000000 };
#define LONG_NS (40 * RBX_SLICE_NS)

/* In the page: what is protected; how often who waits was told of a death; and how often that was
   put right beside the victim, or by who waits. */
enum { ONE, OTHER, TOLD, REPAIRS };

static uint32_t get(const struct stage *s, int word)
{
    return atomic_load(&s->page->word[word]);
}

static bool is_whole(const struct stage *s)
{
    return get(s, ONE) == get(s, OTHER);
}

static void change_one(struct stage *s)
{
    atomic_fetch_add(&s->page->word[ONE], 1);
}

static void change_other(struct stage *s)
{
    atomic_fetch_add(&s->page->word[OTHER], 1);
}

static rbx_rwlock *open_one(struct stage *s)
{
    rbx_rwlock *lock = NULL;
    ANSWERS(s, 0, rbx_rwlock_open(&lock, s->name, NULL));
    return lock;
}

static void open_lock(struct stage *s)
{
    s->handle[0] = open_one(s);
}

/* The survivor's: two can read. */
static void open_two(struct stage *s)
{
    open_lock(s);
    s->handle[1] = open_one(s);
}

static void close_lock(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_close(s->handle[0]));
    s->handle[0] = NULL;
}

static void close_other(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_close(s->handle[1]));
    s->handle[1] = NULL;
}

static void close_two(struct stage *s)
{
    close_lock(s);
    close_other(s);
}

static void unlock(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_unlock(s->handle[0]));
}

static void read_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_read(s->handle[0]));
}

static void write_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_rwlock_write(s->handle[0]));
}

static void put_right(struct stage *s)
{
    atomic_store(&s->page->word[OTHER], get(s, ONE));
    ANSWERS(s, 0, rbx_rwlock_consistent(s->handle[0]));
}

static void put_right_beside(struct stage *s)
{
    put_right(s);
    atomic_fetch_add(&s->page->word[REPAIRS], 1);
}

static void put_right_and_unlock(struct stage *s)
{
    put_right(s);
    unlock(s);
}

/* ---- before the call ------------------------------------------------------------------------- */

static void open_and_read(struct stage *s)
{
    open_lock(s);
    read_it(s);
}

static void open_and_write(struct stage *s)
{
    open_lock(s);
    write_it(s);
}

static void open_and_change_one(struct stage *s)
{
    open_and_write(s);
    change_one(s);
}

static void a_reader_dies(struct stage *s)
{
    somebody_dies(s, open_and_read);
}

static void a_writer_dies(struct stage *s)
{
    somebody_dies(s, open_and_change_one);
}

static void open_two_after_a_death(struct stage *s)
{
    open_two(s);
    a_writer_dies(s);
}

static void open_and_inherit(struct stage *s)
{
    open_lock(s);
    ANSWERS(s, -EOWNERDEAD, rbx_rwlock_write(s->handle[0]));
}

static void inherit_and_put_right(struct stage *s)
{
    open_and_inherit(s);
    put_right(s);
}

/* ---- who waits ------------------------------------------------------------------------------- */

static bool was_told(struct stage *s, int err)
{
    HOLDS(s, err == -EOWNERDEAD || (err == 0 && is_whole(s)));
    if (err == -EOWNERDEAD)
        atomic_fetch_add(&s->page->word[TOLD], 1);
    return err == -EOWNERDEAD;
}

static void wait_and_read(struct stage *s)
{
    open_lock(s);
    was_told(s, rbx_rwlock_read(s->handle[0]));
    unlock(s);
    close_lock(s);
}

static void wait_and_write(struct stage *s)
{
    open_lock(s);
    if (was_told(s, rbx_rwlock_write(s->handle[0])))
        put_right_beside(s);
    unlock(s);
    close_lock(s);
}

static rbx_rwlock_info described(struct stage *s)
{
    rbx_rwlock_info info;
    ANSWERS(s, 0, rbx_rwlock_describe(s->handle[0], &info));
    return info;
}

static void a_reader_waits(struct stage *s)
{
    somebody_waits(s, wait_and_read);
    while (!s->failed && described(s).waiting_readers == 0)
        usleep(50);
}

static void a_writer_waits(struct stage *s)
{
    somebody_waits(s, wait_and_write);
    while (!s->failed && !described(s).waiting_writers)
        usleep(50);
}

/* Whether a writer sleeps until some reader unlocks. */
static bool is_watched(const struct rbx_rwlock *lock)
{
    for (uint32_t i = 0; i < lock->count; i++)
        if (rbx_load_relaxed(&lock->seats[i].state) & RBX_RW_WATCHED)
            return true;
    return false;
}

static void a_writer_waits_for_a_reader(struct stage *s)
{
    somebody_waits(s, wait_and_write);
    while (!is_watched(s->handle[0]))
        usleep(50);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static int call_read(struct stage *s)
{
    return rbx_rwlock_read(s->handle[0]);
}

static int call_try_read(struct stage *s)
{
    return rbx_rwlock_try_read(s->handle[0]);
}

static int call_read_for(struct stage *s)
{
    return rbx_rwlock_read_for(s->handle[0], MOMENT_NS);
}

static int call_write(struct stage *s)
{
    return rbx_rwlock_write(s->handle[0]);
}

static int call_try_write(struct stage *s)
{
    return rbx_rwlock_try_write(s->handle[0]);
}

static int call_write_for(struct stage *s)
{
    return rbx_rwlock_write_for(s->handle[0], MOMENT_NS);
}

static int call_consistent(struct stage *s)
{
    atomic_store(&s->page->word[OTHER], get(s, ONE));
    return rbx_rwlock_consistent(s->handle[0]);
}

static int call_unlock(struct stage *s)
{
    return rbx_rwlock_unlock(s->handle[0]);
}

static int call_change_and_unlock(struct stage *s)
{
    change_one(s);
    change_other(s);
    return rbx_rwlock_unlock(s->handle[0]);
}

static int call_open(struct stage *s)
{
    rbx_rwlock *lock = NULL;
    int err = rbx_rwlock_open(&lock, s->name, NULL);
    s->handle[0] = lock;
    return err;
}

static int call_close(struct stage *s)
{
    int err = rbx_rwlock_close(s->handle[0]);
    s->handle[0] = NULL;
    return err;
}

static int call_describe(struct stage *s)
{
    rbx_rwlock_info info;
    int err = rbx_rwlock_describe(s->handle[0], &info);
    return err < 0 || (info.dead == 0 && info.suspects == 0) ? err : -1;
}

/* ---- the survivor ---------------------------------------------------------------------------- */

/* Two read at a time, or one writes, as often as one likes; and nobody is told of any death. */
static void use(struct stage *s)
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
static bool is_told(struct stage *s)
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
static void try_beside(struct stage *s)
{
    static int (*const tries[])(rbx_rwlock *) = {rbx_rwlock_try_write, rbx_rwlock_try_read};
    for (int i = 0; i < 2; i++) {
        int err = tries[i](s->handle[0]);
        HOLDS(s, err == -EBUSY || (err == 0 && is_whole(s)));
        if (err == 0)
            unlock(s);
    }
}

/* Where a writer has died: they are told until one of them puts it right. */
static void try_beside_after_a_death(struct stage *s)
{
    int err = rbx_rwlock_try_read(s->handle[1]);
    HOLDS(s, err == -EOWNERDEAD || err == -EBUSY);
    if (err == -EOWNERDEAD)
        ANSWERS(s, 0, rbx_rwlock_unlock(s->handle[1]));
    err = rbx_rwlock_try_write(s->handle[0]);
    HOLDS(s, err == -EOWNERDEAD || err == -EBUSY);
    if (err == -EOWNERDEAD) {
        put_right_beside(s);
        unlock(s);
    }
}

/* The victim has it in any case. */
static void find_it_held(struct stage *s)
{
    ANSWERS(s, -EBUSY, rbx_rwlock_try_read(s->handle[0]));
    ANSWERS(s, -EBUSY, rbx_rwlock_try_write(s->handle[0]));
}

/* The victim gives it back as it is. */
static void find_it_spoilt(struct stage *s)
{
    int err = rbx_rwlock_try_write(s->handle[0]);
    HOLDS(s, err == -EBUSY || err == -ENOTRECOVERABLE);
    err = rbx_rwlock_try_read(s->handle[0]);
    HOLDS(s, err == -EBUSY || err == -ENOTRECOVERABLE);
}

static void dead_reader(struct stage *s, bool returned)
{
    (void)returned;
    HOLDS(s, !is_told(s));
    use(s);
}

static void dead_writer(struct stage *s, bool returned)
{
    HOLDS(s, is_told(s) || !returned);
    use(s);
}

/* It had the lock when its call began: if nobody is told, its change is there whole. */
static void dead_unlocker(struct stage *s, bool returned)
{
    bool told = is_told(s);
    HOLDS(s, !told || !returned);
    HOLDS(s, told || (get(s, ONE) == 1 && get(s, OTHER) == 1));
    use(s);
}

/* Another one had died before: until the survivor puts that right, everybody is told. */
static void dead_heir(struct stage *s, bool returned)
{
    (void)returned;
    int err = rbx_rwlock_write_for(s->handle[0], LONG_NS);
    ANSWERS(s, get(s, REPAIRS) > 0 ? 0 : -EOWNERDEAD, err);
    if (err == -EOWNERDEAD)
        put_right(s);
    unlock(s);
    use(s);
}

/* Whatever it did, a writer has died, if not the victim. */
static void dead_after_a_death(struct stage *s, bool returned)
{
    (void)returned;
    HOLDS(s, is_told(s));
    use(s);
}

static void is_lost(struct stage *s)
{
    ANSWERS(s, -ENOTRECOVERABLE, rbx_rwlock_write_for(s->handle[0], LONG_NS));
    ANSWERS(s, -ENOTRECOVERABLE, rbx_rwlock_read_for(s->handle[1], LONG_NS));
    HOLDS(s, described(s).lost);
}

static void dead_spoiler(struct stage *s, bool returned)
{
    int err = rbx_rwlock_write_for(s->handle[0], LONG_NS);
    HOLDS(s, err == -ENOTRECOVERABLE || (err == -EOWNERDEAD && !returned));
    if (err == -ENOTRECOVERABLE) {
        is_lost(s);
        return;
    }
    put_right_and_unlock(s);
    use(s);
}

/* The survivor has the lock, unless it unlocked beside the victim. */
static void dead_waiter(struct stage *s, bool returned)
{
    int gave_it_back = rbx_rwlock_unlock(s->handle[0]) == -EPERM;
    bool told = is_told(s);
    HOLDS(s, !told || gave_it_back);
    HOLDS(s, !returned || told == (atomic_load(&s->page->answer) == 0));
    use(s);
}

static void dead_waiting_reader(struct stage *s, bool returned)
{
    (void)returned;
    rbx_rwlock_unlock(s->handle[0]); /* as above */
    HOLDS(s, !is_told(s));
    use(s);
}

static void dead_describer(struct stage *s, bool returned)
{
    if (!s->handle[1])
        s->handle[1] = open_one(s);
    dead_reader(s, returned);
}

static void has_seen_nobody_dead(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
}

static void reads(struct stage *s)
{
    ANSWERS(s, -EBUSY, rbx_rwlock_try_write(s->handle[0]));
    ANSWERS(s, 0, rbx_rwlock_try_read(s->handle[0]));
    unlock(s);
}

static void has_it_to_read(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    reads(s);
}

static void has_it_to_write(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    find_it_held(s);
}

static void has_inherited_it(struct stage *s)
{
    ANSWERS(s, get(s, REPAIRS) > 0 ? 0 : -EOWNERDEAD, (int)atomic_load(&s->page->answer));
    find_it_held(s);
}

static void reads_and_was_told(struct stage *s)
{
    ANSWERS(s, get(s, REPAIRS) > 0 ? 0 : -EOWNERDEAD, (int)atomic_load(&s->page->answer));
    ANSWERS(s, -EBUSY, rbx_rwlock_try_write(s->handle[0]));
}

static void has_unlocked(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, !is_told(s));
    use(s);
}

static void has_lost_it(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    is_lost(s);
}

/* It came where a writer had died, and held nothing. */
static void has_come_after_a_death(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, is_told(s));
    use(s);
}

static void may_have_it_to_write(struct stage *s)
{
    int32_t answer = atomic_load(&s->page->answer);
    bool gave_it_back = rbx_rwlock_unlock(s->handle[0]) == -EPERM;
    HOLDS(s, (answer == 0 && gave_it_back) || answer == -ETIMEDOUT);
    if (answer == 0)
        find_it_held(s);
    else
        use(s);
}

static void may_have_it_to_read(struct stage *s)
{
    int32_t answer = atomic_load(&s->page->answer);
    bool gave_it_back = rbx_rwlock_unlock(s->handle[0]) == -EPERM;
    HOLDS(s, (answer == 0 && gave_it_back) || answer == -ETIMEDOUT);
    if (answer == 0)
        reads(s);
    else
        use(s);
}

/* ---- the victim, at last --------------------------------------------------------------------- */

static void leave_locked(struct stage *s)
{
    unlock(s);
    close_lock(s);
}

static void leave_inherited(struct stage *s)
{
    if (atomic_load(&s->page->answer) == -EOWNERDEAD)
        put_right(s);
    leave_locked(s);
}

static void leave_perhaps_locked(struct stage *s)
{
    if (atomic_load(&s->page->answer) == 0)
        unlock(s);
    close_lock(s);
}

/* clang-format off */
const struct act rwlock_acts[] = {
    {"rwlock/read", open_two, open_lock, NULL, call_read,
     try_beside, dead_reader, has_it_to_read, leave_locked, close_two},
    {"rwlock/try_read", open_two, open_lock, NULL, call_try_read,
     try_beside, dead_reader, has_it_to_read, leave_locked, close_two},
    {"rwlock/write", open_two, open_lock, NULL, call_write,
     try_beside, dead_writer, has_it_to_write, leave_locked, close_two},
    {"rwlock/try_write", open_two, open_lock, NULL, call_try_write,
     try_beside, dead_writer, has_it_to_write, leave_locked, close_two},
    {"rwlock/read_for-written", open_two, open_lock, write_it, call_read_for,
     unlock, dead_waiting_reader, may_have_it_to_read, leave_perhaps_locked, close_two},
    {"rwlock/write_for-written", open_two, open_lock, write_it, call_write_for,
     unlock, dead_waiter, may_have_it_to_write, leave_perhaps_locked, close_two},
    {"rwlock/write_for-read", open_two, open_lock, read_it, call_write_for,
     unlock, dead_waiter, may_have_it_to_write, leave_perhaps_locked, close_two},
    {"rwlock/unlock-read", open_two, open_and_read, NULL, call_unlock,
     try_beside, dead_reader, has_unlocked, close_lock, close_two},
    {"rwlock/unlock-read-a-writer-waits", open_two, open_and_read, a_writer_waits_for_a_reader,
     call_unlock, try_beside, dead_reader, has_unlocked, close_lock, close_two},
    {"rwlock/unlock-write", open_two, open_and_write, NULL, call_change_and_unlock,
     try_beside, dead_unlocker, has_unlocked, close_lock, close_two},
    {"rwlock/unlock-write-a-reader-waits", open_two, open_and_write, a_reader_waits,
     call_change_and_unlock, try_beside, dead_unlocker, has_unlocked, close_lock, close_two},
    {"rwlock/unlock-write-a-writer-waits", open_two, open_and_write, a_writer_waits,
     call_change_and_unlock, try_beside, dead_unlocker, has_unlocked, close_lock, close_two},
    {"rwlock/write-after-a-death", open_two, open_lock, a_writer_dies, call_write,
     try_beside_after_a_death, dead_heir, has_inherited_it, leave_inherited, close_two},
    {"rwlock/read-after-a-death", open_two, open_lock, a_writer_dies, call_read,
     try_beside_after_a_death, dead_heir, reads_and_was_told, leave_locked, close_two},
    {"rwlock/write-after-a-readers-death", open_two, open_lock, a_reader_dies, call_write,
     try_beside, dead_writer, has_it_to_write, leave_locked, close_two},
    {"rwlock/consistent", open_two_after_a_death, open_and_inherit, NULL, call_consistent,
     find_it_held, dead_after_a_death, has_it_to_write, leave_locked, close_two},
    {"rwlock/unlock-after-consistent", open_two_after_a_death, inherit_and_put_right, NULL,
     call_unlock, try_beside, dead_unlocker, has_unlocked, close_lock, close_two},
    {"rwlock/unlock-without-consistent", open_two_after_a_death, open_and_inherit, NULL,
     call_unlock, find_it_spoilt, dead_spoiler, has_lost_it, close_lock, close_two},
    /* The other handle is closed while the victim looks whether its holder lives. */
    {"rwlock/describe-one-closes", open_two, open_lock, NULL, call_describe,
     close_other, dead_describer, has_seen_nobody_dead, close_lock, close_two},
    {"rwlock/open", open_two, NULL, NULL, call_open,
     try_beside, dead_reader, has_unlocked, close_lock, close_two},
    {"rwlock/open-seat-of-a-dead-reader", open_two, NULL, a_reader_dies, call_open,
     try_beside, dead_reader, has_unlocked, close_lock, close_two},
    {"rwlock/open-seat-of-a-dead-writer", open_two, NULL, a_writer_dies, call_open,
     try_beside_after_a_death, dead_after_a_death, has_come_after_a_death, close_lock, close_two},
    {"rwlock/close", open_two, open_lock, NULL, call_close,
     try_beside, dead_reader, has_unlocked, NULL, close_two},
    {0},
};
/* clang-format on */
