/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a segment's headers say when it is opened: that of a box, of a ring in it, of a lock, event,
 * semaphore or cell. The input says which, overwrites some of what a sound one says, and cuts it
 * off somewhere. It is refused, with a sentence; or taken, and then of use within its bounds.
 */
#include <ringbox/ringbox.h>

#include "fuzz.h"
#include "place.h"
#include "box/header.h"
#include "os/mutex.h"
#include "ring/header.h"
#include "sync/object.h"

enum { OVERWRITES = 24, ROOM = 16384 };

struct scene {
    struct bytes input;
    struct prey prey;
    unsigned choice; /* of options */
};

/* Overwrites mostly the header itself. */
static void spoil(struct scene *s, size_t header)
{
    for (int i = 0; i < OVERWRITES && s->input.left > 0; i++) {
        struct prey part = s->prey;
        if (take_byte(&s->input) % 4 != 0 && header < part.size)
            part.size = header;
        vandalise(&part, &s->input);
    }
}

/* The memory gets shorter: a copy of exactly so many bytes, so that the sanitizer sees each more.
 */
static void cut(struct scene *s)
{
    void *shorter;
    if (s->choice & 128)
        s->prey.size = take_below(&s->input, s->prey.size);
    must(posix_memalign(&shorter, 64, s->prey.size ? s->prey.size : 1) == 0);
    memcpy(shorter, s->prey.memory, s->prey.size);
    free(s->prey.memory);
    s->prey.memory = shorter;
}

static void make_room(struct scene *s, size_t size)
{
    void *memory;
    must(posix_memalign(&memory, 64, size) == 0);
    memset(memory, 0, size);
    s->prey.memory = memory;
    s->prey.size = size;
}

/* --- Rings --- */

static void use_ring(rbx_ring *ring)
{
    rbx_ring_info info;
    rbx_tx tx;
    rbx_rx rx;
    must(rbx_ring_describe(ring, &info) == 0);
    char *message = calloc(2, info.message_size);
    must(message);
    bool sends = rbx_tx_open(&tx, ring) == 0, receives = rbx_rx_open(&rx, ring) == 0;
    for (size_t i = 0; i < 4; i++) {
        if (sends)
            says_why(rbx_try_send_n(&tx, message, 2));
        if (receives)
            (void)rbx_try_recv_n(&rx, message, 1 + i % 2);
    }
    if (sends)
        rbx_tx_close(&tx);
    if (receives)
        rbx_rx_close(&rx);
    free(message);
}

static rbx_ring_options ring_options(unsigned choice)
{
    static const rbx_ring_kind kinds[] = {RBX_SPSC, RBX_MPMC, RBX_LOCKED};
    return (rbx_ring_options){.kind = kinds[choice % 3],
                              .message_size = choice & 4 ? 8 : 24,
                              .capacity = choice & 8 ? 3 : 8,
                              .senders = choice % 3 ? 2 : 1,
                              .receivers = choice % 3 ? 2 : 1};
}

static void rings(struct scene *s)
{
    rbx_ring_options options = ring_options(s->choice);
    uint64_t bytes;
    rbx_ring *ring;
    must(rbx_ring_bytes(&options, &bytes) == 0);
    make_room(s, (size_t)bytes);
    must(rbx_ring_init(s->prey.memory, s->prey.size, &options) == 0);
    s->prey.spared = RBX_RING_SHARED_AT;
    s->prey.spared_size = options.kind == RBX_LOCKED ? sizeof(struct rbx_os_mutex) : 0;
    cut(s);
    spoil(s, sizeof(struct rbx_ring_header));
    /* What says to be a ring with a lock has one, or else whoever takes the lock has no luck. */
    options.kind = s->choice % 3 == 2 ? RBX_LOCKED : options.kind;
    int err = rbx_ring_attach(&ring, s->prey.memory, s->prey.size, &options);
    says_why(err);
    if (err == 0) {
        use_ring(ring);
        must(rbx_ring_close(ring) == 0);
    }
    free(s->prey.memory);
}

/* --- Locks and the like --- */

static void prepare(struct scene *s, size_t size)
{
    make_room(s, size);
    s->prey.spared = sizeof(struct rbx_object_header);
    s->prey.spared_size = sizeof(struct rbx_os_mutex);
}

static void events(struct scene *s)
{
    rbx_event *event;
    prepare(s, RBX_EVENT_BYTES);
    s->prey.spared_size = 0;
    must(rbx_event_init(s->prey.memory, s->prey.size, NULL) == 0);
    cut(s);
    spoil(s, sizeof(struct rbx_object_header));
    int err = rbx_event_attach(&event, NULL, s->prey.memory, s->prey.size);
    says_why(err);
    if (err == 0) {
        (void)rbx_event_try_wait(event);
        must(rbx_event_set(event) == 0);
        must(rbx_event_close(event) == 0);
    }
    free(s->prey.memory);
}

static void sems(struct scene *s)
{
    const rbx_sem_options options = {.count = 1 + s->choice % 5, .seats = 2};
    rbx_sem *sem;
    prepare(s, rbx_sem_bytes(&options));
    must(rbx_sem_init(s->prey.memory, s->prey.size, &options) == 0);
    cut(s);
    spoil(s, sizeof(struct rbx_object_header));
    int err = rbx_sem_attach(&sem, NULL, s->prey.memory, s->prey.size);
    says_why(err);
    if (err == 0) {
        rbx_sem_info info;
        says_why(rbx_sem_describe(sem, &info));
        for (uint32_t i = 0; i < info.members; i++) {
            says_why(rbx_sem_add(sem, i, 1));
            says_why(rbx_sem_try_wait(sem, i, RBX_SEM_UNDO));
        }
        must(rbx_sem_close(sem) == 0);
    }
    free(s->prey.memory);
}

