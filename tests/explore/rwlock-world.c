/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock-world.c: the atomics and the kernel that the explored lock is compiled with. */
#include "rwlock-world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fiber.h"

#include "box/header.h"
#include "error.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/lock.h"
#include "os/process.h"
#include "wait.h"

struct world world;
unsigned current;
bool exploring, telling;
enum mutant mutant;
char violated[200];

static struct rbx_rwlock_shared *shared(void)
{
    return (struct rbx_rwlock_shared *)(void *)(world.lock + 64);
}

static struct rbx_rwlock_seat *seat(unsigned index)
{
    return (struct rbx_rwlock_seat *)(void *)(world.lock + 128) + index;
}

void violation(const char *sentence, ...)
{
    va_list args;
    va_start(args, sentence);
    if (!violated[0])
        vsnprintf(violated, sizeof violated, sentence, args);
    va_end(args);
}

/* --- Which word is meant --- */

static bool is_turn(const void *at)
{
    return at == &shared()->turn;
}

static bool is_state(const void *at)
{
    size_t offset = (size_t)((const char *)at - world.lock);
    return offset < sizeof world.lock && offset >= 128 &&
           offset % 64 == offsetof(struct rbx_rwlock_seat, state);
}

/* For people: nobody acts on it. */
static bool is_idle_word(const void *at)
{
    size_t offset = (size_t)((const char *)at - world.lock);
    return offset < sizeof world.lock && offset >= 128 &&
           offset % 64 >= offsetof(struct rbx_sync_seat, pid) &&
           offset % 64 < sizeof(struct rbx_sync_seat);
}

static const char *name_of(const void *at)
{
    static char name[40];
    size_t offset = (size_t)((const char *)at - world.lock);
    if (!at)
        return "";
    if (is_turn(at))
        return "turn";
    if (at == &shared()->used)
        return "used";
    if (offset >= sizeof world.lock)
        return at == &world.value[0] ? "value 0" : at == &world.value[1] ? "value 1" : "lock";
    snprintf(name, sizeof name, "%s of seat %zu", is_state(at) ? "state" : "openings",
             offset / 64 - 2);
    return name;
}

void tell(const char *does, const void *at, uint64_t value)
{
    if (telling)
        printf("#     thread %u  %-24s %-18s %llx\n", current, does, name_of(at),
               (unsigned long long)value);
}

/* --- Turns, and store buffers --- */

void take_turn(enum pending pending)
{
    struct thread *self = &world.threads[current];
    self->rushing = false;
    if (!exploring)
        return;
    self->pending = (uint8_t)pending;
    fiber_rest();
    self->pending = NOTHING_YET;
}

bool is_enabled(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    return thread->state == THREAD_READY && !(thread->pending == CHANGES && thread->stores > 0);
}

static uint64_t raw(const void *at, size_t size)
{
    uint64_t wide;
    uint32_t narrow;
    if (size == 8) {
        memcpy(&wide, at, 8);
        return wide;
    }
    memcpy(&narrow, at, 4);
    return narrow;
}

static void put(void *at, uint64_t value, size_t size)
{
    uint32_t narrow = (uint32_t)value;
    if (size == 8)
        memcpy(at, &value, 8);
    else
        memcpy(at, &narrow, 4);
}

void buffer_flush(unsigned t)
{
    struct thread *thread = &world.threads[t];
    put(thread->buffer[0].at, thread->buffer[0].value, thread->buffer[0].size);
    thread->stores--;
    memmove(thread->buffer, thread->buffer + 1, thread->stores * sizeof *thread->buffer);
    memset(&thread->buffer[thread->stores], 0, sizeof *thread->buffer);
}

static void buffer_store(void *at, uint64_t value, size_t size)
{
    struct thread *self = &world.threads[current];
    if (!exploring || is_idle_word(at))
        put(at, value, size);
    else if (self->stores == BUFFER_MAX)
        violation("the explorer's store buffers are too small");
    else
        self->buffer[self->stores++] = (struct store){.value = value, .at = at, .size = size};
}

/* --- The layer --- */

uint64_t explore_load(const void *at, size_t size, struct explore_verb verb)
{
    (void)verb;
    struct thread *self = &world.threads[current];
    if (mutant == MUTANT_BLIND_TO_SEATS && at == &shared()->used && exploring)
        return 1;
    if (is_idle_word(at))
        return raw(at, size);
    /* While it looks on between two pauses nothing happens: it could as well have come later. */
    if (!self->rushing || self->looked_at != at)
        take_turn(READS);
    self->looked_at = at;
    uint64_t value = raw(at, size);
    for (unsigned i = 0; i < self->stores; i++)
        if (self->buffer[i].at == at)
            value = self->buffer[i].value;
    if (!self->rushing)
        tell("loads", at, value);
    return value;
}

