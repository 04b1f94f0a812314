/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* victims.c: those who use what a hostile process overwrites, in every way that there is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "os/mutex.h"
#include "ring/header.h"
#include "sync/object.h"

#define MS UINT64_C(1000000)

enum { SIZE = 24, CAPACITY = 8, BATCH = 12 };

struct victim {
    unsigned number;
    uint64_t random;
};

/* --- What is allowed --- */

static void note(struct victim *v, const char *doing)
{
    atomic_store_explicit(&stage->victim[v->number].doing, doing, memory_order_relaxed);
    atomic_fetch_add_explicit(&stage->victim[v->number].calls, 1, memory_order_relaxed);
}

static long long judged(struct victim *v, const char *call, long long answer)
{
    static const int documented[] = {EAGAIN,     ETIMEDOUT, EPIPE,          EINTR, EPROTO,
                                     EOWNERDEAD, EBUSY,     EINVAL,         EPERM, EDEADLK,
                                     EOVERFLOW,  ESTALE,    ENOTRECOVERABLE};
    bool allowed = answer >= 0;
    for (size_t i = 0; i < sizeof documented / sizeof *documented; i++)
        allowed |= answer == -documented[i];
    if (!allowed) {
        printf("# %s answers %lld: %s\n", call, answer, rbx_last_error());
        fflush(stdout);
        _exit(3);
    }
    if (answer >= 0)
        atomic_fetch_add_explicit(&stage->victim[v->number].served, 1, memory_order_relaxed);
    if (answer == -EPROTO)
        atomic_fetch_add_explicit(&stage->victim[v->number].refused, 1, memory_order_relaxed);
    return answer;
}

/* The answer of a call, which must be one that it may give. */
#define try(call) (note(v, #call), judged(v, #call, (call)))

static bool is_over(void)
{
    return atomic_load_explicit(&stage->over, memory_order_relaxed);
}

/* Ready: once all are, the other begins. */
static void meet(void)
{
    atomic_fetch_add(&stage->met, 1);
}

/* For ever, or for a while: what ends in any case once all is over, as signals come then. */
static uint64_t some_time(struct victim *v)
{
    static const uint64_t times[] = {0, 1000, 100000, MS, 20 * MS, RBX_FOREVER};
    return times[next_random(&v->random) % (sizeof times / sizeof *times)];
}

/* A wait that only sleeps can be interrupted; and one that does not ends by its time-out. */
static uint64_t some_while(struct victim *v)
{
    uint64_t time = some_time(v);
    return time == RBX_FOREVER ? 5 * MS : time;
}

/* --- Rings --- */

static rbx_ring *ring;

static rbx_ring_options ring_options(const struct scene *scene)
{
    return (rbx_ring_options){.kind = scene->kind,
                              .flags = scene->flags,
                              .message_size = SIZE,
                              .capacity = CAPACITY,
                              .senders = scene->kind == RBX_SPSC ? 1 : VICTIMS,
                              .receivers = scene->kind == RBX_SPSC ? 1 : VICTIMS};
}

static int make_ring(const struct scene *scene, const char *name)
{
    const rbx_ring_options options = ring_options(scene);
    return rbx_ring_open(&ring, name, &options);
}

static void unmake_ring(void)
{
    rbx_ring_shutdown(ring);
    rbx_ring_close(ring);
}

/* Each answers what its last call did. */
static long long send_somehow(struct victim *v, rbx_tx *tx)
{
    char messages[BATCH * SIZE] = {0};
    void *place;
    switch (next_random(&v->random) % 5) {
    case 0:
        return try(rbx_try_send(tx, messages));
    case 1:
        return try(rbx_send_for(tx, messages, some_time(v)));
    case 2:
        return try(rbx_send_n_for(tx, messages, BATCH, some_time(v)));
    case 3:
        return try(rbx_try_send_n(tx, messages, 1 + next_random(&v->random) % BATCH));
    default:
        break;
    }
    long long answer = try(rbx_claim_for(tx, &place, some_time(v)));
    if (answer < 0)
        return answer;
    memset(place, 1, SIZE);
    if (next_random(&v->random) % 4 == 0 || try(rbx_commit(tx)) < 0)
        return try(rbx_abort(tx));
    return 0;
}

static long long receive_somehow(struct victim *v, rbx_rx *rx)
{
    char messages[BATCH * SIZE];
    const void *shown;
    switch (next_random(&v->random) % 5) {
    case 0:
        return try(rbx_try_recv(rx, messages));
    case 1:
        return try(rbx_recv_for(rx, messages, some_time(v)));
    case 2:
        return try(rbx_recv_n_for(rx, messages, BATCH, some_time(v)));
    case 3:
        return try(rbx_try_recv_n(rx, messages, BATCH));
    default:
        break;
    }
    long long n = try(rbx_peek_n_for(rx, &shown, BATCH, some_time(v)));
    if (n <= 0)
        return n;
    for (long long i = 0; i < n; i++)
        memcpy(messages, (const char *)shown + (size_t)i * rbx_stride(rx), SIZE);
    return try(rbx_release_n(rx, (size_t)(next_random(&v->random) % (unsigned long long)(n + 1))));
}

