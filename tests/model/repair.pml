/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Who sees to the dead of a ring of many, and what becomes of it when he dies
 * as well: "Repair" of docs/mpmc.md, src/mpmc/repair.c, in the default mode.
 * strict.pml has one repairer at a time, and nobody who comes back; here are two,
 * of whom the kernel's lock chooses one, and a dead one's seat is opened again
 * as soon as it is free, while the repair of others goes on.
 *
 * Claim: whatever has been done of a repair when its maker dies, the next one
 * does the rest: no message and no slot is lost, a message is read again only
 * when who had read it died, and all is counted once.
 *
 * Each step, one statement or one atomic block, is one access to shared memory
 * or one call of the kernel, with what a process does by itself and what the
 * properties need; but a sender's or receiver's look is at index and word at
 * once, and waits there.  Memory is sequentially consistent.
 *
 *   sender, receiver   src/mpmc.c; here
 *     open             open_somewhere, rbx_seat_take, begin, rbx_seat_settle
 *   repairer           src/mpmc/repair.c; repair-work.pml
 *     idle             rbx_mpmc_mind_the_dead, begin: rbx_lock_try
 *     find             find_dead, rbx_seat_dead
 *     clear            clear, settle_all
 *     look             settle, is_held
 *     others           cover_of, is_alive, cover_by
 *     decide           settle, swap_and_count, rbx_count_once
 *     announce, forget the rest of clear
 *     bury             rbx_mourning_bury
 *
 * Properties:
 *
 *   p1_once      a message is published once, released once, and read once and
 *                again for each death of a receiver
 *   p2_lost      in the end what was published is released
 *   p4_holder    a slot is taken from the dead only
 *   p5_capacity  in the end each slot is FREE for a position ahead
 *   p7_progress  in the end everybody lives, and everything has been sent
 *   p8_counted   in the end the deaths, tombstones, redelivered messages and
 *                places given back are as many as there were.  But with several
 *                deaths, what a repairer counted before he died may be counted
 *                again, when the next one sees to another first; and a message
 *                that is put back twice running counts as one: it has the same
 *                tag
 *
 * Not here: batches, claims given up, messages put back (strict.pml); a lock
 * held by a copy of the descriptor; weaker memory.
 *
 * Options:
 *
 *   N=n          1 or 2 slots
 *   SENDERS=n, RECEIVERS=n
 *                up to 4 in all
 *   MESSAGES=n   for each sender; what one had in hand when he died is not sent
 *   DEATHS=n     of senders and receivers, each at any step; then they come back
 *   GONE         they do not come back (with a second sender or receiver)
 *   RELAPSES=n   deaths of repairers
 *   REPAIRERS=n  1 or 2
 *
 * Mutants, each of which breaks a property:
 *
 *   MUTANT_1   no lock: both repair
 *   MUTANT_2   a repairer that dies keeps the lock
 *   MUTANT_3   a seat is marked as free before its slot is settled
 *   MUTANT_4   an intent is forgotten before its slot is settled
 *   MUTANT_5   a count is raised whatever its tag
 *   MUTANT_6   a count is raised after the word has changed
 *   MUTANT_7   orphans are announced only by who made them
 *   MUTANT_8   orphans are announced before the word says so
 *   MUTANT_9   the index is not looked at
 *   MUTANT_10  who was dead is taken for dead after its seat was opened again
 *   MUTANT_11  intents of those who live do not count
 *   MUTANT_12  a live intent to the same position stands not in the way
 *   MUTANT_13  the intents are read before the word
 *   MUTANT_14  the intent is stored after the CAS
 *   MUTANT_15  a seat of somebody who lives counts as dead when its lock is tried
 *              before its opening is read, and not read again
 *   MUTANT_16  who comes opens a seat that is not free yet
 */

#ifndef N
#define N 1
#endif
#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef RECEIVERS
#define RECEIVERS 1
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef RELAPSES
#define RELAPSES 1
#endif
#ifndef REPAIRERS
#define REPAIRERS 2
#endif

#define SEATS (SENDERS + RECEIVERS)
#define BIT(n) (1 << (n))

#define FREE 0
#define FULL 1
#define VOID 2
#define ORPHAN 3
#define TAKEN 4
#define WORD(x, state) ((x) * 8 + (state))
#define AT(w) ((w) / 8)
#define IS(w) ((w) % 8)
#define SLOT(x) slot[(x) % N]
#define SAYS(x, state) (SLOT(x) == WORD(x, state))

