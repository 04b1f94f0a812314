/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/rwlock.h>

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "rwlock/words.h"
#include "wait.h"

/* ---- opening and closing --------------------------------------------------------------------- */

enum { DETAIL_SEATS }; /* of the shape */

static int format(void *memory, const struct rbx_object_plan *plan)
{
    (void)memory, (void)plan; /* all zero is a lock that nobody has */
    return 0;
}

static int check(const struct rbx_object_shape *shape, const struct rbx_object_plan *plan,
                 const char *name)
{
    uint64_t seats = shape->detail[DETAIL_SEATS], asked = plan->shape.detail[DETAIL_SEATS];
    const struct rbx_rwlock_options *options = plan->options;
    if (seats == 0 || seats > RBX_RWLOCK_SEATS_MAX || shape->size < RBX_RWLOCK_BYTES(seats))
        return rbx_fail(-EPROTO, "the header of rwlock '%s' is damaged", name);
    if (options && options->seats && seats < asked)
        return rbx_fail(-EPROTO, "rwlock '%s' has %u seats, and this program asked for %u", name,
                        (unsigned)seats, (unsigned)asked);
    return 0;
}

static int plan_for(struct rbx_object_plan *plan, const rbx_rwlock_options *options)
{
    unsigned seats = options && options->seats ? options->seats : RBX_RWLOCK_SEATS;
    if (seats > RBX_RWLOCK_SEATS_MAX)
        return rbx_fail(-EINVAL, "a rwlock has %u seats at most, not %u", RBX_RWLOCK_SEATS_MAX,
                        seats);
    *plan = (struct rbx_object_plan){.noun = "rwlock",
                                     .shape = {.kind = RBX_OBJECT_RWLOCK,
                                               .detail = {[DETAIL_SEATS] = seats},
                                               .size = RBX_RWLOCK_BYTES(seats)},
                                     .has_seats = true,
                                     .options = options,
                                     .format = format,
                                     .check = check};
    return 0;
}

/* 0, -EBUSY, or an error and a sentence. The seat is seen to, but not settled. */
static int take_seat(struct rbx_rwlock *lock)
{
    for (uint32_t i = 0; i < lock->count; i++) {
        int err = rbx_sync_seat_take(&lock->object, &lock->seats[i].who);
        if (err == -EBUSY)
            continue;
        if (err == 0) {
            lock->own = &lock->seats[i];
            rbx_rwlock_bury(lock, lock->own);
        }
        return err;
    }
    return rbx_fail(-EBUSY, "all %u seats of rwlock '%s' are taken", lock->count,
                    rbx_object_name(&lock->object));
}

static int sit_down(struct rbx_rwlock *lock)
{
    int err = take_seat(lock);
    if (err < 0)
        return err;
    uint32_t seat = (uint32_t)(lock->own - lock->seats);
    /* D: before it says READING for the first time, also when somebody else has raised it. */
    uint32_t used = rbx_load_seq_cst(&lock->shared->used);
    while (used <= seat && !rbx_swap_if_seq_cst(&lock->shared->used, &used, seat + 1))
        ;
    uint32_t opening = rbx_sync_seat_settle(&lock->own->who);
    lock->tag = rbx_rwlock_tag(opening) << RBX_RW_TAG_SHIFT;
    lock->me = rbx_turn_of(seat, opening);
    /* As idle as it was. Release: R, on behalf of who read from this seat before. */
    rbx_store_release(&lock->own->state, lock->tag | RBX_RW_IDLE);
    return 0;
}

static struct rbx_rwlock *new_handle(void)
{
    struct rbx_rwlock *made = calloc(1, sizeof *made);
    if (!made)
        rbx_fail(-ENOMEM, "cannot allocate a rwlock handle: %m");
    return made;
}

static int finish(rbx_rwlock **lock, struct rbx_rwlock *made, int err)
{
    if (err == 0) {
        made->shared = rbx_object_body(&made->object);
        made->seats = (struct rbx_rwlock_seat *)(made->shared + 1);
        made->count = (uint32_t)made->object.shape.detail[DETAIL_SEATS];
        err = sit_down(made);
        if (err < 0)
            rbx_object_close(&made->object);
    }
    if (err < 0) {
        free(made);
        return err;
    }
    *lock = made;
    return 0;
}

int rbx_rwlock_open(rbx_rwlock **lock, const char *name, const rbx_rwlock_options *options)
{
    *lock = NULL;
    struct rbx_object_plan plan;
    const rbx_box_options defaults = {.policy = RBX_LAST_ONE_OUT};
    int err = plan_for(&plan, options);
    if (err < 0)
        return err;
    struct rbx_rwlock *made = new_handle();
    if (!made)
        return -ENOMEM;
    return finish(lock, made,
                  rbx_object_open(&made->object, name, &plan, options ? &options->box : &defaults));
}

int rbx_rwlock_init(void *memory, size_t size, const rbx_rwlock_options *options)
{
    struct rbx_object_plan plan;
    int err = plan_for(&plan, options);
    return err < 0 ? err : rbx_object_init(memory, size, &plan);
}

