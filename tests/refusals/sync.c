/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync.c: what processes synchronise by, while the system refuses one call after the other. */
#include "refusals.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

/* In a box of the program's own, where one is attached to it. */
static int in_a_box(int (*init)(void *, size_t), int (*use)(rbx_box *, void *, size_t))
{
    rbx_box *box;
    int err = rbx_box_open(&box, OWN_NAME, &(rbx_box_options){.size = 65536});
    if (err < 0)
        return err;
    err = init(rbx_box_data(box), 65536);
    if (err == 0)
        err = use(box, rbx_box_data(box), 65536);
    return first(err, rbx_box_close(box));
}

static int use_mutex(rbx_mutex *mutex)
{
    int err = rbx_mutex_lock(mutex);
    if (err == 0)
        err = rbx_mutex_unlock(mutex);
    return first(err, rbx_mutex_close(mutex));
}

static int mutex(void)
{
    rbx_mutex *one, *two;
    int err = rbx_mutex_open(&one, OWN_NAME, &(rbx_mutex_options){.inherit_priority = true});
    if (err < 0)
        return err;
    err = rbx_mutex_open(&two, OWN_NAME, NULL);
    if (err == 0)
        err = use_mutex(two);
    err = first(err, use_mutex(one));
    int third = rbx_mutex_open(&one, NULL, NULL);
    return first(err, third < 0 ? third : use_mutex(one));
}

static int init_mutex(void *memory, size_t size)
{
    return rbx_mutex_init(memory, size, NULL);
}

static int attach_mutex(rbx_box *box, void *memory, size_t size)
{
    rbx_mutex *made;
    int err = rbx_mutex_attach(&made, box, memory, size);
    return err < 0 ? err : use_mutex(made);
}

static int attached_mutex(void)
{
    return in_a_box(init_mutex, attach_mutex);
}

static int use_rwlock(rbx_rwlock *lock)
{
    rbx_rwlock_info info;
    int err = rbx_rwlock_read(lock);
    if (err == 0)
        err = rbx_rwlock_unlock(lock);
    if (err == 0)
        err = rbx_rwlock_write(lock);
    if (err == 0)
        err = rbx_rwlock_unlock(lock);
    err = first(err, rbx_rwlock_describe(lock, &info));
    return first(err, rbx_rwlock_close(lock));
}

static int rwlock(void)
{
    rbx_rwlock *one, *two;
    int err = rbx_rwlock_open(&one, OWN_NAME, NULL);
    if (err < 0)
        return err;
    err = rbx_rwlock_open(&two, OWN_NAME, NULL);
    if (err == 0)
        err = use_rwlock(two);
    err = first(err, use_rwlock(one));
    int third = rbx_rwlock_open(&one, NULL, NULL);
    return first(err, third < 0 ? third : use_rwlock(one));
}

static int init_rwlock(void *memory, size_t size)
{
    return rbx_rwlock_init(memory, size, NULL);
}

static int attach_rwlock(rbx_box *box, void *memory, size_t size)
{
    rbx_rwlock *made;
    int err = rbx_rwlock_attach(&made, box, memory, size);
    return err < 0 ? err : use_rwlock(made);
}

static int attached_rwlock(void)
{
    return in_a_box(init_rwlock, attach_rwlock);
}

static int use_event(rbx_event *event)
{
    int err = rbx_event_set(event);
    if (err == 0)
        err = rbx_event_is_set(event);
    if (err >= 0)
        err = rbx_event_wait_for(event, RBX_FOREVER);
    if (err == 0 && rbx_event_wait_for(event, 1000) == 0)
        err = -EPROTO;
    err = first(err, rbx_event_reset(event));
    return first(err, rbx_event_close(event));
}

static int event(void)
{
    rbx_event *one, *two;
    int err = rbx_event_open(&one, OWN_NAME, &(rbx_event_options){.spin_ns = RBX_NO_SPIN});
    if (err < 0)
        return err;
    err = rbx_event_open(&two, OWN_NAME, NULL);
    if (err == 0)
        err = use_event(two);
    err = first(err, use_event(one));
    int third = rbx_event_open(&one, NULL, NULL);
    return first(err, third < 0 ? third : use_event(one));
}

static int init_event(void *memory, size_t size)
{
    return rbx_event_init(memory, size, NULL);
}

static int attach_event(rbx_box *box, void *memory, size_t size)
{
    rbx_event *made;
    int err = rbx_event_attach(&made, box, memory, size);
    return err < 0 ? err : use_event(made);
}

static int attached_event(void)
{
    return in_a_box(init_event, attach_event);
}

