/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* "The calls" and "Strict mode" of docs/mpmc.md; see strict.pml. */

/* "when head < tail, later positions are published" */
#define PUBLISHED_AT(x) (SAYS(x, FULL) || SAYS(x, VOID))
#ifdef MUTANT_7
#define LATER(h) true
#elif defined(MUTANT_8)
#define LATER(h) false
#else
#define LATER(h) \
	(N > 1 && PUBLISHED_AT((h + 1)) || N > 2 && (PUBLISHED_AT((h + 2)) || PUBLISHED_AT((h + 3))))
#endif

/*
 * "when some place ahead is free", and nothing before it is full for good or
 * for a while: may a sender at t overtake w, which is of the last lap?
 */
#define FULL_AT(t) (AT(SLOT(t)) < (t) && !AWAY(SLOT(t)) && !(FILLED(SLOT(t)) && head > AT(SLOT(t))))
#define FREE_FROM_3(t) SAYS(t, FREE)
#define FREE_FROM_2(t) (SAYS(t, FREE) || !FULL_AT(t) && FREE_FROM_3((t + 1)))
#define FREE_FROM_1(t) (SAYS(t, FREE) || N > 2 && !FULL_AT(t) && FREE_FROM_2((t + 1)))
#ifdef MUTANT_9
#define PAST(x) true
#else
#define PAST(x) (head > (x))
#endif
#if defined(MUTANT_9) || defined(MUTANT_10)
#define FREE_AHEAD(t) true
#else
#define FREE_AHEAD(t) (N > 1 && FREE_FROM_1((t + 1)))
#endif
#define LATE(w) ((AWAY(w) || FILLED(w) && PAST(AT(w))) && FREE_AHEAD(t))
#define OVERTAKEN(w) (IS(w) == FULL || IS(w) == TAKEN -> TAKEN : PASSED)

/* The first two mutants have more to break than this. */
#if defined(MUTANT_1) || defined(MUTANT_2)
#define PASSABLE(x) true
#else
#define PASSABLE(x) SPENT(x)
#endif

inline check_indices()
{
	CHECK(p6_index, head <= tail && tail <= head + LEAD)
}

/* "CAS tail on" */
inline tail_on(x)
{
	if
	:: tail == (x) && !closed ->
		CHECK(p6_index, PASSABLE(x));
		tail++;
		check_indices()
	:: else
	fi
}

inline head_on(x)
{
	if
	:: head == (x) ->
		CHECK(p6_index, PASSABLE(x));
		head++;
		check_indices()
	:: else
	fi
}

inline hold_slot(x, message)
{
	CHECK(p4_holder, hold[(x) % N] == 0);
	hold[(x) % N] = _pid + 1;
	data[(x) % N] = message
}

/* What its holder leaves behind: the word and the payload. */
inline leave_slot(x, word, message)
{
	CHECK(p4_holder, hold[(x) % N] == _pid + 1);
	hold[(x) % N] = 0;
	data[(x) % N] = message;
	SLOT(x) = word;
	CHANGED
}

/* "gives it back: CAS loop to FREE x+N"; w is the word as the last CAS has read it. */
#ifdef MUTANT_3
#define UNLESS_MOVED(x, again)
#else
#define UNLESS_MOVED(x, again) \
	if \
	:: SLOT(x) != w -> w = SLOT(x); CHECK(p9_damage, AWAY(w)); goto again \
	:: else \
	fi;
#endif
#ifdef MUTANT_4
#define BACK(x) WORD((x) + N, FREE)
#else
#define BACK(x) WORD(AT(w) + N, FREE)
#endif
#define GIVE_BACK(x, again) UNLESS_MOVED(x, again) leave_slot(x, BACK(x), 0); w = 0

