/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scene.c: making the ring and its endpoints, and what each thread then calls. */
#include "scene.h"

#include <errno.h>
#include <stdlib.h>

#include "calls.h"
#include "fiber.h"
#include "mutant.h"
#include "tell.h"
#include "turn.h"
#include "views.h"
#include "words.h"

#include <ringbox/message.h>

#include "box/handle.h"
#include "mpmc/slot.h"
#include "os/futex.h"
#include "ring/arm.h"
#include "ring/kind.h"

const struct configuration *scene;

static struct rbx_box boxes[THREADS_MAX + 1];
static struct process *processes[THREADS_MAX + 1];

struct process *process_of(unsigned thread)
{
    return processes[thread];
}

bool is_sender(unsigned thread)
{
    return thread < THREADS_MAX && scene->roles[thread].end == 's';
}

bool is_receiver(unsigned thread)
{
    return thread < THREADS_MAX && scene->roles[thread].end == 'r';
}

static const struct {
    const char *name;
    unsigned parts;
} verbs[VERBS] = {[SEND] = {"try_send", 1},
                  [SEND_TWO] = {"try_send_n", 2},
                  [SEND_WAITING] = {"send", 1},
                  [SEND_ARMED] = {"arm, try_send", 1},
                  [COMMIT] = {"try_claim, commit", 1},
                  [ABORT] = {"try_claim, abort", 1},
                  [RECV] = {"try_recv", 1},
                  [RECV_TWO] = {"try_recv_n", 2},
                  [RECV_WAITING] = {"recv", 1},
                  [RECV_ARMED] = {"arm, try_recv", 1},
                  [RECV_FOR_A_WHILE] = {"recv_for", 1},
                  [RELEASE] = {"try_peek, release", 1},
                  [PUT_BACK] = {"try_peek, release_n(0)", 1},
                  [MIND] = {"sees to the dead", 0},
                  [REPAIR] = {"repair", 0},
                  [SHUT_DOWN] = {"shutdown", 1},
                  [OPEN] = {"open", 0},
                  [CLOSE] = {"close", 0}};

unsigned parts_of(enum verb verb)
{
    return verbs[verb].parts;
}

const char *verb_name(enum verb verb)
{
    return verbs[verb].name;
}

bool is_same_call(unsigned thread, unsigned call, unsigned other, unsigned its_call)
{
    const struct role *a = &scene->roles[thread], *b = &scene->roles[other];
    return a->end == b->end && a->calls[call] == b->calls[its_call];
}

uint64_t message_of(unsigned thread, unsigned call, unsigned part)
{
    return 100 * (thread + 1) + call * PARTS_MAX + part + 1;
}

/* --- The ring --- */

static struct rbx_ring_shape shape_of(void)
{
    unsigned seats[RBX_ENDS] = {0, 0};
    for (unsigned t = 0; t < THREADS_MAX; t++) {
        seats[RBX_TX] += is_sender(t);
        seats[RBX_RX] += is_receiver(t);
    }
    /* One more of each for the observer. */
    const rbx_ring_options many = {.kind = RBX_MPMC,
                                   .message_size = sizeof(uint64_t),
                                   .capacity = scene->slots ? scene->slots : 1,
                                   .senders = seats[RBX_TX] + 1,
                                   .receivers = seats[RBX_RX] + 1,
                                   .flags = scene->flags};
    const rbx_ring_options one = {.kind = RBX_SPSC,
                                  .message_size = sizeof(uint64_t),
                                  .alignment = 64,
                                  .capacity = scene->slots ? scene->slots : 1};
    struct rbx_ring_shape shape;
    if (rbx_ring_plan(&shape, scene->is_spsc ? &one : &many) < 0)
        abort();
    shape.first_frame = scene->start ? scene->start : 8;
    return shape;
}

