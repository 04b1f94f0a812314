/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kills.h: what the parent and its victims share; see kills.c. */
#ifndef RBX_TESTS_KILLS_H
#define RBX_TESTS_KILLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ringbox/ringbox.h>

#include "../support/chance.h"
#include "../support/clock.h"

enum { TX, RX, SIDES, KILLS_A_ROUND = 25, MAX_WORDS = 31 };

struct side {
    _Atomic uint64_t word;  /* position << 16 | what the call may move */
    _Atomic uint64_t count; /* messages sent (received), as the ring said after the last death */
    _Atomic uint32_t going; /* its end is open */
    _Atomic uint32_t gone;  /* nobody is there: from after its death until its successor starts */
    _Atomic uint32_t started, deaths;            /* and those that are about to happen */
    _Atomic uint32_t mourned, saw_full_or_empty; /* while the other side was gone */
};

struct ledger {
    _Atomic uint32_t failures;
    char first_failure[512];
    struct side side[SIDES];
    _Atomic uint32_t gap_count;
    struct {
        uint64_t index, size; /* so many numbers before message `index` were not sent */
    } gap[2 * KILLS_A_ROUND];
};

extern struct ledger *ledger;
extern const char *const noun[SIDES];
extern char name[64];
extern rbx_ring_options geometry;
extern rbx_ring *ring; /* the parent's, which keeps it alive */
/* This round: a slow receiver finds the ring full, a slow sender leaves it empty. */
extern bool slow[SIDES];
extern uint64_t random_state;

/* ledger.c */
uint32_t draw(uint32_t below);
__attribute__((format(printf, 1, 2))) void fail(const char *format, ...);
void make(uint64_t *message, uint64_t number);
uint64_t skipped_before(uint64_t index);             /* how many numbers */
bool check(const uint64_t *message, uint64_t index); /* it is number `index` of this ring, from 0 */

/* victim.c: one side, until it is killed. */
_Noreturn void run_victim(int side, pid_t parent, uint64_t seed);

#endif