/* "intent = p", before the CAS; "clears its intent at once", if that is refused. */
#ifdef DEATH
#define STORE(where, what) atomic { where = what; CHANGED };
#else
#define STORE(where, what)
#endif
#define INTEND(y) STORE(intent[_pid], y)
#ifdef MUTANT_24
#define BEFORE(y)
#define AFTER(y) INTEND(y)
#else
#define BEFORE(y) INTEND(y)
#define AFTER(y)
#endif
#if defined(MUTANT_24) || defined(MUTANT_25)
#define LOST
#else
#define LOST INTEND(0)
#endif

/* kill -9, or never scheduled again. */
inline stop()
{
	kill?eval(_pid);
	stopped = stopped | SELF;
#ifdef DEATH
	dead = dead | SELF;
	CHANGED
#endif
}

#define MESSAGE(k) (_pid * MESSAGES + (k) + 1)
#ifdef MUTANT_13
#define NEXT(k) (!ahead -> k + 1 : (k == 1 -> 0 : 2))
#else
#define NEXT(k) (k + 1)
#endif
#define MINE (_pid == 0 -> MESSAGES : OTHERS)

active [SENDERS] proctype sender()
{
	byte k;     /* messages sent */
	byte t;     /* the position it is at, takes or holds */
	byte n;     /* how many it takes from t on, or still holds of them */
	byte w;     /* a word as it was */
	byte place; /* of a commit that is sent again, + 1 */
#ifdef MUTANT_13
	bool ahead; /* sender 0 sends its second message, then its first */
#endif

start:	{
	skip;
again:	atomic { /* "p = tail"; when it is closed: -EPIPE */
		if
#ifdef MUTANT_31
		:: place != 0 -> goto lapse
#endif
		:: closed -> k = MINE; goto sent
		:: !closed -> t = tail
		fi
	};
	atomic { /* "slot[p] == FREE p, else full, or tail is old", and the table */
		if
		:: SAYS(t, FREE) && t < LIMIT -> n = 1; goto intend
#ifdef BATCH
		:: SAYS(t, FREE) && SAYS((t + 1), FREE) && t + 1 < LIMIT && k + 1 < MINE ->
			n = 2;
			goto intend
#endif
		:: FILLED(SLOT(t)) && AT(SLOT(t)) == t -> t = 0; goto again
		:: SPENT(t) && STRICT -> goto on
		:: SPENT(t) && !STRICT -> CHECK(p9_damage, tail != t); t = 0; goto again
		:: STRICT && AT(SLOT(t)) + N == t && LATE(SLOT(t)) && t < LIMIT -> w = SLOT(t)
#ifdef SKIP
		:: AT(SLOT(t)) + N == t && SAYS(head, VOID) -> t = head; goto skip_void
		:: STRICT && AT(SLOT(t)) + N == t && SPENT(head) -> t = head; goto head_on_too
#endif
		:: AT(SLOT(t)) + N < t -> CHECK(p9_damage, false)
		fi
	};
#ifdef MUTANT_1
	atomic { tail_on(t) };
#endif
	atomic { /* "CAS to TAKEN t or PASSED t, then CAS tail on" */
		if
		:: SLOT(t) == w -> SLOT(t) = WORD(t, OVERTAKEN(w)); w = 0; CHANGED
		:: else -> w = 0; t = 0; goto again
		fi
	};
on:	atomic { tail_on(t); t = 0; goto again };

intend:	BEFORE(t + 1 + (n - 1) * TWO)
	atomic { /* "CAS tail p -> p + 1, else again", and "write the payload" */
		if
		:: tail == t && !closed && (_pid == 0 || t > 0) ->
			tail = tail + n;
			check_indices();
			hold_slot(t, MESSAGE(k));
			if
			:: n == 2 -> hold_slot((t + 1), MESSAGE(k + 1))
			:: else
			fi;
			goto taken
		:: tail != t || closed
		fi
	};
lost:	LOST
	atomic { t = 0; n = 0; goto again };

#ifdef SKIP
head_on_too:
	atomic { tail_on(t) };
	atomic { head_on(t); t = 0; goto again };
skip_void: /* "takes them out of the way as a receiver would" */
#ifdef MUTANT_29
	BEFORE(t + 1)
#else
	BEFORE(t + 1 + BY_HEAD)
#endif
	atomic {
		if
		:: head == t ->
			head++;
			check_indices();
			hold_slot(t, 0);
			w = WORD(t, VOID);
			goto refused
		:: else -> goto lost
		fi
	};
#endif

taken:	AFTER(t + 1 + (n - 1) * TWO)
#ifdef MUTANT_26
	STORE(owed[_pid], place)
#endif
publish: atomic { /* "slot[p] = FULL p"; strict: a CAS */
		if
#ifdef MUTANT_5
		:: true ->
#else
		:: SAYS(t, FREE) ->
#endif
			leave_slot(t, WORD(t, FULL), MESSAGE(k));
			CHECK(p1_once, fate[MESSAGE(k) - 1] == 0);
			fate[MESSAGE(k) - 1] = PUBLISHED;
			k = NEXT(k);
			if
			:: n == 2 -> n = 1; t++; goto publish
			:: else -> n = 0; t = 0; goto sent
			fi
		:: SAYS(t, FREE) && n == 1 && place == 0 && aborts < ABORTS -> /* "abort" */
			aborts++;
			goto void
#ifndef MUTANT_5
		:: !SAYS(t, FREE) -> /* "sends again" */
			CHECK(p9_damage, STRICT && IS(SLOT(t)) == PASSED);
			w = SLOT(t);
#ifdef COMMIT
			if
			:: place == 0 -> place = t + 1; w = 0; n = 0; t = 0; goto owe
			:: skip
			fi
#endif
#endif
		fi
	};

refused: /* "the message of `send` from the caller's memory, after it has given back the slot" */
	atomic {
		GIVE_BACK(t, refused);
		if
		:: n == 2 -> n = 1; t++ /* what comes after it in its batch must wait for it */
		:: else -> n = 0; t = 0; goto again
		fi;
#ifdef MUTANT_13
		ahead = true;
		k++;
		goto publish
#endif
	};
void:	atomic { /* "VOID x" */
		if
		:: SAYS(t, FREE) -> leave_slot(t, WORD(t, VOID), 0); goto lost
		:: else -> w = SLOT(t); goto refused
		fi
	};

#ifdef COMMIT
#ifdef MUTANT_31
lapse:	INTEND(0)
	INTEND(place)
	STORE(owed[_pid], 0)
#endif
owe: /* "that of `commit` from the place itself, which it notes in `owed` first" */
#ifndef MUTANT_26
	STORE(owed[_pid], place)
#endif
	goto again;
#endif
sent:
#ifdef COMMIT
	if
	:: place == 0 -> goto more
	:: else
	fi;
#ifdef MUTANT_27
	STORE(owed[_pid], 0)
#endif
	w = SLOT((place - 1)); /* "and gives back after" */
back:	atomic { GIVE_BACK((place - 1), back); place = 0 };
	STORE(owed[_pid], 0)
more:
#endif
	atomic {
		if
		:: k < MINE -> goto again
		:: else -> k = 0; done = done | SELF
		fi
	};
	false
	} unless {
		atomic {
			stop();
			k = 0;
			t = 0;
			n = 0;
			w = 0;
			place = 0
		}
	}
}

