/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ring of many senders and receivers, docs/mpmc.md: senders, receivers and
 * a repairer over a tail, a head and N slot words; in strict mode or, with
 * DEFAULT, in the default mode.  Quotations in comments are from there.
 *
 *   strict.pml         shared memory, what is wrong, what is checked in the end
 *   strict-calls.pml   sender and receiver
 *   strict-repair.pml  repair
 *
 * Claim: strict mode needs nobody to go on.  Who holds a slot and stands still,
 * or is only slow, is passed over or overtaken; and since the word of its slot
 * is moved on before an index is, nobody uses a position that others have
 * passed, and the holder gives the slot back for the lap that the word tells.
 * And no death takes a slot or a message away: an intent is stored before the
 * CAS of an index, so a repairer finds what the dead one held, and can tell
 * it from what others hold.
 *
 * Each step, one statement or one atomic block, is one access to shared memory:
 * a load, a store or a CAS, with what a process does by itself and what the
 * properties need.  There are two exceptions:
 *
 *   - A look at a word comes with the look at the other index, or at the words
 *     of other positions, that the table asks for.  What they say lasts, or is
 *     no more than a good reason: an index only grows, and a later position
 *     stays published until head is there; but a place ahead that is free may
 *     be taken by another.
 *   - A call that finds the ring full, or nothing there, waits at its look
 *     until it finds something else.
 *
 * Patience is a choice: who may pass over or overtake may also wait.  Memory is
 * sequentially consistent.  Who comes does so at the beginning.  Positions do not
 * wrap; a run that has used up LIMIT of them is not looked at in the end, since
 * a message may be passed over again and again.
 *
 * Sender 0 sends MESSAGES, each other one OTHERS; receivers never stop.  By
 * symmetry, sender 0 is the first to take a position by tail, and the first
 * receiver by head.
 *
 * Properties:
 *
 *   p1_once      no message is published twice, or received and released twice
 *   p2_lost      what was published is received and released
 *   p3_order     a sender's messages are received in order, but for orphans.
 *                (Any two messages: who begins to send when another has ended
 *                gets a higher position, for tail only grows; and head passes
 *                them in turn, p6_index)
 *   p4_holder    a slot is taken, written, read and given up by one holder at a
 *                time; a repairer takes it from the dead only
 *   p5_capacity  in the end each slot is FREE for a position ahead, but those
 *                that somebody holds who has stopped
 *   p6_index     head <= tail <= head + 2N (default: head + N), and no index
 *                passes a position that can still be used.  (More than N apart
 *                they are while somebody has changed the word at head and not
 *                yet moved head)
 *   p7_progress  nobody waits for ever: in the end everything is sent and
 *                received, unless all N slots are held by those who have
 *                stopped, or are the place of a commit that is sent again
 *   p8_repaired  a message becomes an orphan at most once for each death of a
 *                receiver, and in the end all dead seats are settled
 *   p9_damage    no word is what the table calls damage
 *
 * Options:
 *
 *   N=n          1, 2 or 4 slots
 *   SENDERS=n, RECEIVERS=n, MESSAGES=n, OTHERS=n, LIMIT=n
 *                4 processes; OTHERS <= MESSAGES; LIMIT < 31
 *   KILLS=n      up to 2 senders and receivers stop for ever, each at any step
 *   VICTIM=n     only this one does
 *   DEATH        who has stopped is dead; with intents and a repairer
 *   RELAPSE      the repairer dies once, at any step, and another one begins
 *   COMMIT       a sender that is passed over may send again from its place, and
 *                gives it back after; it needs a second slot meanwhile
 *   BATCH        a sender takes two places at once where it can; if the first is
 *                passed over, it makes the second VOID, and sends both again
 *   ABORTS=n     up to n claims are given up
 *   SKIP         a sender that finds the ring full clears what is at head: a
 *                tombstone, or what nobody will receive
 *   PUTS=n       up to n messages are put back by their receivers (with DEATH)
 *   SHUT         the ring is shut down at any time
 *   BOUNDED      LIMIT must suffice
 *
 * Mutants, each of which breaks a property:
 *
 *   MUTANT_1   who overtakes moves tail before the word
 *   MUTANT_2   who passes over moves head before the word
 *   MUTANT_3   a slot is given back by a store
 *   MUTANT_4   a slot is given back for the lap after its holder's position
 *   MUTANT_5   publish is a store
 *   MUTANT_6   release is a store
 *   MUTANT_7   pass over whatever later positions say (with BOUNDED: one may
 *              be passed over for ever)
 *   MUTANT_8   nobody passes over (with KILLS)
 *   MUTANT_9   overtake FULL or VOID x, too, which head is not past
 *   MUTANT_10  overtake though no place ahead is free
 *   MUTANT_11  a receiver at x > h does not move tail on
 *   MUTANT_12  a receiver moves head on where tail is closed at h
 *   MUTANT_13  a batch goes on though its first message was passed over
 *   MUTANT_14  repair ignores live intents
 *   MUTANT_15  repair stores the word
 *   MUTANT_16  repair does not look at the index
 *   MUTANT_17  repair looks at the intents before the word and the index
 *   MUTANT_18  repair reads the `owed` of a seat before its intent
 *   MUTANT_19  a dead receiver's intent counts as a sender's
 *   MUTANT_20  at the same position, senders count as above receivers
 *   MUTANT_21  live intents as high as the dead one's do not count
 *   MUTANT_22  a dead seat is settled though a slot of it was left alone
 *   MUTANT_23  `orphans` goes up before and after a word becomes ORPHAN only
 *   MUTANT_24  the intent is stored after the CAS of the index
 *   MUTANT_25  who loses the CAS of an index leaves its intent
 *   MUTANT_26  `owed` is noted after the next intent
 *   MUTANT_27  `owed` becomes 0 before the place is given back
 *   MUTANT_28  a receiver remembers `orphans` as read after it has looked
 *   MUTANT_29  a sender that skips a tombstone has the intent of a sender
 *   MUTANT_30  who puts a message back leaves its intent
 *   MUTANT_31  a commit that is not sent again at once turns its debt into its
 *              intent, until it tries again
 *   MUTANT_32  repair does not look at `orphans` again
 */