int rbx_rwlock_attach(rbx_rwlock **lock, rbx_box *box, void *memory, size_t size)
{
    *lock = NULL;
    struct rbx_object_plan plan;
    int err = plan_for(&plan, NULL);
    if (err < 0)
        return err;
    struct rbx_rwlock *made = new_handle();
    if (!made)
        return -ENOMEM;
    return finish(lock, made, rbx_object_attach(&made->object, box, memory, size, &plan));
}

int rbx_rwlock_close(rbx_rwlock *lock)
{
    if (!lock)
        return 0;
    if (rbx_object_is_ours(&lock->object) && lock->held)
        return rbx_fail(-EBUSY, "this handle holds rwlock '%s'", rbx_object_name(&lock->object));
    rbx_sync_seat_leave(&lock->object, &lock->own->who);
    int err = rbx_object_close(&lock->object);
    free(lock);
    return err;
}

/* ---- locking --------------------------------------------------------------------------------- */

static __attribute__((cold)) int holds_it(const rbx_rwlock *lock, bool to_write)
{
    const char *name = rbx_object_name(&lock->object);
    if (lock->held == RBX_RW_HOLDS_READ && to_write)
        return rbx_fail(-EDEADLK,
                        "this handle holds rwlock '%s' for reading, and a reader cannot become a "
                        "writer: unlock first",
                        name);
    return rbx_fail(-EDEADLK, "this handle holds rwlock '%s' already", name);
}

static inline int check_free(const rbx_rwlock *lock, bool to_write)
{
    int err = rbx_object_check(&lock->object);
    return err < 0 || lock->held == RBX_RW_HOLDS_NOTHING ? err : holds_it(lock, to_write);
}

/* Why the lock was not had, or what is amiss. */
static __attribute__((cold)) int explain(const rbx_rwlock *lock, int err)
{
    const char *name = rbx_object_name(&lock->object);
    switch (err) {
    case 0:
        return 0;
    case -EOWNERDEAD:
        return rbx_fail(err,
                        "a writer has died with rwlock '%s', and what it protects may be half "
                        "done; it is held now",
                        name);
    case -EBUSY:
        return rbx_fail(err, "rwlock '%s' is held by others", name);
    case -ETIMEDOUT:
        return rbx_fail(err, "rwlock '%s' was held by others for as long as this one would wait",
                        name);
    case -ENOTRECOVERABLE:
        return rbx_fail(err,
                        "rwlock '%s' was unlocked after a writer's death without "
                        "rbx_rwlock_consistent: what it protects is half done",
                        name);
    default:
        return rbx_fail(err, "the words of rwlock '%s' are damaged", name);
    }
}

static inline bool reads_at_once(rbx_rwlock *lock)
{
    rbx_exchange_seq_cst(&lock->own->state, lock->tag | RBX_RW_READING);   /* D */
    if (__builtin_expect(rbx_load_seq_cst(&lock->shared->turn) == 0, 1)) { /* D, T */
        lock->held = RBX_RW_HOLDS_READ;
        return true;
    }
    rbx_rwlock_stop_reading(lock);
    return false;
}

int rbx_rwlock_read(rbx_rwlock *lock)
{
    int err = check_free(lock, false);
    if (err < 0 || reads_at_once(lock))
        return err;
    return explain(lock, rbx_rwlock_wait_to_read(lock, RBX_FOREVER));
}

int rbx_rwlock_try_read(rbx_rwlock *lock)
{
    int err = check_free(lock, false);
    if (err < 0 || reads_at_once(lock))
        return err;
    return explain(lock, rbx_rwlock_wait_to_read(lock, RBX_RW_AT_ONCE));
}

int rbx_rwlock_read_for(rbx_rwlock *lock, uint64_t timeout_ns)
{
    int err = check_free(lock, false);
    if (err < 0 || reads_at_once(lock))
        return err;
    return explain(lock, rbx_rwlock_wait_to_read(lock, rbx_wait_deadline(timeout_ns)));
}

static inline bool nobody_reads(const rbx_rwlock *lock)
{
    for (uint32_t i = 0, used = rbx_rwlock_used(lock); i < used; i++)
        if (rbx_state_does(rbx_load_seq_cst(&lock->seats[i].state)) == RBX_RW_READING) /* D, R */
            return false;
    return true;
}

/* 0: it is in; 1: somebody writes; 2: this one has the turn, but somebody reads. */
enum at_once { IN, NO_TURN, READERS };

static inline enum at_once writes_at_once(rbx_rwlock *lock)
{
    uint64_t turn = 0;
    if (__builtin_expect(!rbx_swap_if_seq_cst(&lock->shared->turn, &turn, lock->me), 0)) /* D, T */
        return NO_TURN;
    if (__builtin_expect(!nobody_reads(lock), 0))
        return READERS;
    /* K: relaxed, as only who finds this handle dead needs to see it. */
    rbx_store_relaxed(&lock->own->state, lock->tag | RBX_RW_WRITING);
    rbx_compiler_barrier();
    lock->held = RBX_RW_HOLDS_WRITE;
    return IN;
}