static void cells(struct scene *s)
{
    size_t size = 1 + s->choice;
    char *value = calloc(1, size);
    rbx_cell *cell;
    must(value);
    prepare(s, RBX_CELL_BYTES(size));
    must(rbx_cell_init(s->prey.memory, s->prey.size, size, NULL, NULL) == 0);
    cut(s);
    spoil(s, sizeof(struct rbx_object_header));
    int err = rbx_cell_attach(&cell, NULL, s->prey.memory, s->prey.size, size, NULL);
    says_why(err);
    if (err == 0) {
        must(rbx_cell_snapshot(cell, value) == 0);
        must(rbx_cell_set(cell, value) == 0);
        must(rbx_cell_close(cell) == 0);
    }
    free(s->prey.memory);
    free(value);
}

static void mutexes(struct scene *s)
{
    rbx_mutex *mutex;
    prepare(s, RBX_MUTEX_BYTES);
    must(rbx_mutex_init(s->prey.memory, s->prey.size, NULL) == 0);
    cut(s);
    spoil(s, sizeof(struct rbx_object_header));
    int err = rbx_mutex_attach(&mutex, NULL, s->prey.memory, s->prey.size);
    says_why(err);
    if (err == 0) {
        must(rbx_mutex_try_lock(mutex) == 0);
        must(rbx_mutex_unlock(mutex) == 0);
        must(rbx_mutex_close(mutex) == 0);
    }
    free(s->prey.memory);
}

static void rwlocks(struct scene *s)
{
    const rbx_rwlock_options options = {.seats = 1 + s->choice % 4};
    rbx_rwlock *lock;
    rbx_rwlock_info info;
    prepare(s, RBX_RWLOCK_BYTES(options.seats));
    s->prey.spared_size = 0;
    must(rbx_rwlock_init(s->prey.memory, s->prey.size, &options) == 0);
    cut(s);
    spoil(s, sizeof(struct rbx_object_header));
    int err = rbx_rwlock_attach(&lock, NULL, s->prey.memory, s->prey.size);
    says_why(err);
    if (err == 0) {
        must(rbx_rwlock_describe(lock, &info) == 0);
        says_why(rbx_rwlock_try_write(lock));
        (void)rbx_rwlock_unlock(lock);
        must(rbx_rwlock_close(lock) == 0);
    }
    free(s->prey.memory);
}

/* --- Boxes, which are files --- */

static char image[ROOM], box_path[512];
static size_t image_size;

/* What a box with a ring in it looks like when its processes have died. */
static void take_image(void)
{
    rbx_ring *ring;
    rbx_ring_options options = ring_options(1);
    options.box = (rbx_box_options){.backing = RBX_FILE, .policy = RBX_KEEP};
    path_of(box_path, "box");
    must(rbx_ring_open(&ring, box_path, &options) == 0);
    must(rbx_ring_close(ring) == 0);
    int fd = open(box_path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, image, sizeof image);
    must(size > 0 && size < ROOM);
    image_size = (size_t)size;
    close(fd);
    unlink(box_path);
}

static void use_box(const rbx_box_options *options)
{
    rbx_box *box;
    rbx_box_info info;
    char last;
    int err = rbx_box_open(&box, box_path, options);
    says_why(err);
    must((err == 0) == (box != NULL));
    if (err < 0)
        return;
    size_t size = rbx_box_size(box);
    must(size > 0);
    must(rbx_box_read(box, size - 1, &last, 1) == 0);
    must(rbx_box_read(box, size, &last, 1) == -ERANGE);
    says_why(rbx_box_describe(box, &info));
    (void)rbx_box_attached(box);
    (void)rbx_box_stale(box);
    if (options->size & 1)
        says_why(rbx_box_own(box));
    says_why(rbx_box_close(box));
}

static int look_at(const rbx_box_info *info, void *arg)
{
    (void)arg;
    must(info->name);
    return 0;
}

static void use_as_ring(unsigned choice)
{
    rbx_ring *ring;
    rbx_ring_options options = ring_options(1);
    options.box =
        (rbx_box_options){.backing = RBX_FILE, .how = RBX_OPEN_ONLY, .read_only = choice & 1};
    int err = rbx_ring_open(&ring, box_path, &options);
    says_why(err);
    if (err < 0)
        return;
    use_ring(ring);
    says_why(rbx_ring_close(ring));
}

static void boxes(struct scene *s)
{
    static const rbx_box_how hows[] = {RBX_OPEN_ONLY, RBX_OPEN_OR_CREATE, RBX_CREATE_ONLY,
                                       RBX_OPEN_ONLY};
    const rbx_box_options options = {.backing = RBX_FILE,
                                     .how = hows[s->choice % 4],
                                     .read_only = s->choice & 4,
                                     .raw = s->choice & 8,
                                     .size = s->choice & 16 ? 101 : 0};
    if (place_is_new())
        take_image();
    make_room(s, image_size);
    memcpy(s->prey.memory, image, image_size);
    cut(s);
    spoil(s, 256);
    write_whole(box_path, s->prey.memory, s->prey.size);
    says_why(rbx_box_walk(place, look_at, NULL));
    use_as_ring(s->choice >> 5);
    use_box(&options);
    if (s->choice & 64)
        says_why(rbx_box_reclaim(box_path, RBX_FILE));
    unlink(box_path);
    free(s->prey.memory);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct scene *) = {rings, boxes,   events, sems,
                                                    cells, mutexes, rwlocks};
    struct scene s = {.input = {data, size}};
    unsigned kind = take_byte(&s.input) % (sizeof kinds / sizeof *kinds);
    s.choice = take_byte(&s.input);
    kinds[kind](&s);
}
