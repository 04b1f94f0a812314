/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An event, a semaphore, a cell or a read-write lock in use, whose memory a peer overwrites between
 * the calls. The input is a script, as that of ring.c; two handles play the victims.
 *
 * In a box a seat that says to be open is that of one that has died, and so is buried, with
 * whatever its words say that it held. Left alone are the bytes of the C library's mutex.
 */
#include <ringbox/ringbox.h>

#include "fuzz.h"
#include "os/mutex.h"
#include "sync/object.h"

enum { HANDS = 2, BUDGET = 96, SEATS = 3, CELL_SIZE = 100 };

struct scene {
    struct bytes input;
    struct prey prey;
    rbx_box *box; /* or NULL */
    rbx_event *event[HANDS];
    rbx_sem *sem[HANDS];
    rbx_cell *cell[HANDS];
    rbx_rwlock *lock[HANDS];
    uint32_t members;
};

void fuzz_clean_up(void)
{
}

static uint64_t takes_time(struct scene *s)
{
    return take_byte(&s->input) * UINT64_C(100);
}

/* --- Events --- */

static void make_event(struct scene *s, void *memory, size_t size)
{
    const rbx_event_options options = {.how = take_byte(&s->input) & 1 ? RBX_EVENT_BUSY
                                                                       : RBX_EVENT_FUTEX,
                                       .manual = take_byte(&s->input) & 1};
    must(rbx_event_init(memory, size, &options) == 0);
    for (unsigned hand = 0; hand < HANDS; hand++)
        must(rbx_event_attach(&s->event[hand], s->box, memory, size) == 0);
}

static void use_event(struct scene *s, unsigned hand, unsigned choice)
{
    rbx_event *event = s->event[hand];
    switch (choice % 6) {
    case 0:
        must(rbx_event_set(event) == 0);
        break;
    case 1:
        must(rbx_event_reset(event) == 0);
        break;
    case 2:
        must(rbx_event_is_set(event) / 2 == 0);
        break;
    case 3:
        answers(rbx_event_try_wait(event), EAGAIN);
        break;
    default:
        answers(rbx_event_wait_for(event, takes_time(s)), ETIMEDOUT);
    }
}

/* --- Semaphores --- */

static rbx_sem_options sem_options(struct scene *s)
{
    s->members = 1 + (uint32_t)take_below(&s->input, 20);
    return (rbx_sem_options){.count = s->members, .initial = take_byte(&s->input), .seats = SEATS};
}

static void make_sem(struct scene *s, void *memory, size_t size, const rbx_sem_options *options)
{
    must(rbx_sem_init(memory, size, options) == 0);
    for (unsigned hand = 0; hand < HANDS; hand++)
        must(rbx_sem_attach(&s->sem[hand], s->box, memory, size) == 0);
}

static void describe_sem(rbx_sem *sem, uint32_t members)
{
    rbx_sem_info info;
    answers(rbx_sem_describe(sem, &info), EPROTO);
    must(info.members == members && info.holders <= SEATS);
}

static void use_sem(struct scene *s, unsigned hand, unsigned choice)
{
    rbx_sem *sem = s->sem[hand];
    uint32_t index = (uint32_t)take_below(&s->input, s->members + 1);
    uint32_t n = choice & 64 ? (uint32_t)take(&s->input, 4) : take_byte(&s->input) % 4U;
    int value;
    switch (choice % 8) {
    case 0:
        answers(rbx_sem_add(sem, index, n), EPROTO, EINVAL, EOVERFLOW);
        break;
    case 1:
        answers(rbx_sem_give(sem, index, n), EPROTO, EINVAL, EOVERFLOW, EPERM);
        break;
    case 2:
        answers(rbx_sem_wait_zero(sem, index, takes_time(s)), EPROTO, EINVAL, ETIMEDOUT);
        break;
    case 3:
        value = rbx_sem_value(sem, index);
        answers(value, EPROTO, EINVAL);
        must(value <= (int)RBX_SEM_MAX);
        break;
    case 4:
        describe_sem(sem, s->members);
        break;
    case 5:
        answers(rbx_sem_try_wait(sem, index, n & 1), EPROTO, EINVAL, EAGAIN, EBUSY, EOVERFLOW);
        break;
    default:
        answers(rbx_sem_take(sem, index, n, choice & 128 ? RBX_SEM_UNDO : 0, takes_time(s)), EPROTO,
                EINVAL, ETIMEDOUT, EBUSY, EOVERFLOW);
    }
}

/* --- Cells --- */

static void make_cell(struct scene *s, void *memory, size_t size)
{
    const char initial[CELL_SIZE] = "initial";
    must(rbx_cell_init(memory, size, CELL_SIZE, initial, NULL) == 0);
    for (unsigned hand = 0; hand < HANDS; hand++)
        must(rbx_cell_attach(&s->cell[hand], s->box, memory, size, CELL_SIZE, NULL) == 0);
}

static int look_at(const void *value, size_t size, void *arg)
{
    const struct scene *s = arg;
    const char *at = value;
    must(at >= s->prey.memory && at + size <= s->prey.memory + s->prey.size &&
         (uintptr_t)at % 64 == 0);
    return memchr(value, 255, size) ? 1 : 0;
}

static int fill(void *value, size_t size, void *arg)
{
    memset(value, *(const unsigned char *)arg, size);
    return *(const unsigned char *)arg == 255 ? -1 : 0;
}

