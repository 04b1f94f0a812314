/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sysv.c: a set that other programs use by semget and semop. The kernel keeps its units, and knows
   what each process is to have undone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../box/life.h"
#include "../box/name.h"
#include "../error.h"
#include "../os/clock.h"
#include "../os/sysvsem.h"
#include "../wait.h"
#include "handle.h"

/* ---- opening ------------------------------------------------------------------------------- */

static int check_options(const char *key, const rbx_box_options *box)
{
    if ((unsigned)box->how > RBX_OPEN_ONLY)
        return rbx_fail(-EINVAL, "semaphore '%s': there is no way to open it number %d", key,
                        (int)box->how);
    if (box->policy != RBX_OWNER_UNLINKS && box->policy != RBX_KEEP)
        return rbx_fail(-ENOTSUP,
                        "who uses the System V semaphore '%s' nobody knows: it is kept, or, with "
                        ".remove, goes when this handle is closed",
                        key);
    if ((box->mode & ~0666U) || (box->mode && (box->mode & 0600) != 0600))
        return rbx_fail(-EINVAL,
                        "semaphore '%s': mode 0%o is not 0600 and perhaps reading and writing for "
                        "others",
                        key, box->mode);
    if (box->size || box->tag || box->raw || box->init || box->read_only)
        return rbx_fail(-EINVAL,
                        "semaphore '%s': size, tag, raw, init and read_only are not for a System V "
                        "set",
                        key);
    return 0;
}

static int cannot_open(int err, const char *key)
{
    switch (err) {
    case -ENOENT:
        return rbx_fail(err, "there is no System V semaphore '%s'", key);
    case -EEXIST:
        return rbx_fail(
            err, "System V semaphore '%s' exists already; RBX_OPEN_OR_CREATE would join it", key);
    default:
        return rbx_fail(err, "cannot open the System V semaphore '%s': %m", key);
    }
}

static int make(rbx_sem *sem, int32_t key, const rbx_sem_options *options)
{
    uint32_t members = options->count ? options->count : 1;
    uint16_t *values = calloc(members, sizeof *values);
    if (!values)
        return -ENOMEM;
    for (uint32_t i = 0; i < members; i++) /* checked to be in range */
        values[i] = (uint16_t)(options->values ? options->values[i] : options->initial);
    unsigned mode = options->box.mode ? options->box.mode : 0600;
    int err = rbx_sysvsem_create(key, members, mode, &sem->id);
    if (err == 0) {
        sem->members = members;
        err = rbx_sysvsem_set_all(sem->id, values);
        if (err < 0)
            rbx_sysvsem_remove(sem->id);
    }
    free(values);
    return err;
}

/* Whoever makes a set gives it its values later: only the first semop says that it has. */
static int wait_for_values(int32_t id, struct rbx_sysvsem_facts *facts)
{
    const uint64_t pause_ns = 1000000, deadline = rbx_wait_deadline(RBX_PATIENCE_NS);
    for (;;) {
        int err = rbx_sysvsem_look(id, facts);
        if (err < 0 || facts->used)
            return err;
        if (rbx_clock_monotonic() >= deadline)
            return -EBUSY;
        rbx_clock_pause(pause_ns);
    }
}

static int join(rbx_sem *sem, int32_t key, const rbx_sem_options *options)
{
    struct rbx_sysvsem_facts facts = {0};
    int err = rbx_sysvsem_find(key, &sem->id);
    if (err == 0)
        err = options->box.how == RBX_OPEN_ONLY ? rbx_sysvsem_look(sem->id, &facts)
                                                : wait_for_values(sem->id, &facts);
    if (err < 0)
        return err == -EIDRM ? -ENOENT : err;
    sem->members = facts.members;
    return 0;
}

static int open_or_make(rbx_sem *sem, int32_t key, const rbx_sem_options *options)
{
    switch (options->box.how) {
    case RBX_CREATE_ONLY:
        return make(sem, key, options);
    case RBX_OPEN_ONLY:
        return join(sem, key, options);
    default:
        break;
    }
    enum { ROUNDS = 100 }; /* each is owed to somebody who has made or removed it just then */
    for (int round = 0; round < ROUNDS; round++) {
        int err = join(sem, key, options);
        if (err != -ENOENT)
            return err;
        err = make(sem, key, options);
        if (err != -EEXIST)
            return err;
    }
    return -EBUSY;
}

static int check_values(const char *key, const rbx_sem_options *options)
{
    uint32_t members = options->count ? options->count : 1;
    for (uint32_t i = 0; i < members; i++) {
        uint32_t value = options->values ? options->values[i] : options->initial;
        if (value > RBX_SYSVSEM_VALUE_MAX)
            return rbx_fail(-EINVAL,
                            "a member of the System V semaphore '%s' cannot have %u units: %d is "
                            "the most",
                            key, value, RBX_SYSVSEM_VALUE_MAX);
    }
    return 0;
}

