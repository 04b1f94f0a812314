/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world.c: the ring of an experiment, and the endpoints of those that survive it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "ring/handle.h"

size_t message_size(const struct world *w)
{
    return w->options.message_size;
}

bool world_has_tx(const struct world *w)
{
    return w->tx[FIRST].hold != RBX_HOLD_CLOSED;
}

bool world_has_rx(const struct world *w)
{
    return w->rx[FIRST].hold != RBX_HOLD_CLOSED;
}

const void *world_memory(const struct world *w, size_t *size)
{
    *size = (size_t)rbx_ring_size(&w->ring->shape);
    return w->ring->memory;
}

uint64_t world_held(const struct world *w)
{
    rbx_ring_info info;
    rbx_ring_describe(w->ring, &info);
    return info.sent - info.received;
}

/* A ring under a lock begins with a mutex, and that with the thread that has it. */
bool world_is_locked_by(const struct world *w, pid_t pid)
{
    const pthread_mutex_t *mutex = (const void *)(w->ring->memory + RBX_RING_SHARED_AT);
    const int thread_mask = 0x3fffffff;
    return w->kind == LOCKED &&
           (__atomic_load_n(&mutex->__data.__lock, __ATOMIC_ACQUIRE) & thread_mask) == (int)pid;
}

/* --- Opening and closing --- */

static void name_of_ring(char *name, size_t size)
{
    snprintf(name, size, "t.%d.crash", (int)getpid());
}

static bool ring_exists(void)
{
    char name[64], path[96];
    name_of_ring(name, sizeof name);
    snprintf(path, sizeof path, "/dev/shm/ringbox.%s", name);
    return access(path, F_OK) == 0;
}

void world_open_ends(struct world *w)
{
    int err = 0;
    if (!world_has_tx(w))
        err = rbx_tx_open(&w->tx[FIRST], w->ring);
    if (err < 0)
        blame(w, "a survivor cannot send: %s", rbx_last_error());
    err = 0;
    if (!world_has_rx(w))
        err = rbx_rx_open(&w->rx[FIRST], w->ring);
    if (err < 0)
        blame(w, "a survivor cannot receive: %s", rbx_last_error());
}

void world_close_end(struct world *w, unsigned end)
{
    if (end == TX_END)
        rbx_tx_close(&w->tx[FIRST]);
    else
        rbx_rx_close(&w->rx[FIRST]);
}

static void open_ring(struct world *w)
{
    static const rbx_ring_kind kinds[KINDS] = {RBX_MPMC, RBX_MPMC, RBX_MPMC, RBX_SPSC, RBX_LOCKED};
    static const unsigned flags[KINDS] = {[STRICT] = RBX_STRICT, [DROP] = RBX_DROP};
    char name[64];
    name_of_ring(name, sizeof name);
    w->options = (rbx_ring_options){.kind = kinds[w->kind],
                                    .flags = flags[w->kind],
                                    .capacity = w->capacity,
                                    .message_size = w->capacity == 2 ? MESSAGE_MAX : 24,
                                    .senders = w->kind == SPSC ? 1 : SEATS,
                                    .receivers = w->kind == SPSC ? 1 : SEATS,
                                    .box = {.how = RBX_CREATE_ONLY}};
    if (rbx_ring_open(&w->ring, name, &w->options) < 0)
        blame(w, "the ring could not be made: %s", rbx_last_error());
}

static void fill_first(struct world *w)
{
    const unsigned counts[] = {[EMPTY] = 0, [ONE] = 1, [TWO] = 2, [LAST_PLACE] = w->slots - 1};
    if (w->scenario->fill == FULL)
        world_fill(w);
    else
        for (unsigned i = 0; i < counts[w->scenario->fill]; i++)
            world_send(w, FIRST);
}

void world_begin(struct world *w)
{
    w->slots = w->capacity;
    w->deaths = w->heard = w->voids = w->filled = 0;
    memset(w->died, 0, sizeof w->died);
    memset(w->died_holding, 0, sizeof w->died_holding);
    w->kept_place = NULL;
    w->kept_message = NULL;
    w->victim.pid = 0;
    memset(w->tx, 0, sizeof w->tx);
    memset(w->rx, 0, sizeof w->rx);
    memset(w->page, 0, sizeof *w->page);
    atomic_store(&w->page->seat[0], -1);
    atomic_store(&w->page->seat[1], -1);
    w->ring = NULL;
    open_ring(w);
    if (w->failed)
        return;
    ledger_begin(w);
    world_open_ends(w);
    for (unsigned i = 0; i < 2 * w->slots + 3 && !w->failed; i++) { /* not at the very beginning */
        world_send(w, FIRST);
        world_receive(w, FIRST);
    }
    w->out = w->count;
    for (size_t i = 0; i < BATCH; i++)
        ledger_make(w, VICTIM, w->page->out + i * message_size(w));
    fill_first(w);
    if (w->scenario->prepare && !w->failed)
        w->scenario->prepare(w);
    if (w->kind == SPSC && w->scenario->end)
        world_close_end(w, w->scenario->end);
}

