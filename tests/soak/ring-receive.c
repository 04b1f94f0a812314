/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ring-receive.c: a receiver, and what the controller does when one has been killed. It receives
 * into the ledger, and its word says what its call may have done with what lies there. So after a
 * death it is known by name what the call had in hand: that, and nothing else, may be lost.
 */
#include <errno.h>
#include <string.h>

#include "soak.h"

static void note(enum receiver_state state, size_t n)
{
    atomic_store(&me.slot->word, (uint64_t)state << 32 | n);
}

/* --- What came --- */

static uint32_t after_last[STREAMS]; /* of each stream, as seen here */

static void check_turn(unsigned stream, uint32_t number)
{
    if (number >= after_last[stream]) {
        after_last[stream] = number + 1;
        return;
    }
    atomic_fetch_add(&ledger->out_of_turn, 1);
    if (is_in_turn())
        fail("OUT OF TURN: message %u of stream %u came after %u", number, stream,
             after_last[stream] - 1);
}

/* The first `n` messages in the buffer are received. */
static void take_in(size_t n)
{
    note(RETURNED, n);
    for (size_t i = 0; i < n && is_well(); i++) {
        const char *message = me.slot->buffer + i * ring_shape.message_size;
        unsigned stream;
        uint32_t number;
        if (!read_message(message, &stream, &number)) {
            fail("TORN: what came says stream %u, message %u, and is not whole", stream, number);
            return;
        }
        uint32_t before = atomic_exchange(&ledger->stream[stream].got[number], (uint16_t)me.life);
        if (before != 0)
            fail("DUPLICATE: message %u of stream %u came to life %u, and before to life %u",
                 number, stream, me.life, before);
        check_turn(stream, number);
    }
    note(IDLE, 0);
    atomic_fetch_add_explicit(&me.slot->moved, n, memory_order_relaxed);
}

/* How many came; else it must be for a reason. */
static size_t check_answer(const char *call, ptrdiff_t answer, bool tries, bool is_forever)
{
    did();
    if (answer >= 0)
        return (size_t)answer;
    bool expected = answer == (tries ? -EAGAIN : -EINTR) ||
                    (answer == -ETIMEDOUT && !tries && !is_forever) ||
                    (answer == -EOWNERDEAD && !tries && !round_now.is_calm) ||
                    (answer == -EPIPE && phase() != RUN);
    if (!expected)
        fail("%s answered %td to a receiver: %s", call, answer, rbx_last_error());
    return 0;
}

/* --- Receiving --- */

/* What was shown, in the ledger: only so that it is known by name. */
static void copy_shown(const char *shown, size_t n, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        memcpy(me.slot->buffer + i * ring_shape.message_size, shown + i * stride,
               ring_shape.message_size);
}

static ptrdiff_t receive_in_place(rbx_rx *rx, size_t batch)
{
    const void *shown;
    bool tries = draw(2);
    uint64_t timeout = draw_timeout();
    does("peek", timeout == RBX_FOREVER);
    ptrdiff_t answer =
        tries ? rbx_try_peek_n(rx, &shown, batch) : rbx_peek_n_for(rx, &shown, batch, timeout);
    size_t n = check_answer("peek", answer, tries, timeout == RBX_FOREVER);
    if (n == 0)
        return answer;
    copy_shown(shown, n, rbx_stride(rx));
    note(SHOWN, n);
    hold("has peeked");
    /* Some stay, and come again; but not at the end, where nobody is to look for what the dead have
       left because of that. */
    bool takes_all = phase() != RUN || draw(4);
    if (phase() == RUN && draw(64) == 0) {
        atomic_fetch_add(&ledger->put_back, n);
        note(IDLE, 0);
        rbx_ring *ring = rx->ring;
        rbx_rx_close(rx);
        int err;
        while ((err = rbx_rx_open(rx, ring)) == -EAGAIN && is_well())
            ;
        if (err < 0 && err != -EPIPE)
            fail("a receiver was refused: %d: %s", err, rbx_last_error());
        return err;
    }
    size_t taken = takes_all ? n : draw((uint32_t)n + 1);
    atomic_fetch_add(&ledger->put_back, n - taken);
    note(RELEASING, taken);
    does("release", false);
    int err = rbx_release_n(rx, taken);
    did();
    if (err < 0) {
        fail("release answered %d: %s", err, rbx_last_error());
        return err;
    }
    take_in(taken);
    return answer;
}

static ptrdiff_t receive_copies(rbx_rx *rx, size_t batch)
{
    bool tries = draw(2), one = draw(2);
    uint64_t timeout = draw_timeout();
    char *buffer = me.slot->buffer;
    ptrdiff_t answer;
    batch = one ? 1 : batch;
    for (size_t i = 0; i < batch; i++) /* of the dead what it had in hand is known by this */
        memset(buffer + i * ring_shape.message_size, 0, sizeof(uint64_t));
    note(CALLING, batch);
    does(one ? "recv" : "recv_n", timeout == RBX_FOREVER);
    if (one) {
        answer = tries ? rbx_try_recv(rx, buffer) : rbx_recv_for(rx, buffer, timeout);
        answer = answer == 0 ? 1 : answer;
    } else
        answer =
            tries ? rbx_try_recv_n(rx, buffer, batch) : rbx_recv_n_for(rx, buffer, batch, timeout);
    take_in(answer > 0 ? (size_t)answer : 0);
    check_answer(one ? "recv" : "recv_n", answer, tries, timeout == RBX_FOREVER);
    return answer;
}

bool receive_some(rbx_rx *rx)
{
    size_t most = BUFFER / ring_shape.message_size;
    most = most < BATCH ? most : BATCH;
    size_t batch = 1 + draw(draw(4) ? 8 : (uint32_t)most);
    batch = batch < most ? batch : most;
    ptrdiff_t answer = draw(3) ? receive_copies(rx, batch) : receive_in_place(rx, batch);
    return answer != -EPIPE && (phase() != STOP || !round_now.ends_by_signal || answer >= 0);
}
