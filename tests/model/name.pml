/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The life cycle of the name of a box: a file in shared memory which
 * processes open or create, attach to, own, leak and close, and which may be
 * killed at any step.  There is no lock file: every lock is an OFD byte-range
 * lock on the box's own inode, so the kernel drops it when its holder dies.
 *
 *   REMOVE  exclusive, held by whoever unlinks the name
 *   GATE    shared by a process that is attaching, exclusive for a reclaimer
 *   OWNER   exclusive, held by the owning handle for its whole life
 *   ATTACH  one byte per handle, held for the handle's whole life
 *
 * Claim: a name is created only by link(), which fails if it exists, and is
 * removed only under locks on the inode it means, after checking under them
 * that it still means it.  So an unlink by name removes that inode and no
 * other, although there is no compare-and-unlink.
 *
 * Each step below, one statement or one d_step, is one system call, or one
 * access to the policy stored in the box.  Steps and the functions they
 * stand for:
 *
 *   lookup, hint, attach   rbx_box_open   box/open.c
 *   create                 publish        src/box/life.c
 *   reclaim                reclaim        src/box/life.c
 *   unlink_name            remove_name    src/box/life.c
 *   leak                   rbx_box_leak   src/box.c
 *   own                    rbx_box_own    src/box.c
 *   close                  rbx_box_close  src/box.c
 *
 * WORKERS processes do any number of rounds of open-or-create, then any
 * number of leak and own, then close.  The first MORTALS of them may be
 * killed at any step, any number of times; a killed one starts afresh.  When
 * all have stopped, a cleaner makes one last open-or-create and close.
 *
 * The test whether a box looks orphaned, made without locks before attaching,
 * is only a hint: for the workers it answers anything.  That also covers an
 * open that does not make the test.
 *
 * Properties:
 *
 *   p1_ready       no handle is attached to a half-initialised box
 *   p2_owned       the name of a box with policy "owner" means that box as
 *                  long as the owning handle is open, and nobody else changes
 *                  the policy under an owner
 *   p3_last        the name of a box with policy "last" means that box as
 *                  long as any handle is open
 *   p4_keep        the name of a box with policy "keep" is never removed
 *   p5_exact       unlink removes the inode its caller meant
 *   p6             no deadlock (spin: no invalid end state)
 *   p7_clean       after the cleaner the name is gone, or the box is "keep"
 *   p8_last_close  (with -DPROMPT, for MORTALS=0) already before the cleaner
 *
 * Options: -DWORKERS=n, -DMORTALS=n, -DONLY_OWNER or -DONLY_LAST (the policy
 * given at creation; both without), -DPROMPT (check p8_last_close),
 * -DCLOSE_WAITS (a closing reclaimer waits for REMOVE instead of giving up).
 *
 * Mutants, each a protocol with one step left out or out of order:
 *
 *   MUTANT_1   unlink without checking what the name means
 *   MUTANT_2   unlink without REMOVE
 *   MUTANT_3   reclaim without GATE
 *   MUTANT_4   reclaim reads the policy before it looks for attachments
 *   MUTANT_5   attach without checking the name again under GATE
 *   MUTANT_6   link before taking ATTACH and OWNER
 *   MUTANT_7   link before initialising
 *   MUTANT_8   leak drops OWNER before it changes the policy
 *   MUTANT_9   reclaim does not look for attachments
 *   MUTANT_10  own does not check what the name means
 *   MUTANT_11  attach without GATE
 *   MUTANT_12  own changes the policy before it takes OWNER
 *   SPARE_1  reclaim does not look at OWNER
 *   MUTANT_14  owner's close drops OWNER and ATTACH before it unlinks
 *   MUTANT_15  attach drops GATE before it takes ATTACH
 *   SPARE_2  owner's close alone unlinks without checking the name
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef MORTALS
#define MORTALS 1
#endif

#define CLEANER WORKERS
#define PROCESSES (WORKERS + 1)
#define INODES (WORKERS + 1) /* one per open file, and the named one */

#define NONE 0

#define OWNER 1
#define LAST 2
#define KEEP 3

/* Every lock is the set of the processes that hold it. */
typedef inode {
	bool ready;
	byte policy;
	bool kept;  /* leaked, and not owned since */
	byte users; /* processes that have it open */
	byte remove;
	byte gate_shared;
	byte gate_alone;
	byte owner;
	byte attach;
};

inode box[INODES + 1];
byte name;          /* the inode the name means, or NONE */
byte fd[PROCESSES]; /* the inode each process has open, or NONE */
byte stopped;       /* workers that are done */
bool cleaned;       /* the cleaner has begun */

/* What the users of the handles believe. */
byte attached; /* processes with an open handle, not yet closing */
byte owns[PROCESSES]; /* the policy of the box its handle owns, or NONE */

