/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync-sem.c: who dies or stops inside a call on a set of semaphores.
 *
 * The ledger: what a member has, and what living handles hold of it, is what was put in. With undo
 * nothing is lost, whoever dies; without, what the dead had taken is gone, and only that.
 */
#include <errno.h>
#include <unistd.h>

#include "sem/set.h"
#include "sync.h"

enum { MEMBER, SPARE, MEMBERS }; /* the spare one always has units */
enum { UNITS = 3, SEATS = 3, MOMENT_NS = 2000000, AT_ONCE_NS = 1 };
#define LONG_NS (40 * RBX_SLICE_NS)

/* In the page: what the survivor holds on undo, and what it has added. */
enum { OWN, ADDED };

static void open_with(struct stage *s, uint32_t units)
{
    const uint32_t values[MEMBERS] = {[MEMBER] = units, [SPARE] = UNITS};
    const rbx_sem_options options = {.count = MEMBERS, .values = values, .seats = SEATS};
    rbx_sem *sem = NULL;
    ANSWERS(s, 0, rbx_sem_open(&sem, s->name, &options));
    s->handle[0] = sem;
}

static void open_sem(struct stage *s)
{
    open_with(s, UNITS);
}

static void open_empty(struct stage *s)
{
    open_with(s, 0);
}

static void close_sem(struct stage *s)
{
    ANSWERS(s, 0, rbx_sem_close(s->handle[0]));
    s->handle[0] = NULL;
}

static void take(struct stage *s, uint32_t n, uint32_t flags)
{
    ANSWERS(s, 0, rbx_sem_take(s->handle[0], MEMBER, n, flags, LONG_NS));
}

/* ---- before the call ------------------------------------------------------------------------- */

static void open_and_take_one(struct stage *s)
{
    open_sem(s);
    take(s, 1, 0);
}

static void open_and_take_two_on_undo(struct stage *s)
{
    open_sem(s);
    take(s, 2, RBX_SEM_UNDO);
}

static void open_and_take_both_ways(struct stage *s)
{
    open_sem(s);
    take(s, 1, 0);
    take(s, 1, RBX_SEM_UNDO);
}

static void open_and_take_all_on_undo(struct stage *s)
{
    open_sem(s);
    take(s, UNITS, RBX_SEM_UNDO);
}

static void one_dies_with_two(struct stage *s)
{
    somebody_dies(s, open_and_take_two_on_undo);
}

static void one_dies_with_all(struct stage *s)
{
    somebody_dies(s, open_and_take_all_on_undo);
}

/* It has the lock, and its journal says what is to be. */
static void begin_change(struct stage *s, const struct rbx_sem_change *change)
{
    ANSWERS(s, 0, rbx_sem_set_lock(s->handle[0], RBX_FOREVER));
    struct rbx_sem_journal *journal = &rbx_sem_set_of(s->handle[0])->journal;
    rbx_store_relaxed(&journal->member, change->member);
    rbx_store_relaxed(&journal->value, change->value);
    rbx_store_relaxed(&journal->seat, change->seat);
    rbx_store_relaxed(&journal->account, change->account);
    rbx_store_release(&journal->valid, 1);
}

/* It had two, and is about to have all: the member says so already, its account does not. */
static void take_by_half(struct stage *s)
{
    rbx_sem *sem;
    open_and_take_two_on_undo(s);
    sem = s->handle[0];
    const struct rbx_sem_change change = {
        .member = MEMBER, .value = 0, .seat = (uint32_t)sem->seat, .account = UNITS};
    begin_change(s, &change);
    rbx_store_relaxed(&rbx_sem_set_member(sem, MEMBER)->value, 0);
}

static void add_by_half(struct stage *s)
{
    open_sem(s);
    const struct rbx_sem_change change = {
        .member = MEMBER, .value = UNITS + 1, .seat = RBX_SEM_NOBODY};
    begin_change(s, &change);
}

static void one_dies_as_it_takes(struct stage *s)
{
    somebody_dies(s, take_by_half);
}

static void one_dies_as_it_adds(struct stage *s)
{
    atomic_store(&s->page->word[ADDED], 1);
    somebody_dies(s, add_by_half);
}

static void wait_for_one(struct stage *s)
{
    open_empty(s);
    take(s, 1, RBX_SEM_UNDO);
    close_sem(s);
}

