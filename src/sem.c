/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/sem.h>

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "os/fd.h"
#include "os/mutex.h"
#include "sem/handle.h"
#include "sem/set.h"
#include "wait.h"

/* ---- sentences ----------------------------------------------------------------------------- */

const char *rbx_sem_name(const rbx_sem *sem)
{
    return sem->name ? sem->name : rbx_object_name(&sem->object);
}

int rbx_sem_too_few(const rbx_sem *sem, uint32_t index, uint32_t n, uint64_t deadline)
{
    const char *name = rbx_sem_name(sem);
    if (n == 0)
        return rbx_fail(-ETIMEDOUT,
                        "member %u of semaphore '%s' had units for as long as this one would wait",
                        index, name);
    if (deadline == 0)
        return rbx_fail(-EAGAIN, "member %u of semaphore '%s' has fewer than %u units", index, name,
                        n);
    return rbx_fail(-ETIMEDOUT,
                    "member %u of semaphore '%s' had fewer than %u units for as long as this one "
                    "would wait",
                    index, name, n);
}

int rbx_sem_interrupted(const rbx_sem *sem, uint32_t index)
{
    return rbx_fail(-EINTR, "a signal came while this one waited for member %u of semaphore '%s'",
                    index, rbx_sem_name(sem));
}

int rbx_sem_too_many(const rbx_sem *sem, uint32_t index, uint32_t n, uint32_t most)
{
    return rbx_fail(-EOVERFLOW,
                    "with %u units more, member %u of semaphore '%s' or a handle on it would have "
                    "more than %u",
                    n, index, rbx_sem_name(sem), most);
}

/* ---- what a handle has taken --------------------------------------------------------------- */

int rbx_sem_claim(rbx_sem *sem, uint32_t index, uint32_t n, struct rbx_sem_parts *parts)
{
    struct rbx_sem_taken *taken = &sem->taken[index];
    uint32_t undo = atomic_load_explicit(&taken->undo, memory_order_relaxed);
    do
        parts->undo = undo < n ? undo : n;
    while (!atomic_compare_exchange_weak_explicit(&taken->undo, &undo, undo - parts->undo,
                                                  memory_order_relaxed, memory_order_relaxed));
    parts->plain = n - parts->undo;
    uint64_t plain = atomic_load_explicit(&taken->plain, memory_order_relaxed);
    do
        if (plain < parts->plain) {
            rbx_sem_count(sem, index, (struct rbx_sem_parts){.undo = parts->undo});
            return rbx_fail(-EPERM,
                            "this handle has not taken %u units of member %u of semaphore '%s'; "
                            "rbx_sem_add puts new ones in",
                            n, index, rbx_sem_name(sem));
        }
    while (!atomic_compare_exchange_weak_explicit(&taken->plain, &plain, plain - parts->plain,
                                                  memory_order_relaxed, memory_order_relaxed));
    return 0;
}

void rbx_sem_count(rbx_sem *sem, uint32_t index, struct rbx_sem_parts parts)
{
    atomic_fetch_add_explicit(&sem->taken[index].undo, parts.undo, memory_order_relaxed);
    atomic_fetch_add_explicit(&sem->taken[index].plain, parts.plain, memory_order_relaxed);
}

/* ---- opening and closing ------------------------------------------------------------------- */

enum { MEMBERS, SEATS }; /* the details of its shape */

/* With its defaults. */
static rbx_sem_options filled_in(const rbx_sem_options *options)
{
    rbx_sem_options wanted = options ? *options : (rbx_sem_options){.count = 0};
    if (!wanted.count)
        wanted.count = 1;
    if (!wanted.seats)
        wanted.seats = RBX_SEM_SEATS;
    return wanted;
}

/* Of options that are filled in. */
static int check_options(const rbx_sem_options *wanted)
{
    if (wanted->count > RBX_SEM_MEMBERS_MAX)
        return rbx_fail(-EINVAL, "a semaphore cannot have %u members: %u is the most",
                        wanted->count, RBX_SEM_MEMBERS_MAX);
    if (wanted->seats > RBX_SEM_SEATS_MAX)
        return rbx_fail(-EINVAL, "a semaphore cannot have %u seats: %u is the most", wanted->seats,
                        RBX_SEM_SEATS_MAX);
    for (uint32_t i = 0; i < wanted->count; i++) {
        uint32_t value = wanted->values ? wanted->values[i] : wanted->initial;
        if (value > RBX_SEM_MAX)
            return rbx_fail(-EINVAL, "a semaphore cannot have %u units: %u is the most", value,
                            RBX_SEM_MAX);
    }
    return 0;
}

static int format(void *memory, const struct rbx_object_plan *plan)
{
    const rbx_sem_options wanted = filled_in(plan->options);
    struct rbx_sem_set *set = memory;
    for (uint32_t i = 0; i < wanted.count; i++) /* relaxed: nobody sees it yet */
        rbx_store_relaxed(&set->members[i].value,
                          wanted.values ? wanted.values[i] : wanted.initial);
    int err = rbx_os_mutex_init(&set->lock, false);
    return err < 0 ? rbx_fail(err, "cannot make the lock of a semaphore: %m") : 0;
}

