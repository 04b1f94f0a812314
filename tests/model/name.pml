/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The life cycle of the name of a box: a file in shared memory which
 * processes open or create, attach to, own, leak and close, and which may be
 * killed at any step.  There is no lock file: every lock is an OFD byte-range
 * lock on the box's own inode, so the kernel drops it when its holder dies.
 *
 *   NAME    exclusive, held by whoever unlinks the name
 *   GATE    shared by a process that is attaching, exclusive for a reclaimer
 *   OWNER   exclusive, held by the owning handle for its whole life
 *   ATTACH  one byte per handle, held for the handle's whole life
 *
 * Claim: a name is created only by link(), which fails if it exists, and is
 * removed only by a process that holds NAME on the inode it means and has
 * checked under that lock that it still means it.  So an unlink by name
 * removes that inode and no other, although there is no compare-and-unlink.
 *
 * Each step, one statement or one atomic or d_step block, is one system call
 * or one access to the policy stored in the box.  Steps and the functions
 * they stand for:
 *
 *   lookup, attach  rbx_box_open                src/box/open.c
 *   create          rbx_draft_publish           src/box/draft.c
 *   reclaim         rbx_life_reclaim            src/box/life.c
 *   unlink_name     rbx_life_remove, remove_all src/box/life.c
 *   leak            rbx_box_leak                src/box.c
 *   own             rbx_box_own                 src/box.c
 *   close           rbx_box_close               src/box.c
 *
 * WORKERS processes do any number of rounds of open-or-create, then any
 * number of leak and own, then close.  The first MORTALS of them may be
 * killed at any step, any number of times; a killed one starts afresh.  When
 * all have stopped, a cleaner makes one last open-or-create and close.
 *
 * A process stands for one handle, with one open file at a time that carries
 * all its locks.  Nothing but these functions links, unlinks or renames the
 * name, and no open file is shared by fork().
 *
 * The test whether a box seems orphaned, made without locks before attaching,
 * is only a hint, so for the workers it answers anything.  That also covers
 * an open that does not make the test.
 *
 * Properties:
 *
 *   p1_ready       no handle is attached to a half-initialised box
 *   p2_owned       as long as an owning handle is open, the name means its
 *                  box, and nobody else changes the box's policy
 *   p3_last        as long as a handle to a box with policy "last" is open,
 *                  the name means that box
 *   p4_keep        the name of a leaked box is not removed
 *   p5_exact       an unlink removes the inode its caller meant
 *   p6             no deadlock (an invalid end state, to spin)
 *   p7_clean       after the cleaner, the name is gone or the box is leaked
 *   p8_last_close  so it is before the cleaner (-DPROMPT, where nobody dies)
 *   p9             no livelock under weak fairness (-DLIVE, with pan -l -f)
 *
 * Options:
 *
 *   WORKERS=n     2 or 3
 *   MORTALS=n     0 to WORKERS
 *   ONLY_OWNER    every box is created with policy "owner"
 *   ONLY_LAST     every box is created with policy "last"
 *   COARSE        fewer steps: create takes ATTACH as it makes the inode,
 *                 which nobody else can see yet; reclaim leaves its unlocking
 *                 to the close that follows
 *   RELENTLESS    the killer never retires: fewer states, but a deadlock that
 *                 a kill would resolve goes unseen
 *   PROMPT, LIVE  check p8_last_close, p9
 *
 * Mutants, each of which breaks a property:
 *
 *   MUTANT_1   unlink without checking what the name means
 *   MUTANT_2   a close that reclaims gives up where NAME is taken (with PROMPT)
 *   MUTANT_3   reclaim without GATE
 *   MUTANT_4   reclaim reads the policy before it looks for attachments
 *   MUTANT_5   attach without checking the name again
 *   MUTANT_6   create links before it takes ATTACH and OWNER
 *   MUTANT_7   create links before it initialises
 *   MUTANT_8   leak drops OWNER before it changes the policy
 *   MUTANT_9   reclaim does not look for attachments
 *   MUTANT_10  own does not check what the name means
 *   MUTANT_11  attach without GATE
 *   MUTANT_12  own changes the policy before it takes OWNER
 *   MUTANT_13  an owner's close drops OWNER and ATTACH before it unlinks
 *   MUTANT_14  attach drops GATE before it takes ATTACH
 *   MUTANT_15  close does not reclaim
 *   MUTANT_16  reclaim waits for attachments to end
 *   MUTANT_17  the hint does not look at the policy (with LIVE)
 *   MUTANT_18  reclaim checks the name before it looks for attachments (with
 *              SPARE_3)
 *
 * Steps that can be left out, for they repeat what others ensure:
 *
 *   SPARE_1  reclaim does not look at OWNER: an owner also holds ATTACH
 *   SPARE_2  an owner's close does not check the name: p2_owned.  It guards
 *            against those who remove names by other means
 *   SPARE_3  nobody takes NAME: an owner is attached, and a reclaimer has GATE
 *            and then sees that nobody is; so no two may unlink at once.  But a
 *            System V box that lost its segment is reclaimed from under its
 *            users, and there NAME is all that keeps two apart
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef MORTALS
#define MORTALS 1
#endif

