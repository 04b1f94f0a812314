/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sleep and wake: publishers, each with a store buffer, and sleepers on bells,
 * as include/ringbox/wait.h tells.
 *
 * Claim: nobody sleeps while what he waits for is there, though publishers do
 * not fence: the sleeper's membarrier does it for them; or they do it by
 * themselves, where a bit of the bell tells them to.
 *
 * A store of a publisher goes to its buffer, which empties in order at any time,
 * and when its owner fences, swaps, or is made to fence by a membarrier.  What
 * the words of the ring do to each other is strict.pml's: here a try is one
 * step, and what a publisher stores is that its place is published.  All that
 * a sleeper does is a load, or a locked instruction: it needs no buffer.
 *
 *   sender, join ...   rbx_bell_join_as_publisher, publish in src/spsc.c and
 *                      src/mpmc.c, rbx_bell_after_publish, rbx_bell_ring
 *   receiver, join     rbx_bell_join_as_sleeper
 *     try              rbx_arm_is_ready, or what the call found
 *     announce         rbx_bell_announce
 *     fence            rbx_bell_fence_all
 *     holds            rbx_bell_is_unrung, then rbx_arm_is_over or is_over of src/wait.c
 *     doze             rbx_futex_wait; of several bells rbx_futex_wait_any
 *     awake            the rest of sleep_until, of src/wait.c or of src/any.c
 *     disarm           rbx_arm_disarm, rbx_bell_retract
 *
 * No sleep has an end of its own, so whoever is not woken sleeps for ever; but
 *
 *   - with FIRST each is interrupted once, when all buffers have emptied since
 *     (RBX_FIRST_SLEEP_NS is longer than that takes);
 *   - when a sender has died, any sleep may end (RBX_SLICE_NS).
 *
 * Who shares a bell does not take another's ASLEEP for his own: one who dies may
 * have announced himself after a ring, and not come to his membarrier, so that
 * publishers need not have seen it.
 *
 * Not here: spinning; a sleep on several bells where the kernel has no
 * futex_waitv, which is made of short naps; a count of rings that wraps.
 *
 * Properties:
 *
 *   p1_announced  in the end, whoever sleeps on a bell has it say ASLEEP
 *   p2_awake      in the end, nobody sleeps while what he waits for is there
 *   p3_sent       in the end, everything is sent and received, but by the dead
 *
 * Options:
 *
 *   SENDERS=n, RECEIVERS=n, MESSAGES=n
 *                 1 or 2 of each; each sender sends MESSAGES
 *   ANY           two bells, one for each sender (2); receiver 0 sleeps on both,
 *                 receiver 1, if there is one, on the second
 *   UNREGISTERED=mask
 *                 senders that take no part in membarrier
 *   BARE          the sleepers may not use it, as they find when they come, first
 *   LATE          so they find, but come at any time (with FIRST)
 *   REFUSES       membarrier may be refused at any time (with FIRST)
 *   LEFT_OUT=mask senders that a membarrier may leave out (with FIRST)
 *   FIRST         each sleep is interrupted once
 *   LEAVES=n      so many sleeps of the last receiver end early (a time-out, a
 *                 signal), and he goes away or comes back
 *   VICTIM=n      this one may die at any step: a sender, or SENDERS + a receiver
 *
 * Mutants, each of which breaks a property:
 *
 *   MUTANT_1   a sleeper looks before it announces
 *   MUTANT_2   no membarrier
 *   MUTANT_3   membarrier before the announcement
 *   MUTANT_4   a publisher looks at the bell before it publishes
 *   MUTANT_5   rbx_bell_ring does not fence (with UNREGISTERED)
 *   MUTANT_6   a publisher looks at ASLEEP only (with UNREGISTERED)
 *   MUTANT_7   likewise (with BARE)
 *   MUTANT_8   who leaves a shared bell retracts
 *   MUTANT_9   a ring is not counted
 *   MUTANT_10  a sleep does not depend on what the bell says
 *   MUTANT_11  a ring wakes one
 *   MUTANT_12  a ring wakes before it takes ASLEEP away
 *   MUTANT_13  a bell that needs no membarrier stands for all (with ANY)
 *   MUTANT_14  membarrier for the last bell before the last announcement
 *   MUTANT_15  only the first of several ends is looked at
 *   MUTANT_16  who finds the bell say ASLEEP sleeps (with VICTIM, a sleeper)
 *   MUTANT_17  no sleep is interrupted once (with REFUSES)
 *   MUTANT_18  likewise (with LATE)
 *   MUTANT_19  likewise (with LEFT_OUT)
 *   MUTANT_20  a death of a sender ends no sleep
 *   MUTANT_21  who sleeps on several is awake when the first is rung only
 *   MUTANT_22  ASLEEP is taken away by a store, which forgets PUBLISHER_FENCES
 */