#ifndef N
#define N 2
#endif
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef OTHERS
#define OTHERS 1
#endif
#ifndef LIMIT
#define LIMIT 7
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef ABORTS
#define ABORTS 0
#endif

#ifdef DEFAULT
#define STRICT false
#define LEAD N
#else
#define STRICT true
#define LEAD (2 * N)
#endif

#define SEATS (SENDERS + RECEIVERS)
#define REPAIRER SEATS
#define BIT(seat) (1 << (seat))
#define SELF BIT(_pid)
#define ALL_SENDERS (BIT(SENDERS) - 1)
#define ALL_RECEIVERS (BIT(SEATS) - BIT(SENDERS))

/* A word is a position and a state. */
#define FREE 0
#define FULL 1
#define VOID 2
#define ORPHAN 3
#define TAKEN 4
#define PASSED 5
#define WORD(x, state) ((x) * 8 + (state))
#define AT(w) ((w) / 8)
#define IS(w) ((w) % 8)

#if N == 1
#define START 0 /* FREE 0 */
#elif N == 2
#define START 0, 8
#else
#define START 0, 8, 16, 24
#endif

byte tail;
byte head;
byte slot[N] = { START };
bool closed; /* RBX_TAIL_CLOSED */

#define BY_HEAD 32
#define TWO 64

#ifdef DEATH
byte intent[SEATS]; /* position + 1, + BY_HEAD, + TWO in a row; 0: none */
byte owed[SENDERS]; /* position + 1; 0: none */
byte dead;          /* seats that were not left, but whose lock has gone */
byte news;          /* receivers to whom `orphans` is not as they remember it */

byte left;    /* dead seats tried in vain, since when nothing has changed */
byte orphans; /* words that became ORPHAN */
byte deaths;  /* of receivers */
#define CHANGED left = 0
#define COUNT_ORPHANS news = ALL_RECEIVERS | BIT(REPAIRER)
#else
#define CHANGED skip
#endif

