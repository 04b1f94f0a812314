/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "party.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Atomic unsigned torn;
static _Atomic uint64_t counter;

/* --- Times --- */

/* Nothing of what follows is done before. */
static uint64_t time_before(enum way way)
{
    if (way == COUNTED)
        return atomic_fetch_add(&counter, 1) + 1;
    uint64_t time = now();
#if defined(__x86_64__)
    __builtin_ia32_lfence(); /* stores may wait on */
#else
    rbx_full_fence();
#endif
    return time;
}

static uint64_t time_after(enum way way)
{
    if (way == COUNTED)
        return atomic_fetch_add(&counter, 1) + 1;
    if (way == FENCED)
        rbx_full_fence();
    return now();
}

/* --- Calls --- */

void party_notes(struct party *self, enum history_kind kind, ptrdiff_t answer, uint64_t value)
{
    self->call[self->count] = self->calls;
    self->log[self->count++] = (struct history_call){
        .thread = self->number,
        .kind = kind,
        .answer = answer == -EAGAIN  ? HISTORY_REFUSED
                  : answer == -EPIPE ? HISTORY_ENDED
                                     : HISTORY_DONE,
        .value = value,
        .called = self->began,
    };
    if (answer < 0 && answer != -EAGAIN && answer != -EPIPE) {
        fprintf(stderr, "a call answered %td: %s\n", answer, rbx_last_error());
        exit(1);
    }
}

struct message new_message(struct party *self)
{
    uint64_t value = ++self->last_value * 8 + self->number;
    return (struct message){value, ~value};
}

uint64_t read_message(const struct message *message)
{
    if (message->check != ~message->value)
        atomic_fetch_add(&torn, 1);
    return message->value;
}

/* For a moment, or not at all: a pause may take as long as a call. */
static void idle(struct party *self, uint32_t most)
{
    for (uint32_t n = draw_from(&self->random, 3) ? 0 : draw_from(&self->random, most); n > 0; n--)
        rbx_pause();
}

/* Between claim and commit, or peek and release: others come in. */
static void dawdle(struct party *self)
{
    idle(self, 8);
    if (draw_from(&self->random, 16) == 0)
        sched_yield();
}

static void send_two(struct party *self)
{
    const struct message messages[] = {new_message(self), new_message(self)};
    ptrdiff_t sent = rbx_try_send_n(&self->tx, messages, 2);
    party_notes(self, HISTORY_SEND, sent, messages[0].value);
    /* There was no room for the second one; or it was too late for it. */
    if (sent == 2 || (sent == 1 && !self->shuts))
        party_notes(self, HISTORY_SEND, sent == 2 ? 0 : -EAGAIN, messages[1].value);
}

static void claim_and(struct party *self, enum history_kind kind)
{
    const struct message message = new_message(self);
    void *place;
    int err = rbx_try_claim(&self->tx, &place);
    if (err == 0) {
        memcpy(place, &message, sizeof message);
        dawdle(self);
        err = kind == HISTORY_ABORT ? rbx_abort(&self->tx) : rbx_commit(&self->tx);
        if (err == -EAGAIN && rbx_abort(&self->tx) < 0) /* strict: passed over, and full now */
            err = -EPROTO;
    }
    party_notes(self, kind, err, message.value);
}

static void send_somehow(struct party *self)
{
    const struct message message = new_message(self);
    switch (draw_from(&self->random, 6)) {
    case 0:
        send_two(self);
        break;
    case 1:
        claim_and(self, HISTORY_SEND);
        break;
    case 2:
        claim_and(self, HISTORY_ABORT);
        break;
    default:
        party_notes(self, HISTORY_SEND, rbx_try_send(&self->tx, &message), message.value);
    }
}

static void peek_and(struct party *self, enum history_kind kind)
{
    const void *shown;
    struct message message = {0, ~UINT64_C(0)};
    ptrdiff_t n = rbx_try_peek_n(&self->rx, &shown, 1);
    if (n > 0) {
        memcpy(&message, shown, sizeof message);
        dawdle(self);
        int err = rbx_release_n(&self->rx, kind == HISTORY_RECV);
        n = err < 0 ? err : n;
    }
    party_notes(self, kind, n, read_message(&message));
}

static void recv_somehow(struct party *self)
{
    struct message messages[2] = {{0, ~UINT64_C(0)}, {0, ~UINT64_C(0)}};
    ptrdiff_t n;
    switch (draw_from(&self->random, 6)) {
    case 0:
        n = rbx_try_recv_n(&self->rx, messages, 2);
        party_notes(self, HISTORY_RECV, n, read_message(&messages[0]));
        if (n == 2)
            party_notes(self, HISTORY_RECV, 0, read_message(&messages[1]));
        break;
    case 1:
        peek_and(self, HISTORY_RECV);
        break;
    case 2:
        peek_and(self, HISTORY_PUT_BACK);
        break;
    default:
        n = rbx_try_recv(&self->rx, messages);
        party_notes(self, HISTORY_RECV, n, read_message(messages));
    }
}

static void shut_down(struct party *self)
{
    int err = rbx_ring_shutdown(self->ring);
    party_notes(self, HISTORY_SHUT, err == -EINVAL ? 0 : err, 0); /* then somebody else did */
}

static void call_once(struct party *self)
{
    unsigned first = self->count;
    idle(self, 6);
    self->began = time_before(self->way);
    if (self->shuts && self->calls == self->shuts_at)
        shut_down(self);
    else if (self->sends)
        send_somehow(self);
    else
        recv_somehow(self);
    uint64_t returned = time_after(self->way);
    for (unsigned i = first; i < self->count; i++)
        self->log[i].returned = returned;
    self->calls++;
}

/* Each call has returned by the end of the next one that took something. */
static void date_returns(struct party *self)
{
    rbx_full_fence();
    uint64_t bound = now(), next = bound;
    for (unsigned i = self->count; i-- > 0;) {
        if (i + 1 < self->count && self->call[i] != self->call[i + 1])
            bound = next;
        if (self->log[i].answer == HISTORY_DONE && self->log[i].kind != HISTORY_SHUT)
            next = self->log[i].returned;
        self->log[i].returned = bound;
    }
}

void party_calls(struct party *self)
{
    while (self->calls < self->planned && self->count + 2 <= LOG_MAX)
        call_once(self);
    if (self->way == FREE)
        date_returns(self);
}