static int write_until(rbx_rwlock *lock, enum at_once met, uint64_t deadline)
{
    return explain(lock, met == READERS ? rbx_rwlock_wait_for_readers(lock, deadline)
                                        : rbx_rwlock_wait_to_write(lock, deadline));
}

int rbx_rwlock_write(rbx_rwlock *lock)
{
    int err = check_free(lock, true);
    if (err < 0)
        return err;
    enum at_once met = writes_at_once(lock);
    return met == IN ? 0 : write_until(lock, met, RBX_FOREVER);
}

int rbx_rwlock_try_write(rbx_rwlock *lock)
{
    int err = check_free(lock, true);
    if (err < 0)
        return err;
    /* So that no reader is held up by a try that cannot succeed. */
    if (!nobody_reads(lock) && rbx_rwlock_has_readers(lock))
        return explain(lock, -EBUSY);
    enum at_once met = writes_at_once(lock);
    return met == IN ? 0 : write_until(lock, met, RBX_RW_AT_ONCE);
}

int rbx_rwlock_write_for(rbx_rwlock *lock, uint64_t timeout_ns)
{
    int err = check_free(lock, true);
    if (err < 0)
        return err;
    enum at_once met = writes_at_once(lock);
    return met == IN ? 0 : write_until(lock, met, rbx_wait_deadline(timeout_ns));
}

static __attribute__((cold)) int holds_nothing(const rbx_rwlock *lock)
{
    return rbx_fail(-EPERM, "this handle does not hold rwlock '%s'",
                    rbx_object_name(&lock->object));
}

int rbx_rwlock_unlock(rbx_rwlock *lock)
{
    int err = rbx_object_check(&lock->object);
    if (err < 0)
        return err;
    enum rbx_rwlock_held held = lock->held;
    lock->held = RBX_RW_HOLDS_NOTHING;
    if (held == RBX_RW_HOLDS_READ) {
        rbx_rwlock_stop_reading(lock);
        return 0;
    }
    if (held == RBX_RW_HOLDS_NOTHING)
        return holds_nothing(lock);
    /* K: after the last change, before anything that makes way for others. */
    rbx_store_release(&lock->own->state, lock->tag | RBX_RW_IDLE);
    uint64_t turn = lock->me;
    if (__builtin_expect(rbx_swap_if_seq_cst(&lock->shared->turn, &turn, 0), 1)) /* T */
        return 0;
    return explain(lock, rbx_rwlock_hand_over(lock, true));
}

int rbx_rwlock_consistent(rbx_rwlock *lock)
{
    int err = rbx_object_check(&lock->object);
    if (err < 0)
        return err;
    const char *name = rbx_object_name(&lock->object);
    if (lock->held == RBX_RW_HOLDS_READ)
        return rbx_fail(-EPERM, "this handle holds rwlock '%s' for reading: a writer puts it right",
                        name);
    if (lock->held == RBX_RW_HOLDS_NOTHING)
        return holds_nothing(lock);
    if (!(rbx_and_seq_cst(&lock->shared->turn, ~RBX_TURN_BROKEN) & RBX_TURN_BROKEN))
        return rbx_fail(-EINVAL, "no writer has died with rwlock '%s'", name);
    return 0;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void describe_seat(const rbx_rwlock *lock, const struct rbx_rwlock_seat *seat,
                          rbx_rwlock_info *info)
{
    if (!rbx_sync_seat_is_open(&seat->who))
        return;
    bool is_dead = seat != lock->own && rbx_sync_seat_dead(&lock->object, &seat->who) != 0;
    enum rbx_rwlock_does does = rbx_state_does(rbx_load_acquire(&seat->state)); /* R, G */
    info->open++;
    info->dead += is_dead;
    info->suspects += seat != lock->own && rbx_sync_seat_suspect(&lock->object, &seat->who);
    info->readers += does == RBX_RW_READING && !is_dead;
    info->waiting_readers += does == RBX_RW_WAITING && !is_dead;
}

int rbx_rwlock_describe(const rbx_rwlock *lock, rbx_rwlock_info *info)
{
    *info = (rbx_rwlock_info){0};
    int err = rbx_object_check(&lock->object);
    if (err < 0)
        return err;
    uint64_t turn = rbx_load_acquire(&lock->shared->turn); /* T */
    info->seats = lock->count;
    info->used = rbx_rwlock_used(lock);
    info->broken = turn & RBX_TURN_BROKEN;
    info->lost = turn & RBX_TURN_LOST;
    info->waiting_writers = turn & RBX_TURN_WRITERS_WAIT;
    for (uint32_t i = 0; i < info->used; i++)
        describe_seat(lock, &lock->seats[i], info);
    if (rbx_turn_is_free(turn) || rbx_turn_seat(turn) >= lock->count)
        return 0;
    const struct rbx_rwlock_seat *seat = &lock->seats[rbx_turn_seat(turn)];
    info->writing = rbx_state_does(rbx_load_acquire(&seat->state)) == RBX_RW_WRITING; /* K */
    info->draining = !info->writing;
    info->writer = (int)rbx_load_relaxed(&seat->who.pid); /* relaxed: for people */
    return 0;
}