/* What nobody in the ring can see. */
byte hold[N]; /* who holds the slot, + 1 */
byte data[N]; /* the payload: the number of a message, + 1 */
byte fate[SENDERS * MESSAGES];
byte next[SENDERS]; /* of each sender's messages, the next to be received */
byte done;          /* senders that have sent everything */
byte stopped;       /* senders and receivers, for ever */
byte aborts;
byte returns;

#define PUBLISHED 1
#define RELEASED 2

bool p1_once;
bool p2_lost;
bool p3_order;
bool p4_holder;
bool p5_capacity;
bool p6_index;
bool p7_progress;
bool p8_repaired;
bool p9_damage;

#define CHECK(property, what) property = (what); assert(property)

chan kill = [0] of { byte };

#define SLOT(x) slot[(x) % N]
#define SAYS(x, state) (SLOT(x) == WORD(x, state))
#define FILLED(w) (IS(w) == FULL || IS(w) == VOID)
#define AWAY(w) (IS(w) == TAKEN || IS(w) == PASSED)

/* "other, x = i" and "x > i": nothing will be sent or received by index at i. */
#define SPENT(i) (AT(SLOT(i)) > (i) || AT(SLOT(i)) == (i) && IS(SLOT(i)) >= ORPHAN)

#include "strict-calls.pml"
#ifdef DEATH
#include "strict-repair.pml"
#endif

#ifdef SHUT
active proctype shutdown()
{
	closed = true
}
#endif

inline kill_one()
{
	if
#ifdef VICTIM
	:: kill!VICTIM
#else
	:: kill!0
	:: kill!1
	:: kill!2
	:: kill!3
#endif
	:: goto retire
	fi
}

active proctype killer()
{
#if KILLS > 0
	kill_one();
#endif
#if KILLS > 1
	kill_one();
#endif
retire:	skip
}

/* Who moved the word of position `tail` may have stopped before it moved tail. */
#define UNMOVED (closed || stopped != 0 -> 1 : 0)

/* A message that need not have been sent. */
#define UNSENT(i) \
	(closed || (stopped & BIT(i / MESSAGES)) || i >= MESSAGES && i % MESSAGES >= OTHERS)

/* When nobody can do anything: is it as it should be? */
active proctype watcher()
{
	byte i;
	byte held; /* slots */

	timeout;
	atomic {
#ifdef BOUNDED
		CHECK(p7_progress, tail < LIMIT);
#endif
		if
		:: tail >= LIMIT || (stopped & ALL_RECEIVERS) == ALL_RECEIVERS -> goto end
		:: (tail == 0 || head == 0) && stopped != 0 -> goto end /* by symmetry */
		:: else
		fi;
		do
		:: i < N && hold[i] == 0 ->
			CHECK(p5_capacity, IS(slot[i]) == FREE && AT(slot[i]) % N == i &&
			    AT(slot[i]) >= tail && AT(slot[i]) < tail + N + UNMOVED);
			i++
		:: i < N && hold[i] != 0 ->
#ifdef DEATH
			CHECK(p5_capacity, false);
#endif
			CHECK(p7_progress, ((stopped | ALL_SENDERS & ~done) & BIT(hold[i] - 1)) != 0);
			CHECK(p2_lost, IS(slot[i]) != FULL || AT(slot[i]) < head);
			held++;
			i++
		:: i == N -> break
		od;
		CHECK(p7_progress, held == N || ((done | stopped) & ALL_SENDERS) == ALL_SENDERS);
		CHECK(p6_index, held != 0 || head == tail);
#ifdef DEATH
		CHECK(p8_repaired, dead == 0);
#endif
		i = 0;
		do
		:: i < SENDERS * MESSAGES ->
			CHECK(p2_lost, held != 0 || fate[i] == RELEASED || fate[i] == 0 && UNSENT(i));
			i++
		:: else -> break
		od
	}
end:	skip
}
