/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync-rwlock.c: who dies or stops inside a call on a read-write lock. */
#include <unistd.h>

#include "rwlock/words.h"
#include "sync-rwlock.h"

enum { MOMENT_NS = 2000000 };

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

static int call_try_read(struct stage *s)
{
    return rbx_rwlock_try_read(s->handle[0]);
}

static int call_read_for(struct stage *s)
{
    return rbx_rwlock_read_for(s->handle[0], MOMENT_NS);
}

static int call_try_write(struct stage *s)
{
    return rbx_rwlock_try_write(s->handle[0]);
}

static int call_write_for(struct stage *s)
{
    return rbx_rwlock_write_for(s->handle[0], MOMENT_NS);
}

static int call_change_and_unlock(struct stage *s)
{
    change_one(s);
    change_other(s);
    return rbx_rwlock_unlock(s->handle[0]);
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
    /* The other handle is closed while the victim looks whether its holder lives. */
    {"rwlock/describe-one-closes", open_two, open_lock, NULL, call_describe,
     close_other, dead_describer, has_seen_nobody_dead, close_lock, close_two},
    {"rwlock/open", open_two, NULL, NULL, call_open,
     try_beside, dead_reader, has_unlocked, close_lock, close_two},
    {"rwlock/close", open_two, open_lock, NULL, call_close,
     try_beside, dead_reader, has_unlocked, NULL, close_two},
    {0},
};
/* clang-format on */