/* Between its look and its sleep it has the lock no more, but is as good as asleep. */
static void one_waits(struct stage *s)
{
    somebody_waits(s, wait_for_one);
    rbx_atomic32 *bell = &rbx_sem_set_member(s->handle[0], MEMBER)->bell;
    while (!(rbx_load_relaxed(bell) & 1))
        usleep(50);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static int call_wait(struct stage *s)
{
    return rbx_sem_wait(s->handle[0], MEMBER, 0);
}

static int call_wait_undo(struct stage *s)
{
    return rbx_sem_wait(s->handle[0], MEMBER, RBX_SEM_UNDO);
}

static int call_try_wait_undo(struct stage *s)
{
    return rbx_sem_try_wait(s->handle[0], MEMBER, RBX_SEM_UNDO);
}

static int call_take(struct stage *s)
{
    return rbx_sem_take(s->handle[0], MEMBER, 2, 0, LONG_NS);
}

static int call_take_undo(struct stage *s)
{
    return rbx_sem_take(s->handle[0], MEMBER, 2, RBX_SEM_UNDO, LONG_NS);
}

static int call_wait_for(struct stage *s)
{
    return rbx_sem_wait_for(s->handle[0], MEMBER, RBX_SEM_UNDO, MOMENT_NS);
}

static int call_done(struct stage *s)
{
    return rbx_sem_done(s->handle[0], MEMBER);
}

static int call_give(struct stage *s)
{
    return rbx_sem_give(s->handle[0], MEMBER, 2);
}

static int call_add(struct stage *s)
{
    return rbx_sem_add(s->handle[0], MEMBER, 1);
}

static int call_wait_zero(struct stage *s)
{
    return rbx_sem_wait_zero(s->handle[0], MEMBER, MOMENT_NS);
}

static int call_describe(struct stage *s)
{
    rbx_sem_info info;
    int err = rbx_sem_describe(s->handle[0], &info);
    return err < 0 || info.undo_units <= 1 ? err : -1; /* the survivor's, perhaps */
}

static int call_open(struct stage *s)
{
    rbx_sem *sem = NULL;
    int err = rbx_sem_open(&sem, s->name, NULL);
    s->handle[0] = sem;
    return err;
}

static int call_close(struct stage *s)
{
    int err = rbx_sem_close(s->handle[0]);
    s->handle[0] = NULL;
    return err;
}

/* ---- the survivor ---------------------------------------------------------------------------- */

static uint32_t own(const struct stage *s)
{
    return atomic_load(&s->page->word[OWN]);
}

/* Not if the victim stands there with the lock, or nothing is left. */
static void take_beside(struct stage *s)
{
    int err = rbx_sem_wait_for(s->handle[0], MEMBER, RBX_SEM_UNDO, AT_ONCE_NS);
    HOLDS(s, err == 0 || err == -ETIMEDOUT);
    if (err == 0)
        atomic_store(&s->page->word[OWN], 1);
}

/* Likewise; that the spare member's are not to be had can only be for the lock. */
static void add_beside(struct stage *s)
{
    int err = rbx_sem_wait_for(s->handle[0], SPARE, 0, AT_ONCE_NS);
    HOLDS(s, err == 0 || err == -ETIMEDOUT);
    if (err < 0)
        return;
    ANSWERS(s, 0, rbx_sem_done(s->handle[0], SPARE));
    ANSWERS(s, 0, rbx_sem_add(s->handle[0], MEMBER, 1));
    atomic_store(&s->page->word[ADDED], 1);
}

/* What there is, but for what the victim holds: as many on undo. */
static uint32_t total(struct stage *s, uint32_t victims_on_undo)
{
    rbx_sem_info info = {0};
    ANSWERS(s, 0, rbx_sem_describe(s->handle[0], &info));
    HOLDS(s, info.undo_units == own(s) + victims_on_undo);
    HOLDS(s, info.holders == (own(s) > 0 ? 1U : 0) + (victims_on_undo > 0 ? 1U : 0));
    HOLDS(s, info.suspects == 0);
    int value = rbx_sem_value(s->handle[0], MEMBER);
    HOLDS(s, value >= 0);
    ANSWERS(s, UNITS, rbx_sem_value(s->handle[0], SPARE));
    return (uint32_t)value + own(s);
}

/* All that are there can be had at once, and given back. */
static void use(struct stage *s)
{
    int value = rbx_sem_value(s->handle[0], MEMBER);
    if (value > 0) {
        take(s, (uint32_t)value, RBX_SEM_UNDO);
        ANSWERS(s, -EAGAIN, rbx_sem_try_wait(s->handle[0], MEMBER, 0));
        ANSWERS(s, 0, rbx_sem_wait_zero(s->handle[0], MEMBER, LONG_NS));
        ANSWERS(s, 0, rbx_sem_give(s->handle[0], MEMBER, (uint32_t)value));
    }
    ANSWERS(s, value, rbx_sem_value(s->handle[0], MEMBER));
    ANSWERS(s, 0, rbx_sem_add(s->handle[0], MEMBER, 1));
    take(s, 1, 0);
}

/* So many there were before the victim's call, and are after it, when the victim is dead. */
static void died(struct stage *s, bool returned, uint32_t before, uint32_t after)
{
    uint32_t added = atomic_load(&s->page->word[ADDED]), now = total(s, 0);
    HOLDS(s, now == after + added || (!returned && now == before + added));
    use(s);
}

/* So many are left by the victim, who lives, and holds as many on undo. */
static void lives(struct stage *s, uint32_t left, uint32_t on_undo)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    HOLDS(s, total(s, on_undo) == left + atomic_load(&s->page->word[ADDED]));
    use(s);
}