bool p1_ready = true;
bool p2_owned = true;
bool p3_last = true;
bool p4_keep = true;
bool p5_exact = true;
bool p7_clean = true;
bool p8_last_close = true;

chan kill = [0] of { byte };

#define SELF (1 << me)
#define MINE box[fd[me]]
#define HOLD(lock) (MINE.lock & SELF)
#define FREE(lock) ((MINE.lock & ~SELF) == 0) /* F_OFD_GETLK ignores our own */
#define TAKE(lock) MINE.lock = MINE.lock | SELF
#define DROP(lock) MINE.lock = MINE.lock & ~SELF
#define TRY(lock) atomic { FREE(lock) -> TAKE(lock) }
#define WAIT(lock) TRY(lock)
#define SAME (name == fd[me]) /* stat the name, compare with the open file */

/* An inode that is neither named nor open is free for reuse. */
#define UNUSED(i) (name != i && box[i].users == 0)

inline open_file(i)
{
	fd[me] = i;
	TAKE(users)
}

/* Close the file, or die: the kernel drops all its locks at once. */
inline close_file()
{
	atomic {
		attached = attached & ~SELF;
		owns[me] = NONE;
		seen = NONE;
		if
		:: fd[me] != NONE ->
			DROP(users);
			DROP(remove);
			DROP(gate_shared);
			DROP(gate_alone);
			DROP(owner);
			DROP(attach);
			if
			:: UNUSED(fd[me]) ->
				MINE.ready = false;
				MINE.policy = NONE;
				MINE.kept = false
			:: else
			fi;
			fd[me] = NONE
		:: else
		fi
	}
}

/* unlink() goes by name: it removes whatever the name means by now. */
inline unlink_name()
{
	d_step {
		p5_exact = SAME;
		assert(p5_exact);
		p4_keep = !box[name].kept;
		assert(p4_keep);
		name = NONE
	}
}

inline initialise(with)
{
	d_step {
		MINE.ready = true;
		MINE.policy = with
	}
}

inline initialise_any()
{
	if
#ifndef ONLY_LAST
	:: initialise(OWNER)
#endif
#ifndef ONLY_OWNER
	:: initialise(LAST)
#endif
	fi
}

/*
 * Remove the name if nobody needs the box.  Gives up (break) rather than
 * wait, except for REMOVE if 'patient'.
 */
inline reclaim(patient)
{
	do
	::
#if !defined(MUTANT_2) && !defined(SPARE_3)
		if
		:: TRY(remove)
		:: !patient && !FREE(remove) -> break
		fi;
#endif
#ifndef MUTANT_3
		if
		:: d_step {
			FREE(gate_shared) && FREE(gate_alone) ->
			TAKE(gate_alone)
		}
		:: else -> break
		fi;
#endif
#if !defined(MUTANT_1) && !defined(SPARE_3)
		if
		:: SAME
		:: else -> break
		fi;
#endif
#ifdef MUTANT_4
		seen = MINE.policy;
#endif
#ifndef MUTANT_9
		if
		:: FREE(attach)
		:: else -> break
		fi;
#endif
#ifndef MUTANT_4
		seen = MINE.policy;
#endif
		if
		:: seen == LAST
#ifdef SPARE_1
		:: seen == OWNER
#else
		:: seen == OWNER && FREE(owner)
#endif
		:: else -> break
		fi;
#ifdef SPARE_3
		if
		:: SAME
		:: else -> break
		fi;
#endif
		unlink_name();
		break
	od
#ifndef COARSE
	;
	DROP(gate_alone);
	DROP(remove)
#endif
}

#ifdef CLOSE_WAITS
#define PATIENT true
#else
#define PATIENT false
#endif

/* The hint: exact for the cleaner, anything for the workers. */
#define ORPHAN \
	(box[name].attach == 0 && (box[name].policy == LAST || \
	    box[name].policy == OWNER && box[name].owner == 0))
#define SEEMS(what) (me < WORKERS || (what))

