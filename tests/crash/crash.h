/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* crash.h: what the parts of the harness share; see crash.c. */
#ifndef RBX_TESTS_CRASH_H
#define RBX_TESTS_CRASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ringbox/ringbox.h>

#include "../support/clock.h"
#include "stepper.h"

enum {
    BATCH = 3,
    MESSAGE_MAX = 48,
    MESSAGES = 2048, /* that one experiment makes at most */
    SEATS = 3,       /* senders, and receivers, where there can be many */
};
#define DEADLINE_NS UINT64_C(5000000000)
#define HANGS_AFTER_S 30U

enum kind { DEFAULT, STRICT, DROP, SPSC, LOCKED, KINDS };
extern const char *const kind_names[KINDS];
#define ON(kind) (1U << (kind))

/* --- Experiments --- */

/* How the survivors find out. */
enum way {
    BY_REPAIR,  /* rbx_ring_repair */
    BY_WAITING, /* one is blocked in recv_for when it happens, another in send_for */
    BY_POLLING, /* try_ calls only */
    WAYS
};

struct how {
    bool kills;  /* else it stops, and goes on later */
    bool late;   /* kill it only after the others have run on beside it for some laps */
    bool after;  /* survivors open their endpoints after the death */
    bool full;   /* stop: the ring is full, rather than empty, when it goes on */
    bool asleep; /* a receiver sleeps from before the call, and must wake up by itself */
    enum way way;
};
/* As in "kill,late,wait,after" and "stop,full". */
const char *how_name(struct how how);
bool parse_how(const char *text, struct how *how);

/* Shared with the victim, who says here what it knows. */
struct page {
    _Atomic uint32_t done;           /* the call has returned */
    _Atomic uint32_t may_send, sent; /* of the messages in `out`: what may be sent by now, and is */
    _Atomic uint32_t may_take, taken;
    _Atomic int32_t answer;  /* of a call that failed */
    _Atomic int32_t problem; /* what must not happen: a line of calls.c */
    _Atomic int32_t seat[2]; /* of its sender and receiver; -1: not open */
    char out[BATCH * MESSAGE_MAX], in[BATCH * MESSAGE_MAX];
};

/* What the victim works with. */
struct victim {
    struct page *page;
    rbx_ring *ring;
    rbx_tx tx;
    rbx_rx rx;
    void *place;
    const void *shown;
    size_t size; /* of a message */
};

enum sender { FIRST, KEEPER, VICTIM, LAST_MESSAGE, SENDERS };
enum fate { NOT_SENT, FLIGHT, SENT }; /* FLIGHT: in the victim's call; it may be sent, or not */

struct entry {
    uint8_t sender, fate, received;
};

struct world {
    const struct scenario *scenario;
    enum kind kind;
    unsigned capacity, slots; /* slots: how many messages it really takes, at least */
    struct how how;
    long at; /* the instruction before which the victim is stopped; -1: none */

    rbx_ring *ring;
    rbx_ring_options options;
    rbx_tx tx[2]; /* the survivors'; KEEPER's keep something in hand, for some scenarios */
    rbx_rx rx[2];
    void *kept_place;
    const void *kept_message;
    char kept_copy[MESSAGE_MAX];
    struct page *page;
    struct stepped victim;
    unsigned died[2];         /* others, with a sender (a receiver) open */
    unsigned died_holding[2]; /* places (messages), at most */
    unsigned deaths;          /* that a waiting survivor may hear of */
    unsigned heard;
    bool goes_on;    /* stop: it is not stopped any more, while the survivors run */
    int known_sent;  /* of the victim's messages, as an earlier death at this instruction has shown;
                        -1: unknown */
    unsigned filled; /* stop: so many messages have filled the ring again */
    unsigned voids;  /* places in the ring that hold no message, at most */
    rbx_repaired before; /* what had been repaired when the victim began */

    /* ledger.c */
    uint64_t nonce;
    size_t count;
    struct entry entries[MESSAGES];
    size_t last[SENDERS];            /* 1 + the highest number received, of each sender */
    unsigned strays, strays_allowed; /* messages that came out of turn */
    size_t out;                      /* number of the victim's first message */
    size_t waiting[16], waits;       /* what was in the ring when the victim began */
    unsigned gone, gone_at_most;     /* received by the dead one's call, and by nobody else */
    unsigned was_sent, was_lost;     /* the outcome */

    bool failed;
    char failure[700];
};

/* Records the first failure of this experiment. */
__attribute__((format(printf, 2, 3))) void blame(struct world *w, const char *format, ...);