void world_end(struct world *w)
{
    if (w->ring) {
        for (int i = 0; i < 2; i++) {
            rbx_tx_close(&w->tx[i]);
            rbx_rx_close(&w->rx[i]);
        }
        if (rbx_ring_close(w->ring) < 0)
            blame(w, "the ring could not be closed: %s", rbx_last_error());
        w->ring = NULL;
    }
    if (ring_exists())
        blame(w, "the ring left its name behind");
}

/* --- Sending and receiving --- */

int world_send(struct world *w, enum sender sender)
{
    char message[MESSAGE_MAX];
    size_t number = ledger_make(w, sender, message);
    int err = rbx_try_send(&w->tx[sender == KEEPER ? KEEPER : FIRST], message);
    if (err == 0) {
        w->entries[number].fate = SENT;
        return 0;
    }
    if (err != -EAGAIN && err != -EPIPE)
        blame(w, "a survivor's try_send answered %d: %s", err, rbx_last_error());
    w->count--;
    return err;
}

int world_receive(struct world *w, unsigned which)
{
    char message[MESSAGE_MAX];
    int err = rbx_try_recv(&w->rx[which], message);
    if (err == 0)
        ledger_received(w, message, false);
    else if (err != -EAGAIN && err != -EPIPE)
        blame(w, "a survivor's try_recv answered %d: %s", err, rbx_last_error());
    return err;
}

unsigned world_fill(struct world *w)
{
    unsigned accepted = 0;
    while (!w->failed && world_send(w, FIRST) == 0)
        if (++accepted > 10 * w->slots)
            blame(w, "a ring for %u messages has taken %u", w->slots, accepted);
    return accepted;
}

unsigned world_drain(struct world *w)
{
    unsigned came = 0;
    while (!w->failed && world_receive(w, FIRST) == 0)
        came++;
    return came;
}

/* What a keeper had in hand. */
void world_release_kept(struct world *w)
{
    if (w->kept_message) {
        if (memcmp(w->kept_message, w->kept_copy, message_size(w)) != 0)
            blame(w, "a message was overwritten in the hands of a survivor");
        int err = rbx_release(&w->rx[KEEPER]);
        if (err < 0)
            blame(w, "release answered %d: %s", err, rbx_last_error());
        ledger_received(w, w->kept_copy, false);
        w->kept_message = NULL;
    }
    if (w->kept_place) {
        int err = rbx_abort(&w->tx[KEEPER]);
        if (err < 0)
            blame(w, "abort answered %d: %s", err, rbx_last_error());
        w->kept_place = NULL;
    }
}

/* --- Others that die --- */

static _Noreturn void die(const struct world *w, unsigned end, unsigned batch)
{
    static rbx_tx tx;
    static rbx_rx rx;
    rbx_ring *ring;
    void *place;
    const void *shown;
    uint64_t at;
    bool holds = rbx_ring_open(&ring, rbx_box_name(rbx_ring_box(w->ring)), NULL) == 0;
    if (end == TX_END && batch > 0)
        holds = holds && rbx_tx_open(&tx, ring) == 0 &&
                rbx_mpmc_take_places(&tx, batch, &at, tx.frame) > 0;
    else if (end == TX_END)
        holds = holds && rbx_tx_open(&tx, ring) == 0 && rbx_try_claim(&tx, &place) == 0;
    else if (batch > 0)
        holds = holds && rbx_rx_open(&rx, ring) == 0 &&
                rbx_mpmc_take_messages(&rx, batch, &at, rx.frame) > 0;
    else
        holds = holds && rbx_rx_open(&rx, ring) == 0 && rbx_try_peek(&rx, &shown) == 0;
    if (holds)
        kill(getpid(), SIGKILL);
    _exit(1);
}

void world_let_die(struct world *w, unsigned end, unsigned batch)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        die(w, end, batch);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
        blame(w, "another that should die with a %s in hand could not",
              end == TX_END ? "place" : "message");
    w->died[end == RX_END]++;
    w->died_holding[end == RX_END] += batch > 0 ? batch : 1;
    w->deaths++;
}