int rbx_sem_sysv_open(rbx_sem *sem, const char *key, const rbx_sem_options *options)
{
    struct rbx_name name = {.backing = RBX_SYSV};
    int err = check_options(key, &options->box);
    if (err == 0)
        err = check_values(key, options);
    if (err == 0)
        err = rbx_name_parse(&name, key, RBX_SYSV, false);
    if (err < 0)
        return err;
    err = open_or_make(sem, name.key, options);
    sem->name = strdup(key);
    rbx_name_free(&name);
    if (err == -EBUSY)
        return rbx_fail(
            err,
            "whoever made the System V semaphore '%s' has not given it its first values "
            "yet; RBX_OPEN_ONLY joins it all the same",
            key);
    if (err < 0 || !sem->name)
        return cannot_open(err < 0 ? err : -ENOMEM, key);
    if (options->count && options->count != sem->members)
        return rbx_fail(-EPROTO, "semaphore '%s' has %u members; this program asked for %u", key,
                        sem->members, options->count);
    sem->remove = options->remove;
    return 0;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static int cannot(const rbx_sem *sem, int err, uint32_t index, uint32_t n, uint64_t deadline)
{
    switch (err) {
    case 0:
        return 0;
    case -EAGAIN:
        return rbx_sem_too_few(sem, index, n, deadline);
    case -EINTR:
        return rbx_sem_interrupted(sem, index);
    case -ERANGE:
        return rbx_sem_too_many(sem, index, n, RBX_SYSVSEM_VALUE_MAX);
    case -EIDRM:
        return rbx_fail(-ESTALE, "the System V semaphore '%s' has been removed", sem->name);
    default:
        return rbx_fail(err, "cannot use the System V semaphore '%s': %m", sem->name);
    }
}

static int sysv_add(rbx_sem *sem, uint32_t index, uint32_t n)
{
    int err = n > RBX_SYSVSEM_VALUE_MAX
                  ? -ERANGE
                  : rbx_sysvsem_change(sem->id, index, (int)n, false, RBX_FOREVER);
    return cannot(sem, err, index, n, RBX_FOREVER);
}

static int sysv_take(rbx_sem *sem, uint32_t index, uint32_t n, bool undo, uint64_t deadline)
{
    if (n > RBX_SYSVSEM_VALUE_MAX)
        return rbx_fail(-EINVAL,
                        "nobody can take %u units of the System V semaphore '%s' at once: a member "
                        "has %d at most",
                        n, sem->name, RBX_SYSVSEM_VALUE_MAX);
    int err = rbx_sysvsem_change(sem->id, index, -(int)n, undo, deadline);
    if (err < 0)
        return cannot(sem, err, index, n, deadline);
    rbx_sem_count(sem, index, rbx_sem_all(n, undo));
    return 0;
}

/* Off the count first, so that of two threads that give back one unit only one can. */
static int sysv_give(rbx_sem *sem, uint32_t index, uint32_t n)
{
    struct rbx_sem_parts parts;
    int err = rbx_sem_claim(sem, index, n, &parts);
    if (err < 0)
        return err;
    err = n > RBX_SYSVSEM_VALUE_MAX
              ? -ERANGE
              : rbx_sysvsem_give(sem->id, index, (int)parts.undo, (int)parts.plain);
    if (err < 0)
        rbx_sem_count(sem, index, parts);
    return cannot(sem, err, index, n, RBX_FOREVER);
}

static int sysv_wait_zero(rbx_sem *sem, uint32_t index, uint64_t deadline)
{
    return cannot(sem, rbx_sysvsem_change(sem->id, index, 0, false, deadline), index, 0, deadline);
}

static int sysv_value(rbx_sem *sem, uint32_t index)
{
    int value = rbx_sysvsem_value(sem->id, index);
    return value < 0 ? cannot(sem, value, index, 0, 0) : value;
}

static int sysv_describe(rbx_sem *sem, rbx_sem_info *info)
{
    (void)info;
    struct rbx_sysvsem_facts facts = {0};
    return cannot(sem, rbx_sysvsem_look(sem->id, &facts), 0, 0, 0);
}

/* The kernel gives back what its process has taken when that ends; of a handle that ends sooner we
   do. What finds no room, or no set, stays with the kernel. */
static void give_all(const rbx_sem *sem)
{
    for (uint32_t i = 0; i < sem->members; i++) {
        uint32_t undo = atomic_load_explicit(&sem->taken[i].undo, memory_order_relaxed);
        if (undo > 0)
            (void)rbx_sysvsem_give(sem->id, i, (int)undo, 0);
    }
}

static int sysv_close(rbx_sem *sem)
{
    give_all(sem);
    int err = sem->remove ? rbx_sysvsem_remove(sem->id) : 0;
    return cannot(sem, err == -EIDRM ? 0 : err, 0, 0, 0);
}

const struct rbx_sem_kind rbx_sem_sysv = {
    .add = sysv_add,
    .take = sysv_take,
    .give = sysv_give,
    .wait_zero = sysv_wait_zero,
    .value = sysv_value,
    .describe = sysv_describe,
    .close = sysv_close,
};
