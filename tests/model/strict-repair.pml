/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* "Repair" of docs/mpmc.md; see strict.pml. */

#define DIED(seat) (SEATS > (seat) && (dead & ~left & BIT(seat)))

/* "is it held?" */
#ifdef MUTANT_16
#define HELD(w) (IS(w) != ORPHAN)
#else
#define HELD(w) (IS(w) == FREE && tail > AT(w) || FILLED(w) && head > AT(w) || AWAY(w))
#endif

/*
 * Of two claims to the slot of x, which the dead seat d names, the higher is the
 * later; of the same position, that by head.
 */
#ifdef MUTANT_19
#define DEAD_SIDE 0
#else
#define DEAD_SIDE (part <= 2 -> intent[d] & BY_HEAD : 0)
#endif
#ifdef MUTANT_20
#define RANK(z, side) ((z) * 2 + 1 - (side) / BY_HEAD)
#else
#define RANK(z, side) ((z) * 2 + (side) / BY_HEAD)
#endif
#define FIRST(y) ((y) % BY_HEAD - 1)
#define LAST(y) ((y) % BY_HEAD - 1 + (y) / TWO)
#define ABOVE(z, y) ((z) % N == x % N && RANK(z, y & BY_HEAD) > RANK(x, DEAD_SIDE))
#define LEVEL(z, y) ((z) % N == x % N && RANK(z, y & BY_HEAD) == RANK(x, DEAD_SIDE))
#define LATER_THAN(y) ((y) != 0 && (ABOVE(FIRST(y), (y)) || ABOVE(LAST(y), (y))))
#ifdef MUTANT_21
#define AS_LATE_AS(y) false
#else
#define AS_LATE_AS(y) ((y) != 0 && (LEVEL(FIRST(y), (y)) || LEVEL(LAST(y), (y))))
#endif

#define NOBODY 0
#define RIVAL 1
#define LATER_ONE 2