static int check(const struct rbx_object_shape *shape, const struct rbx_object_plan *plan,
                 const char *name)
{
    static const char *const what[] = {"members", "seats"};
    static const uint64_t most[] = {RBX_SEM_MEMBERS_MAX, RBX_SEM_SEATS_MAX};
    const rbx_sem_options *options = plan->options;
    const uint64_t asked[] = {options ? options->count : 0, options ? options->seats : 0};
    for (int i = MEMBERS; i <= SEATS; i++)
        if (shape->detail[i] == 0 || shape->detail[i] > most[i])
            return rbx_fail(-EPROTO, "the header of semaphore '%s' is damaged", name);
    if (shape->flags || shape->size != rbx_sem_set_size((uint32_t)shape->detail[MEMBERS],
                                                        (uint32_t)shape->detail[SEATS]))
        return rbx_fail(-EPROTO, "the header of semaphore '%s' is damaged", name);
    for (int i = MEMBERS; i <= SEATS; i++)
        if (asked[i] && asked[i] != shape->detail[i])
            return rbx_fail(-EPROTO, "semaphore '%s' has %u %s; this program asked for %u", name,
                            (unsigned)shape->detail[i], what[i], (unsigned)asked[i]);
    return 0;
}

/* Of options that have been checked. */
static struct rbx_object_plan plan_for(const rbx_sem_options *options)
{
    const rbx_sem_options wanted = filled_in(options);
    return (struct rbx_object_plan){.noun = "semaphore",
                                    .shape = {.kind = RBX_OBJECT_SEM,
                                              .detail = {wanted.count, wanted.seats},
                                              .size = rbx_sem_set_size(wanted.count, wanted.seats)},
                                    .has_seats = true,
                                    .options = options,
                                    .format = format,
                                    .check = check};
}

static rbx_sem *new_handle(const struct rbx_sem_kind *kind)
{
    rbx_sem *made = calloc(1, sizeof *made);
    if (!made) {
        rbx_fail(-ENOMEM, "cannot allocate a semaphore handle: %m");
        return NULL;
    }
    made->kind = kind;
    made->forks = rbx_fd_forks();
    made->to_wake = RBX_SEM_NONE;
    atomic_store_explicit(&made->seat, RBX_SEM_NO_SEAT, memory_order_relaxed);
    return made;
}

static void free_handle(rbx_sem *sem)
{
    free(sem->taken);
    free(sem->name);
    free(sem);
}

/* Its members are known. */
static int count_taken(rbx_sem *sem)
{
    sem->taken = calloc(sem->members, sizeof *sem->taken);
    return sem->taken ? 0 : rbx_fail(-ENOMEM, "cannot allocate a semaphore handle: %m");
}

static int finish_shared(rbx_sem **sem, rbx_sem *made, int err)
{
    if (err == 0) {
        made->members = (uint32_t)made->object.shape.detail[MEMBERS];
        made->seats = (uint32_t)made->object.shape.detail[SEATS];
        err = count_taken(made);
        if (err < 0)
            rbx_object_close(&made->object);
    }
    if (err < 0) {
        free_handle(made);
        return err;
    }
    /* If it cannot be done now, whoever waits does it. */
    (void)rbx_sem_seat_bury(made, rbx_wait_deadline(RBX_SLICE_NS));
    *sem = made;
    return 0;
}

static int open_sysv(rbx_sem **sem, const char *key, const rbx_sem_options *options)
{
    rbx_sem *made = new_handle(&rbx_sem_sysv);
    if (!made)
        return -ENOMEM;
    int err = rbx_sem_sysv_open(made, key, options);
    if (err == 0)
        err = count_taken(made);
    if (err < 0)
        free_handle(made);
    else
        *sem = made;
    return err;
}

int rbx_sem_open(rbx_sem **sem, const char *name, const rbx_sem_options *options)
{
    *sem = NULL;
    const rbx_sem_options wanted = filled_in(options);
    int err = check_options(&wanted);
    if (err < 0)
        return err;
    if (name && wanted.box.backing == RBX_SYSV)
        return open_sysv(sem, name, options);
    if (wanted.remove)
        return rbx_fail(-EINVAL, ".remove is for a System V semaphore; a box has its policy");
    const struct rbx_object_plan plan = plan_for(options);
    rbx_sem *made = new_handle(&rbx_sem_shared);
    if (!made)
        return -ENOMEM;
    return finish_shared(sem, made, rbx_object_open(&made->object, name, &plan, &wanted.box));
}

