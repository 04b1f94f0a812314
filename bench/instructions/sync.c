/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync.c: what processes synchronise by, where nobody else is in the way. */
#include "path.h"

#include <stdint.h>
#include <string.h>

static ptrdiff_t nothing(void *object, void *data)
{
    (void)object, (void)data;
    return 0;
}

static ptrdiff_t mutex_lock(void *mutex, void *data)
{
    (void)data;
    return rbx_mutex_lock(mutex);
}
static ptrdiff_t mutex_try_lock(void *mutex, void *data)
{
    (void)data;
    return rbx_mutex_try_lock(mutex);
}
static ptrdiff_t mutex_unlock(void *mutex, void *data)
{
    (void)data;
    return rbx_mutex_unlock(mutex);
}

static ptrdiff_t rwlock_read(void *lock, void *data)
{
    (void)data;
    return rbx_rwlock_read(lock);
}
static ptrdiff_t rwlock_try_read(void *lock, void *data)
{
    (void)data;
    return rbx_rwlock_try_read(lock);
}
static ptrdiff_t rwlock_write(void *lock, void *data)
{
    (void)data;
    return rbx_rwlock_write(lock);
}
static ptrdiff_t rwlock_unlock(void *lock, void *data)
{
    (void)data;
    return rbx_rwlock_unlock(lock);
}

static ptrdiff_t event_set(void *event, void *data)
{
    (void)data;
    return rbx_event_set(event);
}
static ptrdiff_t event_wait(void *event, void *data)
{
    (void)data;
    return rbx_event_wait(event);
}
static ptrdiff_t event_try_wait(void *event, void *data)
{
    (void)data;
    return rbx_event_try_wait(event);
}

static ptrdiff_t sem_add(void *sem, void *data)
{
    (void)data;
    return rbx_sem_add(sem, 0, 1);
}
static ptrdiff_t sem_wait(void *sem, void *data)
{
    (void)data;
    return rbx_sem_wait(sem, 0, 0);
}
static ptrdiff_t sem_wait_undo(void *sem, void *data)
{
    (void)data;
    return rbx_sem_wait(sem, 0, RBX_SEM_UNDO);
}
static ptrdiff_t sem_done(void *sem, void *data)
{
    (void)data;
    return rbx_sem_done(sem, 0);
}

static int read_word(const void *value, size_t size, void *arg)
{
    (void)size;
    memcpy(arg, value, sizeof(uint64_t));
    return 0;
}
static int change_word(void *value, size_t size, void *arg)
{
    (void)size;
    memcpy(value, arg, sizeof(uint64_t));
    return 0;
}

static ptrdiff_t cell_snapshot(void *cell, void *data)
{
    return rbx_cell_snapshot(cell, data);
}
static ptrdiff_t cell_read(void *cell, void *data)
{
    return rbx_cell_read(cell, read_word, data);
}
static ptrdiff_t cell_change(void *cell, void *data)
{
    return rbx_cell_change(cell, change_word, data);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct pair nothing_pairs[] = {{{"nothing", nothing, 0}, {NULL, NULL, 0}}};
static const struct pair mutex_pairs[] = {
    {{"lock", mutex_lock, 0}, {"unlock", mutex_unlock, 0}},
    {{"try_lock", mutex_try_lock, 0}, {"unlock after try_lock", mutex_unlock, 0}},
};
static const struct pair rwlock_pairs[] = {
    {{"read", rwlock_read, 0}, {"unlock after read", rwlock_unlock, 0}},
    {{"try_read", rwlock_try_read, 0}, {"unlock after try_read", rwlock_unlock, 0}},
    {{"write", rwlock_write, 0}, {"unlock after write", rwlock_unlock, 0}},
};
static const struct pair event_pairs[] = {
    {{"set before wait", event_set, 0}, {"wait", event_wait, 0}},
    {{"set before try_wait", event_set, 0}, {"try_wait", event_try_wait, 0}},
};
static const struct pair sem_pairs[] = {
    {{"add", sem_add, 0}, {"wait", sem_wait, 0}},
    {{"wait with undo", sem_wait_undo, 0}, {"done", sem_done, 0}},
};
static const struct pair cell_pairs[] = {
    {{"change", cell_change, 0}, {"snapshot after change", cell_snapshot, 0}},
    {{"snapshot", cell_snapshot, 0}, {NULL, NULL, 0}},
    {{"read", cell_read, 0}, {NULL, NULL, 0}},
};

const struct path nothing_path = {"calls", nothing_pairs, COUNT(nothing_pairs)};
const struct path mutex_path = {"mutex", mutex_pairs, COUNT(mutex_pairs)};
const struct path rwlock_path = {"rwlock", rwlock_pairs, COUNT(rwlock_pairs)};
const struct path event_path = {"event", event_pairs, COUNT(event_pairs)};
const struct path sem_path = {"sem", sem_pairs, COUNT(sem_pairs)};
const struct path cell_path = {"cell/64", cell_pairs, COUNT(cell_pairs)};
