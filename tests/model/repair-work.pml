/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The repairers; see repair.pml. */

#define LOOKS_DEAD(s) ((opening[s] & 1) && !(lived & BIT(s)))
#define WANTED(s) (SEATS > (s) && LOOKS_DEAD(s) && !(left & BIT(s)))
#define ANY_WANTED (WANTED(0) || WANTED(1) || WANTED(2) || WANTED(3))

/* Of two claims to a slot: the higher, and a receiver's above a sender's. */
#define CLAIM(position, seat) ((position) * 2 + ((seat) >= SENDERS -> 1 : 0))

inline count_once(what, mark)
{
	atomic {
		old = count[what];
		if
#ifdef MUTANT_5
		:: true
#else
		:: tag[what] != (mark)
		:: else -> old = 255
#endif
		fi
	};
	atomic {
		if
		:: old != 255 -> count[what] = old + 1; tag[what] = mark
		:: else
		fi;
		old = 0
	}
}

active [REPAIRERS] proctype repairer()
{
	byte dead[SEATS]; /* number of the opening; 0: not dead */
	byte d;           /* a seat: that is seen to */
	byte l;           /* and another */
	byte x;           /* the position */
	byte w;           /* the word */
	byte o;           /* `orphans` */
	byte n;           /* an opening, an intent */
	byte kind;        /* what it is counted as */
	byte old;
	bool made;        /* there may be orphans that have not been announced */
	bool rival;
	bool later;

#define NAMES(n) ((n) != 0 && ((n) - 1) % N == x % N)

start:	{
	skip;
idle:	atomic {
#ifdef MUTANT_1
		ANY_WANTED;
#else
		ANY_WANTED && lock == 0;
#endif
		lock = _pid + 1
	};
find:	atomic {
		if
		:: d == SEATS -> d = 0; goto clear
		:: d < SEATS -> n = opening[d]
		fi
	};
	atomic {
#ifdef MUTANT_15
		w = lived & BIT(d)
	};
	atomic {
		n = opening[d];
		if
		:: (n & 1) && w == 0 -> dead[d] = n
		:: else
		fi;
		w = 0
#else
		if
		:: (n & 1) && !(lived & BIT(d)) -> dead[d] = n
		:: else
		fi
	};
	atomic {
		if
		:: opening[d] != n -> dead[d] = 0
		:: else
		fi
#endif
		;
		n = 0;
		d++;
		goto find
	};
clear:	atomic {
		if
		:: d == SEATS -> d = 0; goto unlock
		:: d < SEATS && dead[d] == 0 -> d++; goto clear
		:: d < SEATS && dead[d] != 0 ->
			left = left | BIT(d);
			if
			:: intent[d] == 0 -> goto announce
			:: else -> x = intent[d] - 1
			fi
		fi
	};
#ifdef MUTANT_3
	atomic { opening[d] = dead[d] + 1; CHANGED };
#endif
#ifdef MUTANT_4
	atomic { intent[d] = 0; CHANGED };
#endif
again:	o = orphans;
#ifdef MUTANT_13
	goto others;
word:
#endif
look:	atomic {
		w = SLOT(x);
#ifndef MUTANT_7
		if
		:: IS(w) == ORPHAN -> made = true
		:: else
		fi
#endif
	};
	atomic {
		if
#ifdef MUTANT_9
		:: IS(w) == FREE && d < SENDERS && AT(w) == x
#else
		:: IS(w) == FREE && d < SENDERS && AT(w) == x && tail > AT(w)
#endif
		:: IS(w) == FULL && d >= SENDERS && AT(w) == x && head > AT(w)
		:: IS(w) == VOID && d >= SENDERS && AT(w) == x && head > AT(w)
		:: IS(w) == TAKEN && d >= SENDERS && AT(w) >= x
		:: else -> goto announce
		fi;
#ifdef MUTANT_13
		goto decide
#endif
	};
others:	atomic {
		if
		:: l == SEATS -> l = 0; goto looked
		:: l < SEATS -> n = opening[l]
		fi;
		if
		:: !(n & 1) -> n = 0; l++; goto others
#ifdef MUTANT_10
		:: (n & 1) && dead[l] != 0 -> n = 0; l++; goto others
#else
		:: (n & 1) && n == dead[l] -> n = 0; l++; goto others
#endif
		:: else
		fi
	};
	atomic {
		n = intent[l];
		if
#ifndef MUTANT_11
		:: NAMES(n) && CLAIM(n - 1, l) > CLAIM(x, d) -> later = true
#ifndef MUTANT_12
		:: NAMES(n) && CLAIM(n - 1, l) == CLAIM(x, d) -> rival = true
#endif
#endif
		:: else
		fi;
		n = 0;
		l++;
		goto others
	};
looked:
#ifdef MUTANT_13
	goto word;
decide:
#endif
	atomic {
		if
		:: orphans != o -> later = false; rival = false; goto again
		:: else
		fi;
		if
		:: later -> later = false; rival = false; goto announce
		:: rival && !later -> rival = false; goto skipped
		:: else
		fi;
		if
		:: IS(w) == FULL || IS(w) == TAKEN -> kind = REDELIVERED
		:: IS(w) == FREE -> kind = TOMBSTONES
		:: else -> kind = RETURNED
		fi
	};
#ifdef MUTANT_8
	atomic {
		if
		:: kind == REDELIVERED -> orphans++; CHANGED
		:: else
		fi
	};
#endif
#ifndef MUTANT_6
	count_once(kind, x + 1);
#endif
	atomic { /* the CAS */
		if
		:: SLOT(x) != w -> goto again
		:: else
		fi;
		CHECK(p4_holder, hold[x % N] == A_DEAD_ONE);
		hold[x % N] = 0;
		was[kind]++;
		if
		:: kind == REDELIVERED ->
			SLOT(x) = WORD(AT(w), ORPHAN);
#ifndef MUTANT_8
			made = true
#endif
		:: kind == TOMBSTONES -> SLOT(x) = WORD(AT(w), VOID); data[x % N] = 0
		:: else -> SLOT(x) = WORD(AT(w) + N, FREE); data[x % N] = 0
		fi;
		CHANGED
	};
#ifdef MUTANT_6
	count_once(kind, x + 1);
#endif
announce: atomic {
		if
		:: made -> orphans++; made = false; CHANGED
		:: else
		fi
	};
	atomic { intent[d] = 0; CHANGED };
bury:	count_once(DIED + (d < SENDERS -> 0 : 1), d * 16 + dead[d]);
	atomic { opening[d] = dead[d] + 1; CHANGED };
	goto seen_to;
skipped: atomic {
		if
		:: made -> orphans++; made = false; CHANGED
		:: else
		fi
	};
seen_to: atomic {
		d++;
		x = 0;
		w = 0;
		o = 0;
		kind = 0;
		goto clear
	};
unlock:	atomic {
		lock = 0;
		do
		:: d < SEATS -> dead[d] = 0; d++
		:: else -> d = 0; break
		od;
		goto idle
	}
	} unless {
		atomic {
			kill?eval(_pid);
			if
#ifndef MUTANT_2
			:: lock == _pid + 1 -> lock = 0 /* by the kernel */
#endif
			:: else
			fi;
			d = 0;
			do
			:: d < SEATS -> dead[d] = 0; d++
			:: else -> d = 0; break
			od;
			l = 0;
			x = 0;
			w = 0;
			o = 0;
			n = 0;
			kind = 0;
			old = 0;
			made = false;
			rival = false;
			later = false;
			CHANGED;
			goto start
		}
	}
}
