/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * kernel.c: what the library asks of the rooms below it, as the explorer has it: locks, sleep,
 * fences and time are a part of the world.
 *
 * Time stands still but where a sleep times out, and each thread has its own. A lock belongs to a
 * description, here a thread's; to take or drop it is a swap of its word, to ask a load.
 *
 * On the weak machine a file's locks are seen as they are, and who comes later has seen what those
 * before had; who asks for a lock adds nothing to that. A process that is buried has stored all
 * that it ever will. Who goes to sleep sees the word as it is, and who is woken what the waker has
 * seen; nothing else is ordered by that, since the kernel takes no lock to wake when nobody sleeps.
 */
#include <errno.h>

#include "fiber.h"
#include "memory.h"
#include "mutant.h"
#include "scene.h"
#include "tell.h"
#include "turn.h"
#include "views.h"
#include "words.h"

#include "box/handle.h"
#include "box/header.h"
#include "error.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/lock.h"
#include "os/process.h"
#include "os/thread.h"
#include "ring/poll.h"
#include "ring/kind.h"

/* --- Locks --- */

int rbx_lock_try(int fd, uint64_t byte, enum rbx_lock_kind kind)
{
    unsigned word = word_of_lock(byte);
    uint64_t self = (uint64_t)(fd - DESCRIPTOR) + 1;
    (void)kind;
    take_turn_to_change(word, 0);
    uint64_t holder = memory_newest(word, EXPLORE_ACQUIRE);
    bool taken = holder != 0 && holder != self;
    if (!taken)
        memory_change(word, self, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
    if (telling)
        tell(taken ? "cannot lock" : "locks", word, world.memory[word]);
    return taken ? -EAGAIN : 0;
}

int rbx_lock_drop(int fd, uint64_t byte)
{
    unsigned word = word_of_lock(byte);
    take_turn_to_change(word, 0);
    if (world.memory[word] == (uint64_t)(fd - DESCRIPTOR) + 1)
        memory_change(word, 0, EXPLORE_ACQUIRE | EXPLORE_RELEASE);
    if (telling)
        tell("unlocks", word, world.memory[word]);
    return 0;
}

int rbx_lock_held(int fd, uint64_t byte)
{
    unsigned word = word_of_lock(byte);
    look_no_more();
    world.threads[current].order = EXPLORE_ACQUIRE;
    take_turn(word, READS);
    uint64_t holder = memory_newest(word, EXPLORE_ACQUIRE);
    if (telling)
        tell("asks who holds", word, holder);
    if (exploring && mutant == MUTANT_HASTY_REPAIR && word_table[word].owner >= 0 &&
        is_sender((unsigned)word_table[word].owner))
        return 0;
    return holder != 0 && holder != (uint64_t)(fd - DESCRIPTOR) + 1;
}

/* No end has a descriptor here. */
void rbx_poll_end(struct rbx_poll *poll)
{
    (void)poll;
}

/* --- Sleep --- */

int rbx_futex_wait(const void *at, uint32_t value, uint64_t deadline_ns, bool in_process)
{
    struct thread *self = &world.threads[current];
    unsigned word = word_at(at, 4);
    (void)in_process;
    if (!exploring)
        return -ETIMEDOUT;
    take_turn_to_change(word, 0);
    if (telling)
        tell(world.memory[word] == value ? "falls asleep on" : "need not sleep on", word,
             world.memory[word]);
    (void)memory_newest(word, EXPLORE_RELAXED);
    if (world.memory[word] != value)
        return -EAGAIN;
    self->state = THREAD_ASLEEP;
    self->sleeps_on = (uint8_t)word;
    self->access = AWAITS; /* nothing, once it is woken */
    fiber_rest();
    self->access = 0;
    self->sleeps_on = 0;
    if (!self->timed_out)
        return 0;
    self->timed_out = false;
    if (self->now < deadline_ns)
        self->now = deadline_ns;
    if (mutant == MUTANT_LEAVER_SILENCES_BELL)
        (void)explore_change32((rbx_atomic32 *)(uintptr_t)at, EXPLORE_AND,
                               ~(uint32_t)RBX_BELL_ASLEEP, EXPLORE_VERB(SEQ_CST, SEQ_CST));
    return -ETIMEDOUT;
}

void rbx_futex_wake(const void *at, bool in_process)
{
    unsigned word = word_at(at, 4);
    (void)in_process;
    if (!exploring)
        return;
    take_turn_to_change(word, 0);
    (void)memory_newest(word, EXPLORE_RELAXED);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_ASLEEP && world.threads[t].sleeps_on == word) {
            world.threads[t].state = THREAD_READY;
            if (is_weak)
                views_join(t, current);
        }
    if (telling)
        tell("wakes all on", word, world.memory[word]);
}

/* --- Fences, and where threads run --- */

bool rbx_thread_accept_fences(void)
{
    return !scene->no_membarrier;
}

/*
 * Every other thread fences once, each at a time of its own, between the beginning and the end of
 * the call. One whose buffer is empty at some moment may as well have fenced then. On the weak
 * machine who does not run has fenced when it stopped.
 */
static bool is_yet_to_fence(unsigned t)
{
    const struct thread *thread = &world.threads[t];
    if (is_weak && thread->state != THREAD_READY && thread->state != THREAD_NONE)
        views_barrier(t);
    return is_weak ? thread->state == THREAD_READY : thread->stores > 0;
}

static void fence_oneself(void)
{
    if (is_weak)
        views_barrier(current);
}

bool rbx_thread_fence_others(void)
{
    struct thread *self = &world.threads[current];
    if (scene->no_membarrier)
        return false;
    if (!exploring || mutant == MUTANT_NO_MEMBARRIER)
        return true;
    look_no_more();
    meet_fate();
    take_turn(word_of_fences(), WRITES | ORDERS);
    if (telling)
        tell("asks all to fence", NO_WORD, 0);
    fence_oneself();
    self->fencing = 0;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (t != current && is_yet_to_fence(t))
            self->fencing |= (uint8_t)(1U << t);
    take_turn(NO_WORD, AWAITS | DRAINS);
    fence_oneself();
    if (telling)
        tell("knows that all have fenced", NO_WORD, 0);
    return true;
}

int rbx_thread_only_core(void)
{
    return -1;
}

void rbx_thread_yield(void)
{
    explore_pause();
}

int32_t rbx_thread_process(void)
{
    return (int32_t)current + 1;
}

struct rbx_process rbx_process_self(void)
{
    return (struct rbx_process){.pid = rbx_thread_process()};
}

bool rbx_process_is_gone(const struct rbx_process *process)
{
    (void)process;
    return false;
}

/* --- Time --- */

uint64_t rbx_clock_monotonic(void)
{
    return world.threads[current].now;
}

/* Until somebody has changed something, or time is up. */
void rbx_clock_pause(uint64_t ns)
{
    struct thread *self = &world.threads[current];
    if (exploring)
        take_nap();
    self->now += ns;
}

/* --- Boxes, errors and kinds --- */

int rbx_handle_check(const struct rbx_box *box)
{
    (void)box;
    return 0;
}

const char *rbx_ring_name(const rbx_ring *ring)
{
    (void)ring;
    return "explored";
}

int(rbx_fail)(int err, const char *sentence, ...)
{
    (void)sentence;
    return err;
}

const struct rbx_kind *rbx_kind_of(uint32_t number)
{
    return number == RBX_MPMC ? &rbx_kind_mpmc : number == RBX_SPSC ? &rbx_kind_spsc : NULL;
}
