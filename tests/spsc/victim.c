/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* victim.c: the sender and the receiver that are killed; see kills.c. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kills.h"

enum { MAX_BATCH = 300 };

/* Private to each. */
static struct {
    struct side *self, *peer;
    uint64_t position;
    uint32_t allowed, deaths; /* deaths it may hear of: this, and those since it opened its end */
    uint32_t heard;
    bool is_slow;
} me;

static void enter(size_t may_move)
{
    atomic_store(&me.self->word, me.position << 16 | may_move);
}

static void leave(size_t moved)
{
    me.position += moved;
    atomic_store(&me.self->word, me.position << 16);
}

static void dawdle(void)
{
    uint32_t drawn = draw(me.is_slow ? 8 : 512);
    if (drawn == 0)
        pass(draw(100000) + 50000);
    else if (drawn == 1)
        sched_yield();
    else if (draw(16) == 0)
        pass(draw(2000));
}

static uint64_t draw_timeout(void)
{
    return draw(2) ? RBX_FOREVER : draw(100000);
}

static void hear_of_death(void)
{
    uint32_t may = me.allowed + atomic_load(&me.peer->deaths) - me.deaths;
    if (++me.heard > may)
        fail("a %s heard of %u deaths of its peer, and there were %u",
             noun[me.self == &ledger->side[RX]], me.heard, may);
    atomic_fetch_add(&me.self->mourned, 1);
}

/* A call answered `answer`: how many it moved. */
static size_t judge(ptrdiff_t answer, bool tried, uint32_t peer_was_gone)
{
    if (answer >= 0)
        return (size_t)answer;
    if (answer == -EOWNERDEAD && !tried)
        hear_of_death();
    else if (answer == -EAGAIN && tried) {
        /* While the peer is gone `count` says where it stopped; a sender counts numbers. */
        uint64_t count = atomic_load(&me.peer->count);
        if (!peer_was_gone || atomic_load(&me.peer->deaths) != peer_was_gone ||
            !atomic_load(&me.peer->gone))
            return 0;
        uint64_t at = me.position;
        bool sends = me.self == &ledger->side[TX];
        if (sends && at - skipped_before(UINT64_MAX) - count < geometry.capacity)
            fail("a sender found the ring full with %llu messages in it",
                 (unsigned long long)(at - skipped_before(UINT64_MAX) - count));
        if (!sends && at != count)
            fail("a receiver found the ring empty after %llu of %llu messages",
                 (unsigned long long)at, (unsigned long long)count);
        atomic_fetch_add(&me.self->saw_full_or_empty, 1);
    } else if (answer != -ETIMEDOUT || tried)
        fail("a call of the %s answered %td", noun[me.self == &ledger->side[RX]], answer);
    return 0;
}

static uint32_t peer_is_gone(void)
{
    uint32_t deaths = atomic_load(&me.peer->deaths); /* before: it dies once more only later */
    return atomic_load(&me.peer->gone) ? deaths : 0;
}

static void send_some(rbx_tx *tx)
{
    static uint64_t messages[MAX_BATCH * MAX_WORDS];
    size_t words = geometry.message_size / 8, batch = 1 + draw(draw(4) ? 8 : MAX_BATCH);
    uint32_t how = draw(3), gone = peer_is_gone();
    bool tries = draw(2);
    ptrdiff_t answer;
    if (how == 0) { /* in place: until commit there is nothing to send */
        void *place;
        answer = tries ? rbx_try_claim(tx, &place) : rbx_claim_for(tx, &place, draw_timeout());
        if (answer < 0) {
            judge(answer, tries, gone);
            return;
        }
        make(place, me.position);
        dawdle();
        if (draw(8) == 0) {
            judge(rbx_abort(tx), true, 0);
            return;
        }
        enter(1);
        answer = rbx_commit(tx);
        leave(answer == 0 ? 1 : judge(answer, false, 0));
        return;
    }
    batch = how == 1 ? 1 : batch;
    for (size_t i = 0; i < batch; i++)
        make(messages + i * words, me.position + i);
    enter(batch);
    if (how == 1) {
        answer = tries ? rbx_try_send(tx, messages) : rbx_send_for(tx, messages, draw_timeout());
        answer = answer == 0 ? 1 : answer;
    } else
        answer = tries ? rbx_try_send_n(tx, messages, batch)
                       : rbx_send_n_for(tx, messages, batch, draw_timeout());
    leave(answer > 0 ? (size_t)answer : 0);
    judge(answer, tries, gone);
}

