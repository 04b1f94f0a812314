/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * soak.h: what the controller and the participants of a soak share; soak.c says what it is about.
 *
 * A round is one game: an object of the library, made anew, and participants, which are processes
 * that use it. The controller starts them, one after the other in each slot, kills and stops some,
 * and in the end lets everybody come to an end and judges what the ledger says.
 */
#ifndef RBX_TESTS_SOAK_H
#define RBX_TESTS_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ringbox/ringbox.h>

#include "../support/chance.h"
#include "../support/clock.h"

enum {
    SLOTS = 8,
    LIVES = 4096, /* participants of a round, counted from 1; no word of the ledger has more room */
    STREAMS = 384, /* of messages, counted from 1: one sender's, or a part of what it sends */
    STREAM = 1 << 15,
    BUFFER = 1 << 16, /* bytes that one call receives */
    BATCH = 256,
};

enum phase {
    RUN,   /* with deaths and stops, unless the round is calm */
    DRAIN, /* nobody is killed or stopped any more; those that are to go first do */
    STOP,  /* the others go as well */
};

/* Each of these is one process's, which is all that writes to it; the controller's, once it is
   dead. */
struct slot {
    _Atomic(const char *) doing; /* for people: the call that it is in */
    _Atomic uint64_t moved;      /* messages, or whatever is counted: it gets on */
    _Atomic uint32_t life;       /* who it is */
    _Atomic uint32_t leaves;     /* before its time */
    _Atomic uint32_t in_hand;    /* what a lock's or semaphore's holder notes */
    _Atomic uint64_t word;       /* what the game keeps about the call that it is in */
    _Atomic uint64_t count;
    _Alignas(64) char buffer[BUFFER]; /* where receivers receive to */
};

/* The messages of a stream are numbered from 0. */
struct stream {
    _Atomic uint64_t word;        /* so many are sent for certain << 16 | and so many perhaps */
    _Atomic uint16_t got[STREAM]; /* by whom */
};

struct ledger {
    _Atomic uint32_t failures;
    char first_failure[1024];
    _Atomic uint32_t phase;
    _Atomic uint8_t doomed[LIVES];         /* set before it is killed */
    _Atomic uint32_t refused, not_refused; /* system calls to participants */
    struct slot slot[SLOTS];
    /* Rings. */
    _Atomic uint32_t streams;     /* begun */
    _Atomic uint64_t out_of_turn; /* messages that came after a later one of their sender */
    _Atomic uint64_t put_back;    /* messages that were peeked at when their receiver closed */
    /* What locks protect, and whose they are: each changes these, one after the other. */
    _Atomic uint32_t holder;
    _Atomic uint64_t entered, first, second;
    /* Events. */
    _Atomic uint64_t work, sets, passes, gate;
    /* Cells: no snapshot that begins now is older. */
    _Atomic uint64_t newest;
    struct stream stream[STREAMS];
};
extern struct ledger *ledger;

/* What the controller has decided on, before it starts anybody. */
struct round {
    const struct game *game;
    uint64_t seed;
    unsigned number;
    bool is_calm;        /* nobody is killed; a wake-up that is lost is not made good by a slice */
    bool ends_by_signal; /* who waits at the end is interrupted, and not told by the object */
    unsigned slots;
    unsigned first_out; /* so many slots, from 0 on: those go first */
    unsigned kind;      /* of game: as it likes */
    uint32_t tempo;     /* 0: nobody dawdles; 1: those that go first; 2: the others; 3: all */
    char name[64];
};
extern struct round round_now;

/* What a participant knows of itself. */
struct me {
    struct slot *slot;
    unsigned number; /* of the slot */
    uint32_t life;
    uint64_t random_state;
    bool is_forever; /* the call that it is in has no time-out */
    bool is_first_out;
    unsigned refuses_later; /* in so many actions it may not use membarrier any more; 0: never */
    unsigned closed;        /* descriptors that it was given, and has closed */
};
extern struct me me;