active [RECEIVERS] proctype receiver()
{
	byte h; /* the position it is at, takes or holds */
	byte w; /* a word as it was */
	byte i; /* a message, a slot */

start:	{
	skip;
again:	h = head;
	atomic { /* "slot[h] == FULL h, else empty, or head is old", and the table */
		if
		:: FILLED(SLOT(h)) && AT(SLOT(h)) == h -> w = SLOT(h); goto intend
		:: STRICT && SAYS(h, FREE) && h < tail && LATER(h) /* to be passed over */
		:: SPENT(h) && STRICT -> goto on
		:: SPENT(h) && !STRICT -> CHECK(p9_damage, head != h); h = 0; goto again
		:: AT(SLOT(h)) + N < h -> CHECK(p9_damage, false)
#ifdef DEATH
		:: news & SELF -> h = 0; goto search
#endif
		fi
	};
#ifdef MUTANT_2
	atomic { head_on(h) };
#endif
	atomic { /* "CAS to PASSED h, then head on" */
		if
		:: SAYS(h, FREE) -> SLOT(h) = WORD(h, PASSED); CHANGED; goto head_too
		:: else -> h = 0; goto again
		fi
	};
on:	atomic { /* "CAS tail on where it is at h": if that is closed, the ring has ended */
#ifdef MUTANT_11
		if
		:: AT(SLOT(h)) > h -> goto head_too
		:: else
		fi;
#endif
#ifndef MUTANT_12
		if
		:: closed && tail == h -> goto ended
		:: else
		fi;
#endif
		tail_on(h)
	};
head_too: atomic { head_on(h); h = 0; goto again };

intend:	BEFORE(h + 1 + BY_HEAD)
	atomic { /* "CAS head h -> h + 1, else again", and "read the payload" */
		if
		:: head == h && (_pid == SENDERS || h > 0) ->
			head++;
			check_indices();
			i = data[h % N];
			hold_slot(h, i);
			CHECK(p3_order, (i != 0) == (IS(w) == FULL));
			if
			:: i != 0 ->
				i--;
				CHECK(p3_order, next[i / MESSAGES] <= i % MESSAGES);
				next[i / MESSAGES] = i % MESSAGES + 1
			:: else
			fi;
			i = 0;
			goto taken
		:: head != h
		fi
	};
	LOST
	atomic { h = 0; w = 0; goto again };

#ifdef DEATH
search: /* "A receiver that sees another value than it has seen looks through all slots" */
	news = news & ~SELF;
scan:	atomic {
		if
		:: i == N ->
			i = 0;
#ifdef MUTANT_28
			news = news & ~SELF;
#endif
			goto again
		:: i < N && IS(slot[i]) == ORPHAN -> w = slot[i]; h = AT(w)
		:: i < N && IS(slot[i]) != ORPHAN -> i++; goto scan
		fi
	};
	BEFORE(h + 1 + BY_HEAD)
	atomic { /* "sets its intent, and makes it TAKEN with a CAS" */
		if
		:: SLOT(h) == w ->
			hold_slot(h, data[h % N]);
			w = WORD(h, TAKEN);
			SLOT(h) = w;
			CHANGED;
			news = news | SELF; /* it remembers only "when none is left" */
			i = 0;
			goto taken
		:: else
		fi
	};
	LOST
	atomic { h = 0; w = 0; goto scan };
#endif

taken:	AFTER(h + 1 + BY_HEAD)
release: atomic { /* "slot[h] = FREE h + N"; strict: a CAS, then a loop */
		if
#ifdef PUTS
		:: SLOT(h) == w && data[h % N] != 0 && returns < PUTS ->
			returns++; /* "puts a peeked message back" */
			leave_slot(h, WORD(AT(w), ORPHAN), data[h % N]);
			h = 0;
			w = 0;
			goto put_back
#endif
#ifdef MUTANT_6
		:: true ->
#else
		:: SLOT(h) == w ->
#endif
			i = data[h % N];
			if
			:: i != 0 ->
				CHECK(p1_once, fate[i - 1] == PUBLISHED);
				fate[i - 1] = RELEASED
			:: else
			fi;
			i = 0;
			leave_slot(h, WORD(AT(w) + N, FREE), 0);
			h = 0;
			w = 0;
			goto again
#ifndef MUTANT_6
		:: SLOT(h) != w ->
			CHECK(p9_damage, STRICT && AWAY(SLOT(h)));
			w = SLOT(h);
			goto release
#endif
		fi
	};
#ifdef PUTS
put_back: COUNT_ORPHANS;
#ifndef MUTANT_30
	LOST
#endif
	goto again;
#endif
ended:	false
	} unless {
		atomic {
			stop();
#ifdef DEATH
			deaths++;
#endif
			h = 0;
			w = 0;
			i = 0
		}
	}
}