size_t rbx_sem_bytes(const rbx_sem_options *options)
{
    const rbx_sem_options wanted = filled_in(options);
    return check_options(&wanted) < 0 ? 0 : (size_t)rbx_sem_set_size(wanted.count, wanted.seats);
}

int rbx_sem_init(void *memory, size_t size, const rbx_sem_options *options)
{
    const rbx_sem_options wanted = filled_in(options);
    int err = check_options(&wanted);
    if (err < 0)
        return err;
    const struct rbx_object_plan plan = plan_for(options);
    return rbx_object_init(memory, size, &plan);
}

int rbx_sem_attach(rbx_sem **sem, rbx_box *box, void *memory, size_t size)
{
    *sem = NULL;
    const struct rbx_object_plan plan = plan_for(NULL);
    rbx_sem *made = new_handle(&rbx_sem_shared);
    if (!made)
        return -ENOMEM;
    return finish_shared(sem, made, rbx_object_attach(&made->object, box, memory, size, &plan));
}

/* Whether this process opened it, rather than inherited it through fork(). */
static bool is_ours(const rbx_sem *sem)
{
    return sem->forks == rbx_fd_forks();
}

int rbx_sem_close(rbx_sem *sem)
{
    if (!sem)
        return 0;
    int err = is_ours(sem) ? sem->kind->close(sem) : 0;
    if (sem->kind == &rbx_sem_shared)
        err = rbx_object_close(&sem->object);
    free_handle(sem);
    return err;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static int check_handle(const rbx_sem *sem)
{
    return is_ours(sem)
               ? 0
               : rbx_fail(-EBADF,
                          "this handle of semaphore '%s' was inherited through fork(): the "
                          "child opens its own",
                          rbx_sem_name(sem));
}

static int check_member(const rbx_sem *sem, uint32_t index)
{
    int err = check_handle(sem);
    if (err < 0 || index < sem->members)
        return err;
    return rbx_fail(-EINVAL, "semaphore '%s' has no member %u: it has %u, counted from 0",
                    rbx_sem_name(sem), index, sem->members);
}

static int check_call(const rbx_sem *sem, uint32_t index, uint32_t n)
{
    int err = check_member(sem, index);
    if (err < 0 || (n > 0 && n <= RBX_SEM_MAX))
        return err;
    return rbx_fail(-EINVAL, "%u is no number of units of semaphore '%s': it is from 1 to %u", n,
                    rbx_sem_name(sem), RBX_SEM_MAX);
}

/* A deadline of 0 is a try. */
static int take(rbx_sem *sem, uint32_t index, uint32_t n, uint32_t flags, uint64_t deadline)
{
    int err = check_call(sem, index, n);
    if (err < 0)
        return err;
    if (flags & ~RBX_SEM_UNDO)
        return rbx_fail(-EINVAL, "there are no such flags of a semaphore as 0x%x", flags);
    return sem->kind->take(sem, index, n, flags & RBX_SEM_UNDO, deadline);
}

int rbx_sem_wait(rbx_sem *sem, uint32_t index, uint32_t flags)
{
    return take(sem, index, 1, flags, RBX_FOREVER);
}

int rbx_sem_try_wait(rbx_sem *sem, uint32_t index, uint32_t flags)
{
    return take(sem, index, 1, flags, 0);
}

int rbx_sem_wait_for(rbx_sem *sem, uint32_t index, uint32_t flags, uint64_t timeout_ns)
{
    return take(sem, index, 1, flags, rbx_wait_deadline(timeout_ns));
}

int rbx_sem_take(rbx_sem *sem, uint32_t index, uint32_t n, uint32_t flags, uint64_t timeout_ns)
{
    return take(sem, index, n, flags, rbx_wait_deadline(timeout_ns));
}

int rbx_sem_done(rbx_sem *sem, uint32_t index)
{
    return rbx_sem_give(sem, index, 1);
}

int rbx_sem_give(rbx_sem *sem, uint32_t index, uint32_t n)
{
    int err = check_call(sem, index, n);
    return err < 0 ? err : sem->kind->give(sem, index, n);
}

int rbx_sem_add(rbx_sem *sem, uint32_t index, uint32_t n)
{
    int err = check_call(sem, index, n);
    return err < 0 ? err : sem->kind->add(sem, index, n);
}

int rbx_sem_wait_zero(rbx_sem *sem, uint32_t index, uint64_t timeout_ns)
{
    uint64_t deadline = rbx_wait_deadline(timeout_ns);
    int err = check_member(sem, index);
    return err < 0 ? err : sem->kind->wait_zero(sem, index, deadline);
}

int rbx_sem_value(rbx_sem *sem, uint32_t index)
{
    int err = check_member(sem, index);
    return err < 0 ? err : sem->kind->value(sem, index);
}

int rbx_sem_describe(rbx_sem *sem, rbx_sem_info *info)
{
    *info = (rbx_sem_info){.members = sem->members};
    int err = check_handle(sem);
    return err < 0 ? err : sem->kind->describe(sem, info);
}
