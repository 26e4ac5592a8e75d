/* SPDX-License-Identifier: GPL-2.0-only */
/* merge_input.h - one input of a merge: its batches, and how its numbers become the merge's. */
#ifndef VNT_MERGE_INPUT_H
#define VNT_MERGE_INPUT_H

#include "activity.h"
#include "clock_estimate.h"
#include "fetch.h"
#include "legs.h"

/* Rows that were read and whose turn has not come; owns them. */
struct ahead {
	enum batch_type type;
	void *rows;
	size_t count;
	size_t room;
};

struct merge_input {
	struct reader *reader;
	struct fetch fetch;
	unsigned int thread; /* that takes its batches; see pool_wait() */
	uint16_t *domains;   /* per domain of the input: its index in the merge */
	uint16_t *probes;    /* per probe of the input: its index in the merge */
	struct clock_estimate estimate;
	struct timeline timeline;   /* from its times to the merge's */
	size_t piece;               /* of the timeline, where the last event was */
	struct anchor_row *anchors; /* per domain: the first one, or mono_ns 0 */
	size_t missing;             /* domains whose first one was not read yet */
	struct ahead *ahead;
	size_t nahead;
	size_t ahead_room;
	size_t ahead_bytes;
	size_t delivered;        /* of `ahead` */
	struct batch waiting;    /* events, or legs, behind them; count 0 if none */
	bool stopped;            /* events are behind them, but not before the merge begins */
	bool exhausted;          /* there is nothing behind them */
	struct legs_shape shape; /* of what events become, if that is legs */
	struct batch batch;      /* events, legs or epochs that are being taken; empty at first */
	size_t at;               /* the next one of them */
	size_t timed;            /* the one of them whose time on the merge's clock is time_ns */
	uint64_t time_ns;
	uint64_t end_ns;  /* ... and that of the last event; only of events and legs */
	uint64_t last_ns; /* of the events handed out so far */
	uint64_t next_ns; /* epochs that are being taken: no event behind them is older */
	struct activity activity;
	uint64_t damaged;        /* bytes that `activity` knows about */
	uint64_t damaged_before; /* bytes, before the last batch that is not of epochs */
	struct batch held;       /* comes behind epochs that `activity` made up; count 0 if none */
	bool incomplete;         /* it breaks off, and no damage explains that */
	log_fn log;              /* or NULL */
	void *log_context;
};

/* Reads until every domain's first anchor or the first event is seen, and keeps what it read. */
int merge_input_read_ahead(struct merge_input *input);

/* Events, legs and epochs have their place in the order of time, other rows only in that of their input. */
bool merge_has_times(enum batch_type type);

/* 1: the next batch, as the input has it; one that has times is now the current one, and so are the legs
 * that come behind counts. 0: the end; -errno. */
int merge_input_next(struct merge_input *input, struct batch *batch);

/*
 * Time of the next row of the current batch, on the merge's clock. An epoch that is later than events
 * behind it has the time of the first of these, so that they do not come late.
 */
uint64_t merge_input_time(struct merge_input *input);

/* Goes on behind the events or legs with times up to and with until_ns, at most `room` of them; returns how many,
 * with their times on the merge's clock. */
size_t merge_input_take(struct merge_input *input, uint64_t until_ns, uint64_t *times, size_t room);

size_t merge_row_size(enum batch_type type);

/* Turns the input's numbers in these rows into the merge's. */
void merge_input_map_rows(const struct merge_input *input, enum batch_type type, void *rows,
			  size_t count);

size_t merge_input_memory(const struct merge_input *input); /* bytes */
void merge_input_release(struct merge_input *input);

#endif
