/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ring.h: a ring moves messages of one size from senders to receivers, first in, first out.
 *
 * A ring is made once, in a box that all sides join by name (or in memory that you share yourself);
 * endpoints are opened on it: an rbx_tx to send, an rbx_rx to receive. message.h has the calls that
 * send and receive, for any message size or for one type.
 *
 *     struct tick { uint64_t id; double price; };
 *     RBX_RING_TYPE(ticks, struct tick, SPSC)
 *
 *     rbx_ring *ring;
 *     const rbx_ring_options options = {.capacity = 4096};
 *     if (ticks_open(&ring, "ticks", &options) < 0) {
 *         fprintf(stderr, "%s\n", rbx_last_error());
 *         return 1;
 *     }
 *     ticks_tx tx;
 *     if (ticks_tx_open(&tx, ring) < 0)
 *         return 1;
 *     const struct tick tick = {.id = 1, .price = 99.5};
 *     ticks_send(&tx, &tick);
 *     ticks_tx_close(&tx);
 *     rbx_ring_close(ring);
 *
 * There are three kinds, with the same calls:
 *
 * |               RBX_SPSC             RBX_MPMC              MPMC + RBX_STRICT     RBX_LOCKED
 * |senders,       1, 1                 1 to 256 of each      1 to 256 of each      1 to 256 of each
 * |receivers
 * |try_send,      wait-free            lock-free             lock-free             takes the lock
 * |commit, abort
 * |try_recv,      wait-free            lock-free; -EAGAIN    lock-free             takes the lock
 * |release                             while the sender
 * |                                    whose turn it is
 * |                                    is inside its call
 * |send, recv,    wait for the         also for whoever is   wait for the other    also for whoever
 * |claim, peek    other end            inside a call and     end                   has the lock
 * |                                    was stopped there
 * |order          first in, first      as tickets were       likewise              first in, first
 * |               out                  drawn; so each                              out
 * |                                    sender's own
 * |a claim that   holds up nobody      holds up receivers    nobody, as long as    everybody
 * |is kept        else                                       fewer places than
 * |a peek that    nobody else          senders, once they    capacity are kept or  everybody
 * |is kept                             have gone round       in stopped hands
 * |a sender dies  a message is sent whole or not at all; of a batch,         of a batch, all or
 * |               the first so many                                          none
 * |a receiver     what it had not       goes to the next one, out of turn;   what it had not
 * |dies           finished stays        with RBX_DROP it is dropped, and     finished stays
 * |                                     counted
 *
 * What holds for all:
 *  - A message is sent once its send or commit has returned 0, and is received once, whoever dies,
 *    as long as the ring lives: while anybody is attached (RBX_LAST_ONE_OUT, the default here), or
 *    until somebody removes it (RBX_KEEP). When all who were attached have died, the next to make
 *    the name gets a new, empty ring, unless it was kept.
 *  - A receiver that dies inside recv or recv_n leaves all of it to the next one, but for a few
 *    instructions at the very end of the call (and the waking of a sender that sleeps), when it is
 *    lost, all of it or (of a batch) the first so many. One that dies between peek and release
 *    leaves what was shown to the next one, which so sees it again.
 *  - Whether one lives is the kernel's knowledge. A seat is free again when its holder is dead;
 *    never because of time: one that is stopped keeps it. One sender (receiver) more than seats
 *    is -EBUSY.
 *  - Nobody waits for the dead. Whoever waits, polls for some milliseconds, or opens an endpoint
 *    sees to them (rbx_ring_repair does so at once).
 *  - An endpoint belongs to one thread at a time, and to the process that opened it: after fork()
 *    the child must not use it. It stays where it was opened: no copy of it may be used. All sizes
 *    and its own position are kept in it: what a peer can write is never trusted with an address.
 *  - Calls that do not wait make no system call unless somebody sleeps or the stream ends.
 *  - 'Full' means that `capacity` messages are truly waiting, or more (what the ring was rounded up
 *    by, or SPSC's reserve), or are in somebody's hands.
 */
#ifndef RINGBOX_RING_H
#define RINGBOX_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ringbox/api.h>
#include <ringbox/atomic.h>
#include <ringbox/box.h>
#include <ringbox/error.h>
#include <ringbox/wait.h>

RBX_BEGIN_DECLS

typedef struct rbx_ring rbx_ring;

#define RBX_MESSAGE_SIZE_MAX ((size_t)1 << 20)
#define RBX_MESSAGE_ALIGNMENT_MAX ((size_t)64)

typedef enum rbx_ring_kind {
    RBX_SPSC = 0,   /* one sender, one receiver */
    RBX_MPMC = 1,   /* many of both */
    RBX_LOCKED = 2, /* many of both, under one lock */
} rbx_ring_kind;

#define RBX_SEATS 32U /* senders, and receivers, that a ring of many has room for unless told */
#define RBX_SEATS_MAX 256U

enum rbx_ring_flags {
    RBX_STRICT = 1, /* MPMC: nobody waits for one that is stopped in the middle of a call */
    RBX_DROP = 2,   /* MPMC: a message in the hands of a receiver that dies is dropped, and counted,
                       rather than given to the next one */
};

/* With an RBX_RING_TYPE the first three are its own: leave them 0. */
typedef struct rbx_ring_options {
    rbx_ring_kind kind;
    size_t message_size; /* from 1 to RBX_MESSAGE_SIZE_MAX; when joining, 0 for any */
    size_t alignment;    /* of messages in place: a power of two up to 64; 0 means what the size
                            suggests, at most 8 (when joining, any) */
    size_t capacity;     /* messages that can wait, at least; when joining, 0 for any */
    unsigned senders;    /* that can be open at a time: up to RBX_SEATS_MAX; 0 means RBX_SEATS (when
                            joining, any); RBX_SPSC has one */
    unsigned receivers;  /* likewise */
    unsigned flags;      /* enum rbx_ring_flags; when joining, those that it must have */
    uint64_t tag;        /* yours: kept in a new ring; when not 0, must equal an existing ring's */
    rbx_box_options box; /* where a named ring lives; `size`, `tag`, `raw` and `init` are not yours,
                            and RBX_OWNER_UNLINKS means RBX_LAST_ONE_OUT */
} rbx_ring_options;

/*
 * Opens the ring `name`: makes it or joins it, as options->box.how says; without options it joins
 * whatever ring is there. With the name NULL it is a new ring for the threads of this process.
 * Errors are those of rbx_box_open, and
 *   -EINVAL  an option makes no sense
 *   -EPROTO  what has that name is no ring, or holds another kind, size, alignment or tag of
 *            messages, or fewer of them, or has not the seats or flags that were asked for
 */
RBX_API int rbx_ring_open(rbx_ring **ring, const char *name, const rbx_ring_options *options);

/* Joins the ring in a box that is open already, say one that rbx_box_recv has received. From then
   on the box is the ring's, to be closed with it: -EBUSY when it is one's already. On failure it
   remains yours. */
RBX_API int rbx_ring_open_box(rbx_ring **ring, rbx_box *box, const rbx_ring_options *options);

/*
 * A ring in memory of your own, which is aligned to 64 bytes and, for rbx_ring_init, zeroed.
 * Processes that share it may attach each on its own, or inherit the handle through fork().
 * Nobody knows who lives there: a wait does not notice a death, and what the dead held stays so.
 * That there is one sender and one receiver, outside of the endpoints of one handle, is yours to
 * see to; of many, the seats of the dead stay taken.
 */
RBX_API int rbx_ring_bytes(const rbx_ring_options *options, uint64_t *bytes);
RBX_API int rbx_ring_init(void *memory, size_t size, const rbx_ring_options *options);
RBX_API int rbx_ring_attach(rbx_ring **ring, void *memory, size_t size,
                            const rbx_ring_options *options);

/* -EBUSY, and nothing is done, while endpoints of this handle are open. NULL is fine. Else as
   rbx_box_close, of its box. */
RBX_API int rbx_ring_close(rbx_ring *ring);

/* The box that it lives in, for rbx_box_send, rbx_box_own and the like; NULL when in none. */
RBX_API rbx_box *rbx_ring_box(const rbx_ring *ring);

/*
 * Ends the stream: senders get -EPIPE from now on, receivers what is still there and then -EPIPE.
 * What nobody has received goes with the ring: wait until rbx_ring_describe says that all is
 * received before the last one closes it. For good. -EINVAL when somebody did that before, -EACCES
 * when the ring was opened read-only.
 *
 * Only this ends it: when all senders have closed, receivers wait for others. With RBX_MPMC -EPIPE
 * does not wait for what another receiver has peeked at: should that one die, or close, its message
 * is there again, for whoever is open still, or opens then.
 */
RBX_API int rbx_ring_shutdown(rbx_ring *ring);

/* What has been done about the dead; see rbx_ring_repair. */
typedef struct rbx_repaired {
    uint64_t senders, receivers; /* that had died */
    uint64_t tombstones;         /* places that a sender had taken and not filled */
    uint64_t redelivered; /* messages that a receiver had taken and not released: for the next */
    uint64_t dropped;     /* likewise, in a ring with RBX_DROP */
    uint64_t returned;    /* slots that held nothing any more */
    uint64_t suspect;     /* seats left alone: see RBX_END_SUSPECT (only of this repair) */
} rbx_repaired;

/*
 * Sees to those that have died, at once rather than when somebody has waited for them: 0, also when
 * there was nothing to do. *repaired, which may be NULL, says what was done. Only a ring with
 * RBX_MPMC ever needs it. -EAGAIN when another process is at it, -EACCES when the ring was opened
 * read-only, -EBADF in a child that inherited it, -ENOTSUP in memory of your own, where nobody
 * knows who lives.
 */
RBX_API int rbx_ring_repair(rbx_ring *ring, rbx_repaired *repaired);

typedef enum rbx_end_state {
    RBX_END_NONE = 0, /* not open */
    RBX_END_ALIVE,
    RBX_END_DEAD,    /* its process died without closing it */
    RBX_END_SUSPECT, /* its process is gone, yet something still holds its lock */
    RBX_END_UNKNOWN, /* open, by somebody who may have died: memory of your own, or an inherited
                        ring */
} rbx_end_state;

typedef struct rbx_end_info {
    rbx_end_state state;
    int pid;         /* for people only: as its own PID namespace counts */
    uint64_t opened; /* how often this end of the ring was opened */
    uint64_t missed; /* calls and waits that found the ring full (or empty) */
    uint64_t sleeps; /* how often it fell asleep */
    uint64_t wakes;  /* how often it woke the other end */
} rbx_end_info;

typedef struct rbx_ring_info {
    rbx_ring_kind kind;
    unsigned flags;
    size_t message_size, alignment, capacity;
    uint64_t tag;
    uint64_t sent, received; /* messages, since the ring was made; with RBX_MPMC also places given
                                up, by abort or a death, or passed over */
    uint64_t high_water;     /* how many were waiting at most: as a sender saw whenever it had
                                used up a quarter of the ring: so up to a quarter too many, and
                                those of a batch */
    bool shut;
    unsigned senders, receivers; /* seats; rbx_ring_sender and rbx_ring_receiver show each */
    rbx_end_info tx, rx;   /* of all of them: the counters' sums, the state and process of the one
                              that matters most: alive before suspect, unknown, dead, none */
    rbx_repaired repaired; /* since the ring was made; RBX_SPSC counts none */
} rbx_ring_info;

/* Any thread may call it at any time; so the figures are of nearly the same moment. Messages in the
   hands of receivers do not count as received. With RBX_SPSC `sent` and `received` are exactly
   where an endpoint goes on that has just been opened. */
RBX_API int rbx_ring_describe(const rbx_ring *ring, rbx_ring_info *info);

/* Seat `index` of the senders (receivers): -EINVAL when there is none. */
RBX_API int rbx_ring_sender(const rbx_ring *ring, unsigned index, rbx_end_info *info);
RBX_API int rbx_ring_receiver(const rbx_ring *ring, unsigned index, rbx_end_info *info);

/* Where messages lie in a frame, which is a few whole cache lines: header, padding, messages. */
struct rbx_frame {
    uint32_t message_size;
    uint32_t stride;    /* from one message to the next */
    uint32_t offset;    /* of the first one */
    uint32_t per_frame; /* messages */
    uint32_t bytes;     /* of the whole frame */
};

enum rbx_hold {
    RBX_HOLD_CLOSED = 0,
    RBX_HOLD_NONE,  /* open, nothing in hand */
    RBX_HOLD_PLACE, /* between claim and commit, or peek and release */
    RBX_HOLD_ENDED, /* the ring was shut down: -EPIPE for good */
};

/* What is shared about an endpoint. Only its holder writes to it, and who repairs a dead one's. */
struct rbx_seat {
    rbx_atomic64 at;   /* SPSC sender: number of the frame in hand, << 8; SPSC receiver: its exact
                          position; MPMC: its intent */
    rbx_atomic64 owed; /* MPMC (docs/mpmc.md) */
    rbx_atomic64 missed;
    rbx_atomic64 sleeps;
    rbx_atomic64 wakes;
    rbx_atomic64 high_water; /* SPSC sender: frames */
    rbx_atomic32 openings;   /* twice how often it was opened, less one while open */
    rbx_atomic32 pid;
    rbx_atomic32 only_core; /* 1 + the one core that its thread may use; 0: it may use several */
    rbx_atomic32 taken;     /* in memory of the caller's, where there are no locks */
    rbx_atomic64 start; /* pid, start and namespace: for people, to tell a suspect, and for an end
                           at the other side that is armed to watch the process */
    rbx_atomic64 pid_namespace;
    uint8_t pad[48];
};

/* Of senders, and of receivers. */
struct rbx_mourning {
    rbx_atomic64 died[2]; /* so many << 32 | which was the last */
    rbx_atomic64 last[2]; /* the last of those, while nobody has opened that end since; else 0 */
};

/* Of the endpoints, what the kinds of ring keep. The first words are all that a send or receive
   writes. */
struct rbx_spsc_tx {
    uint64_t at;       /* frame number << 8 | messages published in it; what *head says */
    uint64_t limit;    /* the value of `at` that needs a closer look: end of the frame, or `hold` */
    char *head;        /* the frame in hand, which its header begins */
    uint64_t credit;   /* frames that may be begun before `freed` must be read */
    rbx_bell *bell;    /* the receiver's */
    char *first, *end; /* of all frames */
    struct rbx_spsc *shared;
    uint64_t frames;
};

struct rbx_cursor {
    uint64_t at;   /* frame number << 8 | messages taken from it */
    uint64_t seen; /* what *head said; `at` when that needs a closer look */
    char *head;    /* the frame in hand, which its header begins */
};

struct rbx_spsc_rx {
    struct rbx_cursor now;
    rbx_atomic64 *position; /* where a successor goes on: a copy of now.at */
    uint64_t owed;          /* frames used up and not yet given back */
    uint64_t lazy;          /* how many that may become */
    char *first, *end;
    struct rbx_spsc *shared;
    uint64_t frames;
    uint64_t dry_at;  /* the position where it last waited */
    uint32_t no_slip; /* so many waits more are not to begin with a slip */
    uint32_t unshown; /* between peek and release: messages known, but not shown */
};

/* Either end of a ring of many: they mirror each other. */
struct rbx_mpmc_end {
    rbx_atomic64 *index;  /* `tail` for a sender, `head` for a receiver */
    rbx_atomic64 *intent; /* its seat's */
    char *slots;
    uint64_t mask;  /* slots - 1 */
    uint64_t lap;   /* slots << 8 */
    rbx_bell *bell; /* of the other end */
    struct rbx_mpmc *shared;
    uint64_t held;         /* position << 8 between claim and commit, or peek and release */
    uint64_t orphans_seen; /* receivers: no orphan is there as long as the ring counts so many */
    uint64_t quarter;      /* senders: a quarter of the ring is used up where no bit of it is set */
    uint64_t strict;
    uint64_t looked_at; /* when it last saw to the dead for want of anything else */
    uint32_t no_slip;   /* so many waits more are not to begin with a slip */
    uint32_t rest;      /* and how many they were at first, after the last slip that was in vain */
    uint32_t polls;     /* waits that were but a pause, since one was more */
};

struct rbx_poll; /* an endpoint's descriptor (poll.h) */

/*
 * The endpoints. Yours to place (and to zero, where one may be closed that was never opened), else
 * only for the calls here and in message.h: the hot ones are inline, so the layout is public.
 *
 * Aligned, since compilers write neighbouring words in one store: where that crosses into another
 * line, whoever reads one of them again waits until all stores before it have left the core, and so
 * for the other core to give its line up.
 */
typedef struct rbx_tx {
    union {
        struct rbx_spsc_tx spsc;
        struct rbx_mpmc_end mpmc;
    } RBX_ALIGNED;
    struct rbx_frame frame;
    uint32_t hold;
    rbx_ring_kind kind;
    uint32_t seat; /* its number */
    rbx_ring *ring;
    rbx_patience patience;
    uint32_t mourned;  /* the death of the other end, counted by openings, that has been reported */
    uint32_t bereaved; /* one that is to be, by the next call that finds the ring full (empty) */
    uint32_t listed;   /* a wait on many has it in its list */
    struct rbx_poll *poll;
    char apart[64]; /* keeps what follows this endpoint in memory out of its lines */
} rbx_tx;

typedef struct rbx_rx {
    union {
        struct rbx_spsc_rx spsc;
        struct rbx_mpmc_end mpmc;
    } RBX_ALIGNED;
    struct rbx_frame frame;
    uint32_t hold;
    rbx_ring_kind kind;
    uint32_t seat;
    uint32_t shown; /* messages, between peek and release */
    rbx_ring *ring;
    rbx_patience patience;
    uint32_t mourned;
    uint32_t bereaved;
    uint32_t listed;
    struct rbx_poll *poll;
    char apart[64];
} rbx_rx;

/*
 * -EBUSY while as many senders (receivers) live as there are seats, -EAGAIN when the last free seat
 * is one that died and that somebody else has been clearing for a second, -EPIPE when the ring is
 * shut down (and, for a receiver, drained), -EPROTO when the ring is damaged, -EACCES when it was
 * opened read-only, -EBADF in a child that inherited it. On failure the endpoint is closed. One
 * that is open must be closed before it is opened again.
 */
RBX_API int rbx_tx_open(rbx_tx *tx, rbx_ring *ring);
RBX_API int rbx_rx_open(rbx_rx *rx, rbx_ring *ring);

/* A place that is claimed is given up; a message that is peeked stays. Closing twice is fine. To be
   closed before the ring; in a forked child, that does nothing to the parent's. */
RBX_API void rbx_tx_close(rbx_tx *tx);
RBX_API void rbx_rx_close(rbx_rx *rx);

/* How it waits from now on. */
RBX_API int rbx_tx_wait_by(rbx_tx *tx, const rbx_wait_options *options);
RBX_API int rbx_rx_wait_by(rbx_rx *rx, const rbx_wait_options *options);

RBX_END_DECLS

#endif
