/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock-scene.c: which threads there are, what each of them calls, and what must then hold. */
#define EXPLORE_MEMCPY_IS_ITSELF
#include "rwlock-world.h"

#include <errno.h>
#include <stdlib.h>

#include "fiber.h"
#include "rwlock-memory.h"

const struct configuration configurations[] = {
    {{.name = "a writer, a reader", .is_weak = true}, .calls = {{WRITE, WRITE}, {READ, READ}}},
    {{.name = "a writer, two readers", .is_weak = true}, .calls = {{WRITE}, {READ}, {READ}}},
    {{.name = "a writer, a reader that comes again", .is_weak = true},
     .calls = {{WRITE, WRITE, WRITE}, {READ, READ, READ}}},
    {{.name = "two writers, a reader", .is_weak = true}, .calls = {{WRITE}, {WRITE}, {READ}}},
    {{.name = "two writers, a reader, who come again", .is_large = true},
     .calls = {{WRITE, WRITE}, {WRITE}, {READ, READ}}},
    {{.name = "three writers", .is_weak = true}, .calls = {{WRITE}, {WRITE}, {WRITE}}},
    {{.name = "a writer, two readers that come again"},
     .calls = {{WRITE}, {READ, READ}, {READ, READ}}},
    {{.name = "tries"}, .calls = {{TRY_WRITE, WRITE}, {TRY_READ, READ}, {TRY_READ}}},
    {{.name = "two tries to write"}, .calls = {{TRY_WRITE}, {TRY_WRITE}, {READ}}},
    {{.name = "a reader that gives up"}, .calls = {{WRITE}, {READ_FOR}, {READ}}, .timeouts = 1},
    {{.name = "a writer, a reader that gives up", .is_weak = true},
     .calls = {{WRITE, WRITE}, {READ_FOR, READ}},
     .timeouts = 1},
    {{.name = "a writer that gives up, a reader", .is_weak = true},
     .calls = {{WRITE_FOR, WRITE}, {READ, READ}},
     .timeouts = 1},
    {{.name = "a writer that gives up"}, .calls = {{WRITE_FOR}, {READ}, {READ}}, .timeouts = 1},
    {{.name = "writers that give up"},
     .calls = {{WRITE_FOR}, {WRITE_FOR}, {READ_FOR}},
     .timeouts = 2},
    {{.name = "a writer dies, a reader waits", .is_weak = true},
     .calls = {{WRITE}, {READ, READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "a writer dies"},
     .calls = {{WRITE}, {READ}, {WRITE}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "a writer dies, two readers wait"},
     .calls = {{WRITE}, {READ}, {READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "a writer dies, two writers wait", .is_weak = true},
     .calls = {{WRITE}, {WRITE}, {WRITE}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "a reader dies, a writer waits", .is_weak = true},
     .calls = {{WRITE, WRITE}, {READ}},
     .mortal = 2,
     .deaths = 1,
     .slices = 4},
    {{.name = "a reader dies"},
     .calls = {{WRITE}, {READ}, {READ}},
     .mortal = 2,
     .deaths = 1,
     .slices = 4},
    {{.name = "a reader dies, two writers"},
     .calls = {{WRITE}, {READ}, {WRITE}},
     .mortal = 2,
     .deaths = 1,
     .slices = 4},
    {{.name = "anybody dies"},
     .calls = {{WRITE}, {READ}, {WRITE}},
     .mortal = 7,
     .deaths = 1,
     .slices = 4},
    {{.name = "two die"},
     .calls = {{WRITE}, {WRITE}, {READ}},
     .mortal = 3,
     .deaths = 2,
     .slices = 6},
    {{.name = "nobody puts it right"},
     .calls = {{WRITE}, {WRITE_CARELESSLY}, {READ, READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "who does not put it right dies", .is_weak = true},
     .calls = {{WRITE}, {WRITE_CARELESSLY}, {WRITE}},
     .mortal = 3,
     .deaths = 2,
     .slices = 6},
    {{.name = "tries after a death"},
     .calls = {{WRITE}, {TRY_READ, TRY_WRITE}, {READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "the seat of a dead writer is taken"},
     .calls = {{WRITE}, {READ}, {OPEN, READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "the seat of a dead writer is taken by a writer", .is_weak = true},
     .calls = {{WRITE}, {WRITE}, {OPEN, WRITE}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "the seat of a dead reader is taken"},
     .calls = {{READ}, {WRITE}, {OPEN, READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "the seat of a dead reader is taken, and one tries"},
     .calls = {{READ}, {TRY_WRITE}, {OPEN, READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "who takes a seat dies, too"},
     .calls = {{WRITE}, {READ}, {OPEN, WRITE}},
     .mortal = 5,
     .deaths = 2,
     .slices = 6},
    {{.name = "all come again", .is_large = true},
     .calls = {{WRITE, WRITE}, {WRITE, READ}, {READ, READ}}},
    {{.name = "all come again, a writer dies", .is_large = true},
     .calls = {{WRITE, WRITE}, {WRITE}, {READ, READ}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "all come again, a reader dies", .is_large = true},
     .calls = {{WRITE}, {READ, READ}, {READ, WRITE}},
     .mortal = 2,
     .deaths = 1,
     .slices = 4},
    {{.name = "all may die", .is_large = true},
     .calls = {{WRITE}, {READ}, {WRITE}},
     .mortal = 7,
     .deaths = 2,
     .slices = 6},
    {{.name = "the seat of a dead reader is taken by a writer", .is_weak = true},
     .calls = {{READ}, {OPEN, WRITE}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "the seat of a dead reader is taken, and one writes", .is_weak = true},
     .calls = {{READ}, {WRITE}, {OPEN}},
     .mortal = 1,
     .deaths = 1,
     .slices = 4},
    {{.name = "a seat that was left is taken, and one writes", .is_weak = true},
     .calls = {{READ, CLOSE}, {WRITE}, {OPEN}}},
    {{.name = "a writer, and a reader that is new", .is_weak = true},
     .calls = {{WRITE, WRITE}, {OPEN, READ}}},
    {{.name = "a seat that was left is taken"},
     .calls = {{WRITE, CLOSE}, {READ}, {OPEN, READ, CLOSE}}},
};
const unsigned configuration_count = sizeof configurations / sizeof *configurations;

static const struct configuration *scene;
static struct process *processes[THREADS_MAX + 1];

struct process *process_of(unsigned thread)
{
    return processes[thread];
}

/* --- What a thread does --- */

static void enters(enum inside inside)
{
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        const struct thread *other = &world.threads[t];
        if (t != current && other->state < THREAD_HALTED && other->inside &&
            (inside == WRITING || other->inside == WRITING))
            violation("threads %u and %u are both in", current, t);
    }
    if (inside == WRITING && world.owed)
        violation("thread %u has come before a reader that waited", current);
    world.owed &= (uint8_t) ~(1U << current);
    world.threads[current].inside = (uint8_t)inside;
}

/* Those that sleep on their own state wait to read; for this writer, unless one before it has yet
   to send them back. */
static void owe(void)
{
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (!world.handing && world.threads[t].state == THREAD_ASLEEP &&
            world.threads[t].sleeps_on != WORD_TURN)
            world.owed |= (uint8_t)(1U << t);
}

/* The answer to a call for the lock. False: it does not have it. */
static bool has_it(int err, enum verb verb)
{
    switch (err) {
    case 0:
        return true;
    case -EOWNERDEAD:
        if (!world.broken)
            violation("thread %u was told of a death that broke nothing", current);
        return true;
    case -ENOTRECOVERABLE:
        if (!world.broken)
            violation("a lock that nobody broke is lost");
        return false;
    case -EBUSY:
    case -ETIMEDOUT:
        if (verb != READ && verb != WRITE && verb != WRITE_CARELESSLY)
            return false;
        /* fall through */
    default:
        violation("thread %u gets the answer %d", current, err);
        return false;
    }
}

static void leave(rbx_rwlock *lock)
{
    bool hands = world.threads[current].inside == WRITING;
    if (hands) {
        owe();
        world.handing |= (uint8_t)(1U << current);
    }
    world.threads[current].inside = OUTSIDE;
    if (rbx_rwlock_unlock(lock) < 0)
        violation("thread %u cannot unlock", current);
    if (hands)
        world.handing &= (uint8_t) ~(1U << current);
}

static void reads(rbx_rwlock *lock, int err, enum verb verb)
{
    if (!has_it(err, verb))
        return;
    enters(READING);
    uint64_t one = rbx_load_relaxed(&world.value[0]), two = rbx_load_relaxed(&world.value[1]);
    if (one != two && err == 0)
        violation("thread %u reads what is half done", current);
    leave(lock);
}

static void writes(rbx_rwlock *lock, int err, enum verb verb)
{
    if (!has_it(err, verb))
        return;
    enters(WRITING);
    uint64_t one = rbx_load_relaxed(&world.value[0]), two = rbx_load_relaxed(&world.value[1]);
    if (one != two && err == 0)
        violation("thread %u goes on with what is half done", current);
    if (err < 0 && verb != WRITE_CARELESSLY) {
        rbx_store_relaxed(&world.value[1], one);
        if (rbx_rwlock_consistent(lock) < 0)
            violation("thread %u cannot say that it is consistent", current);
    }
    if (err == 0) {
        rbx_store_relaxed(&world.value[0], one + 1);
        rbx_store_relaxed(&world.value[1], one + 1);
    }
    leave(lock);
}

static void call(enum verb verb)
{
    struct process *self = processes[current];
    enum { A_WHILE = 1000 };
    switch (verb) {
    case READ:
        reads(self->lock, rbx_rwlock_read(self->lock), verb);
        break;
    case TRY_READ:
        reads(self->lock, rbx_rwlock_try_read(self->lock), verb);
        break;
    case READ_FOR:
        reads(self->lock, rbx_rwlock_read_for(self->lock, A_WHILE), verb);
        break;
    case WRITE:
    case WRITE_CARELESSLY:
        writes(self->lock, rbx_rwlock_write(self->lock), verb);
        break;
    case TRY_WRITE:
        writes(self->lock, rbx_rwlock_try_write(self->lock), verb);
        break;
    case WRITE_FOR:
        writes(self->lock, rbx_rwlock_write_for(self->lock, A_WHILE), verb);
        break;
    case OPEN:
        if (rbx_rwlock_attach(&self->lock, NULL, world.lock, sizeof world.lock) < 0)
            violation("thread %u cannot open", current);
        break;
    case CLOSE:
        if (rbx_rwlock_close(self->lock) < 0)
            violation("thread %u cannot close", current);
        self->lock = NULL;
        break;
    case END_OF_SCRIPT:
        break;
    }
}

static void act(unsigned thread)
{
    struct thread *self = &world.threads[thread];
    for (unsigned i = 0; i < CALLS_MAX && scene->calls[thread][i]; i++) {
        self->call = (uint8_t)i;
        call(scene->calls[thread][i]);
        self->owes_wake = false;
        self->looked_at = NULL;
        self->rushing = false;
        take_turn(TIDIES, NO_WORD, 0);
    }
    self->state = THREAD_FINISHED;
    for (;;)
        fiber_rest();
}

/* --- The beginning and the end --- */

void scene_begin(const struct configuration *configuration)
{
    const rbx_rwlock_options options = {.seats = SEATS};
    scene = configuration;
    exploring = false;
    memset(&world, 0, sizeof world);
    for (unsigned t = 0; t <= THREADS_MAX; t++) {
        processes[t] = fiber_data(t, sizeof *processes[t]);
        memset(processes[t], 0, sizeof *processes[t]);
        world.threads[t].now = 1;
        world.threads[t].word = world.threads[t].sleeps_on = NO_WORD;
    }
    if (rbx_rwlock_init(world.lock, sizeof world.lock, &options) < 0)
        abort();
    for (current = 0; current < THREADS_MAX; current++)
        if (scene->calls[current][0] && scene->calls[current][0] != OPEN)
            call(OPEN);
    world.deaths = (uint8_t)scene->deaths;
    world.patience = (uint8_t)scene->slices;
    world.timeouts = (uint8_t)scene->timeouts;
    exploring = true;
    for (current = 0; current < THREADS_MAX; current++)
        if (scene->calls[current][0]) {
            world.threads[current].state = THREAD_READY;
            world.threads[current].pending = TIDIES;
            world.threads[current].mortal = scene->mortal >> current & 1;
            world.threads[current].slices = (uint8_t)scene->slices;
            fiber_begin(current, act);
        }
}

void scene_judge(void)
{
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (world.threads[t].state == THREAD_ASLEEP)
            violation("thread %u sleeps, and nobody will wake it", t);
    if (violated[0])
        return;
    /* One that comes now gets it at once, whatever has happened. */
    exploring = false;
    current = OBSERVER;
    call(OPEN);
    reads(processes[OBSERVER]->lock, rbx_rwlock_try_read(processes[OBSERVER]->lock), READ);
    int err = rbx_rwlock_try_write(processes[OBSERVER]->lock);
    if (err != -ENOTRECOVERABLE) {
        if (err != 0 && err != -EOWNERDEAD)
            violation("at the end it is not to be had: %d", err);
        else
            writes(processes[OBSERVER]->lock, err, TRY_WRITE);
    }
    exploring = true;
}
