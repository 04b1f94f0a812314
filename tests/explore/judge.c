/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * judge.c: when all threads have finished or died, what must hold.
 *
 * An observer comes, sees to the dead, and has what is left received; the history of all calls must
 * be one that a queue can have. Then the ring is filled: all of it must be there, and go on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "history.h"
#include "scene.h"
#include "tell.h"
#include "words.h"

#include <ringbox/message.h>

#include "mpmc/slot.h"
#include "ring/kind.h"
#include "ring/seat.h"

static struct history_call calls[HISTORY_CALLS_MAX];
static uint64_t after[HISTORY_CALLS_MAX]; /* which calls each comes after, as bits */
static size_t count;
static uint64_t clock_now;

static const struct rbx_frame *frame(void)
{
    return &process_of(OBSERVER)->ring.shape.frame;
}

static void note(unsigned thread, enum history_kind kind, enum history_answer answer,
                 uint64_t value)
{
    if (count == HISTORY_CALLS_MAX)
        abort();
    clock_now++;
    calls[count++] = (struct history_call){.thread = thread,
                                           .kind = kind,
                                           .answer = answer,
                                           .value = value,
                                           .called = clock_now,
                                           .returned = clock_now};
}

/* How many the ring holds; one of one sender somewhat more, as its receiver is lazy. */
static size_t most_messages(void)
{
    const struct rbx_ring_shape *shape = &process_of(OBSERVER)->ring.shape;
    return shape->frames * shape->frame.per_frame;
}

static size_t least_messages(void)
{
    return scene->is_spsc ? process_of(OBSERVER)->ring.shape.capacity : most_messages();
}

static enum history_kind kind_of(enum verb verb, bool sends)
{
    return verb == ABORT       ? HISTORY_ABORT
           : verb == PUT_BACK  ? HISTORY_PUT_BACK
           : verb == SHUT_DOWN ? HISTORY_SHUT
           : sends             ? HISTORY_SEND
                               : HISTORY_RECV;
}

/* Number + 1 of the call that a record was noted as. */
static unsigned noted_as[THREADS_MAX * RECORDS_MAX];

static void note_calls_of(unsigned thread)
{
    for (unsigned i = 0; i < RECORDS_MAX; i++) {
        const struct record *record = &world.records[thread][i];
        enum verb verb = scene->roles[thread].calls[i / PARTS_MAX];
        if (record->outcome == NOT_CALLED || record->outcome == NOT_TRIED ||
            i % PARTS_MAX >= parts_of(verb))
            continue;
        bool is_over = record->outcome != CALLED;
        note(thread, kind_of(verb, is_sender(thread)),
             record->outcome == NOTHING ? HISTORY_REFUSED
             : record->outcome == ENDED ? HISTORY_ENDED
                                        : HISTORY_DONE,
             is_sender(thread) ? message_of(thread, i / PARTS_MAX, i % PARTS_MAX) : record->value);
        struct history_call *call = &calls[count - 1];
        call->called = record->called;
        after[count - 1] = record->preceded; /* so far of records, not of calls */
        noted_as[thread * RECORDS_MAX + i] = (unsigned)count;
        call->returned = is_over ? record->returned : HISTORY_NEVER;
    }
}

/* Makes calls of the records in `after`. All come after the `first` ones, which were there before;
   and from `last` on, who looks at it in the end, after all. */
static void order_calls(unsigned first, unsigned last)
{
    for (unsigned i = first; i < count; i++) {
        uint64_t records = i < last ? after[i] : 0;
        after[i] = i < last ? (UINT64_C(1) << first) - 1 : (UINT64_C(1) << i) - 1;
        for (unsigned r = 0; r < THREADS_MAX * RECORDS_MAX; r++)
            if (records >> r & 1 && noted_as[r] != 0)
                after[i] |= UINT64_C(1) << (noted_as[r] - 1);
    }
}

static rbx_tx observers_tx;
static rbx_rx observers_rx;

static rbx_tx *tx_of(unsigned thread)
{
    return thread == OBSERVER ? &observers_tx : &process_of(thread)->tx;
}

static rbx_rx *rx_of(unsigned thread)
{
    return thread == OBSERVER ? &observers_rx : &process_of(thread)->rx;
}