struct game {
    const char *noun;
    bool (*begin)(void);       /* the controller makes the object */
    void (*hand_over)(void);   /* before a participant starts; may be NULL, like all that follow */
    void (*handed_over)(void); /* after that, in the controller */
    void (*play)(void);        /* a participant, until it is time to leave */
    void (*bury)(unsigned slot, uint32_t life); /* a participant has been killed */
    void (*help)(void);                         /* by hand, at any time */
    bool (*turn)(void);                         /* the first have gone: whether the others may */
    void (*nudge)(void); /* the others may go, and some have not: now and then */
    void (*judge)(void); /* all have gone */
    void (*tell)(void);  /* prints what may help people; something is wrong */
    void (*end)(void);   /* the object goes; not skipped when something was wrong */
};
extern const struct game ring_game, mutex_game, rwlock_game, event_game, gate_game, sem_game,
    cell_game;

/* Of all rounds. */
struct totals {
    uint64_t rounds, kills, inside, stops, leaves, messages, ambiguous, lost_at_end, redelivered,
        dropped, out_of_turn, refused, not_refused;
};
extern struct totals totals;

/* --- common.c --- */

/* The first that is said counts; and the round ends. */
__attribute__((format(printf, 1, 2))) void fail(const char *format, ...);
bool is_well(void);
unsigned descriptors(void);
enum phase phase(void);

/* --- life.c: within a participant --- */

_Noreturn void live(unsigned slot, uint32_t life, uint32_t nth, pid_t parent);
uint32_t draw(uint32_t below);
void dawdle(void);
void hold(const char *what); /* for a while */
/* About to make a call, which waits without a time-out or not. */
void does(const char *call, bool is_forever);
void did(void);
/* RBX_FOREVER now and then; otherwise short. */
uint64_t draw_timeout(void);
/* Whether it is to leave before its time, and for another. */
bool feels_like_leaving(void);
bool is_doomed(uint32_t life);

/* --- round.c: the controller --- */

/* Whether all went well. */
bool run_round(uint64_t seed, unsigned number);
/* From a signal handler: the round is to come to its end at once. */
void interrupt_rounds(void);
bool is_interrupted(void);

/* --- crew.c: those that take part, as the controller sees them --- */

void crew_begin(void);
void crew_start_from(unsigned slot); /* those that are not there, from this slot on */
void crew_look(void);                /* who has gone; and who is due to come or to go on */
/* `inside`: 0, or after so many instructions of the call that it makes next, if that is allowed. */
void crew_kill(unsigned slot, uint32_t inside);
void crew_stop(unsigned slot, uint64_t ns);
void crew_signal(unsigned slot);
void crew_continue_all(void);
unsigned crew_alive(unsigned from, unsigned to); /* of these slots */
bool crew_has_others(void); /* somebody is there, and does not leave, who does not go first; or
                               there are no such slots */
void crew_tell(void);       /* what each is doing */
void crew_kill_all(void);

/* --- aim.c --- */

enum aim {
    AT_CALL,    /* in any call */
    AT_HOLD,    /* between two calls, with something in hand: it is doing "has ..." */
    AT_MESSAGE, /* a receiver that has copied a message, which it may have taken or not */
};
/* Whether it stands there, or inside a call. */
bool step_inside(pid_t pid, const struct slot *slot, uint32_t inside, enum aim aim);

/* --- ring-send.c, ring-receive.c, ring-judge.c --- */

/* A receiver's word: this << 32 | n. */
enum receiver_state {
    IDLE,      /* nothing in hand */
    CALLING,   /* up to n: each may be lost, if the call was at its very end */
    SHOWN,     /* n, between peek and release: none may be lost */
    RELEASING, /* n of them, which may be lost */
    RETURNED,  /* n, which are received: the ledger is to say so of each */
};

extern rbx_ring_options ring_shape;
extern rbx_ring *ring_now;     /* the controller's */
bool is_in_turn(void);         /* the ring keeps its order whoever dies */
bool send_some(rbx_tx *tx);    /* false: it is to be closed as it is */
bool receive_some(rbx_rx *rx); /* false: nothing comes any more */
void make_message(char *message, unsigned stream, uint32_t number);
bool read_message(const char *message, unsigned *stream, uint32_t *number); /* it is whole */
void ring_bury(unsigned slot, uint32_t life);
void ring_judge(void);
void ring_forget(void);
bool ring_can_bury(void); /* there is room for what one more death leaves */

#endif
