/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync-rwlock-death.c: who dies or stops inside a call on a read-write lock with which another has
 * died before. */
#include "sync-rwlock.h"

/* ---- before the call ------------------------------------------------------------------------- */

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

static int call_consistent(struct stage *s)
{
    atomic_store(&s->page->word[OTHER], get(s, ONE));
    return rbx_rwlock_consistent(s->handle[0]);
}

/* ---- the survivor ---------------------------------------------------------------------------- */

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

/* The victim gives it back as it is. */
static void find_it_spoilt(struct stage *s)
{
    int err = rbx_rwlock_try_write(s->handle[0]);
    HOLDS(s, err == -EBUSY || err == -ENOTRECOVERABLE);
    err = rbx_rwlock_try_read(s->handle[0]);
    HOLDS(s, err == -EBUSY || err == -ENOTRECOVERABLE);
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

/* ---- the victim, at last --------------------------------------------------------------------- */

static void leave_inherited(struct stage *s)
{
    if (atomic_load(&s->page->answer) == -EOWNERDEAD)
        put_right(s);
    leave_locked(s);
}

/* clang-format off */
const struct act rwlock_death_acts[] = {
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
    {"rwlock/open-seat-of-a-dead-reader", open_two, NULL, a_reader_dies, call_open,
     try_beside, dead_reader, has_unlocked, close_lock, close_two},
    {"rwlock/open-seat-of-a-dead-writer", open_two, NULL, a_writer_dies, call_open,
     try_beside_after_a_death, dead_after_a_death, has_come_after_a_death, close_lock, close_two},
    {0},
};
/* clang-format on */