#define CLEANER WORKERS
#define PROCESSES (WORKERS + 1)
#define INODES (WORKERS + 1) /* one for each worker, and the named one */

#define NONE 0

/* Policies. */
#define OWNER 1
#define LAST 2
#define KEEP 3

/* A lock is the set of the processes that hold it. */
typedef inode {
	bool ready;
	byte policy;
	bool kept;  /* leaked, and not owned since */
	byte users; /* processes that have it open */
	byte naming;
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

/* What users of handles count on: from the end of open or own to close. */
byte attached;        /* processes with an open handle */
byte owns[PROCESSES]; /* the policy under which the handle owns, or NONE */

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
#define SAME (name == fd[me]) /* stat() the name, compare with fstat() */
#define HOLD(lock) (MINE.lock & SELF)
#define FREE(lock) ((MINE.lock & ~SELF) == 0) /* nobody else holds it */
#define TAKE(lock) MINE.lock = MINE.lock | SELF
#define DROP(lock) MINE.lock = MINE.lock & ~SELF
#define WAIT(lock) atomic { FREE(lock) -> TAKE(lock) }
#define GATE_FREE (FREE(gate_shared) && FREE(gate_alone))

/* An inode without name and users is gone, its number free for reuse. */
#define GONE(i) (name != i && box[i].users == 0)

#ifdef MUTANT_2
#define PATIENT false
#else
#define PATIENT true
#endif

/* The hint: anything for the workers, exact for the cleaner. */
#ifdef LIVE
#define SEEMS(what) (what)
#else
#define SEEMS(what) (me < WORKERS || (what))
#endif
#ifdef MUTANT_17
#define ORPHAN (box[name].attach == 0)
#else
#define ORPHAN \
	(box[name].attach == 0 && \
	    (box[name].policy == LAST || \
	    box[name].policy == OWNER && box[name].owner == 0))
#endif

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
			DROP(naming);
			DROP(gate_shared);
			DROP(gate_alone);
			DROP(owner);
			DROP(attach);
			if
			:: GONE(fd[me]) ->
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
 * Remove the name if nobody needs the box.  Gives up (break) where a lock is
 * taken, unless 'patient'.
 */
inline reclaim(patient)
{
	do
	::
#ifndef SPARE_3
		if
		:: WAIT(naming)
		:: !patient && !FREE(naming) -> break
		fi;
#endif
#ifndef MUTANT_3
		if
		:: d_step { GATE_FREE -> TAKE(gate_alone) }
		:: !GATE_FREE -> break
		fi;
#endif
#ifdef MUTANT_18
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
#ifndef MUTANT_16
		:: else -> break
#endif
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
#if !defined(MUTANT_1) && !defined(MUTANT_18)
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
	DROP(naming)
#endif
}

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
#ifdef MUTANT_14
		DROP(gate_shared);
#endif
		TAKE(attach);
		DROP(gate_shared);
		if
#ifdef MUTANT_5
		:: attached = attached | SELF
#else
		:: atomic { SAME -> attached = attached | SELF }
		:: else ->
			close_file();
			goto lookup
#endif
		fi;
		goto use;

create:		atomic {
			seen = 1;
			do
			:: GONE(seen) -> break
			:: else -> seen++
			od;
			open_file(seen);
#ifdef COARSE
			TAKE(attach);
#endif
			seen = NONE
		};
#ifndef MUTANT_7
		initialise_any();
#endif
#if !defined(MUTANT_6) && !defined(COARSE)
		TAKE(attach);
#endif
#ifndef MUTANT_6
		if
		:: MINE.policy == OWNER -> TAKE(owner)
		:: else
		fi;
#endif
		if
		:: d_step {
			name == NONE ->
			name = fd[me];
#ifndef MUTANT_6
			attached = attached | SELF;
			owns[me] = (HOLD(owner) -> MINE.policy : NONE)
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

use:
#ifdef LIVE
progress:	skip;
#endif
		do
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
			:: WAIT(owner);
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
			fi;
			goto use
		:: break
		od;

close:		atomic {
			attached = attached & ~SELF;
			owns[me] = NONE
		};
		if
		:: HOLD(owner) && MINE.policy == OWNER ->
#ifdef MUTANT_13
			d_step {
				DROP(owner);
				DROP(attach)
			};
#endif
#ifndef SPARE_3
			WAIT(naming);
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
#ifndef MUTANT_15
			seen = MINE.policy;
			if
			:: seen == LAST
			:: seen == OWNER && FREE(owner)
			:: else -> goto closed
			fi;
			reclaim(PATIENT)
#endif
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

/* Takes no step while the properties hold. */
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
