/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/mutex.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "error.h"
#include "os/mutex.h"
#include "sync/object.h"
#include "wait.h"

struct rbx_mutex {
    struct rbx_object object;
    struct rbx_os_mutex *shared;
    /* Which thread of this process holds it through this handle, by its number, or 0. Only the
       holder writes it. Relaxed: its own number is what a thread looks for, and a close that races
       with a lock is the caller's mistake. */
    _Atomic uint64_t holder;
};

/* A thread's number, which no other ever has, as that of one that has died with the mutex stays in
   `holder`. Found without a call, which would cost as much as the rest of what this adds to the C
   library. */
static _Thread_local uint64_t number __attribute__((tls_model("initial-exec")));
static _Atomic uint64_t numbers;

static inline uint64_t self(void)
{
    if (__builtin_expect(number == 0, 0))
        number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    return number;
}

struct body {
    struct rbx_os_mutex mutex;
};

_Static_assert(sizeof(struct rbx_object_header) + sizeof(struct body) == RBX_MUTEX_BYTES, "layout");

enum { INHERITS_PRIORITY = 1 };

static int format(void *memory, const struct rbx_object_plan *plan)
{
    struct body *body = (void *)((char *)memory + sizeof(struct rbx_object_header));
    int err = rbx_os_mutex_init(&body->mutex, plan->shape.flags & INHERITS_PRIORITY);
    return err < 0 ? rbx_fail(err, "cannot make a mutex: %m") : 0;
}

static int check(const struct rbx_object_shape *shape, const struct rbx_object_plan *plan,
                 const char *name)
{
    if (shape->size < RBX_MUTEX_BYTES || shape->flags & ~(uint32_t)INHERITS_PRIORITY)
        return rbx_fail(-EPROTO, "the header of mutex '%s' is damaged", name);
    if (plan->shape.flags & ~shape->flags)
        return rbx_fail(-EPROTO, "mutex '%s' does not inherit priorities, as this program asked",
                        name);
    return 0;
}

static struct rbx_object_plan plan_for(const rbx_mutex_options *options)
{
    bool inherits = options && options->inherit_priority;
    return (struct rbx_object_plan){.noun = "mutex",
                                    .shape = {.kind = RBX_OBJECT_MUTEX,
                                              .flags = inherits ? INHERITS_PRIORITY : 0,
                                              .size = RBX_MUTEX_BYTES},
                                    .format = format,
                                    .check = check};
}

/* A handle, whose object is still to be opened; NULL: no memory. */
static rbx_mutex *new_handle(void)
{
    rbx_mutex *made = calloc(1, sizeof *made);
    if (!made)
        rbx_fail(-ENOMEM, "cannot allocate a mutex handle: %m");
    return made;
}

static int finish(rbx_mutex **mutex, rbx_mutex *made, int err)
{
    if (err < 0) {
        free(made);
        return err;
    }
    made->shared = &((struct body *)rbx_object_body(&made->object))->mutex;
    *mutex = made;
    return 0;
}

int rbx_mutex_open(rbx_mutex **mutex, const char *name, const rbx_mutex_options *options)
{
    *mutex = NULL;
    const struct rbx_object_plan plan = plan_for(options);
    const rbx_box_options defaults = {.policy = RBX_LAST_ONE_OUT};
    rbx_mutex *made = new_handle();
    if (!made)
        return -ENOMEM;
    return finish(mutex, made,
                  rbx_object_open(&made->object, name, &plan, options ? &options->box : &defaults));
}

int rbx_mutex_init(void *memory, size_t size, const rbx_mutex_options *options)
{
    const struct rbx_object_plan plan = plan_for(options);
    return rbx_object_init(memory, size, &plan);
}

int rbx_mutex_attach(rbx_mutex **mutex, rbx_box *box, void *memory, size_t size)
{
    *mutex = NULL;
    const struct rbx_object_plan plan = plan_for(NULL);
    rbx_mutex *made = new_handle();
    if (!made)
        return -ENOMEM;
    return finish(mutex, made, rbx_object_attach(&made->object, box, memory, size, &plan));
}

