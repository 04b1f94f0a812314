/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync-mutex.c: who dies or stops inside a call on a mutex. */
#include <errno.h>

#include "sync.h"

enum { MOMENT_NS = 2000000 };

static void open_mutex(struct stage *s)
{
    rbx_mutex *mutex = NULL;
    ANSWERS(s, 0, rbx_mutex_open(&mutex, s->name, NULL));
    s->handle[0] = mutex;
}

static void close_mutex(struct stage *s)
{
    ANSWERS(s, 0, rbx_mutex_close(s->handle[0]));
    s->handle[0] = NULL;
}

static void open_and_lock(struct stage *s)
{
    open_mutex(s);
    ANSWERS(s, 0, rbx_mutex_lock(s->handle[0]));
}

static void open_after_a_death(struct stage *s)
{
    open_mutex(s);
    somebody_dies(s, open_and_lock);
}

static void open_and_inherit(struct stage *s)
{
    open_mutex(s);
    ANSWERS(s, -EOWNERDEAD, rbx_mutex_lock(s->handle[0]));
}

static int call_lock(struct stage *s)
{
    return rbx_mutex_lock(s->handle[0]);
}

static int call_try_lock(struct stage *s)
{
    return rbx_mutex_try_lock(s->handle[0]);
}

static int call_lock_for(struct stage *s)
{
    return rbx_mutex_lock_for(s->handle[0], MOMENT_NS);
}

static int call_consistent(struct stage *s)
{
    return rbx_mutex_consistent(s->handle[0]);
}

static int call_unlock(struct stage *s)
{
    return rbx_mutex_unlock(s->handle[0]);
}

static int call_open(struct stage *s)
{
    rbx_mutex *mutex = NULL;
    int err = rbx_mutex_open(&mutex, s->name, NULL);
    s->handle[0] = mutex;
    return err;
}

static int call_close(struct stage *s)
{
    int err = rbx_mutex_close(s->handle[0]);
    s->handle[0] = NULL;
    return err;
}

/* --- The survivor --- */

static void lock_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_mutex_lock(s->handle[0]));
}

static void unlock_it(struct stage *s)
{
    ANSWERS(s, 0, rbx_mutex_unlock(s->handle[0]));
}

/* It can be had and given back as often as one likes. */
static void use(struct stage *s)
{
    for (int i = 0; i < 2; i++) {
        lock_it(s);
        unlock_it(s);
    }
}

static void put_right_and_use(struct stage *s)
{
    ANSWERS(s, 0, rbx_mutex_consistent(s->handle[0]));
    unlock_it(s);
    use(s);
}

/* The victim has it, or nobody; but nobody is dead. */
static void try_beside(struct stage *s)
{
    int err = rbx_mutex_try_lock(s->handle[0]);
    HOLDS(s, err == 0 || err == -EBUSY);
    if (err == 0)
        unlock_it(s);
}

/* Likewise, where the last one has died with it. */
static void try_beside_after_a_death(struct stage *s)
{
    int err = rbx_mutex_try_lock(s->handle[0]);
    HOLDS(s, err == -EOWNERDEAD || err == -EBUSY);
    if (err != -EOWNERDEAD)
        return;
    put_right_and_use(s);
    atomic_store(&s->page->word[0], 1);
}

static void dead_holder(struct stage *s, bool returned)
{
    int err = rbx_mutex_lock(s->handle[0]);
    HOLDS(s, err == -EOWNERDEAD || (err == 0 && !returned));
    if (err == -EOWNERDEAD)
        put_right_and_use(s);
    else
        unlock_it(s);
}

static void dead_unlocker(struct stage *s, bool returned)
{
    int err = rbx_mutex_lock(s->handle[0]);
    HOLDS(s, err == 0 || (err == -EOWNERDEAD && !returned));
    if (err == -EOWNERDEAD)
        put_right_and_use(s);
    else
        unlock_it(s);
}

