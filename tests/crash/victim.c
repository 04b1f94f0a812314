/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* victim.c: the victim on a ring, and its stepper. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crash.h"

/* --- The victim's own part --- */

static int open_end(struct victim *v, unsigned end)
{
    if (end == TX_END) {
        int err = rbx_tx_open(&v->tx, v->ring);
        atomic_store(&v->page->seat[0], err == 0 ? (int32_t)v->tx.seat : -1);
        return err;
    }
    int err = rbx_rx_open(&v->rx, v->ring);
    atomic_store(&v->page->seat[1], err == 0 ? (int32_t)v->rx.seat : -1);
    return err;
}

static _Noreturn void live(const struct world *w)
{
    static struct victim v; /* zeroed: closed endpoints */
    const struct scenario *s = w->scenario;
    v.page = w->page;
    v.size = message_size(w);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!stepper_accept())
        _exit(2);
    if (rbx_ring_open(&v.ring, rbx_box_name(rbx_ring_box(w->ring)), NULL) < 0)
        _exit(3);
    if (s->end && !(s->flags & OPENS) && open_end(&v, s->end) < 0)
        _exit(4);
    if (s->begin)
        s->begin(&v);
    STEPPER_MARK();
    s->call(&v);
    atomic_store(&v.page->done, 1);
    STEPPER_MARK();
    rbx_tx_close(&v.tx);
    rbx_rx_close(&v.rx);
    _exit(rbx_ring_close(v.ring) == 0 ? 0 : 5);
}

/* --- Its tracer --- */

static bool well(struct world *w, bool did)
{
    if (!did)
        blame(w, "%s", w->victim.failure);
    return did;
}

bool victim_start(struct world *w)
{
    pid_t pid = fork();
    if (pid < 0) {
        blame(w, "fork: %s", strerror(errno));
        return false;
    }
    if (pid == 0)
        live(w);
    w->victim = (struct stepped){.pid = pid, .done = &w->page->done};
    if (!well(w, stepper_take(&w->victim)))
        return false;
    if (atomic_load(&w->page->problem) != 0)
        blame(w, "the victim could not begin: calls.c:%d, %d", (int)w->page->problem,
              (int)w->page->answer);
    return !w->failed;
}

bool victim_record(struct world *w)
{
    size_t size;
    const void *memory = world_memory(w, &size);
    return well(w, stepper_record(&w->victim, memory, size));
}

bool victim_run_to(struct world *w, long at)
{
    return well(w, stepper_run_to(&w->victim, at));
}

void victim_kill(struct world *w)
{
    well(w, stepper_kill(&w->victim));
}

bool victim_finish(struct world *w)
{
    return well(w, stepper_finish(&w->victim));
}

void victim_leave(struct world *w)
{
    atomic_store(&w->page->seat[0], -1);
    atomic_store(&w->page->seat[1], -1);
    well(w, stepper_let_exit(&w->victim));
}