static void use_cell(struct scene *s, unsigned hand, unsigned choice)
{
    rbx_cell *cell = s->cell[hand];
    char *value = malloc(CELL_SIZE); /* no byte longer, as the sanitizer knows */
    unsigned char with = take_byte(&s->input);
    int changed;
    must(value);
    memset(value, with, CELL_SIZE);
    switch (choice % 5) {
    case 0:
        must(rbx_cell_set(cell, value) == 0);
        break;
    case 1:
        changed = rbx_cell_change_for(cell, fill, &with, takes_time(s));
        must(changed == (with == 255 ? -1 : 0) || changed == -ETIMEDOUT);
        break;
    case 2:
        answers(rbx_cell_read_for(cell, look_at, s, takes_time(s)), ETIMEDOUT);
        break;
    case 3:
        answers(rbx_cell_snapshot(cell, value), EBUSY);
        break;
    default:
        (void)rbx_cell_version(cell);
    }
    free(value);
}

/* --- Read-write locks --- */

static void make_lock(struct scene *s, void *memory, size_t size)
{
    const rbx_rwlock_options options = {.seats = SEATS};
    must(rbx_rwlock_init(memory, size, &options) == 0);
    for (unsigned hand = 0; hand < HANDS; hand++)
        must(rbx_rwlock_attach(&s->lock[hand], s->box, memory, size) == 0);
}

static void describe_lock(rbx_rwlock *lock)
{
    rbx_rwlock_info info;
    must(rbx_rwlock_describe(lock, &info) == 0);
    /* Not ==: what the header said when this handle was opened, if there is room for as many. */
    must(info.seats > 0 && info.seats <= SEATS);
    must(info.used <= info.seats && info.open <= info.used && info.readers <= info.open);
}

/* Its seat may look to be another's afterwards. */
static void reopen_lock(struct scene *s, unsigned hand)
{
    if (!s->lock[hand]) {
        answers(rbx_rwlock_attach(&s->lock[hand], s->box, s->prey.memory, s->prey.size), EBUSY,
                EPROTO);
        return;
    }
    int err = rbx_rwlock_close(s->lock[hand]);
    answers(err, EBUSY);
    s->lock[hand] = err < 0 ? s->lock[hand] : NULL;
}

#define locks(call)                                                                                \
    answers(call, EBUSY, ETIMEDOUT, EDEADLK, ENOTRECOVERABLE, EPROTO, EOWNERDEAD, EPERM, EINVAL)

static void use_lock(struct scene *s, unsigned hand, unsigned choice)
{
    rbx_rwlock *lock = s->lock[hand];
    if (!lock || choice % 12 == 0) {
        reopen_lock(s, hand);
        return;
    }
    switch (choice % 12) {
    case 1:
        locks(rbx_rwlock_try_read(lock));
        break;
    case 2:
        locks(rbx_rwlock_try_write(lock));
        break;
    case 3:
    case 4:
        locks(rbx_rwlock_read_for(lock, takes_time(s)));
        break;
    case 5:
    case 6:
        locks(rbx_rwlock_write_for(lock, takes_time(s)));
        break;
    case 7:
        locks(rbx_rwlock_consistent(lock));
        break;
    case 8:
        describe_lock(lock);
        break;
    default:
        locks(rbx_rwlock_unlock(lock));
    }
}

/* --- The scene --- */

enum { EVENT, SEM, CELL, RWLOCK, KINDS };

static void make(struct scene *s, unsigned kind, bool in_box)
{
    const rbx_sem_options options = kind == SEM ? sem_options(s) : (rbx_sem_options){.count = 1};
    const size_t sizes[] = {RBX_EVENT_BYTES, rbx_sem_bytes(&options), RBX_CELL_BYTES(CELL_SIZE),
                            RBX_RWLOCK_BYTES(SEATS)};
    size_t size = sizes[kind];
    void *memory;
    if (in_box) {
        const rbx_box_options boxed = {.size = size, .backing = RBX_MEMFD};
        must(rbx_box_open(&s->box, "fuzz", &boxed) == 0);
        memory = rbx_box_data(s->box);
    } else {
        must(posix_memalign(&memory, 64, size) == 0);
        memset(memory, 0, size);
    }
    s->prey = (struct prey){.memory = memory, .size = size};
    if (kind == SEM || kind == CELL) {
        s->prey.spared = sizeof(struct rbx_object_header);
        s->prey.spared_size = sizeof(struct rbx_os_mutex);
    }
    if (kind == EVENT)
        make_event(s, memory, size);
    else if (kind == SEM)
        make_sem(s, memory, size, &options);
    else if (kind == CELL)
        make_cell(s, memory, size);
    else
        make_lock(s, memory, size);
}

static void end(struct scene *s)
{
    for (unsigned hand = 0; hand < HANDS; hand++) {
        must(rbx_event_close(s->event[hand]) == 0);
        must(rbx_sem_close(s->sem[hand]) == 0);
        must(rbx_cell_close(s->cell[hand]) == 0);
        if (s->lock[hand])
            answers(rbx_rwlock_unlock(s->lock[hand]), EPERM, EPROTO);
        must(rbx_rwlock_close(s->lock[hand]) == 0);
    }
    if (s->box)
        must(rbx_box_close(s->box) == 0);
    else
        free(s->prey.memory);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static void (*const uses[])(struct scene *, unsigned, unsigned) = {use_event, use_sem, use_cell,
                                                                       use_lock};
    struct scene s = {.input = {data, size}};
    unsigned kind = take_byte(&s.input) % KINDS;
    make(&s, kind, take_byte(&s.input) & 1);
    for (int i = 0; i < BUDGET && s.input.left > 0; i++) {
        unsigned choice = take_byte(&s.input);
        if (choice % 3 == 0)
            vandalise(&s.prey, &s.input);
        else
            uses[kind](&s, choice / 3 & 1, take_byte(&s.input));
    }
    end(&s);
}