/* A survivor beside it may have put it right before. */
static void dead_heir(struct stage *s, bool returned)
{
    int err = rbx_mutex_lock(s->handle[0]);
    bool was_put_right = atomic_load(&s->page->word[0]);
    HOLDS(s, err == -EOWNERDEAD || (err == 0 && was_put_right && !returned));
    if (err == -EOWNERDEAD)
        put_right_and_use(s);
    else
        unlock_it(s);
}

static void dead_waiter(struct stage *s, bool returned)
{
    (void)returned;
    rbx_mutex_unlock(
        s->handle[0]); /* unless it did so beside the victim, who may have had it then */
    int err = rbx_mutex_lock(s->handle[0]);
    HOLDS(s, err == 0 || err == -EOWNERDEAD);
    if (err == -EOWNERDEAD)
        put_right_and_use(s);
    else
        unlock_it(s);
}

static void dead_visitor(struct stage *s, bool returned)
{
    (void)returned;
    use(s);
}

static void has_it(struct stage *s)
{
    HOLDS(s, atomic_load(&s->page->answer) == 0);
    ANSWERS(s, -EBUSY, rbx_mutex_try_lock(s->handle[0]));
}

static void has_inherited_it(struct stage *s)
{
    bool was_put_right = atomic_load(&s->page->word[0]);
    ANSWERS(s, was_put_right ? 0 : -EOWNERDEAD, atomic_load(&s->page->answer));
    ANSWERS(s, -EBUSY, rbx_mutex_try_lock(s->handle[0]));
}

static void has_given_it_back(struct stage *s)
{
    HOLDS(s, atomic_load(&s->page->answer) == 0);
    use(s);
}

static void may_have_timed_out(struct stage *s)
{
    int32_t answer = atomic_load(&s->page->answer);
    HOLDS(s, answer == 0 || answer == -ETIMEDOUT);
    rbx_mutex_unlock(s->handle[0]); /* unless it did so beside the victim */
    if (answer == 0)
        ANSWERS(s, -EBUSY, rbx_mutex_try_lock(s->handle[0]));
    else
        use(s);
}

/* --- The victim, at last --- */

static void leave_locked(struct stage *s)
{
    unlock_it(s);
    close_mutex(s);
}

static void leave_inherited(struct stage *s)
{
    int err = rbx_mutex_consistent(s->handle[0]);
    HOLDS(s, err == 0 || err == -EINVAL);
    leave_locked(s);
}

static void leave_perhaps_locked(struct stage *s)
{
    int err = rbx_mutex_unlock(s->handle[0]);
    HOLDS(s, err == 0 || err == -EPERM);
    close_mutex(s);
}

/* clang-format off */
const struct act mutex_acts[] = {
    {"mutex/lock", open_mutex, open_mutex, NULL, call_lock,
     try_beside, dead_holder, has_it, leave_locked, close_mutex},
    {"mutex/try_lock", open_mutex, open_mutex, NULL, call_try_lock,
     try_beside, dead_holder, has_it, leave_locked, close_mutex},
    {"mutex/lock_for", open_mutex, open_mutex, NULL, call_lock_for,
     try_beside, dead_holder, has_it, leave_locked, close_mutex},
    {"mutex/lock_for-held", open_mutex, open_mutex, lock_it, call_lock_for,
     unlock_it, dead_waiter, may_have_timed_out, leave_perhaps_locked, close_mutex},
    {"mutex/lock-after-a-death", open_after_a_death, open_mutex, NULL, call_lock,
     try_beside_after_a_death, dead_heir, has_inherited_it, leave_inherited, close_mutex},
    {"mutex/consistent", open_after_a_death, open_and_inherit, NULL, call_consistent,
     try_beside, dead_heir, has_it, leave_locked, close_mutex},
    {"mutex/unlock", open_mutex, open_and_lock, NULL, call_unlock,
     try_beside, dead_unlocker, has_given_it_back, close_mutex, close_mutex},
    {"mutex/open", open_mutex, NULL, NULL, call_open,
     try_beside, dead_visitor, has_given_it_back, close_mutex, close_mutex},
    {"mutex/close", open_mutex, open_mutex, NULL, call_close,
     try_beside, dead_visitor, has_given_it_back, NULL, close_mutex},
    {0},
};
/* clang-format on */
