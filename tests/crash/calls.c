/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* calls.c: the victim's calls, and what it says of them. */
#include <errno.h>
#include <string.h>

#include "calls.h"

/* --- What the victim says of its calls --- */

/* What must not happen, has happened. */
#define PROBLEM(v, code)                                                                           \
    do {                                                                                           \
        atomic_store(&(v)->page->answer, (int)(code));                                             \
        atomic_store(&(v)->page->problem, __LINE__);                                               \
    } while (0)

static void has_sent(struct page *of, ptrdiff_t answer)
{
    if (answer < 0)
        atomic_store(&of->answer, (int)answer);
    atomic_store(&of->sent, answer > 0 ? (uint32_t)answer : 0);
    atomic_store(&of->may_send, answer > 0 ? (uint32_t)answer : 0);
}

static void has_taken(struct page *of, ptrdiff_t answer)
{
    if (answer < 0)
        atomic_store(&of->answer, (int)answer);
    atomic_store(&of->taken, answer > 0 ? (uint32_t)answer : 0);
    atomic_store(&of->may_take, answer > 0 ? (uint32_t)answer : 0);
}

void begin_send(struct victim *v)
{
    atomic_store(&v->page->may_send, 1);
}

void begin_send_n(struct victim *v)
{
    atomic_store(&v->page->may_send, BATCH);
}

void begin_recv(struct victim *v)
{
    atomic_store(&v->page->may_take, 1);
}

void begin_recv_n(struct victim *v)
{
    atomic_store(&v->page->may_take, BATCH);
}

/* It falls asleep at once, and not for long. */
static const rbx_wait_options sleeps = {.spin_ns = RBX_NO_SPIN};
enum { MOMENT_NS = 20000 };

void begin_send_patiently(struct victim *v)
{
    begin_send(v);
    if (rbx_tx_wait_by(&v->tx, &sleeps) < 0)
        PROBLEM(v, -EINVAL);
}

void begin_recv_patiently(struct victim *v)
{
    begin_recv(v);
    if (rbx_rx_wait_by(&v->rx, &sleeps) < 0)
        PROBLEM(v, -EINVAL);
}

/* --- Calls of a sender --- */

void call_try_send(struct victim *v)
{
    int err = rbx_try_send(&v->tx, v->page->out);
    has_sent(v->page, err == 0 ? 1 : err);
}

void call_try_send_n(struct victim *v)
{
    has_sent(v->page, rbx_try_send_n(&v->tx, v->page->out, BATCH));
}

void call_send_for(struct victim *v)
{
    int err = rbx_send_for(&v->tx, v->page->out, MOMENT_NS);
    has_sent(v->page, err == 0 ? 1 : err);
}

void begin_claim(struct victim *v)
{
    int err = rbx_try_claim(&v->tx, &v->place);
    if (err < 0)
        PROBLEM(v, err);
    else
        memcpy(v->place, v->page->out, v->size);
}

void call_commit(struct victim *v)
{
    atomic_store(&v->page->may_send, 1);
    int err = rbx_commit(&v->tx);
    has_sent(v->page, err == 0 ? 1 : err);
}

void call_claim_commit(struct victim *v)
{
    int err = rbx_try_claim(&v->tx, &v->place);
    if (err < 0) {
        atomic_store(&v->page->answer, err);
        return;
    }
    memcpy(v->place, v->page->out, v->size);
    call_commit(v);
}

void call_abort(struct victim *v)
{
    int err = rbx_abort(&v->tx);
    if (err < 0)
        PROBLEM(v, err);
}

void call_claim_abort(struct victim *v)
{
    int err = rbx_try_claim(&v->tx, &v->place);
    if (err < 0)
        atomic_store(&v->page->answer, err);
    else
        call_abort(v);
}

void call_tx_open(struct victim *v)
{
    int err = rbx_tx_open(&v->tx, v->ring);
    if (err < 0)
        PROBLEM(v, err);
}

void call_tx_close(struct victim *v)
{
    rbx_tx_close(&v->tx);
}

/* --- Calls of a receiver --- */

void call_try_recv(struct victim *v)
{
    int err = rbx_try_recv(&v->rx, v->page->in);
    has_taken(v->page, err == 0 ? 1 : err);
}

void call_try_recv_n(struct victim *v)
{
    has_taken(v->page, rbx_try_recv_n(&v->rx, v->page->in, BATCH));
}

void call_recv_for(struct victim *v)
{
    int err = rbx_recv_for(&v->rx, v->page->in, MOMENT_NS);
    has_taken(v->page, err == 0 ? 1 : err);
}

static bool show(struct victim *v)
{
    int err = rbx_try_peek(&v->rx, &v->shown);
    if (err == 0)
        memcpy(v->page->in, v->shown, v->size);
    else
        atomic_store(&v->page->answer, err);
    return err == 0;
}

void begin_peek(struct victim *v)
{
    if (!show(v))
        PROBLEM(v, v->page->answer);
}

/* Whatever the others have done meanwhile. */
static void check_shown(struct victim *v)
{
    if (memcmp(v->page->in, v->shown, v->size) != 0)
        PROBLEM(v, -EPROTO);
}

void call_release(struct victim *v)
{
    check_shown(v);
    atomic_store(&v->page->may_take, 1);
    int err = rbx_release(&v->rx);
    has_taken(v->page, err == 0 ? 1 : err);
}

void call_put_back(struct victim *v)
{
    check_shown(v);
    int err = rbx_release_n(&v->rx, 0);
    if (err < 0)
        PROBLEM(v, err);
}

void call_peek_release(struct victim *v)
{
    if (show(v))
        call_release(v);
}

void call_peek_put_back(struct victim *v)
{
    if (show(v))
        call_put_back(v);
}

void call_rx_open(struct victim *v)
{
    int err = rbx_rx_open(&v->rx, v->ring);
    if (err < 0)
        PROBLEM(v, err);
}

void call_rx_close_peeked(struct victim *v)
{
    check_shown(v);
    rbx_rx_close(&v->rx);
}

void call_rx_close(struct victim *v)
{
    rbx_rx_close(&v->rx);
}

/* --- Calls of anybody --- */

void call_repair(struct victim *v)
{
    int err = rbx_ring_repair(v->ring, NULL);
    if (err < 0 && err != -EAGAIN)
        PROBLEM(v, err);
}

void call_shutdown(struct victim *v)
{
    int err = rbx_ring_shutdown(v->ring);
    if (err < 0)
        PROBLEM(v, err);
}
