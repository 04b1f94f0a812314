/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

/* What a queue that has answered some of the calls holds: numbers of the calls that sent it. */
struct queue {
    uint64_t done; /* calls, as bits */
    uint8_t waiting, orphans;
    uint8_t message[HISTORY_CAPACITY_MAX]; /* the next one first, with TOMBSTONE or without */
    uint8_t orphan[HISTORY_CAPACITY_MAX];  /* in order of numbers */
};

#define TOMBSTONE 0x80U

static struct search {
    const struct history *history;
    uint64_t before[HISTORY_CALLS_MAX]; /* calls that must come first */
    uint64_t beside[HISTORY_CALLS_MAX]; /* others that were under way at the same time */
    uint64_t must, died;                /* calls that returned, and that did not */
    uint64_t kinds[HISTORY_PUT_BACK + 1];
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

static uint64_t value_of(unsigned call)
{
    return s.history->calls[call].value;
}

static bool has_died(unsigned call)
{
    return s.history->calls[call].returned == HISTORY_NEVER;
}

static bool search(struct queue queue);

static bool after_sending(struct queue queue, unsigned call, unsigned what)
{
    if (is_full(&queue))
        return false;
    queue.message[queue.waiting++] = (uint8_t)(call | what);
    return search(queue);
}

/* Another call may be the reason why this one was refused. */
static bool has_excuse(const struct queue *queue, unsigned call)
{
    bool is_send = s.history->calls[call].kind <= HISTORY_ABORT;
    uint64_t sends = s.kinds[HISTORY_SEND] | s.kinds[HISTORY_ABORT];
    uint64_t receives = s.kinds[HISTORY_RECV] | s.kinds[HISTORY_PUT_BACK];
    uint64_t reasons = s.died;
    bool has_tombstones = s.kinds[HISTORY_ABORT] != 0 || s.died != 0;
    if (s.history->strict || (is_send && has_tombstones)) /* a sender, too, can have one in hand */
        reasons |= sends | receives;
    else if (is_send) /* has a message in hand */
        reasons |= receives;
    else /* has a place, and no message in it yet; or is about to put one back */
        reasons |= sends | s.kinds[HISTORY_PUT_BACK];
    return (s.beside[call] & reasons) != 0 || (is_send && queue->orphans > 0);
}

static bool after_send(struct queue queue, unsigned call)
{
    const struct history_call *c = &s.history->calls[call];
    queue.done |= UINT64_C(1) << call;
    if (c->refused)
        return ((is_full(&queue) && !(queue.message[0] & TOMBSTONE)) ||
                (s.history->strict && queue.waiting > 0) || has_excuse(&queue, call)) &&
               search(queue);
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
    const struct history_call *c = &s.history->calls[call];
    if (has_died(call))
        return after_lost_recv(queue, call);
    queue.done |= UINT64_C(1) << call;
    if (c->refused)
        return ((queue.waiting == 0 && queue.orphans == 0) || has_excuse(&queue, call)) &&
               search(queue);
    bool comes_back = c->kind == HISTORY_PUT_BACK;
    for (unsigned i = 0; i < queue.orphans; i++)
        if (value_of(queue.orphan[i]) == c->value) {
            struct queue after = queue;
            if (!comes_back)
                drop_orphan(&after, i);
            return search(after);
        }
    if (queue.waiting == 0 || queue.message[0] & TOMBSTONE ||
        value_of(queue.message[0]) != c->value)
        return false;
    unsigned sender = queue.message[0];
    take_first(&queue);
    if (comes_back)
        make_orphan(&queue, sender);
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
        bool sends = s.history->calls[call].kind <= HISTORY_ABORT;
        if (sends ? after_send(queue, call) : after_recv(queue, call))
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
    return calls[a].returned < calls[b].called;
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
    vain.now++;
    vain.count = 0;
    return search((struct queue){.done = 0});
}