struct rbx_ring *scene_handle(unsigned thread)
{
    struct process *process = processes[thread];
    struct rbx_ring_shape shape = process->ring.shape;
    boxes[thread].fd.fd = DESCRIPTOR + (int)thread;
    process->ring =
        (struct rbx_ring){.box = &boxes[thread],
                          .memory = ring_memory,
                          .shape = shape,
                          .kind = scene->is_spsc ? &rbx_kind_spsc : &rbx_kind_mpmc,
                          .first = ring_memory + rbx_ring_frames_at(&shape),
                          .end = ring_memory + rbx_ring_size(&shape),
                          .seats = {(void *)(ring_memory + RBX_RING_SEATS_AT),
                                    (void *)(ring_memory + RBX_RING_SEATS_AT +
                                             shape.seats[RBX_TX] * sizeof(struct rbx_seat))},
                          .chairs = {process->chairs, process->chairs + THREADS_MAX + 1}};
    void *shared = ring_memory + RBX_RING_SHARED_AT;
    if (scene->is_spsc) {
        process->ring.spsc = shared;
        process->ring.seats[RBX_TX] = &process->ring.spsc->tx;
        process->ring.seats[RBX_RX] = &process->ring.spsc->rx;
    } else {
        process->ring.mpmc = shared;
    }
    memset(process->chairs, 0, sizeof process->chairs);
    return &process->ring;
}

/* --- Calls --- */

static enum outcome outcome_of(ptrdiff_t answer, enum verb verb)
{
    switch (answer) {
    case -EAGAIN:
    case -ETIMEDOUT:
    case -EOWNERDEAD:
        return NOTHING;
    case -EPIPE:
        return ENDED;
    default:
        if (answer < 0)
            violation("%s of %s answers %d", verb_name(verb), thread_name(current), (int)answer);
        return DONE;
    }
}

/* Of a call that answers 0 or -errno. */
static void one_ends(int answer, enum verb verb, uint64_t value)
{
    call_ends(0, outcome_of(answer, verb), value);
}

/* Of one that answers how many; a sender that sent one and no second one has found no room then. */
static void two_end(ptrdiff_t answer, enum verb verb, const uint64_t *values)
{
    enum outcome outcome = outcome_of(answer, verb);
    if (answer == 0 || answer > PARTS_MAX)
        violation("%s of %s answers %d", verb_name(verb), thread_name(current), (int)answer);
    for (unsigned i = 0; i < PARTS_MAX; i++)
        if (outcome == DONE)
            call_ends(i,
                      (ptrdiff_t)i < answer ? DONE
                      : verb == SEND_TWO    ? NOTHING
                                            : NOT_TRIED,
                      values[i]);
        else
            call_ends(i, outcome, 0);
}

static int claim_and(struct process *self, enum verb verb)
{
    struct rbx_frame frame = scene_frame();
    void *place;
    int err = SCENE_CALL(try_claim, &self->tx, &place, frame);
    if (err < 0)
        return err;
    memcpy(place, self->message, 8);
    err =
        verb == ABORT ? SCENE_CALL(abort, &self->tx, frame) : SCENE_CALL(commit, &self->tx, frame);
    if (err == -EAGAIN) /* strict: passed over, and full now */
        return SCENE_CALL(abort, &self->tx, frame) < 0 ? -EPROTO : err;
    return err;
}

static int peek_and(struct process *self, enum verb verb)
{
    struct rbx_frame frame = scene_frame();
    const void *place;
    ptrdiff_t shown = SCENE_CALL(try_peek_n, &self->rx, &place, 1, frame);
    if (shown <= 0)
        return (int)shown;
    memcpy(self->message, place, 8);
    return SCENE_CALL(release_n, &self->rx, verb == RELEASE, frame);
}

/* Sleeps as who waits for many does, until a try is worth it. */
static void await_armed(struct process *self)
{
    struct rbx_armed armed;
    if ((is_sender(current) ? rbx_arm_tx(&armed, &self->tx) : rbx_arm_rx(&armed, &self->rx)) < 0)
        abort();
    while (!rbx_arm_is_ready(&armed))
        if (rbx_arm(&armed)) {
            rbx_futex_wait(armed.word, armed.value, RBX_FOREVER, armed.in_process);
            rbx_arm_disarm(&armed);
        }
}

