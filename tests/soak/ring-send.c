/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ring-send.c: a sender. Before a call the word of its stream says how many messages are sent for
 * certain and how many this call may send, and after it what it has sent: so after a death nothing
 * need be asked. A stream that has died is never gone on with.
 */
#include <errno.h>
#include <string.h>

#include "soak.h"

static unsigned stream; /* 0: none yet */
static uint32_t sent;   /* of it */

/* --- Messages: the first eight bytes say which it is, and the rest follows from that --- */

static uint64_t first_word(unsigned of, uint32_t number)
{
    return (uint64_t)of << 48 | (uint64_t)number << 24 |
           (mix(round_now.seed ^ ((uint64_t)of << 32 | number)) & 0xffffff);
}

void make_message(char *message, unsigned of, uint32_t number)
{
    uint64_t word = first_word(of, number);
    for (size_t at = 0; at < ring_shape.message_size; at += sizeof word) {
        size_t left = ring_shape.message_size - at;
        memcpy(message + at, &word, left < sizeof word ? left : sizeof word);
        word = mix(word);
    }
}

bool read_message(const char *message, unsigned *of, uint32_t *number)
{
    static char expected[5000];
    uint64_t word;
    memcpy(&word, message, sizeof word);
    *of = (unsigned)(word >> 48);
    *number = (uint32_t)(word >> 24) & 0xffffff;
    if (*of == 0 || *of >= STREAMS || *number >= STREAM || word != first_word(*of, *number))
        return false;
    make_message(expected, *of, *number);
    return memcmp(message, expected, ring_shape.message_size) == 0;
}

/* --- The ledger --- */

static void enter(size_t may_send)
{
    atomic_store(&ledger->stream[stream].word, (uint64_t)sent << 16 | may_send);
}

static void leave(size_t has_sent)
{
    sent += (uint32_t)has_sent;
    atomic_store(&ledger->stream[stream].word, (uint64_t)sent << 16);
    atomic_fetch_add_explicit(&me.slot->moved, has_sent, memory_order_relaxed);
}

/* Whether there is room for a batch in the ledger. */
static bool has_stream(void)
{
    if (stream != 0 && sent + BATCH <= STREAM)
        return true;
    if (atomic_load(&ledger->streams) >= STREAMS - 1)
        return false;
    stream = atomic_fetch_add(&ledger->streams, 1) + 1;
    sent = 0;
    return stream < STREAMS;
}

/* How many it sent; else it must be for a reason. */
static size_t check_answer(const char *call, ptrdiff_t answer, bool tries, bool is_forever)
{
    did();
    if (answer >= 0)
        return (size_t)answer;
    bool expected = answer == (tries ? -EAGAIN : -EINTR) ||
                    (answer == -ETIMEDOUT && !tries && !is_forever) ||
                    (answer == -EOWNERDEAD && !tries && !round_now.is_calm);
    if (!expected)
        fail("%s answered %td to a sender: %s", call, answer, rbx_last_error());
    return 0;
}

/* --- Sending --- */

static void commit(rbx_tx *tx)
{
    int err;
    enter(1);
    does("commit", false);
    /* -EAGAIN: it was passed over, and the ring is full now. */
    for (int tries = (int)draw(100); (err = rbx_commit(tx)) == -EAGAIN && tries > 0; tries--)
        pass(draw(20000));
    did();
    leave(err == 0 ? 1 : 0);
    if (err == -EAGAIN && ring_shape.flags & RBX_STRICT)
        err = rbx_abort(tx);
    if (err < 0)
        fail("commit (or abort) answered %d: %s", err, rbx_last_error());
}

/* False: it is left with a place claimed. */
static bool send_in_place(rbx_tx *tx)
{
    void *place;
    bool tries = draw(2);
    uint64_t timeout = draw_timeout();
    does("claim", timeout == RBX_FOREVER);
    int err = tries ? rbx_try_claim(tx, &place) : rbx_claim_for(tx, &place, timeout);
    if (err < 0) {
        check_answer("claim", err, tries, timeout == RBX_FOREVER);
        return true;
    }
    make_message(place, stream, sent);
    hold("has a claim");
    if (draw(8)) {
        commit(tx);
        return true;
    }
    if (draw(32) == 0)
        return false;
    does("abort", false);
    if ((err = rbx_abort(tx)) < 0)
        fail("abort answered %d: %s", err, rbx_last_error());
    did();
    return true;
}

bool send_some(rbx_tx *tx)
{
    static char messages[BUFFER];
    const size_t size = ring_shape.message_size;
    size_t most = BUFFER / size < BATCH ? BUFFER / size : BATCH;
    size_t batch = 1 + draw(draw(4) ? 8 : (uint32_t)most);
    bool tries = draw(2);
    uint64_t timeout = draw_timeout();
    ptrdiff_t answer;
    if (!has_stream()) {
        pass(1000000);
        return true;
    }
    switch (draw(3)) {
    case 0:
        return send_in_place(tx);
    case 1:
        make_message(messages, stream, sent);
        enter(1);
        does("send", timeout == RBX_FOREVER);
        answer = tries ? rbx_try_send(tx, messages) : rbx_send_for(tx, messages, timeout);
        leave(answer == 0 ? 1 : 0);
        check_answer("send", answer, tries, timeout == RBX_FOREVER);
        return true;
    default:
        batch = batch < most ? batch : most;
        for (size_t i = 0; i < batch; i++)
            make_message(messages + i * size, stream, sent + (uint32_t)i);
        enter(batch);
        does("send_n", timeout == RBX_FOREVER);
        answer = tries ? rbx_try_send_n(tx, messages, batch)
                       : rbx_send_n_for(tx, messages, batch, timeout);
        leave(answer > 0 ? (size_t)answer : 0);
        check_answer("send_n", answer, tries, timeout == RBX_FOREVER);
        return true;
    }
}