void explore_store(void *at, uint64_t value, size_t size, struct explore_verb verb)
{
    (void)verb;
    if (mutant == MUTANT_NO_WRITING && is_state(at) &&
        rbx_state_does((uint32_t)value) == RBX_RW_WRITING)
        return;
    if (!is_idle_word(at))
        take_turn(STORES);
    tell("stores", at, value);
    buffer_store(at, value, size);
}

/* A swap that stores although the word says something else. */
static bool is_blind(const void *at, uint64_t value)
{
    if (!exploring)
        return false;
    bool is_others = is_state(at) && at != &process_of(current)->lock->own->state;
    enum rbx_rwlock_does does = rbx_state_does((uint32_t)value);
    return (mutant == MUTANT_BLIND_GRANT && is_others && does == RBX_RW_READING &&
            !(value & RBX_RW_WATCHED)) ||
           (mutant == MUTANT_BLIND_BURIAL && is_others && does == RBX_RW_IDLE);
}

static bool swap(void *at, uint64_t *expected, uint64_t value, size_t size)
{
    if (mutant == MUTANT_UNASKED && is_turn(at) && value == (*expected | RBX_TURN_READERS_WAIT))
        return true;
    take_turn(CHANGES);
    uint64_t seen = raw(at, size);
    bool equal = seen == *expected;
    tell(equal ? "swaps in" : "would swap in", at, value);
    if (mutant == MUTANT_TORN_TURN && is_turn(at) && equal)
        take_turn(CHANGES);
    if (mutant == MUTANT_FORGETFUL && is_state(at) &&
        rbx_state_does((uint32_t)*expected) == RBX_RW_WAITING &&
        rbx_state_does((uint32_t)value) == RBX_RW_IDLE &&
        at != &process_of(current)->lock->own->state)
        return false;
    if (mutant == MUTANT_STINGY && is_state(at) &&
        (value & (RBX_RW_DOES | RBX_RW_WATCHED)) == RBX_RW_READING &&
        at != &process_of(current)->lock->own->state)
        value ^= RBX_RW_READING; /* IDLE: it is to try again */
    if (equal || is_blind(at, value)) {
        put(at, value, size);
        return true;
    }
    *expected = seen;
    return false;
}

bool explore_swap64(rbx_atomic64 *at, uint64_t *expected, uint64_t value, struct explore_verb verb)
{
    (void)verb;
    return swap(at, expected, value, 8);
}

bool explore_swap32(rbx_atomic32 *at, uint32_t *expected, uint32_t value, struct explore_verb verb)
{
    (void)verb;
    uint64_t wide = *expected;
    bool equal = swap(at, &wide, value, 4);
    *expected = (uint32_t)wide;
    return equal;
}

uint32_t explore_exchange32(rbx_atomic32 *at, uint32_t value, struct explore_verb verb)
{
    (void)verb;
    enum rbx_rwlock_does does = rbx_state_does(value);
    if (mutant == MUTANT_READING_IS_BUFFERED && does == RBX_RW_READING) {
        take_turn(STORES);
        buffer_store(at, value, 4);
        return 0;
    }
    take_turn(CHANGES);
    uint32_t seen = (uint32_t)raw(at, 4);
    put(at, value, 4);
    tell("exchanges for", at, value);
    return mutant == MUTANT_UNWATCHED ? seen & ~(uint32_t)RBX_RW_WATCHED : seen;
}

uint64_t explore_change64(rbx_atomic64 *at, enum explore_change how, uint64_t value,
                          struct explore_verb verb)
{
    (void)verb;
    take_turn(CHANGES);
    uint64_t seen = raw(at, 8);
    put(at, how == EXPLORE_OR ? seen | value : seen & value, 8);
    tell(how == EXPLORE_OR ? "sets" : "leaves of", at, value);
    return seen;
}

void explore_pause(void)
{
    world.threads[current].rushing = true;
}

/* --- The kernel --- */

static uint8_t *holder_at(uint64_t byte)
{
    uint64_t offset = byte - RBX_LOCK_PAYLOAD - 128;
    if (offset % 64 != 0 || offset / 64 >= SEATS)
        abort();
    return &world.holder[offset / 64];
}

int rbx_lock_try(int fd, uint64_t byte, enum rbx_lock_kind kind)
{
    (void)kind;
    take_turn(CHANGES);
    uint8_t *holder = holder_at(byte);
    tell("tries to lock", holder, *holder);
    if (*holder != 0 && *holder != fd)
        return -EAGAIN;
    *holder = (uint8_t)fd;
    return 0;
}