/* A survivor's endpoint, or else the observer's, which is opened. */
static unsigned someone(char end)
{
    struct rbx_ring *ring = &process_of(OBSERVER)->ring;
    for (current = 0; current < THREADS_MAX; current++)
        if (scene->roles[current].end == end && world.threads[current].state == THREAD_FINISHED &&
            (end == 's' ? tx_of(current)->hold : rx_of(current)->hold) == RBX_HOLD_NONE)
            return current;
    int err = end == 's' ? rbx_tx_open(&observers_tx, ring) : rbx_rx_open(&observers_rx, ring);
    if (err < 0)
        violation("a newcomer cannot open an end: %d", err);
    return current;
}

/* Receives until there is nothing: how many, and the first few of them; and what it then says. */
static unsigned drain(unsigned receiver, uint64_t *messages, unsigned most,
                      enum history_answer *last)
{
    unsigned n = 0;
    *last = HISTORY_REFUSED;
    for (current = receiver; n < most; n++) {
        int err = SCENE_CALL(try_recv, rx_of(receiver), &messages[n], *frame());
        *last = err == -EPIPE ? HISTORY_ENDED : HISTORY_REFUSED;
        if (err == -EAGAIN || err == -EPIPE)
            break;
        if (err < 0) {
            violation("at the end, a receiver is told %d", err);
            break;
        }
    }
    return n;
}

static void see_to_the_dead(void)
{
    rbx_repaired repaired = {0};
    struct rbx_ring *ring = &process_of(OBSERVER)->ring;
    current = OBSERVER;
    int err = rbx_mpmc_repair(ring, &repaired);
    if (err < 0)
        violation("the observer cannot see to the dead: %d", err);
    for (enum rbx_ring_end end = RBX_TX; end < RBX_ENDS; end++)
        for (unsigned i = 0; i < ring->shape.seats[end]; i++)
            if (rbx_seat_dead(ring, end, i))
                violation("%s's seat %u is that of a dead one still",
                          end == RBX_TX ? "sender" : "receiver", i + 1);
}

static void tell_history(void)
{
    static const char *const kinds[] = {"send", "abort", "recv", "put back", "shutdown"};
    static const char *const answers[] = {"message", "refused", "ended"};
    for (size_t i = 0; i < count; i++) {
        const struct history_call *call = &calls[i];
        char says[80];
        snprintf(says, sizeof says, "%s %llu, from %llu to %llu", answers[call->answer],
                 (unsigned long long)call->value, (unsigned long long)call->called,
                 call->returned == HISTORY_NEVER ? 0 : (unsigned long long)call->returned);
        tell_line(thread_name(call->thread), "(history)", kinds[call->kind], says);
    }
}

static void judge_history(unsigned receiver, const uint64_t *left, unsigned n,
                          enum history_answer last)
{
    count = 0;
    clock_now = 0;
    for (unsigned i = 0; i < scene->fill; i++) {
        note(OBSERVER, HISTORY_SEND, HISTORY_DONE, message_of(OBSERVER, 0, i));
        calls[count - 1].called = calls[count - 1].returned = 0;
    }
    memset(noted_as, 0, sizeof noted_as);
    for (unsigned t = 0; t < THREADS_MAX; t++)
        note_calls_of(t);
    unsigned last_of_them = (unsigned)count;
    clock_now = world.clock;
    for (unsigned i = 0; i < n; i++)
        note(receiver, HISTORY_RECV, HISTORY_DONE, left[i]);
    note(receiver, HISTORY_RECV, last, 0);
    order_calls(scene->fill, last_of_them);
    const struct history history = {.calls = calls,
                                    .count = count,
                                    .after = is_weak ? after : NULL,
                                    .capacity = most_messages(),
                                    .promised = least_messages(),
                                    .ring = scene->is_spsc              ? HISTORY_LOCKED
                                            : scene->flags & RBX_STRICT ? HISTORY_STRICT
                                                                        : HISTORY_DEFAULT};
    if (!history_is_sound(&history))
        violation("no queue would have answered the calls like this");
    if (telling)
        tell_history();
}