/* What the intent or debt y of one that lives says of the dead one's. */
inline compare(y)
{
	if
	:: LATER_THAN(y) -> cover = LATER_ONE
	:: !LATER_THAN(y) && AS_LATE_AS(y) && cover == NOBODY -> cover = RIVAL
	:: else
	fi
}
active proctype repairer()
{
	byte d;    /* the dead seat */
	byte part; /* of its places, the next: its intent's first, last, then `owed` */
	byte x;    /* the position that it names */
	byte w;    /* the word as it was */
	byte l;    /* another seat */
	byte cover; /* what has been found in the seats so far */
	bool made;    /* there are orphans that may not have been counted */
	bool skipped; /* a slot was left alone */

start:	{
	skip;
idle:	atomic {
		if
		:: DIED(0) -> d = 0
		:: DIED(1) -> d = 1
		:: DIED(2) -> d = 2
		:: DIED(3) -> d = 3
		fi;
		left = left | BIT(d)
	};
named:	atomic { /* "For each slot that an intent or `owed` of a dead seat names" */
		part++;
		if
		:: part == 1 && intent[d] != 0 -> x = FIRST(intent[d])
		:: part == 2 && intent[d] >= TWO -> x = LAST(intent[d])
#ifdef COMMIT
		:: part == 3 && d < SENDERS && owed[d] != 0 -> x = owed[d] - 1
#endif
		:: part == 4 -> part = 0; x = 0; goto settled
		:: else -> goto named
		fi
	};
look:
#ifdef MUTANT_17
	goto others;
word:
#endif
	news = news & ~BIT(REPAIRER); /* 1. "Read `orphans`, then the word (acquire)" */
	atomic {
		w = SLOT(x);
		if
		:: IS(w) == ORPHAN -> made = true /* who made it one may have died since */
		:: else
		fi
	};
	atomic { /* "and the index: is it held?" */
		if
		:: HELD(w)
		:: else -> w = 0; goto named
		fi;
#ifdef MUTANT_17
		goto decide
#endif
	};
others:	atomic { /* 2. "Read the intents and `owed` of all other seats" */
		if
		:: l == SEATS -> l = 0; goto compared
		:: l < SEATS && (dead & BIT(l)) -> l++; goto others
		:: else
		fi;
#if defined(MUTANT_18)
		if
		:: l < SENDERS -> compare(owed[l])
		:: else
		fi
#elif !defined(MUTANT_14)
		compare(intent[l])
#endif
	};
	atomic { /* of each its intent first: it is stored after `owed` has been noted */
#ifdef COMMIT
#ifdef MUTANT_18
		compare(intent[l]);
#elif !defined(MUTANT_14)
		if
		:: l < SENDERS -> compare(owed[l])
		:: else
		fi;
#endif
#endif
		l++;
		goto others
	};

compared:
#ifdef MUTANT_17
	goto word;
decide:
#endif
	atomic { /* 3. "`orphans` as in step 1? Else begin again" */
		if
#ifndef MUTANT_32
		:: news & BIT(REPAIRER) -> w = 0; cover = NOBODY; goto look
#endif
		:: else
		fi;
		if
		:: cover == NOBODY
		:: cover == LATER_ONE -> w = 0; cover = NOBODY; goto named /* "settled" */
		:: cover == RIVAL -> /* "leave it" */
			w = 0;
			cover = NOBODY;
#ifdef MUTANT_22
			goto named;
#endif
			x = 0;
			part = 0;
			skipped = true;
			goto settled
		fi
	};
#ifdef MUTANT_23
	if
	:: IS(w) == FULL || IS(w) == TAKEN -> COUNT_ORPHANS
	:: else
	fi;
#endif
	atomic { /* 4. "CAS the word to what the table above says" */
		if
#ifndef MUTANT_15
		:: SLOT(x) != w -> w = 0; goto look
#endif
		:: else ->
			l = hold[x % N];
			CHECK(p4_holder, l != 0 && (dead & BIT(l - 1)));
			l = 0;
			hold[x % N] = 0;
			if
			:: IS(w) == FREE -> SLOT(x) = WORD(AT(w), VOID); data[x % N] = 0
			:: IS(w) == FULL || IS(w) == TAKEN ->
				SLOT(x) = WORD(AT(w), ORPHAN);
				made = true;
				orphans++;
				CHECK(p8_repaired, orphans <= deaths)
			:: else -> SLOT(x) = WORD(AT(w) + N, FREE); data[x % N] = 0
			fi;
			CHANGED
		fi;
#ifndef MUTANT_23
		w = 0
#endif
	};
#ifdef MUTANT_23
	if
	:: IS(w) == FULL || IS(w) == TAKEN -> COUNT_ORPHANS
	:: else
	fi;
	w = 0;
#endif
	goto named;

settled: atomic { /* "(and before the seat of a dead receiver is forgotten ...)" */
#ifdef MUTANT_23
		made = false;
#endif
		if
		:: made -> COUNT_ORPHANS; made = false
		:: else
		fi;
		if
		:: skipped -> skipped = false; d = 0; goto idle
		:: else
		fi
	};
#ifdef COMMIT
	atomic { /* "its intent and `owed` become 0" */
		if
		:: d < SENDERS -> owed[d] = 0
		:: else
		fi
	};
#endif
	intent[d] = 0;
	atomic { /* "and then the seat is marked as free" */
		dead = dead & ~BIT(d);
		d = 0;
		goto idle
	}
	} unless {
		atomic {
			kill?eval(_pid);
			d = 0;
			part = 0;
			x = 0;
			w = 0;
			l = 0;
			cover = NOBODY;
			made = false;
			skipped = false;
			CHANGED;
			goto start
		}
	}
}

#ifdef RELAPSE
active proctype relapse()
{
	if
	:: kill!REPAIRER
	:: skip
	fi
}
#endif