static void dead_with_all_undone(struct stage *s, bool returned)
{
    died(s, returned, UNITS, UNITS);
}

static void dead_with_one(struct stage *s, bool returned)
{
    died(s, returned, UNITS, UNITS - 1);
}

static void dead_with_two(struct stage *s, bool returned)
{
    died(s, returned, UNITS, UNITS - 2);
}

static void dead_as_it_gave_one(struct stage *s, bool returned)
{
    died(s, returned, UNITS - 1, UNITS);
}

static void dead_as_it_added(struct stage *s, bool returned)
{
    died(s, returned, UNITS, UNITS + 1);
}

/* For one who waits: it has the unit if it was added, and gives it back. */
static void dead_as_it_added_for_another(struct stage *s, bool returned)
{
    int value = rbx_sem_value(s->handle[0], MEMBER);
    HOLDS(s, value == 0 || value == 1);
    rbx_sem_info info = {0};
    ANSWERS(s, 0, rbx_sem_describe(s->handle[0], &info));
    bool added = value > 0 || info.undo_units > 0 || rbx_sem_value(s->handle[0], MEMBER) > 0;
    HOLDS(s, added || !returned);
    if (!added)
        ANSWERS(s, 0, rbx_sem_add(s->handle[0], MEMBER, 1));
    waiter_ends(s);
    HOLDS(s, total(s, 0) == 1);
    use(s);
}

static void has_added_for_another(struct stage *s)
{
    ANSWERS(s, 0, (int)atomic_load(&s->page->answer));
    waiter_ends(s);
    HOLDS(s, total(s, 0) == 1);
    use(s);
}

/* Not if the victim has the lock, or the one who waits was faster. */
static void look_beside(struct stage *s)
{
    int err = rbx_sem_wait_for(s->handle[0], SPARE, 0, AT_ONCE_NS);
    HOLDS(s, err == 0 || err == -ETIMEDOUT);
    if (err == 0)
        ANSWERS(s, 0, rbx_sem_done(s->handle[0], SPARE));
}

static void dead_waiter(struct stage *s, bool returned)
{
    died(s, returned, 0, 0);
}

static void has_one(struct stage *s)
{
    lives(s, UNITS - 1, 0);
}

static void has_two(struct stage *s)
{
    lives(s, UNITS - 2, 0);
}

static void has_one_on_undo(struct stage *s)
{
    lives(s, UNITS - 1, 1);
}

static void has_two_on_undo(struct stage *s)
{
    lives(s, UNITS - 2, 2);
}

static void has_none(struct stage *s)
{
    lives(s, UNITS, 0);
}

static void has_added(struct stage *s)
{
    lives(s, UNITS + 1, 0);
}

