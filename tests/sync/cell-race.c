/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cell-race [CHANGES]
 *
 * Writers change one cell as fast as they can, others take snapshots and read: as threads, and as
 * processes (not under the thread sanitizer, which sees one process only). The value is made from
 * the number of the change that made it. Whatever is read is whole, and of a number that was the
 * current one during the call; and no change is lost.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringbox/ringbox.h>

#include "../support/sanitizers.h"

enum { WRITERS = 2, LARGEST = 4096, WATCHDOG_S = 250 };

static const size_t sizes[] = {1, 8, 13, 24, 64, 250, 256, LARGEST};

/* Shared by all. */
static struct state {
    _Alignas(64) char memory[RBX_CELL_BYTES(LARGEST)];
    atomic_uint failures, writers_left;
    _Atomic uint64_t snapshots;
} * state;

static uint64_t changes = 2000; /* by each writer */

struct scene {
    rbx_cell *cell;
    size_t size;
    bool sets; /* one writer, which sets the value; else several, which change it */
};

static unsigned char byte_at(uint64_t number, size_t at)
{
    return (unsigned char)(number * 167 + at * 13 + (number >> 8));
}

/* The number first, where there is room for it, and then what follows from it. */
static void fill(unsigned char *value, size_t size, uint64_t number)
{
    size_t begin = size < sizeof number ? 0 : sizeof number;
    memcpy(value, &number, begin);
    for (size_t i = begin; i < size; i++)
        value[i] = byte_at(number, i);
}

static void fail(const struct scene *scene, const char *what, uint64_t number)
{
    if (atomic_fetch_add(&state->failures, 1) < 5)
        fprintf(stderr, "cell-race: %zu bytes, %s: %s (%llu)\n", scene->size,
                scene->sets ? "set" : "changed", what, (unsigned long long)number);
}

/* `low` and `high`: the version before the value was read, and after. */
static void check(const struct scene *scene, const unsigned char *value, uint64_t low,
                  uint64_t high)
{
    uint64_t number = low;
    size_t begin = 0;
    if (scene->size >= sizeof number) {
        memcpy(&number, value, sizeof number);
        begin = sizeof number;
        if (number < low || number > high)
            fail(scene, "a value that was not the current one", number);
    } else {
        while (number < high && byte_at(number, 0) != value[0])
            number++;
    }
    for (size_t i = begin; i < scene->size; i++)
        if (value[i] != byte_at(number, i)) {
            fail(scene, "a torn value", number);
            return;
        }
}

static int next(void *value, size_t size, void *arg)
{
    const struct scene *scene = arg;
    uint64_t made = rbx_cell_version(scene->cell); /* it stands still: we hold the mutex */
    check(scene, value, made, made);
    fill(value, size, made + 1);
    return 0;
}

static int look(const void *value, size_t size, void *arg)
{
    const struct scene *scene = arg;
    (void)size;
    uint64_t made = rbx_cell_version(scene->cell);
    check(scene, value, made, made);
    return 0;
}

static void write_it(const struct scene *scene)
{
    unsigned char value[LARGEST];
    for (uint64_t i = 1; i <= changes; i++) {
        if (scene->sets)
            fill(value, scene->size, i);
        if ((scene->sets ? rbx_cell_set(scene->cell, value)
                         : rbx_cell_change(scene->cell, next, (void *)(uintptr_t)scene)) < 0)
            fail(scene, rbx_last_error(), i);
    }
    atomic_fetch_sub(&state->writers_left, 1);
}

static void take_snapshots(const struct scene *scene)
{
    unsigned char value[LARGEST];
    while (atomic_load(&state->writers_left) > 0) {
        uint64_t low = rbx_cell_version(scene->cell);
        if (rbx_cell_snapshot(scene->cell, value) < 0)
            fail(scene, rbx_last_error(), low);
        check(scene, value, low, rbx_cell_version(scene->cell));
        atomic_fetch_add(&state->snapshots, 1);
    }
}

static void read_it(const struct scene *scene)
{
    while (atomic_load(&state->writers_left) > 0) {
        if (rbx_cell_read(scene->cell, look, (void *)(uintptr_t)scene) < 0)
            fail(scene, rbx_last_error(), 0);
        sched_yield();
    }
}

/* Who takes part: numbers 0 and 1 watch, the others write. */
static void play(const struct scene *scene, unsigned part)
{
    if (part == 0)
        take_snapshots(scene);
    else if (part == 1)
        read_it(scene);
    else
        write_it(scene);
}

struct thread {
    pthread_t id;
    const struct scene *scene;
    unsigned part;
};

static void *run_thread(void *arg)
{
    const struct thread *thread = arg;
    play(thread->scene, thread->part);
    return NULL;
}

static void run_threads(const struct scene *scene, unsigned parts)
{
    struct thread threads[2 + WRITERS];
    for (unsigned i = 0; i < parts; i++) {
        threads[i] = (struct thread){.scene = scene, .part = i};
        if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0)
            exit(2);
    }
    for (unsigned i = 0; i < parts; i++)
        pthread_join(threads[i].id, NULL);
}

static void run_processes(const struct scene *scene, unsigned parts)
{
    pid_t parent = getpid();
    for (unsigned i = 0; i < parts; i++) {
        pid_t pid = fork();
        if (pid < 0)
            exit(2);
        if (pid > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(3);
        play(scene, i); /* memory in no box: the handle goes on */
        _exit(0);
    }
    for (int status; wait(&status) > 0;)
        if (status != 0)
            fail(scene, "a process did not come to its end", (uint64_t)status);
}

static void race(size_t size, bool sets, bool processes)
{
    unsigned char initial[LARGEST];
    struct scene scene = {.size = size, .sets = sets};
    unsigned writers = sets ? 1 : WRITERS;
    memset(state->memory, 0, sizeof state->memory);
    fill(initial, size, 0);
    if (rbx_cell_init(state->memory, sizeof state->memory, size, initial, NULL) < 0 ||
        rbx_cell_attach(&scene.cell, NULL, state->memory, sizeof state->memory, size, NULL) < 0) {
        fail(&scene, rbx_last_error(), 0);
        return;
    }
    atomic_store(&state->writers_left, writers);
    if (processes)
        run_processes(&scene, 2 + writers);
    else
        run_threads(&scene, 2 + writers);
    if (rbx_cell_version(scene.cell) != writers * changes)
        fail(&scene, "changes were lost", rbx_cell_version(scene.cell));
    rbx_cell_close(scene.cell);
}

int main(int count, char **arguments)
{
    if (count > 1)
        changes = strtoull(arguments[1], NULL, 10);
    alarm(WATCHDOG_S);
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED) {
        perror("cell-race: mmap");
        return 2;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int sets = 0; sets < 2; sets++)
            for (int processes = 0; processes < (THREADS_ONLY ? 1 : 2); processes++)
                race(sizes[i], sets, processes);
    printf("cell-race: %llu snapshots, %u failures\n", (unsigned long long)state->snapshots,
           state->failures);
    return state->failures > 0;
}