byte tail;
byte head;
#if N == 1
byte slot[N];
#else
byte slot[N] = { 0, 8 };
#endif
byte intent[SEATS];  /* position + 1; 0: none */
byte opening[SEATS]; /* odd: open */
byte lived;          /* locks of seats that are held */
byte lock;           /* RBX_LOCK_REPAIR: whose, + 1 */
byte orphans;

/* What is counted, and the tag of the last. */
#define TOMBSTONES 0
#define REDELIVERED 1
#define RETURNED 2
#define DIED 3 /* and 4: of receivers */
byte count[5];
byte tag[5];

/* What nobody in the ring can see. */
#define A_DEAD_ONE 9
byte hold[N];    /* who holds the slot, + 1 */
byte data[N];    /* the payload: the number of a message, + 1 */
byte fate[SENDERS * MESSAGES];
byte reads[SENDERS * MESSAGES];
byte sent[SENDERS];
byte was[5];     /* what should have been counted */
byte left;       /* seats tried in vain, since when nothing has changed */
byte deaths;
byte relapses;

#define PUBLISHED 1
#define RELEASED 2

bool p1_once;
bool p2_lost;
bool p4_holder;
bool p5_capacity;
bool p7_progress;
bool p8_counted;

#define CHECK(property, what) property = (what); assert(property)
#define CHANGED left = 0

#ifdef GONE
byte away; /* seats whose holders will not come back */
#define AFTERWARDS away = away | BIT(_pid); goto gone
#define HAS_GONE(s) (away & BIT(s))
#else
#define AFTERWARDS goto start
#define HAS_GONE(s) false
#endif

chan kill = [0] of { byte };

inline bereave(s)
{
	if
	:: (opening[s] & 1) && (lived & BIT(s)) -> was[DIED + (s < SENDERS -> 0 : 1)]++
	:: else
	fi;
	lived = lived & ~BIT(s);
	if
	:: hold[0] == s + 1 -> hold[0] = A_DEAD_ONE
	:: else
	fi;
#if N > 1
	if
	:: hold[1] == s + 1 -> hold[1] = A_DEAD_ONE
	:: else
	fi;
#endif
	CHANGED
}

inline open_seat()
{
#ifndef MUTANT_16
	(opening[_pid] & 1) == 0;
#else
	CHANGED;
#endif
	atomic { lived = lived | BIT(_pid); CHANGED };
	atomic { intent[_pid] = 0; CHANGED };
	atomic {
#ifdef MUTANT_16
		opening[_pid] = (opening[_pid] + 1) | 1;
#else
		opening[_pid]++;
#endif
		CHANGED
	}
}

active [SENDERS] proctype sender()
{
	byte p;

start:	{
	open_seat();
next:	atomic {
		if
		:: sent[_pid] == MESSAGES -> goto rest
		:: sent[_pid] < MESSAGES && SAYS(tail, FREE) -> p = tail
		fi
	};
#ifndef MUTANT_14
	atomic { intent[_pid] = p + 1; CHANGED };
#endif
	atomic {
		if
		:: tail == p ->
			tail++;
			sent[_pid]++;
			CHECK(p4_holder, hold[p % N] == 0);
			hold[p % N] = _pid + 1;
			CHANGED
		:: else -> goto lost
		fi
	};
#ifdef MUTANT_14
	atomic { intent[_pid] = p + 1; CHANGED };
#endif
	atomic {
		CHECK(p4_holder, hold[p % N] == _pid + 1);
		data[p % N] = _pid * MESSAGES + sent[_pid]
	};
	atomic {
		CHECK(p4_holder, hold[p % N] == _pid + 1);
		SLOT(p) = WORD(p, FULL);
		CHECK(p1_once, fate[data[p % N] - 1] == 0);
		fate[data[p % N] - 1] = PUBLISHED;
		hold[p % N] = 0;
		p = 0;
		CHANGED;
		goto next
	};
lost:	atomic { intent[_pid] = 0; p = 0; CHANGED; goto next };
rest:	false
	} unless {
		atomic { kill?eval(_pid); p = 0; bereave(_pid); AFTERWARDS }
	};
gone:	skip
}

