/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

/* What a queue that has answered some of the calls holds: numbers of the calls that sent it. */
struct queue {
    uint64_t done; /* calls, as bits */
    bool is_shut;
    uint8_t waiting, orphans;
    uint8_t sent;                          /* places that were ever taken, modulo the capacity */
    uint8_t slot[HISTORY_CAPACITY_MAX];    /* who took this place last; NOBODY */
    uint8_t message[HISTORY_CAPACITY_MAX]; /* the next one first, with TOMBSTONE or without */
    uint8_t orphan[HISTORY_CAPACITY_MAX];  /* in order of numbers */
};

#define TOMBSTONE 0x80U
#define NOBODY 0xffU

static struct search {
    const struct history *history;
    uint64_t before[HISTORY_CALLS_MAX]; /* calls that must come first */
    uint64_t beside[HISTORY_CALLS_MAX]; /* others that were under way at the same time */
    uint64_t must, died;                /* calls that returned, and that did not */
    uint64_t crowded; /* calls before whose end two others, or this one and another, met */
    uint64_t kinds[HISTORY_SHUT + 1];
} s;

/* --- What was tried in vain: a hash table, emptied by a new number --- */

static struct {
    uint64_t *hash;
    uint32_t *number;
    size_t room, count;
    uint32_t now;
} vain;