/* --- scenarios.c --- */

enum fill { EMPTY, ONE, TWO, LAST_PLACE, FULL };

struct scenario {
    const char *name;
    unsigned kinds;
    enum fill fill;
    unsigned end; /* the victim's: TX_END, RX_END, or 0 */
    unsigned flags;
    unsigned sends, takes; /* messages that its call sends, or takes, unless it is refused */
    unsigned holds;        /* messages that it may have in hand, and that may come out of turn */
    unsigned places;       /* that it may have in hand; 0: one */
    void (*prepare)(struct world *w);   /* the survivors, before the victim starts */
    void (*begin)(struct victim *v);    /* the victim, before the instructions that count */
    void (*meanwhile)(struct world *w); /* the survivors, after that */
    void (*call)(struct victim *v);
};
enum { TX_END = 1, RX_END = 2 };
enum {
    OPENS = 1,   /* the call opens its endpoint: it may die without one */
    CLOSES = 2,  /* likewise */
    REFUSED = 4, /* it may be refused */
    REPAIRS = 8, /* it sees to the dead */
    SHUTS = 16,  /* it shuts the ring down */
    WAKES = 32,  /* it finds a receiver's bell set */
};
extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* --- ledger.c --- */

void ledger_begin(struct world *w);
size_t ledger_make(struct world *w, enum sender sender, void *message);  /* its number: NOT_SENT */
bool ledger_check(struct world *w, const void *message, size_t *number); /* known, and whole */
void ledger_received(struct world *w, const void *message, bool by_victim);
size_t ledger_outstanding(const struct world *w); /* sent, and not received */
void ledger_note_waiting(struct world *w);
/* What the victim says by now that it has sent, and taken. */
void ledger_settle_sends(struct world *w);
void ledger_settle_takes(struct world *w);
/* Stopped, or dead and not repaired: how many messages are gone. */
void ledger_note_gone(struct world *w);
/* All has been received that ever will be. */
void ledger_verdict(struct world *w);

/* --- world.c: the ring, and the survivors --- */

void world_begin(struct world *w);
void world_end(struct world *w);
size_t message_size(const struct world *w);
bool world_has_tx(const struct world *w);
bool world_has_rx(const struct world *w);
void world_open_ends(struct world *w); /* those that are not open */
void world_close_end(struct world *w, unsigned end);
int world_send(struct world *w, enum sender sender); /* 0, -EAGAIN, -EPIPE */
int world_receive(struct world *w, unsigned which);
unsigned world_fill(struct world *w);  /* how many it took */
unsigned world_drain(struct world *w); /* how many came */
void world_release_kept(struct world *w);
const void *world_memory(const struct world *w, size_t *size);
uint64_t world_held(const struct world *w); /* what is in the ring or in hands, by its own count */
bool world_is_locked_by(const struct world *w, pid_t pid);
/* A process that holds a place (a message); or several, in the middle of a batch. */
void world_let_die(struct world *w, unsigned end, unsigned batch);

/* --- traffic.c: what the survivors do --- */

/* Laps beside one that is stopped. */
void run_beside(struct world *w);
/* Somebody waits in recv_for from now on. */
void start_waiting(struct world *w);
bool is_anyone_waiting(void);
/* Likewise, but for one message; returns when it sleeps. */
void fall_asleep(struct world *w);
/* The sleeper wakes up by itself, as soon as there is a message. */
void wake_up(struct world *w);
/* After the death: all that is there is received, and the ring is used. */
void run_after(struct world *w);
void check_capacity(struct world *w);
void check_seats(struct world *w);
void run_out(struct world *w); /* of a ring that is shut down */

/* --- victim.c: the victim, instruction by instruction --- */

bool victim_start(struct world *w);           /* it stops at its marker */
bool victim_record(struct world *w);          /* runs it to the end of its call, recording */
bool victim_run_to(struct world *w, long at); /* so many instructions, or until it has returned */
void victim_kill(struct world *w);
bool victim_finish(struct world *w); /* it goes on to the end of its call */
void victim_leave(struct world *w);  /* closes its endpoints, and exits */

/* --- experiment.c --- */

extern struct page *page;
/* One ring, one victim, one death or stop. Whether all was well. */
bool experiment(struct world *w, const struct scenario *s, enum kind kind, unsigned capacity,
                struct how how, long at);
/* Runs the call once, from beginning to end, into `trace`. */
bool rehearse(struct world *w, const struct scenario *s, enum kind kind, unsigned capacity);
void experiment_clean_up(struct world *w); /* after a failure: leaves nothing behind */

#endif