static int send_armed(struct process *self)
{
    int err;
    while ((err = SCENE_CALL(try_send, &self->tx, self->message, scene_frame())) == -EAGAIN)
        await_armed(self);
    return err;
}

static int receive_armed(struct process *self)
{
    int err;
    while ((err = SCENE_CALL(try_recv, &self->rx, self->message, scene_frame())) == -EAGAIN)
        await_armed(self);
    return err;
}

static void call_as_sender(struct process *self, enum verb verb)
{
    const struct rbx_frame frame = scene_frame();
    uint64_t *message = self->message;
    switch (verb) {
    case SEND:
        one_ends(SCENE_CALL(try_send, &self->tx, message, frame), verb, message[0]);
        break;
    case SEND_TWO:
        two_end(SCENE_CALL(try_send_n, &self->tx, message, 2, frame), verb, message);
        break;
    case SEND_WAITING:
        one_ends(SCENE_CALL(send_for, &self->tx, message, RBX_FOREVER, frame), verb, message[0]);
        break;
    case SEND_ARMED:
        one_ends(send_armed(self), verb, message[0]);
        break;
    case COMMIT:
    case ABORT:
        one_ends(claim_and(self, verb), verb, message[0]);
        break;
    case CLOSE:
        rbx_tx_close(&self->tx);
        break;
    default:
        abort();
    }
}

static void call_as_receiver(struct process *self, enum verb verb)
{
    enum { A_WHILE = 1000000 };
    const struct rbx_frame frame = scene_frame();
    uint64_t *message = self->message;
    ptrdiff_t answer;
    switch (verb) {
    case RECV:
    case RECV_WAITING:
    case RECV_FOR_A_WHILE:
        answer = verb == RECV ? SCENE_CALL(try_recv, &self->rx, message, frame)
                              : SCENE_CALL(recv_for, &self->rx, message,
                                           verb == RECV_WAITING ? RBX_FOREVER : A_WHILE, frame);
        mutant_catch_up();
        one_ends((int)answer, verb, message[0]);
        break;
    case RECV_ARMED:
        answer = receive_armed(self);
        mutant_catch_up();
        one_ends((int)answer, verb, message[0]);
        break;
    case RECV_TWO:
        answer = SCENE_CALL(try_recv_n, &self->rx, message, 2, frame);
        mutant_catch_up();
        two_end(answer, verb, message);
        break;
    case RELEASE:
    case PUT_BACK:
        answer = peek_and(self, verb);
        one_ends((int)answer, verb, message[0]);
        break;
    case CLOSE:
        rbx_rx_close(&self->rx);
        break;
    default:
        abort();
    }
}

static const rbx_wait_options sleeps_at_once = {.spin_ns = RBX_NO_SPIN};

static int open_end(struct process *self)
{
    if (is_sender(current)) {
        int err = rbx_tx_open(&self->tx, &self->ring);
        return err < 0 ? err : rbx_tx_wait_by(&self->tx, &sleeps_at_once);
    }
    int err = rbx_rx_open(&self->rx, &self->ring);
    return err < 0 ? err : rbx_rx_wait_by(&self->rx, &sleeps_at_once);
}

/* Whether it was the first to do so makes no difference. */
static void shut_down(struct process *self)
{
    self->ring.kind->shutdown(&self->ring);
    one_ends(0, SHUT_DOWN, 0);
}