#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef UNREGISTERED
#define UNREGISTERED 0
#endif
#ifndef LEFT_OUT
#define LEFT_OUT 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif

#define BIT(n) (1 << (n))

#ifdef ANY
#define BELLS 2
#define BELL_OF(sender) (sender)
#define SWAPS false /* one sender for each ring */
#define WAITS(me, b) ((me) == 0 || (b) == 1)
#define SHARED(b) (RECEIVERS > 1 && (b) == 1)
#define SEVERAL(me) ((me) == 0)
#else
#define BELLS 1
#define BELL_OF(sender) 0
#define SWAPS (SENDERS > 1) /* the index: so its buffer empties */
#define WAITS(me, b) true
#define SHARED(b) (RECEIVERS > 1)
#define SEVERAL(me) false
#endif

#define ASLEEP 1
#define PUBLISHER_FENCES 2
#define SLEEPER_BARE 4
#define RUNG 8
#define STATE 7
#define UNRUNG(bits) ((bits) & ~(PUBLISHER_FENCES | SLEEPER_BARE))

byte bits[BELLS];
byte shown[BELLS]; /* places that everybody can see published */
byte head[BELLS];

byte tail[BELLS];
byte stored[SENDERS]; /* places whose publication is still in the buffer */
byte queued[BELLS]; /* receivers that sleep on it */
byte woken;
byte dead;
byte leaves;
byte joined; /* receivers */

bool p1_announced;
bool p2_awake;
bool p3_sent;

#define CHECK(property, what) property = (what); assert(property)

#define EMPTY(s) (SENDERS <= (s) || stored[s] == 0)
#define ALL_EMPTY (EMPTY(0) && EMPTY(1))
#define THERE(b, at) ((shown[b] & BIT(at)) != 0)
#define LOWEST(set) ((set) & ~((set) - 1))

chan kill = [0] of { byte };

inline drain(s)
{
	shown[BELL_OF(s)] = shown[BELL_OF(s)] | stored[s];
	stored[s] = 0
}

inline unqueue(who)
{
	queued[0] = queued[0] & ~BIT(who);
#ifdef ANY
	queued[1] = queued[1] & ~BIT(who);
#endif
}

inline wake(b)
{
#ifdef MUTANT_11
	if
	:: queued[b] & BIT(0) -> woken = woken | BIT(0); unqueue(0)
	:: queued[b] & BIT(1) -> woken = woken | BIT(1); unqueue(1)
	:: queued[b] == 0
	fi
#else
#ifdef MUTANT_21
	if
	:: SEVERAL(0) && b == 1 -> woken = woken | queued[b] & ~BIT(0)
	:: else -> woken = woken | queued[b]
	fi;
#else
	woken = woken | queued[b];
#endif
#ifdef ANY
	queued[1 - b] = queued[1 - b] & ~woken;
#endif
	queued[b] = queued[b] & ~woken
#endif
}

active [SENDERS] proctype sender()
{
	byte n;
	byte at; /* its place */
	byte w;

#define MINE BELL_OF(_pid)

	{
#ifdef BARE
	joined == RECEIVERS;
#else
	skip;
#endif
join:	if
	:: UNREGISTERED & BIT(_pid) -> bits[MINE] = bits[MINE] | PUBLISHER_FENCES
	:: else
	fi;
next:	atomic {
		w = 0;
		if
		:: n == MESSAGES -> goto end
		:: else -> n++
		fi;
		at = tail[MINE];
		tail[MINE]++;
		if
		:: SWAPS -> drain(_pid)
		:: else
		fi
	};
#ifdef MUTANT_4
	w = bits[MINE] & STATE;
#endif
publish: stored[_pid] = stored[_pid] | BIT(at);
look:	atomic {
#if defined(MUTANT_6) || defined(MUTANT_7)
		w = bits[MINE] & ASLEEP;
#elif !defined(MUTANT_4)
		w = bits[MINE] & STATE;
#endif
		at = 0;
		if
		:: w == 0 -> goto next
		:: else
		fi
	};
ring:
#ifndef MUTANT_5
	atomic { drain(_pid) };
#endif
	if
	:: bits[MINE] & ASLEEP
	:: else -> goto next
	fi;
#ifdef MUTANT_12
	atomic { wake(MINE) };
#endif
	w = bits[MINE];
clear:	atomic { /* a swap empties the buffer, succeed or not */
		drain(_pid);
		if
#ifdef MUTANT_22
		:: true -> bits[MINE] = (bits[MINE] / RUNG + 1) * RUNG; w = 0
#elif defined(MUTANT_9)
		:: bits[MINE] == w -> bits[MINE] = w & ~ASLEEP; w = 0
#else
		:: bits[MINE] == w -> bits[MINE] = (w & ~ASLEEP) + RUNG; w = 0
#endif
		:: else -> w = bits[MINE]; goto clear
		fi
	};
#ifndef MUTANT_12
	atomic { wake(MINE) };
#endif
	goto next
	} unless {
		atomic {
			kill?eval(_pid);
			dead = dead | BIT(_pid)
		}
	};
end:	skip
}

