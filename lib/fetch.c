// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "fetch.h"

/* log_fn: keeps the line until its turn. */
static void fetch_keep_line(void *context, const char *line)
{
	struct fetched *ahead = context;
	char *copy = strdup(line);

	if (copy && !array_reserve(&ahead->lines, &ahead->lines_room, ahead->nlines + 1,
				   sizeof(*ahead->lines))) {
		ahead->lines[ahead->nlines++] = copy;
		return;
	}
	free(copy);
	ahead->err = -ENOMEM;
}

static void fetched_say(struct fetched *fetched, log_fn log, void *log_context)
{
	for (size_t i = 0; i < fetched->nlines; i++) {
		if (log)
			log(log_context, fetched->lines[i]);
		free(fetched->lines[i]);
	}
	fetched->nlines = 0;
}

static void fetch_run(struct task *task, unsigned int thread)
{
	struct fetch *fetch = (struct fetch *)((char *)task - offsetof(struct fetch, task));
	struct fetched *ahead = &fetch->ahead;

	(void)thread;
	ahead->result = reader_next(fetch->reader, &ahead->batch);
	if (ahead->err)
		ahead->result = ahead->err;
	ahead->damaged = reader_damaged(fetch->reader);
	ahead->memory = reader_memory(fetch->reader);
	ahead->offset = reader_offset(fetch->reader);
}

void fetch_open(struct fetch *fetch, struct reader *reader, log_fn log, void *log_context)
{
	*fetch = (struct fetch){
		.task.run = fetch_run,
		.reader = reader,
		.last.damaged = reader_damaged(reader),
		.log = log,
		.log_context = log_context,
	};
	reader_set_log(reader, fetch_keep_line, &fetch->ahead);
}

void fetch_start(struct fetch *fetch, struct pool *pool)
{
	fetch->pool = pool;
	if (!fetch->ended)
		pool_submit(pool, &fetch->task);
}

int fetch_next(struct fetch *fetch, struct batch *batch, unsigned int thread)
{
	if (!fetch->ended) {
		if (fetch->pool)
			pool_wait(fetch->pool, &fetch->task, thread);
		else
			fetch_run(&fetch->task, thread);
		fetched_say(&fetch->ahead, fetch->log, fetch->log_context);
		fetch->last = fetch->ahead;
		fetch->ended = fetch->last.result <= 0;
		if (!fetch->ended && fetch->pool)
			pool_submit(fetch->pool, &fetch->task);
	}
	*batch = fetch->last.batch;
	return fetch->last.result;
}

uint64_t fetch_damaged(const struct fetch *fetch)
{
	return fetch->last.damaged;
}

uint64_t fetch_offset(const struct fetch *fetch)
{
	return fetch->last.offset;
}

size_t fetch_memory(const struct fetch *fetch)
{
	return fetch->last.memory;
}

void fetch_stop(struct fetch *fetch)
{
	if (fetch->pool)
		pool_wait(fetch->pool, &fetch->task, 0);
	fetched_say(&fetch->ahead, NULL, NULL);
	free(fetch->ahead.lines);
}