__attribute__((noinline)) static void call(unsigned number, enum verb verb)
{
    struct process *self = processes[current];
    rbx_repaired repaired = {0};
    memset(self->message, 0, sizeof self->message);
    if (is_sender(current))
        for (unsigned i = 0; i < PARTS_MAX; i++)
            self->message[i] = message_of(current, number, i);
    if (telling)
        tell_line(thread_name(current), "CALLS", verb_name(verb), "");
    if (verb == MIND)
        rbx_mpmc_mind_the_dead(&self->ring);
    else if (verb == SHUT_DOWN)
        shut_down(self);
    else if (verb == OPEN)
        outcome_of(open_end(self), verb);
    else if (verb == REPAIR)
        outcome_of(rbx_mpmc_repair(&self->ring, &repaired), verb);
    else if (is_sender(current))
        call_as_sender(self, verb);
    else
        call_as_receiver(self, verb);
    memset(self->message, 0, sizeof self->message);
}

/* The body of every thread. */
static void act(unsigned thread)
{
    struct thread *self = &world.threads[thread];
    const enum verb *script = scene->roles[thread].calls;
    for (unsigned i = 0; i < CALLS_MAX && script[i] != END_OF_SCRIPT; i++) {
        call_begins(i);
        call(i, script[i]);
    }
    mutant_catch_up();
    meet_fate();
    self->state = THREAD_FINISHED;
    for (;;)
        fiber_rest();
}

/* --- The beginning --- */

/* Past what only a new endpoint does: looking for orphans, and noting how full the ring has been,
   which is for people. */
static void settle_in(struct process *self)
{
    uint64_t message;
    if (is_receiver(current))
        (void)SCENE_CALL(try_recv, &self->rx, &message, scene_frame());
    if (is_sender(current))
        self->tx.mpmc.quarter = UINT64_MAX;
    rbx_store_relaxed(&self->ring.mpmc->high_water, self->ring.shape.frames);
}

static void open_ends(void)
{
    for (current = 0; current < THREADS_MAX; current++) {
        const struct role *role = &scene->roles[current];
        if ((role->end != 's' && role->end != 'r') || role->calls[0] == OPEN)
            continue;
        if (open_end(processes[current]) < 0)
            abort();
        if (!scene->fresh && !scene->is_spsc)
            settle_in(processes[current]);
    }
}

static void fill(void)
{
    struct process *observer = processes[OBSERVER];
    current = OBSERVER;
    if (scene->fill == 0)
        return;
    if (rbx_tx_open(&observer->tx, &observer->ring) < 0)
        abort();
    for (unsigned i = 0; i < scene->fill; i++) {
        uint64_t message = message_of(OBSERVER, 0, i);
        if (SCENE_CALL(try_send, &observer->tx, &message, scene_frame()) < 0)
            abort();
    }
    rbx_tx_close(&observer->tx);
}

void scene_begin(const struct configuration *configuration)
{
    scene = configuration;
    exploring = false;
    violated[0] = '\0';
    memset(&world, 0, sizeof world);
    memset(ring_memory, 0, sizeof ring_memory);
    for (unsigned t = 0; t <= THREADS_MAX; t++) {
        processes[t] = fiber_data(t, sizeof *processes[t]);
        memset(processes[t], 0, sizeof *processes[t]);
        world.threads[t].now = 1;
        world.threads[t].word = world.threads[t].late.word = NO_WORD;
    }
    const struct rbx_ring_shape shape = shape_of();
    for (unsigned t = 0; t <= THREADS_MAX; t++) {
        processes[t]->ring.shape = shape;
        scene_handle(t);
    }
    if (rbx_ring_size(&shape) > sizeof ring_memory || rbx_ring_format(ring_memory, &shape) < 0)
        abort();
    open_ends();
    fill();
    world.deaths = scene->mortal == 0 ? 0 : scene->deaths > 1 ? (uint8_t)scene->deaths : 1;
    world.timeouts = (uint8_t)scene->timeouts;
    exploring = true;
    views_begin(THREADS_MAX);
    for (current = 0; current < THREADS_MAX; current++)
        if (scene->roles[current].end) {
            world.threads[current].state = THREAD_READY;
            world.threads[current].mortal = scene->mortal >> current & 1;
            world.threads[current].access = TIDIES;
            world.threads[current].slices = (uint8_t)scene->slices;
            fiber_begin(current, act);
        }
}
