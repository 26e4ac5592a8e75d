/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring.pml - the protocol of lib/ring.h, for spin(1): tests/model/run.sh checks it.
 *
 * One CPU's ring: a task, an interrupt and an NMI write to it, each interrupting the ones before at
 * any point and running to its end; a reader on another CPU. The CPU is weakly ordered: what a writer
 * stores in its slot reaches memory any time later, but for a release, which waits for it.
 *
 * Checked in every interleaving: each record is read whole, once and in order; the ring is never
 * overrun; every event is read or counted as dropped. That the model can tell is checked by breaking
 * the protocol: -DPLAIN_PUBLISH leaves out the release, -DADD_HEAD reserves with an addition that
 * does not see whether the ring filled up in between.
 */
#define SLOTS    2
#ifndef WRITES
#define WRITES   1 /* of interrupt and NMI; the task writes one more */
#endif
#define ATTEMPTS 8 /* VNT_RING_ATTEMPTS */
#define NONE     255

byte head, tail;
byte sequence[SLOTS], content[SLOTS];

/* What a writer's CPU has not yet stored to memory: slot and value. */
byte pending_slot[3] = NONE, pending_value[3];

bool running[3]; /* the writer runs or is interrupted */
byte attempted, dropped, taken, finished;

inline reserve(position, reserved)
{
	byte seen_head, seen_tail, attempt = 0;

	reserved = false;
	do
	:: attempt == ATTEMPTS -> break
	:: else ->
		seen_head = head;
		seen_tail = tail;
		if
		:: seen_head - seen_tail >= SLOTS -> break
		:: else ->
			atomic {
#ifdef ADD_HEAD
				seen_head = head;
#endif
				if
				:: head == seen_head ->
					position = head;
					head = head + 1;
					reserved = true
				:: else -> attempt++
				fi
			}
			if
			:: reserved -> break
			:: else
			fi
		fi
	od
}

inline write_event(level)
{
	byte position;
	bool reserved;

	running[level] = true;
	attempted++;
	reserve(position, reserved);
	if
	:: !reserved -> dropped++
	:: else ->
		atomic {
			pending_slot[level] = position % SLOTS;
			pending_value[level] = position + 1
		}
#ifndef PLAIN_PUBLISH
		pending_slot[level] == NONE; /* the release */
#endif
		sequence[position % SLOTS] = position + 1
	fi;
	running[level] = false
}

inline write_events(level, count)
{
	byte written = 0;

	do
	:: written == count -> break
	:: else ->
		write_event(level);
		written++
	od;
	pending_slot[level] == NONE;
	finished++
}

active proctype task() provided (!running[1] && !running[2])
{
	write_events(0, WRITES + 1)
}

active proctype interrupt() provided (!running[2])
{
	write_events(1, WRITES)
}

active proctype nmi()
{
	write_events(2, WRITES)
}

inline commit(level)
{
	content[pending_slot[level]] = pending_value[level];
	pending_slot[level] = NONE
}

active proctype memory()
{
end:
	do
	:: atomic { pending_slot[0] != NONE -> commit(0) }
	:: atomic { pending_slot[1] != NONE -> commit(1) }
	:: atomic { pending_slot[2] != NONE -> commit(2) }
	od
}

active proctype reader()
{
	do
	:: sequence[tail % SLOTS] == tail + 1 ->
		assert(content[tail % SLOTS] == tail + 1);
		assert(head - tail <= SLOTS);
		taken++;
		tail = tail + 1
	:: finished == 3 && head == tail -> break
	od;
	assert(taken + dropped == attempted);
	assert(attempted == 3 * WRITES + 1)
}
