/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * count.c: calls each path so often, for callgrind, which counts what happens inside of `counted`
 * and is asked for a tally after each path: bench/instructions/run runs it so, and says why.
 *
 * One thread does both sides, and each call finds what it needs: so none waits, looks at the clock
 * or enters the kernel, and the count is of the program and the input only. Before anything is
 * counted everything has been called as often once: symbols are resolved, and the rings have gone
 * round.
 */
#include "path.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

enum { calls = 4096, out_of_order = 1, cannot_run = 77 };

static _Alignas(64) uint64_t messages[batch * 31];

static void must(int err)
{
    if (err < 0) {
        fprintf(stderr, "%s\n", rbx_last_error());
        exit(out_of_order);
    }
}

/* --toggle-collect=counted. The answer is looked at, so that what calls it cannot be left out. */
static __attribute__((noinline)) ptrdiff_t counted(call_fn *run, void *object)
{
    ptrdiff_t answer = run(object, messages);
    __asm__ volatile("" : "+r"(answer));
    return answer;
}

static __attribute__((noinline)) ptrdiff_t uncounted(call_fn *run, void *object)
{
    ptrdiff_t answer = run(object, messages);
    __asm__ volatile("" : "+r"(answer));
    return answer;
}

typedef ptrdiff_t count_fn(call_fn *run, void *object);

static void once(const char *path, const struct call *call, void *object, count_fn *by)
{
    ptrdiff_t answer = call->run ? by(call->run, object) : 0;
    if (answer != call->answer) {
        fprintf(stderr, "%s/%s: answered %td, not %td\n", path, call->name, answer, call->answer);
        exit(out_of_order);
    }
}

static void many(const struct path *path, const struct pair *pair, void *const object[2],
                 count_fn *there, count_fn *back)
{
    for (int i = 0; i < calls; i++) {
        once(path->name, &pair->there, object[0], there);
        once(path->name, &pair->back, object[1], back);
    }
}

/* The tally is named as the call. */
static void tally(const struct path *path, const struct call *call)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", path->name, call->name);
    CALLGRIND_DUMP_STATS_AT(name);
}

static void count(const struct path *path, void *there, void *back)
{
    void *const object[2] = {there, back};
    for (size_t i = 0; i < path->count; i++) {
        const struct pair *pair = &path->pairs[i];
        many(path, pair, object, uncounted, uncounted);
        many(path, pair, object, counted, uncounted);
        tally(path, &pair->there);
        if (!pair->back.run)
            continue;
        many(path, pair, object, uncounted, counted);
        tally(path, &pair->back);
    }
}

/* As the endpoints of every RBX_RING_TYPE begin. */
static rbx_tx tx;
static rbx_rx rx;

static bool is_bare(const rbx_bell *bell)
{
    /* Relaxed: nobody else has this ring. */
    return (rbx_load_relaxed(&bell->bits) & RBX_BELL_STATE) != 0;
}

static void count_ring(const struct ring_path *ring_path)
{
    rbx_ring *ring;
    must(rbx_ring_open(&ring, NULL, &ring_path->options));
    must(rbx_tx_open(&tx, ring));
    must(rbx_rx_open(&rx, ring));
    if ((tx.kind == RBX_SPSC && is_bare(tx.spsc.bell)) ||
        (tx.kind == RBX_MPMC && (is_bare(tx.mpmc.bell) || is_bare(rx.mpmc.bell)))) {
        fprintf(stderr, "SKIP: this system refuses membarrier, and so each call fences\n");
        exit(cannot_run);
    }
    count(&ring_path->path, &tx, &rx);
    rbx_tx_close(&tx);
    rbx_rx_close(&rx);
    must(rbx_ring_close(ring));
}

static void count_locks(void)
{
    rbx_mutex *mutex;
    must(rbx_mutex_open(&mutex, NULL, NULL));
    count(&mutex_path, mutex, mutex);
    must(rbx_mutex_close(mutex));

    rbx_rwlock *lock;
    must(rbx_rwlock_open(&lock, NULL, NULL));
    count(&rwlock_path, lock, lock);
    must(rbx_rwlock_close(lock));
}

static void count_signals(void)
{
    rbx_event *event;
    must(rbx_event_open(&event, NULL, NULL));
    count(&event_path, event, event);
    must(rbx_event_close(event));

    rbx_sem *sem;
    must(rbx_sem_open(&sem, NULL, &(rbx_sem_options){.initial = 1}));
    count(&sem_path, sem, sem);
    must(rbx_sem_close(sem));

    rbx_cell *cell;
    must(rbx_cell_open(&cell, NULL, 64, NULL, NULL));
    count(&cell_path, cell, cell);
    must(rbx_cell_close(cell));
}

int main(void)
{
    if (!RUNNING_ON_VALGRIND) {
        fprintf(stderr, "SKIP: only callgrind can count: ./dev instructions\n");
        return cannot_run;
    }
    count(&nothing_path, NULL, NULL);
    for (size_t i = 0; i < ring_path_count; i++)
        count_ring(&ring_paths[i]);
    count_locks();
    count_signals();
    return 0;
}