static void judge_words(void)
{
    struct rbx_ring *ring = &process_of(OBSERVER)->ring;
    uint64_t tail = rbx_slot_position(rbx_load_acquire(&ring->mpmc->tail));
    uint64_t head = rbx_load_acquire(&ring->mpmc->head);
    if (tail != head)
        violation("empty, but tail is at %lld and head at %lld", (long long)(tail >> 8),
                  (long long)(head >> 8));
    for (uint64_t i = 0; i < ring->shape.frames; i++) {
        uint64_t at = tail + (i << 8), word = rbx_load_acquire(rbx_slot_word(ring, at));
        if (word != at)
            violation("empty, but the slot of position %lld says %s", (long long)(at >> 8),
                      word_says(word_at(rbx_slot_word(ring, at), 8), word));
    }
}

static void judge_capacity(unsigned receiver)
{
    enum { FIRST = 900 };
    size_t most = most_messages();
    uint64_t messages[HISTORY_CAPACITY_MAX + 1];
    unsigned sender = someone('s'), sent = 0;
    int err = 0;
    for (current = sender; sent <= most && err == 0; sent += err == 0) {
        uint64_t message = FIRST + sent;
        err = SCENE_CALL(try_send, tx_of(sender), &message, *frame());
    }
    if (sent < least_messages() || sent > most || err != -EAGAIN)
        violation("of %u messages %u find room at the end (%d)", (unsigned)most, sent, err);
    enum history_answer last;
    unsigned got = drain(receiver, messages, (unsigned)most + 1, &last);
    for (unsigned i = 0; i < got; i++)
        if (messages[i] != FIRST + i)
            violation("the message sent as number %u at the end is %llu", i,
                      (unsigned long long)messages[i]);
    if (got != sent)
        violation("of %u messages sent at the end %u arrive", sent, got);
}

/*
 * In a strict ring nobody waits for one that has stopped in the middle of a call: all that was sent
 * has been received by now, but for what a stopped receiver has in hand, and messages still come
 * through, one by one, as long as there is another slot.
 */
static void judge_progress(unsigned receiver)
{
    unsigned sent = 0, received = 0, in_hand = 0;
    for (size_t i = 0; i < count; i++) {
        bool counts = calls[i].answer == HISTORY_DONE && calls[i].returned != HISTORY_NEVER;
        sent += counts && calls[i].kind == HISTORY_SEND;
        received += counts && calls[i].kind == HISTORY_RECV;
        in_hand += calls[i].kind == HISTORY_RECV && calls[i].returned == HISTORY_NEVER;
    }
    if (received + in_hand < sent)
        violation("of %u messages sent only %u arrive while one has stopped", sent, received);
    unsigned sender = someone('s');
    for (uint64_t i = 0; i < 8 && process_of(OBSERVER)->ring.shape.frames > 1; i++) {
        uint64_t message = 900 + i, got = 0;
        enum history_answer last;
        current = sender;
        int err = SCENE_CALL(try_send, tx_of(sender), &message, *frame());
        if (err != 0 || drain(receiver, &got, 1, &last) != 1 || got != message) {
            violation("message %u does not come through while one has stopped (%d)", (unsigned)i,
                      err);
            return;
        }
    }
}

void scene_judge(void)
{
    uint64_t left[HISTORY_CALLS_MAX / 2];
    exploring = false;
    scene_handle(OBSERVER);
    if (scene->mortal && !scene->stops)
        see_to_the_dead();
    unsigned receiver = someone('r');
    enum history_answer last;
    unsigned n = drain(receiver, left, HISTORY_CALLS_MAX / 2, &last);
    if (!violated[0])
        judge_history(receiver, left, n, last);
    bool is_shut = !scene->is_spsc &&
                   rbx_load_relaxed(&process_of(OBSERVER)->ring.mpmc->tail) & RBX_TAIL_CLOSED;
    bool is_strict = scene->flags & RBX_STRICT;
    if (!violated[0] && !scene->stops && !scene->is_spsc)
        judge_words();
    if (!violated[0] && !scene->stops && !is_shut)
        judge_capacity(receiver);
    if (!violated[0] && scene->stops && is_strict)
        judge_progress(receiver);
}