int rbx_lock_drop(int fd, uint64_t byte)
{
    take_turn(CHANGES);
    uint8_t *holder = holder_at(byte);
    tell("unlocks", holder, *holder);
    if (*holder == fd)
        *holder = 0;
    return 0;
}

int rbx_lock_held(int fd, uint64_t byte)
{
    take_turn(READS);
    const uint8_t *holder = holder_at(byte);
    tell("asks who holds", holder, *holder);
    return mutant != MUTANT_HASTY && *holder != 0 && *holder != fd;
}

void bury(unsigned t)
{
    world.threads[t].state = THREAD_DEAD;
    world.owed = 0;
    world.handing &= (uint8_t) ~(1U << t);
    for (unsigned i = 0; i < THREADS_MAX; i++)
        world.threads[i].slices = world.patience;
    for (unsigned i = 0; i < SEATS; i++)
        if (world.holder[i] == t + 1) {
            world.broken |= rbx_state_does((uint32_t)raw(&seat(i)->state, 4)) == RBX_RW_WRITING;
            world.holder[i] = 0;
        }
}

int rbx_futex_wait(const void *word, uint32_t value, uint64_t deadline_ns, bool in_process)
{
    struct thread *self = &world.threads[current];
    (void)in_process;
    if (!exploring)
        return -ETIMEDOUT;
    take_turn(CHANGES);
    tell("would sleep on", word, value);
    if (raw(word, 4) != value)
        return -EAGAIN;
    self->state = THREAD_ASLEEP;
    self->sleeps_on = word;
    fiber_rest();
    self->sleeps_on = NULL;
    if (!self->timed_out)
        return 0;
    self->timed_out = false;
    self->now = deadline_ns > self->now ? deadline_ns : self->now;
    return -ETIMEDOUT;
}

void rbx_futex_wake(const void *word, bool in_process)
{
    (void)in_process;
    take_turn(CHANGES);
    if ((mutant == MUTANT_SILENT_GRANT && is_state(word)) ||
        (mutant == MUTANT_SILENT_TURN && is_turn(word)))
        return;
    tell("wakes all on", word, 0);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_ASLEEP && world.threads[t].sleeps_on == word)
            world.threads[t].state = THREAD_READY;
}

uint64_t rbx_clock_monotonic(void)
{
    return world.threads[current].now;
}

uint64_t rbx_wait_deadline(uint64_t timeout_ns)
{
    return world.threads[current].now + timeout_ns;
}

struct rbx_process rbx_process_self(void)
{
    return (struct rbx_process){.pid = (int32_t)current + 1};
}

bool rbx_process_is_gone(const struct rbx_process *process)
{
    (void)process;
    return false;
}

/* --- Boxes, objects and errors --- */

static struct rbx_box boxes[THREADS_MAX + 1];
static struct rbx_object_shape shape;

void *rbx_box_data(const rbx_box *box)
{
    (void)box;
    return world.lock;
}

int rbx_object_init(void *memory, size_t size, const struct rbx_object_plan *plan)
{
    (void)size;
    shape = plan->shape;
    return plan->format(memory, plan);
}

int rbx_object_attach(struct rbx_object *object, rbx_box *box, void *memory, size_t size,
                      const struct rbx_object_plan *plan)
{
    (void)box, (void)size;
    boxes[current].fd.fd = (int)current + 1;
    *object = (struct rbx_object){.box = &boxes[current],
                                  .noun = plan->noun,
                                  .memory = memory,
                                  .shape = shape,
                                  .owns_box = true};
    return plan->check(&shape, plan, "explored");
}

int rbx_object_open(struct rbx_object *object, const char *name, const struct rbx_object_plan *plan,
                    const rbx_box_options *box)
{
    (void)object, (void)name, (void)plan, (void)box;
    abort();
}

int rbx_object_close(struct rbx_object *object)
{
    (void)object;
    return 0;
}

const char *rbx_object_name(const struct rbx_object *object)
{
    (void)object;
    return "explored";
}

uint32_t rbx_fd_forks(void)
{
    return 0;
}

int rbx_object_inherited(const struct rbx_object *object)
{
    (void)object;
    abort();
}

int(rbx_fail)(int err, const char *sentence, ...)
{
    (void)sentence;
    return err;
}

/* Of a handle, which each process has one of. */
void *explore_calloc(size_t count, size_t size);
void *explore_calloc(size_t count, size_t size)
{
    struct process *process = process_of(current);
    if (count * size != sizeof process->handle)
        abort();
    memset(&process->handle, 0, sizeof process->handle);
    return &process->handle;
}

void explore_free(void *memory);
void explore_free(void *memory)
{
    memset(memory, 0, sizeof(struct rbx_rwlock));
}