active [RECEIVERS] proctype receiver()
{
	byte h;
	byte i;
	byte now;  /* `orphans`, as read before the search */
	byte seen; /* and as remembered */

start:	{
	open_seat();
	seen = 255; /* there may be some */
next:	atomic {
		if
		:: seen != orphans -> now = orphans; i = 0; goto search
		:: seen == orphans && (SAYS(head, FULL) || SAYS(head, VOID)) -> h = head
		fi
	};
	atomic { intent[_pid] = h + 1; CHANGED };
	atomic {
		if
		:: head == h ->
			head++;
			CHECK(p4_holder, hold[h % N] == 0);
			hold[h % N] = _pid + 1;
			CHANGED;
			if
			:: IS(SLOT(h)) == VOID -> goto release
			:: else
			fi
		:: else -> goto lost
		fi
	};
read:	atomic {
		CHECK(p4_holder, hold[h % N] == _pid + 1);
		reads[data[h % N] - 1]++;
		CHECK(p1_once, reads[data[h % N] - 1] <= 1 + deaths)
	};
release: atomic {
		CHECK(p4_holder, hold[h % N] == _pid + 1);
		if
		:: IS(SLOT(h)) != VOID ->
			CHECK(p1_once, fate[data[h % N] - 1] == PUBLISHED);
			fate[data[h % N] - 1] = RELEASED
		:: else
		fi;
		SLOT(h) = WORD(h + N, FREE);
		data[h % N] = 0;
		hold[h % N] = 0;
		h = 0;
		CHANGED;
		goto next
	};
search:	atomic {
		if
		:: i == N -> i = 0; seen = now; now = 0; goto next
		:: i < N && IS(slot[i]) != ORPHAN -> i++; goto search
		:: i < N && IS(slot[i]) == ORPHAN -> h = AT(slot[i]); i = 0
		fi
	};
	atomic { intent[_pid] = h + 1; CHANGED };
	atomic {
		if
		:: SAYS(h, ORPHAN) ->
			SLOT(h) = WORD(h, TAKEN);
			CHECK(p4_holder, hold[h % N] == 0);
			hold[h % N] = _pid + 1;
			CHANGED;
			goto read
		:: else
		fi
	};
lost:	atomic { intent[_pid] = 0; h = 0; CHANGED; goto next }
	} unless {
		atomic {
			kill?eval(_pid);
			h = 0;
			i = 0;
			now = 0;
			seen = 0;
			deaths++;
			bereave(_pid);
			AFTERWARDS
		}
	};
gone:	skip
}

#include "repair-work.pml"

active proctype killer()
{
	byte n;

	do
	:: n < DEATHS ->
		n++;
		if
		:: kill!0
		:: kill!1
#if SENDERS + RECEIVERS > 2
		:: kill!2
#endif
#if SENDERS + RECEIVERS > 3
		:: kill!3
#endif
		:: skip
		fi
	:: n == DEATHS -> break
	od
}

/* One repairer is like the other: the first to die is one of the two. */
active proctype relapse()
{
	byte n;

	do
	:: n < RELAPSES ->
		n++;
		if
		:: kill!SEATS
#if REPAIRERS > 1
		:: kill!(SEATS + 1)
#endif
		:: skip
		fi
	:: n == RELAPSES -> break
	od
}

#if DEATHS > 1
#define MISCOUNTED(i) \
	(count[i] > was[i] && count[i] <= was[i] + RELAPSES || i == REDELIVERED && count[i] < was[i])
#else
#define MISCOUNTED(i) false
#endif

/* When nobody can do anything: is it as it should be? */
active proctype watcher()
{
	byte i;

	timeout;
	atomic {
		do
		:: i < N ->
			CHECK(p5_capacity, IS(slot[i]) == FREE && hold[i] == 0 && AT(slot[i]) >= tail);
			i++
		:: else -> i = 0; break
		od;
		CHECK(p7_progress, head == tail);
		do
		:: i < SEATS ->
			CHECK(p7_progress, HAS_GONE(i) && !(opening[i] & 1) ||
			    (lived & BIT(i)) && (opening[i] & 1));
			i++
		:: else -> i = 0; break
		od;
		do
		:: i < SENDERS ->
			CHECK(p7_progress, HAS_GONE(i) || sent[i] == MESSAGES);
			i++
		:: else -> i = 0; break
		od;
		do
		:: i < SENDERS * MESSAGES ->
			CHECK(p2_lost, fate[i] != PUBLISHED);
			i++
		:: else -> i = 0; break
		od;
		do
		:: i < 5 ->
			CHECK(p8_counted, count[i] == was[i] || MISCOUNTED(i));
			i++
		:: else -> break
		od
	}
}