static void look_around(struct victim *v, rbx_ring *own)
{
    rbx_ring_info info;
    rbx_repaired repaired;
    try(rbx_ring_describe(own, &info));
    if (info.capacity != CAPACITY || info.message_size != SIZE)
        _exit(4);
    try(rbx_ring_repair(own, &repaired));
}

/* An endpoint that is open for some calls; and another one then, as after a restart. */
static void use_ring(struct victim *v, rbx_ring *own, bool sends)
{
    rbx_tx tx;
    rbx_rx rx;
    const rbx_wait_options how = {.spin_ns = next_random(&v->random) % 2 ? RBX_NO_SPIN : 2000};
    if ((sends ? try(rbx_tx_open(&tx, own)) : try(rbx_rx_open(&rx, own))) < 0) {
        usleep(1000);
        return;
    }
    if (sends)
        try(rbx_tx_wait_by(&tx, &how));
    else
        try(rbx_rx_wait_by(&rx, &how));
    /* Who finds damage opens anew, soon: it may have been put right. */
    for (uint64_t calls = next_random(&v->random) % 200; calls > 0 && !is_over(); calls--)
        if ((sends ? send_somehow(v, &tx) : receive_somehow(v, &rx)) == -EPROTO && calls > 4)
            calls = 4;
    note(v, "close an endpoint");
    if (sends)
        rbx_tx_close(&tx);
    else
        rbx_rx_close(&rx);
}

static void suffer_by_ring(const struct scene *scene, const char *name, unsigned victim)
{
    struct victim by = {victim, stage->seed + 1 + victim}, *v = &by;
    rbx_ring_options options = ring_options(scene);
    options.box.how = RBX_OPEN_ONLY;
    rbx_ring *own;
    if (rbx_ring_open(&own, name, &options) < 0)
        _exit(5);
    meet();
    while (!is_over()) {
        use_ring(v, own, victim % 2 == 0);
        look_around(v, own);
        rbx_ring *again;
        if (next_random(&v->random) % 4 == 0 && try(rbx_ring_open(&again, name, &options)) == 0)
            try(rbx_ring_close(again));
    }
    rbx_ring_close(own);
}

/* --- What one synchronises by --- */

static rbx_event *event;
static rbx_sem *sem;
static rbx_cell *cell;
static rbx_rwlock *lock;

static int make_event(const struct scene *scene, const char *name)
{
    const rbx_event_options options = {.manual = scene->flags};
    return rbx_event_open(&event, name, &options);
}

static void unmake_event(void)
{
    rbx_event_close(event);
}

static void suffer_by_event(const struct scene *scene, const char *name, unsigned victim)
{
    struct victim by = {victim, stage->seed + 1 + victim}, *v = &by;
    const rbx_event_options options = {.manual = scene->flags, .box.how = RBX_OPEN_ONLY};
    rbx_event *own;
    if (rbx_event_open(&own, name, &options) < 0)
        _exit(5);
    meet();
    while (!is_over())
        switch (next_random(&v->random) % 5) {
        case 0:
            try(rbx_event_set(own));
            break;
        case 1:
            try(rbx_event_reset(own));
            break;
        case 2:
            try(rbx_event_try_wait(own));
            break;
        default:
            try(rbx_event_wait_for(own, some_time(v)));
        }
    rbx_event_close(own);
}

static int make_sem(const struct scene *scene, const char *name)
{
    const rbx_sem_options options = {.count = MEMBERS, .initial = 2, .seats = VICTIMS};
    (void)scene;
    return rbx_sem_open(&sem, name, &options);
}

static void unmake_sem(void)
{
    rbx_sem_close(sem);
}

static void use_sem(struct victim *v, rbx_sem *own)
{
    uint32_t index = (uint32_t)(next_random(&v->random) % MEMBERS),
             n = (uint32_t)(next_random(&v->random) % 4);
    uint32_t flags = next_random(&v->random) % 2 ? RBX_SEM_UNDO : 0;
    rbx_sem_info info;
    switch (next_random(&v->random) % 7) {
    case 0:
        try(rbx_sem_add(own, index, n));
        break;
    case 1:
        try(rbx_sem_give(own, index, n));
        break;
    case 2:
        try(rbx_sem_try_wait(own, index, flags));
        break;
    case 3:
        try(rbx_sem_wait_zero(own, index, some_time(v)));
        break;
    case 4:
        try(rbx_sem_describe(own, &info));
        break;
    case 5:
        try(rbx_sem_value(own, index));
        break;
    default:
        try(rbx_sem_take(own, index, n, flags, some_time(v)));
    }
}

static void suffer_by_sem(const struct scene *scene, const char *name, unsigned victim)
{
    (void)scene;
    struct victim by = {victim, stage->seed + 1 + victim}, *v = &by;
    const rbx_sem_options options = {.box.how = RBX_OPEN_ONLY};
    rbx_sem *own;
    if (rbx_sem_open(&own, name, &options) < 0)
        _exit(5);
    meet();
    while (!is_over()) {
        rbx_sem *again;
        use_sem(v, own);
        if (next_random(&v->random) % 64 == 0 && try(rbx_sem_open(&again, name, &options)) == 0) {
            try(rbx_sem_try_wait(again, 0, RBX_SEM_UNDO));
            try(rbx_sem_close(again));
        }
    }
    note(v, "close");
    rbx_sem_close(own);
}