static uint64_t hash_of(const struct queue *queue)
{
    uint64_t h = queue->done * UINT64_C(0x9e3779b97f4a7c15) + queue->waiting;
    h = (h ^ (uint64_t)queue->is_shut << 8 ^ queue->sent) * UINT64_C(0xff51afd7ed558ccd);
    for (unsigned i = 0; i < s.history->capacity; i++)
        h = (h ^ queue->slot[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 32;
    for (unsigned i = 0; i < queue->waiting; i++)
        h = (h ^ queue->message[i]) * UINT64_C(0xff51afd7ed558ccd), h ^= h >> 32;
    for (unsigned i = 0; i < queue->orphans; i++)
        h = (h ^ (queue->orphan[i] + 256U)) * UINT64_C(0xff51afd7ed558ccd), h ^= h >> 32;
    return h;
}

static void grow_vain(void)
{
    size_t room = vain.room ? vain.room * 2 : 1024;
    uint64_t *hash = calloc(room, sizeof *hash);
    uint32_t *number = calloc(room, sizeof *number);
    if (!hash || !number)
        abort();
    for (size_t i = 0; i < vain.room; i++)
        if (vain.number[i] == vain.now) {
            size_t at = vain.hash[i] % room;
            while (number[at] == vain.now)
                at = (at + 1) % room;
            hash[at] = vain.hash[i];
            number[at] = vain.now;
        }
    free(vain.hash);
    free(vain.number);
    vain.hash = hash;
    vain.number = number;
    vain.room = room;
}

/* Notes it; whether it was noted before. */
static bool was_tried(const struct queue *queue)
{
    if (vain.count * 2 >= vain.room)
        grow_vain();
    uint64_t hash = hash_of(queue);
    size_t at = hash % vain.room;
    for (; vain.number[at] == vain.now; at = (at + 1) % vain.room)
        if (vain.hash[at] == hash)
            return true;
    vain.hash[at] = hash;
    vain.number[at] = vain.now;
    vain.count++;
    return false;
}

/* --- The queue --- */

static void take_first(struct queue *queue)
{
    memmove(queue->message, queue->message + 1, --queue->waiting);
    queue->message[queue->waiting] = 0;
}

static void make_orphan(struct queue *queue, unsigned sender)
{
    unsigned at = queue->orphans++;
    for (; at > 0 && queue->orphan[at - 1] > sender; at--)
        queue->orphan[at] = queue->orphan[at - 1];
    queue->orphan[at] = (uint8_t)sender;
}

static void drop_orphan(struct queue *queue, unsigned at)
{
    memmove(queue->orphan + at, queue->orphan + at + 1, --queue->orphans - at);
    queue->orphan[queue->orphans] = 0;
}

static bool is_full(const struct queue *queue)
{
    return queue->waiting + queue->orphans >= (unsigned)s.history->capacity;
}

/* As far as the promise goes. */
static bool is_called_full(const struct queue *queue)
{
    size_t promised = s.history->promised ? s.history->promised : s.history->capacity;
    return queue->waiting + queue->orphans >= (unsigned)promised;
}

static const struct history_call *call_of(unsigned call)
{
    return &s.history->calls[call];
}

static bool has_died(unsigned call)
{
    return call_of(call)->returned == HISTORY_NEVER;
}

static bool is_send(unsigned call)
{
    return call_of(call)->kind <= HISTORY_ABORT;
}

static uint64_t sends(void)
{
    return s.kinds[HISTORY_SEND] | s.kinds[HISTORY_ABORT];
}

static uint64_t receives(void)
{
    return s.kinds[HISTORY_RECV] | s.kinds[HISTORY_PUT_BACK];
}

/* Whether one of these calls received what `sender` sent. */
static bool has_received(uint64_t calls, unsigned sender)
{
    for (unsigned i = 0; i < s.history->count; i++)
        if (calls >> i & 1 && !is_send(i) && call_of(i)->answer == HISTORY_DONE &&
            call_of(i)->value == call_of(sender)->value)
            return true;
    return false;
}

static bool search(struct queue queue);

static bool after_sending(struct queue queue, unsigned call, unsigned what)
{
    if (is_full(&queue) || queue.is_shut)
        return false;
    queue.message[queue.waiting++] = (uint8_t)(call | what);
    if (s.history->ring == HISTORY_DEFAULT) {
        queue.slot[queue.sent] = (uint8_t)(call | what);
        queue.sent = (uint8_t)((queue.sent + 1U) % s.history->capacity);
    }
    return search(queue);
}

/* Whether the slot that is next is in somebody's hands, though not all are taken. */
static bool is_next_in_hand(const struct queue *queue, unsigned call)
{
    unsigned last = queue->slot[queue->sent];
    uint64_t others = s.beside[call];
    if (last == NOBODY)
        return false;
    if (last & TOMBSTONE) /* whoever takes it out of the way has it */
        return (others & (sends() | receives())) != 0;
    for (unsigned i = 0; i < queue->orphans; i++)
        if (queue->orphan[i] == last)
            return true;
    return has_received(others & receives() & queue->done, last);
}

static bool may_be_full(const struct queue *queue, unsigned call)
{
    uint64_t others = s.beside[call] & (sends() | receives());
    bool is_clear = queue->waiting == 0 || !(queue->message[0] & TOMBSTONE);
    if (queue->is_shut)
        return false;
    /* Who is beside may be at a tombstone that is in front, or have the place still. */
    if (is_called_full(queue) && (is_clear || others != 0))
        return true;
    switch (s.history->ring) {
    case HISTORY_DEFAULT:
        return is_next_in_hand(queue, call) || (s.beside[call] & s.died) != 0;
    case HISTORY_STRICT:
        return others != 0 || queue->orphans > 0 || (queue->waiting > 0 && s.crowded >> call & 1) ||
               (s.beside[call] & s.died) != 0;
    default:
        return false;
    }
}

static bool may_be_empty(const struct queue *queue, unsigned call)
{
    uint64_t others = s.beside[call];
    uint64_t returning = others & s.kinds[HISTORY_PUT_BACK];
    if (others & s.died && s.history->ring != HISTORY_LOCKED)
        return true;
    for (unsigned i = 0; i < queue->orphans; i++)
        if (!has_received(returning, queue->orphan[i]))
            return false;
    /* In a default ring it is for the first one to be published, in a strict one for any. */
    unsigned count = s.history->ring == HISTORY_DEFAULT && queue->waiting > 0 ? 1 : queue->waiting;
    for (unsigned i = 0; i < count; i++) {
        unsigned sender = queue->message[i] & ~TOMBSTONE;
        bool is_nothing = queue->message[i] & TOMBSTONE && s.history->ring == HISTORY_STRICT;
        if (s.history->ring == HISTORY_LOCKED || !(is_nothing || others >> sender & 1))
            return false;
    }
    /* Else it would be told that no more will come. */
    return !queue->is_shut || queue->waiting > 0 || returning != 0 ||
           (others & s.kinds[HISTORY_SHUT] && s.history->ring != HISTORY_LOCKED);
}

/* Nothing is there, nor will be; but who dies, or puts a message back, may leave one yet. */
static bool may_have_ended(const struct queue *queue, unsigned call)
{
    uint64_t others = s.beside[call];
    if (!queue->is_shut || (!is_send(call) && queue->waiting > 0))
        return false;
    return is_send(call) || queue->orphans == 0 ||
           (others & (s.died | s.kinds[HISTORY_PUT_BACK])) != 0;
}

static bool after_send(struct queue queue, unsigned call)
{
    const struct history_call *c = call_of(call);
    queue.done |= UINT64_C(1) << call;
    if (c->answer == HISTORY_ENDED)
        return may_have_ended(&queue, call) && search(queue);
    if (c->answer == HISTORY_REFUSED)
        return may_be_full(&queue, call) && search(queue);
    if (c->kind == HISTORY_ABORT && s.history->ring == HISTORY_LOCKED)
        return !is_full(&queue) && !queue.is_shut && search(queue);
    if (c->kind == HISTORY_ABORT)
        return after_sending(queue, call, TOMBSTONE);
    return after_sending(queue, call, 0) ||
           (has_died(call) && after_sending(queue, call, TOMBSTONE));
}

/* Of one that died: it has the first message or any orphan, and that is gone, or an orphan. */
static bool after_lost_recv(struct queue queue, unsigned call)
{
    queue.done |= UINT64_C(1) << call;
    if (queue.waiting > 0 && !(queue.message[0] & TOMBSTONE)) {
        struct queue gone = queue;
        unsigned sender = gone.message[0];
        take_first(&gone);
        struct queue put_back = gone;
        make_orphan(&put_back, sender);
        if (search(put_back) || search(gone))
            return true;
    }
    for (unsigned i = 0; i < queue.orphans; i++) {
        struct queue gone = queue;
        drop_orphan(&gone, i);
        if (search(gone))
            return true;
    }
    return false;
}

static bool after_recv(struct queue queue, unsigned call)
{
    const struct history_call *c = call_of(call);
    if (has_died(call))
        return after_lost_recv(queue, call);
    queue.done |= UINT64_C(1) << call;
    if (c->answer == HISTORY_ENDED)
        return may_have_ended(&queue, call) && search(queue);
    if (c->answer == HISTORY_REFUSED)
        return may_be_empty(&queue, call) && search(queue);
    bool comes_back = c->kind == HISTORY_PUT_BACK;
    for (unsigned i = 0; i < queue.orphans; i++)
        if (call_of(queue.orphan[i])->value == c->value) {
            if (!comes_back)
                drop_orphan(&queue, i);
            return search(queue);
        }
    if (queue.waiting == 0 || queue.message[0] & TOMBSTONE ||
        call_of(queue.message[0])->value != c->value)
        return false;
    if (comes_back && s.history->ring == HISTORY_LOCKED)
        return search(queue);
    unsigned sender = queue.message[0];
    take_first(&queue);
    if (comes_back)
        make_orphan(&queue, sender);
    return search(queue);
}

static bool after(struct queue queue, unsigned call)
{
    if (is_send(call))
        return after_send(queue, call);
    if (call_of(call)->kind != HISTORY_SHUT)
        return after_recv(queue, call);
    queue.done |= UINT64_C(1) << call;
    queue.is_shut = true;
    return search(queue);
}

static bool search(struct queue queue)
{
    if ((queue.done & s.must) == s.must)
        return true;
    if (was_tried(&queue))
        return false;
    for (unsigned call = 0; call < s.history->count; call++) {
        if (queue.done >> call & 1 || (s.before[call] & ~queue.done) != 0)
            continue;
        if (after(queue, call))
            return true;
    }
    /* Whoever is in a call may have taken a tombstone out of the way already. */
    if (queue.waiting > 0 && queue.message[0] & TOMBSTONE) {
        take_first(&queue);
        return search(queue);
    }
    return false;
}

/* Calls of one thread come one after the other; of two threads, those that did. */
static bool comes_before(unsigned a, unsigned b)
{
    const struct history_call *calls = s.history->calls;
    if (calls[a].thread == calls[b].thread)
        return a < b;
    if (s.history->after)
        return calls[a].returned != HISTORY_NEVER && s.history->after[b] >> a & 1;
    return calls[a].returned < calls[b].called;
}

/* Two calls at once, before the end of `call`. */
static bool is_crowded(unsigned call)
{
    for (unsigned i = 0; i < s.history->count; i++)
        for (unsigned k = 0; k < s.history->count && !comes_before(call, i); k++)
            if (s.beside[i] >> k & 1 && !comes_before(call, k))
                return true;
    return false;
}

bool history_is_sound(const struct history *history)
{
    if (history->count > HISTORY_CALLS_MAX || history->capacity > HISTORY_CAPACITY_MAX)
        abort();
    memset(&s, 0, sizeof s);
    s.history = history;
    for (unsigned i = 0; i < history->count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        s.kinds[history->calls[i].kind] |= bit;
        *(has_died(i) ? &s.died : &s.must) |= bit;
        for (unsigned k = 0; k < history->count; k++) {
            if (comes_before(k, i))
                s.before[i] |= UINT64_C(1) << k;
            else if (k != i && !comes_before(i, k))
                s.beside[i] |= UINT64_C(1) << k;
        }
    }
    for (unsigned i = 0; i < history->count; i++)
        s.crowded |= (uint64_t)is_crowded(i) << i;
    vain.now++;
    vain.count = 0;
    struct queue queue = {.done = 0};
    memset(queue.slot, NOBODY, sizeof queue.slot);
    return search(queue);
}