int rbx_mutex_close(rbx_mutex *mutex)
{
    if (!mutex)
        return 0;
    if (rbx_object_is_ours(&mutex->object) &&
        atomic_load_explicit(&mutex->holder, memory_order_relaxed))
        return rbx_fail(-EBUSY, "mutex '%s' is held by a thread of this process",
                        rbx_object_name(&mutex->object));
    int err = rbx_object_close(&mutex->object);
    free(mutex);
    return err;
}

/* Why a lock was not had. */
static int refused(const rbx_mutex *mutex, int err)
{
    const char *name = rbx_object_name(&mutex->object);
    switch (err) {
    case -EBUSY:
        return rbx_fail(err, "mutex '%s' is held by another", name);
    case -ETIMEDOUT:
        return rbx_fail(err, "mutex '%s' was held by others for as long as this one would wait",
                        name);
    case -EDEADLK:
        return rbx_fail(err, "this thread holds mutex '%s' already", name);
    case -ENOTRECOVERABLE:
        return rbx_fail(err,
                        "mutex '%s' was unlocked after a holder's death without "
                        "rbx_mutex_consistent: what it protects is half done",
                        name);
    default:
        return rbx_fail(err, "cannot lock mutex '%s': %m", name);
    }
}

static int owner_died(const rbx_mutex *mutex)
{
    return rbx_fail(-EOWNERDEAD, "the last holder of mutex '%s' has died with it; it is held now",
                    rbx_object_name(&mutex->object));
}

static inline int answer(rbx_mutex *mutex, int err)
{
    /* Nobody has it any more, though a thread of ours may have died with it. */
    if (__builtin_expect(err == -ENOTRECOVERABLE, 0))
        atomic_store_explicit(&mutex->holder, 0, memory_order_relaxed);
    if (err < 0 && err != -EOWNERDEAD)
        return refused(mutex, err);
    atomic_store_explicit(&mutex->holder, self(), memory_order_relaxed);
    return err < 0 ? owner_died(mutex) : 0;
}

int rbx_mutex_lock(rbx_mutex *mutex)
{
    int err = rbx_object_check(&mutex->object);
    return err < 0 ? err : answer(mutex, rbx_os_mutex_lock(mutex->shared));
}

int rbx_mutex_try_lock(rbx_mutex *mutex)
{
    int err = rbx_object_check(&mutex->object);
    return err < 0 ? err : answer(mutex, rbx_os_mutex_try(mutex->shared));
}

int rbx_mutex_lock_for(rbx_mutex *mutex, uint64_t timeout_ns)
{
    uint64_t deadline = rbx_wait_deadline(timeout_ns);
    int err = rbx_object_check(&mutex->object);
    if (err < 0)
        return err;
    return answer(mutex, rbx_os_mutex_lock_until(mutex->shared, deadline));
}

/* 0 when this thread holds it through this handle. */
static inline int check_held(const rbx_mutex *mutex)
{
    int err = rbx_object_check(&mutex->object);
    if (err < 0 || atomic_load_explicit(&mutex->holder, memory_order_relaxed) == self())
        return err;
    return rbx_fail(-EPERM, "this thread does not hold mutex '%s', not through this handle",
                    rbx_object_name(&mutex->object));
}

int rbx_mutex_consistent(rbx_mutex *mutex)
{
    int err = check_held(mutex);
    if (err < 0)
        return err;
    err = rbx_os_mutex_consistent(mutex->shared);
    return err < 0
               ? rbx_fail(err, "nobody has died with mutex '%s'", rbx_object_name(&mutex->object))
               : 0;
}

int rbx_mutex_unlock(rbx_mutex *mutex)
{
    int err = check_held(mutex);
    if (err < 0)
        return err;
    atomic_store_explicit(&mutex->holder, 0, memory_order_relaxed);
    err = rbx_os_mutex_unlock(mutex->shared);
    return err < 0 ? rbx_fail(err, "cannot unlock mutex '%s': %m", rbx_object_name(&mutex->object))
                   : 0;
}
