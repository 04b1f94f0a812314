/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peers.h: who sits at a ring, as an armed end sees it: a descriptor of each process (pidfd), in
 * the poll set of the end's descriptor, says when that has ended. The kernel drops a process's
 * locks before it says so: so whoever looks then sees the seat dead.
 *
 * Who opens an end says who he is in the seat, and then rings both bells, before the end is open
 * (rbx_end_knock): either he finds the bell saying ASLEEP, and the armed end looks anew; or that
 * one sees him as it is armed (B1). So nobody opens an end, and dies, unnoticed.
 */
#ifndef RBX_RING_PEERS_H
#define RBX_RING_PEERS_H

#include <stdbool.h>

#include "../os/fd.h"
#include "../os/process.h"
#include "end.h"

enum rbx_peer_is { RBX_PEER_NOBODY, RBX_PEER_WATCHED, RBX_PEER_GONE, RBX_PEER_UNKNOWN };

struct rbx_peer {
    enum rbx_peer_is is;
    struct rbx_process who;
    struct rbx_fd pidfd;
};

struct rbx_peers {
    struct rbx_end end;
    const struct rbx_fd *set; /* where their descriptors are added */
    unsigned count;
    struct rbx_process self;
    bool has_gone;        /* one has, and that is still to be looked into */
    struct rbx_peer *all; /* of each seat, senders first; NULL when nobody can tell who lives */
};

/* 0 or -ENOMEM. */
int rbx_peers_open(struct rbx_peers *peers, struct rbx_end end, const struct rbx_fd *set);
/* Looks who is there now: whether one has gone since this was asked last. */
bool rbx_peers_look(struct rbx_peers *peers);
/* Whether a peer is open of whom nothing will be heard, or whose death is not settled yet: to be
   looked for as time passes. */
bool rbx_peers_are_doubtful(const struct rbx_peers *peers);
/* The poll set may be readable because of some of them: notes who has gone. */
void rbx_peers_hear(struct rbx_peers *peers);
void rbx_peers_close(struct rbx_peers *peers);

#endif
