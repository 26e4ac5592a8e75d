/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring.pml - the protocol of lib/ring.h, for spin(1): tests/model/run.sh checks it.
 *
 * One CPU's ring: a task, a softirq, a hardirq and an NMI write to it, each interrupting the ones
 * before at any point and running to its end; a reader on another CPU. Records are one slot; with
 * -DLARGE one or two, with -DLARGE_EVEN two of the task and the hardirq. The CPUs are weakly ordered:
 * what a writer stores in its slots reaches memory any time later and in any order, but for a release,
 * which waits for it; what may be loaded or stored earlier than written here is in the switches.
 *
 * Checked in every interleaving: each record is read whole, once and in order; the ring is never
 * overrun; every event is read or counted as dropped. That the model can tell is checked by breaking
 * the protocol in each of these ways:
 *
 *   PLAIN_PUBLISH   the writer's publication is no release: before the record is in memory
 *   PLAIN_PEEK      the reader's look is no acquire: the record is loaded before it
 *   PLAIN_RELEASE   the reader's move of the tail is no release: before the record is loaded
 *   EARLY_STORE     the writer stores to the slot before it saw that the tail freed it
 *   ADD_HEAD        reserves by addition, which does not see that the ring filled up in between
 *   ONE_BY_ONE      reserves each slot of a record by itself
 *   ROOM_FOR_ONE    reserves all slots of a record where one is free
 *   FOLLOW_SEQUENCE a slot that follows has data where others have their sequence
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef WRITES
#define WRITES 1 /* of each interrupt */
#endif
#ifndef TASK_WRITES
#define TASK_WRITES (WRITES + 1)
#endif
#ifndef LEVELS
#define LEVELS 4 /* 3: no softirq */
#endif
#define ATTEMPTS 2 /* fewer than VNT_RING_ATTEMPTS, so that they run out */
#define NONE     255

#define EVENTS (TASK_WRITES + (LEVELS - 1) * WRITES)

byte head, tail;
byte sequence[SLOTS];
byte content[SLOTS]; /* (position + 1) * 2, and one more if another slot follows */

/* What each level's CPU has not yet stored to memory: slot and value. */
byte pending_slot[8] = NONE, pending_value[8];

bool running[5]; /* level 4 is none */
byte dropped, taken, finished;

#define STORED(level) (pending_slot[2 * level] == NONE && pending_slot[2 * level + 1] == NONE)

inline reserve(count, position, reserved)
{
	byte seen_head, seen_tail, attempt;

	do
	:: attempt == ATTEMPTS -> break
	:: else ->
		seen_head = head;
		seen_tail = tail;
		if
#ifdef ROOM_FOR_ONE
		:: seen_head - seen_tail >= SLOTS -> break
#else
		:: seen_head - seen_tail + count - 1 >= SLOTS -> break
#endif
		:: else ->
			atomic {
#ifdef ADD_HEAD
				seen_head = head;
#endif
				if
				:: head == seen_head ->
					position = head;
#ifdef ONE_BY_ONE
					head = head + 1;
#else
					head = head + count;
#endif
					reserved = true
				:: else -> attempt++
				fi
			}
			if
			:: reserved ->
#ifdef ONE_BY_ONE
				head = head + count - 1;
#endif
				break
			:: else
			fi
		fi
	od;
	atomic { seen_head = 0; seen_tail = 0; attempt = 0 }
}

inline store(level, at, count)
{
	d_step {
		pending_slot[2 * level] = (at) % SLOTS;
		pending_value[2 * level] = ((at) + 1) * 2 + count - 1;
		if
		:: count == 2 ->
			pending_slot[2 * level + 1] = (at + 1) % SLOTS;
			pending_value[2 * level + 1] = (at + 2) * 2;
#ifdef FOLLOW_SEQUENCE
			sequence[(at + 1) % SLOTS] = at + 2 + SLOTS
#endif
		:: else
		fi
	}
}

inline choose(level, count)
{
#if defined(LARGE)
	if
	:: count = 1
	:: count = 2
	fi
#elif defined(LARGE_EVEN)
	count = 2 - level % 2
#else
	count = 1
#endif
}

inline write_event(level)
{
	byte position, count;
	bool reserved;

	running[level] = true;
	choose(level, count);
#ifdef EARLY_STORE
	store(level, head, count);
#endif
	reserve(count, position, reserved);
	if
	:: !reserved -> dropped++
	:: else ->
		store(level, position, count);
#ifndef PLAIN_PUBLISH
		STORED(level); /* the release */
#endif
		sequence[position % SLOTS] = position + 1
	fi;
	d_step {
		position = 0;
		count = 0;
		reserved = false;
		running[level] = false
	}
}

inline write_events(level, events)
{
	byte written;

	do
	:: written == events -> break
	:: else ->
		write_event(level);
		written++
	od;
	STORED(level);
	atomic { written = 0; finished++ }
}

active proctype task() provided (!running[1] && !running[2] && !running[3])
{
	write_events(0, TASK_WRITES)
}

#if LEVELS == 4
active proctype softirq() provided (!running[2] && !running[3])
{
	write_events(1, WRITES)
}
#endif

active proctype hardirq() provided (!running[3])
{
	write_events(2, WRITES)
}

active proctype nmi()
{
	write_events(3, WRITES)
}

inline commit(entry)
{
	content[pending_slot[entry]] = pending_value[entry];
	pending_slot[entry] = NONE;
	pending_value[entry] = 0
}

active proctype memory()
{
end:
	do
	:: d_step { pending_slot[0] != NONE -> commit(0) }
	:: d_step { pending_slot[1] != NONE -> commit(1) }
	:: d_step { pending_slot[2] != NONE -> commit(2) }
	:: d_step { pending_slot[3] != NONE -> commit(3) }
	:: d_step { pending_slot[4] != NONE -> commit(4) }
	:: d_step { pending_slot[5] != NONE -> commit(5) }
	:: d_step { pending_slot[6] != NONE -> commit(6) }
	:: d_step { pending_slot[7] != NONE -> commit(7) }
	od
}

/* Loads the record at `position` and checks that it is whole. */
inline load(position, more)
{
	d_step {
		assert(content[position % SLOTS] / 2 == position + 1);
		more = content[position % SLOTS] % 2
	}
	if
	:: more -> assert(content[(position + 1) % SLOTS] == (position + 2) * 2)
	:: else
	fi
}

active proctype reader()
{
	byte next, early;
	bool more;

	do
#ifdef PLAIN_PEEK
	:: early == 0 && head != next -> early = content[next % SLOTS]
#endif
	:: sequence[next % SLOTS] == next + 1 ->
		assert(head - tail <= SLOTS);
#ifdef PLAIN_PEEK
		assert(early == 0 || early / 2 == next + 1);
		early = 0;
#endif
#ifdef PLAIN_RELEASE
		tail = next + 1 + content[next % SLOTS] % 2;
		load(next, more);
#else
		load(next, more);
		tail = next + 1 + more;
#endif
		d_step { next = next + 1 + more; more = 0; taken++ }
	:: finished == LEVELS && head == next -> break
	od;
	assert(taken + dropped == EVENTS)
}
