/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>

#include "../os/pollset.h"
#include "seat.h"

int rbx_peers_open(struct rbx_peers *peers, struct rbx_end end, const struct rbx_fd *set)
{
    const struct rbx_ring_shape *shape = &end.ring->shape;
    *peers = (struct rbx_peers){.end = end, .set = set};
    if (!end.ring->box)
        return 0;
    unsigned count = shape->seats[RBX_TX] + shape->seats[RBX_RX];
    peers->all = calloc(count, sizeof *peers->all);
    if (!peers->all)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        peers->all[i].pidfd = RBX_FD_CLOSED;
    peers->count = count;
    peers->self = rbx_process_self();
    return 0;
}

static void unwatch(const struct rbx_peers *peers, struct rbx_peer *peer, enum rbx_peer_is is)
{
    if (rbx_fd_is_open(&peer->pidfd))
        rbx_pollset_remove(peers->set, peer->pidfd.fd);
    rbx_fd_give_away(&peer->pidfd);
    peer->is = is;
}

void rbx_peers_close(struct rbx_peers *peers)
{
    for (unsigned i = 0; i < peers->count; i++)
        rbx_fd_give_away(&peers->all[i].pidfd);
    free(peers->all);
    *peers = (struct rbx_peers){0};
}

static bool is_same(const struct rbx_process *a, const struct rbx_process *b)
{
    return a->pid == b->pid && a->start == b->start && a->pid_namespace == b->pid_namespace;
}

/* Another than before sits there. */
static void meet(struct rbx_peers *peers, struct rbx_peer *peer, const struct rbx_process *who)
{
    unwatch(peers, peer, RBX_PEER_NOBODY);
    peer->who = *who;
    if (who->pid == 0 || is_same(who, &peers->self))
        return;
    int err = rbx_process_watch(&peer->pidfd, who);
    if (err == 0 && rbx_pollset_add(peers->set, peer->pidfd.fd, peer) == 0)
        peer->is = RBX_PEER_WATCHED;
    else
        unwatch(peers, peer, err == -ESRCH ? RBX_PEER_GONE : RBX_PEER_UNKNOWN);
    peers->has_gone |= peer->is == RBX_PEER_GONE;
}

static const struct rbx_seat *seat_of(const struct rbx_peers *peers, unsigned index)
{
    const rbx_ring *ring = peers->end.ring;
    unsigned senders = ring->shape.seats[RBX_TX];
    return index < senders ? rbx_seat_of(ring, RBX_TX, index)
                           : rbx_seat_of(ring, RBX_RX, index - senders);
}

bool rbx_peers_look(struct rbx_peers *peers)
{
    for (unsigned i = 0; i < peers->count; i++) {
        const struct rbx_seat *seat = seat_of(peers, i);
        struct rbx_process who = {.pid = (int32_t)rbx_load_acquire(&seat->pid)}; /* P1 */
        /* Relaxed: they came before the pid. Of two that follow each other closely it may be a
           mixture: such a one is gone, and the second knocks after it. */
        who.start = rbx_load_relaxed(&seat->start);
        who.pid_namespace = rbx_load_relaxed(&seat->pid_namespace);
        if (!is_same(&who, &peers->all[i].who))
            meet(peers, &peers->all[i], &who);
    }
    bool has_gone = peers->has_gone;
    peers->has_gone = false;
    return has_gone;
}

/* A dead one keeps the only seat of its kind until a successor comes; another seat is cleared. */
static bool is_settled(const struct rbx_peers *peers, unsigned index)
{
    const rbx_ring *ring = peers->end.ring;
    return ring->shape.kind == RBX_SPSC && rbx_seat_dead(ring, (enum rbx_ring_end)index, 0) != 0;
}

bool rbx_peers_are_doubtful(const struct rbx_peers *peers)
{
    for (unsigned i = 0; i < peers->count; i++) {
        enum rbx_peer_is is = peers->all[i].is;
        bool is_open = rbx_load_acquire(&seat_of(peers, i)->openings) & 1;
        if (is_open && (is == RBX_PEER_UNKNOWN || (is == RBX_PEER_GONE && !is_settled(peers, i))))
            return true;
    }
    return false;
}

static bool watches(const struct rbx_peers *peers)
{
    for (unsigned i = 0; i < peers->count; i++)
        if (peers->all[i].is == RBX_PEER_WATCHED)
            return true;
    return false;
}

void rbx_peers_hear(struct rbx_peers *peers)
{
    enum { AT_A_TIME = 8 };
    void *keys[AT_A_TIME];
    int count = AT_A_TIME;
    /* Each time but the last, at least seven go: one may be the flag. */
    while (count == AT_A_TIME && watches(peers)) {
        count = rbx_pollset_ready(peers->set, keys, AT_A_TIME);
        for (int i = 0; i < count; i++)
            if (keys[i]) {
                unwatch(peers, keys[i], RBX_PEER_GONE);
                peers->has_gone = true;
            }
    }
}
