/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rwlock-world.c: what the explored lock asks of the rooms below it: locks, sleep and time.
 *
 * On the weak machine the kernel's locks order what is done under them, as in kernel.c. Who goes to
 * sleep sees the word as it is, and who is woken what the waker has seen; nothing else is ordered
 * by that, since the kernel takes no lock to wake when nobody sleeps.
 */
#define EXPLORE_MEMCPY_IS_ITSELF
#include "rwlock-world.h"

#include <errno.h>
#include <stdlib.h>

#include "fiber.h"
#include "rwlock-memory.h"
#include "views.h"

#include "box/header.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/lock.h"
#include "os/process.h"
#include "wait.h"

struct world world;

/* --- Locks --- */

static unsigned word_of_lock(uint64_t byte)
{
    uint64_t offset = byte - RBX_LOCK_PAYLOAD - 128;
    if (offset % 64 != 0 || offset / 64 >= SEATS)
        abort();
    return WORD_LOCK + (unsigned)(offset / 64);
}

int rbx_lock_try(int fd, uint64_t byte, enum rbx_lock_kind kind)
{
    unsigned word = word_of_lock(byte);
    (void)kind;
    take_turn(CHANGES, NO_WORD, 0);
    uint64_t holder = kernel_sees(word);
    tell("tries to lock", word, holder);
    if (holder != 0 && holder != (uint64_t)fd)
        return -EAGAIN;
    kernel_writes(current, word, (uint64_t)fd);
    return 0;
}

int rbx_lock_drop(int fd, uint64_t byte)
{
    unsigned word = word_of_lock(byte);
    take_turn(CHANGES, NO_WORD, 0);
    uint64_t holder = kernel_sees(word);
    tell("unlocks", word, holder);
    if (holder == (uint64_t)fd)
        kernel_writes(current, word, 0);
    return 0;
}

int rbx_lock_held(int fd, uint64_t byte)
{
    unsigned word = word_of_lock(byte);
    take_turn(READS, NO_WORD, 0);
    uint64_t holder = kernel_sees(word);
    tell("asks who holds", word, holder);
    return fault != MUTANT_HASTY && holder != 0 && holder != (uint64_t)fd;
}

void bury(unsigned t)
{
    world.threads[t].state = THREAD_DEAD;
    world.owed_wake |= world.threads[t].owes_wake;
    world.owed = 0;
    world.handing &= (uint8_t) ~(1U << t);
    for (unsigned i = 0; i < THREADS_MAX; i++)
        world.threads[i].slices = world.patience;
    for (unsigned i = 0; i < SEATS; i++)
        if (world.holder[i] == t + 1) {
            uint32_t state = (uint32_t)memory_value(WORD_STATE + i);
            world.broken |= rbx_state_does(state) == RBX_RW_WRITING;
            kernel_writes(t, WORD_LOCK + i, 0);
        }
}

/* --- Sleep and time --- */

int rbx_futex_wait(const void *at, uint32_t value, uint64_t deadline_ns, bool in_process)
{
    struct thread *self = &world.threads[current];
    unsigned word = word_at(at);
    (void)in_process;
    if (!exploring)
        return -ETIMEDOUT;
    take_turn(CHANGES, NO_WORD, 0);
    uint64_t seen = is_weak ? views_load(current, word, 0, EXPLORE_RELAXED) : memory_value(word);
    tell("would sleep on", word, value);
    if ((uint32_t)seen != value)
        return -EAGAIN;
    self->state = THREAD_ASLEEP;
    self->sleeps_on = (uint8_t)word;
    self->deadline = deadline_ns;
    fiber_rest();
    self->sleeps_on = NO_WORD;
    self->deadline = 0;
    if (!self->timed_out)
        return 0;
    self->timed_out = false;
    self->now = deadline_ns > self->now ? deadline_ns : self->now;
    return -ETIMEDOUT;
}

/*
 * Whether the dead have left what only who looks again finds: so a slice may be what ends a sleep.
 * The turn of a dead writer, a dead reader's word, or a wake-up that may not have been made.
 */
bool are_dead_unsettled(void)
{
    uint64_t turn = memory_value(WORD_TURN);
    for (unsigned i = 0; i < SEATS; i++) {
        uint32_t openings = (uint32_t)memory_value(WORD_OPENINGS + i);
        uint32_t state = (uint32_t)memory_value(WORD_STATE + i);
        bool is_dead = openings & 1 && world.holder[i] == 0;
        if (is_dead && (rbx_state_does(state) == RBX_RW_READING ||
                        (!rbx_turn_is_free(turn) && rbx_turn_seat(turn) == i)))
            return true;
    }
    return world.owed_wake;
}

void rbx_futex_wake(const void *at, bool in_process)
{
    unsigned word = word_at(at);
    (void)in_process;
    take_turn(CHANGES, NO_WORD, 0);
    bool is_turn = word == WORD_TURN;
    if (fault == (is_turn ? MUTANT_SILENT_TURN : MUTANT_SILENT_GRANT))
        return;
    tell("wakes all on", word, 0);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_ASLEEP && world.threads[t].sleeps_on == word) {
            world.threads[t].state = THREAD_READY;
            if (is_weak)
                views_join(t, current);
        }
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

/* --- Memory --- */

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