proctype process(byte me)
{
	byte seen; /* the policy as reclaim or close read it */

start:
	{
		if
		:: me < WORKERS -> goto stop
		:: me == CLEANER && cleaned ->
			p7_clean = (name == NONE || box[name].kept);
			assert(p7_clean);
			goto end
		:: me == CLEANER && !cleaned && stopped == WORKERS ->
			cleaned = true;
#ifdef PROMPT
			p8_last_close = (name == NONE || box[name].kept);
			assert(p8_last_close);
#endif
			goto lookup
		:: me < WORKERS ->
lookup:			if
			:: atomic {
				name != NONE && SEEMS(ORPHAN) ->
				open_file(name)
			}
			:: atomic {
				name != NONE && SEEMS(!ORPHAN) ->
				open_file(name);
				goto attach
			}
			:: name == NONE -> goto create
			fi
		fi;
		reclaim(false);
		close_file();
		goto lookup;

attach:
#ifndef MUTANT_11
		atomic { FREE(gate_alone) -> TAKE(gate_shared) };
#endif
#ifndef MUTANT_5
		if
		:: SAME
		:: else ->
			close_file();
			goto lookup
		fi;
#endif
#ifdef MUTANT_15
		DROP(gate_shared);
#endif
		d_step {
			TAKE(attach);
			attached = attached | SELF
		};
		DROP(gate_shared);
		goto use;

create:		atomic {
			seen = 1;
			do
			:: UNUSED(seen) -> break
			:: else -> seen++
			od;
			open_file(seen);
#ifdef COARSE
			TAKE(attach);
			TAKE(owner);
#endif
			seen = NONE
		};
#ifndef MUTANT_7
		initialise_any();
#endif
#if !defined(MUTANT_6) && !defined(COARSE)
		TAKE(attach);
		TAKE(owner);
#endif
		if
		:: d_step {
			name == NONE ->
			name = fd[me];
#ifndef MUTANT_6
			attached = attached | SELF;
			owns[me] = MINE.policy
#endif
		}
		:: else ->
			close_file();
			goto lookup
		fi;
#ifdef MUTANT_6
		TAKE(attach);
		WAIT(owner);
		d_step {
			attached = attached | SELF;
			owns[me] = MINE.policy
		};
#endif
#ifdef MUTANT_7
		initialise_any();
#endif

use:		do
		:: me < WORKERS && HOLD(owner) -> /* leak */
#ifdef MUTANT_8
			d_step {
				owns[me] = NONE;
				DROP(owner)
			};
			d_step {
				MINE.policy = KEEP;
				MINE.kept = true
			}
#else
			d_step {
				owns[me] = NONE;
				MINE.policy = KEEP;
				MINE.kept = true
			};
			DROP(owner)
#endif
		:: me < WORKERS -> /* own */
#ifdef MUTANT_12
			MINE.policy = OWNER;
#endif
			if
			:: TRY(owner);
#ifndef MUTANT_10
				if
				:: SAME
				:: else ->
					DROP(owner);
					goto use
				fi;
#endif
				d_step {
					MINE.policy = OWNER;
					MINE.kept = false;
					owns[me] = OWNER
				}
			:: !FREE(owner)
			fi
		:: break
		od;

close:		atomic {
			attached = attached & ~SELF;
			owns[me] = NONE
		};
		if
		:: HOLD(owner) && MINE.policy == OWNER ->
#ifdef MUTANT_14
			d_step {
				DROP(owner);
				DROP(attach)
			};
#endif
#if !defined(MUTANT_2) && !defined(SPARE_3)
			WAIT(remove);
#endif
#if !defined(MUTANT_1) && !defined(SPARE_2)
			if
			:: SAME
			:: else -> goto closed
			fi;
#endif
			unlink_name();
			goto closed
		:: else ->
			DROP(attach);
			seen = MINE.policy;
			if
			:: seen == LAST
			:: seen == OWNER && FREE(owner)
			:: else -> goto closed
			fi;
			reclaim(PATIENT)
		fi;
closed:		close_file();
		goto start
	} unless {
		atomic {
			kill?eval(me);
			close_file();
			goto start
		}
	};
stop:	stopped++;
end:	skip
}

/* May retire at any moment, lest it hide a deadlock. */
proctype killer()
{
end:	do
	:: atomic { kill!0 }
#if MORTALS > 1
	:: atomic { kill!1 }
#endif
#if MORTALS > 2
	:: atomic { kill!2 }
#endif
#ifndef RELENTLESS
	:: break
#endif
	od
}

#define IN(set, p) (set & (1 << p))
#define P1(p) (!IN(attached, p) || box[fd[p]].ready)
#define P2(p) \
	(owns[p] == NONE || box[fd[p]].policy == owns[p] && name == fd[p])
#define P3(p) \
	(!IN(attached, p) || box[fd[p]].policy != LAST || name == fd[p])

#if WORKERS > 2
#define ALL(property) (property(0) && property(1) && property(2))
#else
#define ALL(property) (property(0) && property(1))
#endif

/* Never takes a step while the properties hold. */
proctype monitor()
{
end:	if
	:: d_step { !ALL(P1) -> p1_ready = false; assert(p1_ready) }
	:: d_step { !ALL(P2) -> p2_owned = false; assert(p2_owned) }
	:: d_step { !ALL(P3) -> p3_last = false; assert(p3_last) }
	fi
}

init {
	atomic {
		run monitor();
		run process(0);
		run process(1);
#if WORKERS > 2
		run process(2);
#endif
		run process(CLEANER);
#if MORTALS > 0
		run killer()
#endif
	}
}