#define LAST_ONE (me == RECEIVERS - 1)

active [RECEIVERS] proctype receiver()
{
	byte b;
	byte s;
	byte at[BELLS]; /* what it waits for: the place at head, as it saw it */
	byte value[BELLS];
	bool fenced;
	bool uncertain;
	bool looked; /* this sleep has been interrupted once */
	bool left;   /* this one has ended early */

#define me (_pid - SENDERS)
#define EACH(b, label) \
	if :: b == BELLS -> b = 0; goto label :: b < BELLS && !WAITS(me, b) -> b++ :: else fi

	{
	skip;
join:	atomic { /* a membarrier that is refused, or one that does nothing yet */
#if defined(BARE) || defined(LATE)
		b = 0;
		do
		:: b < BELLS && WAITS(me, b) -> bits[b] = bits[b] | SLEEPER_BARE; b++
		:: b < BELLS && !WAITS(me, b) -> b++
		:: b == BELLS -> b = 0; break
		od;
#endif
		joined++
	};
try:	atomic {
		left = false;
		looked = false;
		EACH(b, announce);
		if
		:: THERE(b, head[b]) -> head[b]++; b = 0
		:: else -> at[b] = head[b]; b++
		fi;
		goto try
	};
announce:
#ifdef MUTANT_3
	goto fence;
announce_late:
#endif
#ifdef MUTANT_1
	goto holds;
announce_late:
#endif
	atomic {
		looked = false;
		left = false;
#ifdef MUTANT_1
		EACH(b, doze);
#elif defined(MUTANT_3)
		EACH(b, holds);
#else
		EACH(b, fence);
#endif
		bits[b] = bits[b] | ASLEEP;
		value[b] = bits[b];
		b++;
#ifdef MUTANT_14
		if
		:: SEVERAL(me) && b == 1 -> goto fence
		:: else
		fi;
#endif
#if defined(MUTANT_1) || defined(MUTANT_3)
		goto announce_late
#else
		goto announce
#endif
	};
fence:	atomic {
#ifdef MUTANT_14
		if
		:: SEVERAL(me) && b == 1 -> goto barrier
		:: SEVERAL(me) && b == 0 -> goto fenced_all
		:: else
		fi;
#endif
		if
		:: b == BELLS -> goto fenced_all
		:: b < BELLS && !WAITS(me, b) -> b++; goto fence
		:: else
		fi;
		if
		:: fenced || bits[b] & (PUBLISHER_FENCES | SLEEPER_BARE) ->
			b++;
#ifdef MUTANT_13
			fenced = true;
#endif
			goto fence
		:: else
		fi;
		if
		:: uncertain -> goto bare
#ifdef REFUSES
		:: !uncertain -> uncertain = true; goto bare
#endif
		:: !uncertain
		fi
	};
barrier: atomic { /* one processor after another */
		if
		:: s == SENDERS ->
			s = 0;
#ifdef MUTANT_14
			if
			:: SEVERAL(me) ->
				bits[1] = bits[1] | ASLEEP;
				value[1] = bits[1];
				b = 0;
				goto holds
			:: else
			fi;
#endif
			fenced = true; b++; goto fence
		:: s < SENDERS && (UNREGISTERED & BIT(s)) -> s++
		:: s < SENDERS && (LEFT_OUT & BIT(s)) -> s++
		:: s < SENDERS && !(UNREGISTERED & BIT(s)) ->
#ifndef MUTANT_2
			drain(s);
#endif
			s++
		fi;
		goto barrier
	};
bare:	atomic { bits[b] = bits[b] | SLEEPER_BARE; b++; goto fence };
fenced_all:
	atomic {
		b = 0;
		fenced = false;
		uncertain = false
#ifdef MUTANT_3
		;
		goto announce_late
#endif
	};
holds:	atomic {
#ifdef MUTANT_1
		EACH(b, announce_late);
#else
		EACH(b, doze);
#endif
#ifdef MUTANT_15
		if
		:: SEVERAL(me) && b == 1 -> value[b] = bits[b]; b++; goto holds
		:: else
		fi;
#endif
		if
#ifdef MUTANT_16
		:: (bits[b] & ASLEEP) == 0 -> goto awake
#elif !defined(MUTANT_1)
		:: UNRUNG(bits[b]) != UNRUNG(value[b]) -> goto awake
#endif
		:: else -> value[b] = bits[b]
		fi
	};
	atomic {
		if
		:: THERE(b, at[b]) -> goto awake
		:: else -> b++; goto holds
		fi
	};
doze:	atomic { /* those of several are queued in turn: a ring meanwhile is seen */
		EACH(b, asleep);
#ifdef MUTANT_1
		value[b] = bits[b];
#endif
		if
#ifdef MUTANT_1
		:: (value[b] & ASLEEP) == 0 -> goto awake
		:: value[b] & ASLEEP -> queued[b] = queued[b] | BIT(me); b++
#elif defined(MUTANT_10)
		:: true -> queued[b] = queued[b] | BIT(me); b++
#else
		:: bits[b] == value[b] -> queued[b] = queued[b] | BIT(me); b++
		:: else -> goto awake /* -EAGAIN */
#endif
		fi;
		goto doze
	};
asleep:	atomic {
		if
		:: woken & BIT(me)
#if defined(FIRST) && !defined(MUTANT_17) && !defined(MUTANT_18) && \
    !defined(MUTANT_19)
		:: !looked && !(woken & BIT(me)) && ALL_EMPTY ->
			looked = true;
			unqueue(me);
			if
			:: WAITS(me, 0) && THERE(0, at[0])
#ifdef ANY
			:: WAITS(me, 1) && THERE(1, at[1])
#endif
			:: else -> goto doze
			fi
#endif
#ifndef MUTANT_20
		:: dead & (BIT(SENDERS) - 1) -> left = true
#endif
		:: LAST_ONE && leaves < LEAVES -> left = true; leaves++
		fi
	};
awake:	atomic {
		unqueue(me);
		woken = woken & ~BIT(me);
		b = 0;
		value[0] = 0;
#ifdef ANY
		value[1] = 0;
#endif
		if /* "Rung for what was seen before, or for no reason" */
		:: !SEVERAL(me) && !left && !SHARED(BELLS - 1) && !THERE(BELLS - 1, at[BELLS - 1]) ->
			goto announce
		:: else
		fi
	};
disarm:	atomic {
		EACH(b, back);
		if
#ifndef MUTANT_8
		:: SHARED(b)
#endif
		:: else -> bits[b] = bits[b] & ~ASLEEP
		fi;
		b++;
		goto disarm
	};
back:	atomic {
		if
		:: !left -> goto try
		:: left && LAST_ONE && LEAVES > 0 ->
			if
			:: goto try
			:: RECEIVERS > 1 -> goto end
			fi
		:: else -> goto try
		fi
	};
	} unless {
		atomic {
			kill?eval(_pid);
			unqueue(me)
		}
	};
end:	skip
}

active proctype buffers()
{
	byte lowest;

	do
	:: atomic {
		stored[0] != 0 ->
		lowest = LOWEST(stored[0]);
		shown[BELL_OF(0)] = shown[BELL_OF(0)] | lowest;
		stored[0] = stored[0] & ~lowest;
		lowest = 0
	}
#if SENDERS > 1
	:: atomic {
		stored[1] != 0 ->
		lowest = LOWEST(stored[1]);
		shown[BELL_OF(1)] = shown[BELL_OF(1)] | lowest;
		stored[1] = stored[1] & ~lowest;
		lowest = 0
	}
#endif
	od
}

#ifdef VICTIM
active proctype killer()
{
	if
	:: kill!VICTIM
	:: skip
	fi
}
#endif

/* When nobody can do anything: is it as it should be? */
active proctype watcher()
{
	byte b;

	timeout;
	atomic {
		do
		:: b < BELLS ->
			CHECK(p1_announced, queued[b] == 0 || (bits[b] & ASLEEP));
			CHECK(p2_awake, !THERE(b, head[b]));
			CHECK(p3_sent, dead != 0 || head[b] == MESSAGES * SENDERS / BELLS);
			b++
		:: else -> break
		od
	}
}