/* Of the two, where there is but what the survivor may have added. */
static void may_have_one(struct stage *s)
{
    int32_t answer = atomic_load(&s->page->answer);
    HOLDS(s, answer == 0 || answer == -ETIMEDOUT);
    uint32_t added = atomic_load(&s->page->word[ADDED]);
    HOLDS(s, total(s, answer == 0) + (answer == 0) == added);
    use(s);
}

/* It was empty, until the survivor may have added one. */
static void has_seen_none(struct stage *s)
{
    int32_t answer = atomic_load(&s->page->answer);
    uint32_t added = atomic_load(&s->page->word[ADDED]);
    HOLDS(s, answer == 0 || (answer == -ETIMEDOUT && added));
    HOLDS(s, total(s, 0) == added);
    use(s);
}

/* What a dead one had comes back; so it is never empty. */
static void has_seen_some(struct stage *s)
{
    ANSWERS(s, -ETIMEDOUT, (int)atomic_load(&s->page->answer));
    HOLDS(s, total(s, 0) == UNITS);
    use(s);
}

/* clang-format off */
const struct act sem_acts[] = {
    {"sem/wait", open_sem, open_sem, NULL, call_wait,
     take_beside, dead_with_one, has_one, close_sem, close_sem},
    {"sem/wait-undo", open_sem, open_sem, NULL, call_wait_undo,
     take_beside, dead_with_all_undone, has_one_on_undo, close_sem, close_sem},
    {"sem/try_wait-after-a-death", open_sem, open_sem, one_dies_with_all, call_try_wait_undo,
     take_beside, dead_with_all_undone, has_one_on_undo, close_sem, close_sem},
    {"sem/take", open_sem, open_sem, NULL, call_take,
     take_beside, dead_with_two, has_two, close_sem, close_sem},
    {"sem/take-undo", open_sem, open_sem, NULL, call_take_undo,
     take_beside, dead_with_all_undone, has_two_on_undo, close_sem, close_sem},
    {"sem/take-after-half-a-take", open_sem, open_sem, one_dies_as_it_takes, call_take_undo,
     take_beside, dead_with_all_undone, has_two_on_undo, close_sem, close_sem},
    {"sem/wait_for-empty", open_empty, open_empty, NULL, call_wait_for,
     add_beside, dead_waiter, may_have_one, close_sem, close_sem},
    {"sem/done", open_sem, open_and_take_one, NULL, call_done,
     take_beside, dead_as_it_gave_one, has_none, close_sem, close_sem},
    {"sem/give-undo", open_sem, open_and_take_two_on_undo, NULL, call_give,
     take_beside, dead_with_all_undone, has_none, close_sem, close_sem},
    {"sem/give-both", open_sem, open_and_take_both_ways, NULL, call_give,
     take_beside, dead_as_it_gave_one, has_none, close_sem, close_sem},
    {"sem/add", open_sem, open_sem, NULL, call_add,
     take_beside, dead_as_it_added, has_added, close_sem, close_sem},
    {"sem/add-one-waits", open_empty, open_empty, one_waits, call_add,
     look_beside, dead_as_it_added_for_another, has_added_for_another, close_sem, close_sem},
    {"sem/add-after-half-an-add", open_sem, open_sem, one_dies_as_it_adds, call_add,
     take_beside, dead_as_it_added, has_added, close_sem, close_sem},
    {"sem/wait_zero", open_empty, open_empty, NULL, call_wait_zero,
     add_beside, dead_waiter, has_seen_none, close_sem, close_sem},
    {"sem/wait_zero-after-a-death", open_sem, open_sem, one_dies_with_all, call_wait_zero,
     take_beside, dead_with_all_undone, has_seen_some, close_sem, close_sem},
    {"sem/describe-after-a-death", open_sem, open_sem, one_dies_with_two, call_describe,
     take_beside, dead_with_all_undone, has_none, close_sem, close_sem},
    {"sem/open", open_sem, NULL, NULL, call_open,
     take_beside, dead_with_all_undone, has_none, close_sem, close_sem},
    {"sem/open-after-a-death", open_sem, NULL, one_dies_with_two, call_open,
     take_beside, dead_with_all_undone, has_none, close_sem, close_sem},
    {"sem/close", open_sem, open_and_take_two_on_undo, NULL, call_close,
     take_beside, dead_with_all_undone, has_none, NULL, close_sem},
    {0},
};
/* clang-format on */