static int fd_event(void)
{
    int ends[2];
    rbx_event *made, *received;
    int err = rbx_event_open(&made, NULL, &(rbx_event_options){.how = RBX_EVENT_FD});
    if (err < 0)
        return err;
    int fd = dup(rbx_event_fd(made));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    err = rbx_event_send(ends[0], made);
    if (err == 0)
        err = rbx_event_recv(ends[1], &received);
    if (err == 0)
        err = use_event(received);
    int adopted = rbx_event_from_fd(&received, fd, &(rbx_event_options){.set = true});
    if (adopted < 0)
        close(fd);
    else
        adopted = use_event(received);
    close(ends[0]);
    close(ends[1]);
    return first(first(err, adopted), use_event(made));
}

static int use_sem(rbx_sem *sem)
{
    rbx_sem_info info;
    int err = rbx_sem_wait(sem, 0, RBX_SEM_UNDO);
    if (err == 0)
        err = rbx_sem_done(sem, 0);
    if (err == 0)
        err = rbx_sem_take(sem, 0, 2, 0, RBX_FOREVER);
    if (err == 0)
        err = rbx_sem_give(sem, 0, 2);
    if (err == 0)
        err = rbx_sem_add(sem, 1, 1);
    if (err == 0)
        err = rbx_sem_wait(sem, 1, 0);
    if (err == 0)
        err = rbx_sem_value(sem, 0);
    err = first(err, rbx_sem_describe(sem, &info));
    return first(err, rbx_sem_close(sem));
}

static int sem_of(const char *name, const rbx_sem_options *options)
{
    rbx_sem *one, *two;
    int err = rbx_sem_open(&one, name, options);
    if (err < 0)
        return err;
    err = rbx_sem_open(&two, name, options);
    if (err == 0)
        err = use_sem(two);
    return first(err, use_sem(one));
}

static int sem(void)
{
    return first(sem_of(OWN_NAME, &(rbx_sem_options){.count = 2, .initial = 2}),
                 sem_of(NULL, &(rbx_sem_options){.count = 2, .initial = 2}));
}

static int init_sem(void *memory, size_t size)
{
    return rbx_sem_init(memory, size, &(rbx_sem_options){.count = 2, .initial = 2});
}

static int attach_sem(rbx_box *box, void *memory, size_t size)
{
    rbx_sem *made;
    int err = rbx_sem_attach(&made, box, memory, size);
    return err < 0 ? err : use_sem(made);
}

static int attached_sem(void)
{
    return in_a_box(init_sem, attach_sem);
}

static int change(void *value, size_t size, void *arg)
{
    (void)arg;
    memset(value, 1, size);
    return 0;
}

static int look(const void *value, size_t size, void *arg)
{
    (void)value, (void)size, (void)arg;
    return 0;
}

static int use_cell(rbx_cell *cell)
{
    uint64_t value[8];
    int err = rbx_cell_change(cell, change, NULL);
    if (err == 0)
        err = rbx_cell_read(cell, look, NULL);
    if (err == 0)
        err = rbx_cell_snapshot(cell, value);
    return first(err, rbx_cell_close(cell));
}

static int cell(void)
{
    rbx_cell *one, *two;
    int err = rbx_cell_open(&one, OWN_NAME, 64, NULL, NULL);
    if (err < 0)
        return err;
    err = rbx_cell_open(&two, OWN_NAME, 64, NULL, NULL);
    if (err == 0)
        err = use_cell(two);
    err = first(err, use_cell(one));
    int third = rbx_cell_open(&one, NULL, 64, NULL, NULL);
    return first(err, third < 0 ? third : use_cell(one));
}

static int init_cell(void *memory, size_t size)
{
    return rbx_cell_init(memory, size, 64, NULL, NULL);
}

static int attach_cell(rbx_box *box, void *memory, size_t size)
{
    rbx_cell *made;
    int err = rbx_cell_attach(&made, box, memory, size, 64, NULL);
    return err < 0 ? err : use_cell(made);
}

static int attached_cell(void)
{
    return in_a_box(init_cell, attach_cell);
}

static int sysv_sem(void)
{
    const rbx_sem_options options = {
        .count = 2, .initial = 2, .remove = true, .box = {.backing = RBX_SYSV}};
    rbx_sem *one;
    int err = rbx_sem_open(&one, OWN_KEY, &options);
    return err < 0 ? err : use_sem(one);
}

const struct act sync_acts[] = {
    {"a mutex", mutex},
    {"a mutex in a box", attached_mutex},
    {"a read-write lock", rwlock},
    {"a read-write lock in a box", attached_rwlock},
    {"an event", event},
    {"an event in a box", attached_event},
    {"an event with a descriptor", fd_event},
    {"semaphores", sem},
    {"semaphores in a box", attached_sem},
    {"a cell", cell},
    {"a cell in a box", attached_cell},
    {"System V semaphores", sysv_sem},
};
const size_t sync_act_count = sizeof sync_acts / sizeof *sync_acts;