static int make_cell(const struct scene *scene, const char *name)
{
    (void)scene;
    return rbx_cell_open(&cell, name, CELL_SIZE, NULL, NULL);
}

static void unmake_cell(void)
{
    rbx_cell_close(cell);
}

static int look(const void *value, size_t size, void *arg)
{
    memcpy(arg, value, size);
    return 0;
}

static int change(void *value, size_t size, void *arg)
{
    memset(value, *(const char *)arg, size);
    return 0;
}

static void suffer_by_cell(const struct scene *scene, const char *name, unsigned victim)
{
    (void)scene;
    struct victim by = {victim, stage->seed + 1 + victim}, *v = &by;
    const rbx_cell_options options = {.box.how = RBX_OPEN_ONLY};
    rbx_cell *own;
    char value[CELL_SIZE] = {0};
    if (rbx_cell_open(&own, name, CELL_SIZE, NULL, &options) < 0)
        _exit(5);
    meet();
    while (!is_over())
        switch (next_random(&v->random) % 4) {
        case 0:
            try(rbx_cell_snapshot(own, value));
            break;
        case 1:
            try(rbx_cell_read_for(own, look, value, some_while(v)));
            break;
        case 2:
            try(rbx_cell_change_for(own, change, value, some_while(v)));
            break;
        default:
            try(rbx_cell_set(own, value));
        }
    rbx_cell_close(own);
}

static int make_lock(const struct scene *scene, const char *name)
{
    const rbx_rwlock_options options = {.seats = VICTIMS + 2};
    (void)scene;
    return rbx_rwlock_open(&lock, name, &options);
}

static void unmake_lock(void)
{
    rbx_rwlock_close(lock);
}

/* A wait for a lock goes on when a signal handler has run: so each has a time-out. */
static void use_lock(struct victim *v, rbx_rwlock *own)
{
    rbx_rwlock_info info;
    switch (next_random(&v->random) % 7) {
    case 0:
        try(rbx_rwlock_try_read(own));
        break;
    case 1:
        try(rbx_rwlock_read_for(own, some_while(v)));
        break;
    case 2:
        try(rbx_rwlock_try_write(own));
        break;
    case 3:
        try(rbx_rwlock_write_for(own, some_while(v)));
        break;
    case 4:
        try(rbx_rwlock_consistent(own));
        break;
    case 5:
        try(rbx_rwlock_describe(own, &info));
        break;
    default:
        break;
    }
    if (next_random(&v->random) % 4 != 0)
        try(rbx_rwlock_unlock(own));
}

static void suffer_by_lock(const struct scene *scene, const char *name, unsigned victim)
{
    (void)scene;
    struct victim by = {victim, stage->seed + 1 + victim}, *v = &by;
    const rbx_rwlock_options options = {.box.how = RBX_OPEN_ONLY};
    rbx_rwlock *own;
    if (rbx_rwlock_open(&own, name, &options) < 0)
        _exit(5);
    meet();
    while (!is_over()) {
        if (own)
            use_lock(v, own);
        if (own && next_random(&v->random) % 64 != 0)
            continue;
        if (own) { /* not held, it is gone, whatever this says */
            try(rbx_rwlock_unlock(own));
            try(rbx_rwlock_close(own));
        }
        own = NULL;
        if (try(rbx_rwlock_open(&own, name, &options)) < 0)
            usleep(1000);
    }
}

/* --- All of them --- */

#define RING(...) make_ring, suffer_by_ring, unmake_ring, __VA_ARGS__

const struct scene scenes[] = {
    {"a ring of one sender and one receiver", RING(RBX_SPSC, 0, 0, 0)},
    {"a ring of many", RING(RBX_MPMC, 0, 0, 0)},
    {"a ring of many, strict", RING(RBX_MPMC, RBX_STRICT, 0, 0)},
    {"a ring of many that drops what the dead held", RING(RBX_MPMC, RBX_STRICT | RBX_DROP, 0, 0)},
    {"a ring under a lock", RING(RBX_LOCKED, 0, RBX_RING_SHARED_AT, sizeof(struct rbx_os_mutex))},
    {"an event", make_event, suffer_by_event, unmake_event, 0, false, 0, 0},
    {"an event with manual reset", make_event, suffer_by_event, unmake_event, 0, true, 0, 0},
    {"a semaphore", make_sem, suffer_by_sem, unmake_sem, 0, 0, sizeof(struct rbx_object_header),
     sizeof(struct rbx_os_mutex)},
    {"a cell", make_cell, suffer_by_cell, unmake_cell, 0, 0, sizeof(struct rbx_object_header),
     sizeof(struct rbx_os_mutex)},
    {"a read-write lock", make_lock, suffer_by_lock, unmake_lock, 0, 0, 0, 0},
};
const unsigned scene_count = sizeof scenes / sizeof *scenes;