static void check_all(const char *messages, size_t count, size_t stride, uint64_t index)
{
    for (size_t i = 0; i < count; i++)
        if (!check((const void *)(messages + i * stride), index + i))
            return;
}

static void receive_some(rbx_rx *rx)
{
    static uint64_t messages[MAX_BATCH * MAX_WORDS];
    size_t batch = 1 + draw(draw(4) ? 8 : MAX_BATCH);
    uint32_t how = draw(3), gone = peer_is_gone();
    bool tries = draw(2);
    ptrdiff_t answer;
    if (how == 0) { /* in place: until release there is nothing to lose */
        const void *shown;
        answer = tries ? rbx_try_peek_n(rx, &shown, batch)
                       : rbx_peek_n_for(rx, &shown, batch, draw_timeout());
        if (judge(answer, tries, gone) == 0)
            return;
        dawdle();
        check_all(shown, (size_t)answer, rbx_stride(rx), me.position);
        size_t taken = draw(4) ? (size_t)answer : draw((uint32_t)answer + 1);
        enter(taken);
        judge(rbx_release_n(rx, taken), true, 0);
        leave(taken);
        return;
    }
    enter(how == 1 ? 1 : batch);
    if (how == 1) {
        answer = tries ? rbx_try_recv(rx, messages) : rbx_recv_for(rx, messages, draw_timeout());
        answer = answer == 0 ? 1 : answer;
    } else
        answer = tries ? rbx_try_recv_n(rx, messages, batch)
                       : rbx_recv_n_for(rx, messages, batch, draw_timeout());
    leave(answer > 0 ? (size_t)answer : 0);
    size_t moved = judge(answer, tries, gone);
    check_all((const char *)messages, moved, geometry.message_size, me.position - moved);
}

/* A successor must be let in at once: its predecessor has been waited for. */
static void open_end(int side, rbx_ring *mine, rbx_tx *tx, rbx_rx *rx)
{
    static const rbx_wait_options ways[] = {{.how = RBX_WAIT_SLEEP},
                                            {.how = RBX_WAIT_SLEEP, .spin_ns = RBX_NO_SPIN},
                                            {.how = RBX_WAIT_YIELD},
                                            {.how = RBX_WAIT_SPIN}};
    const rbx_wait_options *way = &ways[draw(4)];
    me.heard = 0;
    me.deaths = atomic_load(&me.peer->deaths);
    /* One that it may find dead: killed by now, or not yet followed. */
    me.allowed = atomic_load(&me.peer->started) == me.deaths || !atomic_load(&me.peer->going);
    int err = side == TX ? rbx_tx_open(tx, mine) : rbx_rx_open(rx, mine);
    if (err == 0)
        err = side == TX ? rbx_tx_wait_by(tx, way) : rbx_rx_wait_by(rx, way);
    if (err < 0)
        fail("the next %s was refused: %d", noun[side], err);
    atomic_store(&me.self->going, 1);
}

_Noreturn void run_victim(int side, pid_t parent, uint64_t seed)
{
    struct side *self = &ledger->side[side];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    random_state = seed;
    me.self = self;
    me.peer = &ledger->side[!side];
    me.position = atomic_load(&self->word) >> 16;
    me.is_slow = slow[side];
    if (draw(2))
        rbx_ring_close(ring);
    const rbx_ring_options joins = {.box.how = RBX_OPEN_ONLY};
    rbx_ring *mine;
    if (rbx_ring_open(&mine, name, &joins) < 0) {
        fail("a %s could not join the ring", noun[side]);
        _exit(1);
    }
    rbx_tx tx;
    rbx_rx rx;
    open_end(side, mine, &tx, &rx);
    while (!atomic_load(&ledger->failures)) {
        if (side == TX)
            send_some(&tx);
        else
            receive_some(&rx);
        dawdle();
        if (draw(4096) == 0) { /* an orderly successor */
            atomic_store(&self->going, 0);
            if (side == TX)
                rbx_tx_close(&tx);
            else
                rbx_rx_close(&rx);
            open_end(side, mine, &tx, &rx);
        }
    }
    _exit(1);
}
