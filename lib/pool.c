// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "pool.h"

struct worker {
	struct pool *pool;
	pthread_t thread;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t queued; /* a task, or it is over */
	pthread_cond_t done;
	struct task *first;
	struct task **end;
	bool over;
	unsigned int count; /* of the workers that run */
	struct worker workers[POOL_THREADS_MAX - 1];
};

/* Takes the task from the queue if it is there; with NULL the first one. With the lock held. */
static struct task *pool_take(struct pool *pool, const struct task *wanted)
{
	struct task **at = &pool->first, *task;

	while (*at && wanted && *at != wanted)
		at = &(*at)->next;
	task = *at;
	if (!task)
		return NULL;
	*at = task->next;
	if (!*at)
		pool->end = at;
	return task;
}

static void pool_run(struct pool *pool, struct task *task, unsigned int thread)
{
	task->state = TASK_RUNNING;
	pthread_mutex_unlock(&pool->lock);
	task->run(task, thread);
	pthread_mutex_lock(&pool->lock);
	task->state = TASK_DONE;
	pthread_cond_broadcast(&pool->done);
}

static void *pool_work(void *argument)
{
	const struct worker *worker = argument;
	struct pool *pool = worker->pool;
	unsigned int thread = worker - pool->workers + 1;
	struct task *task;

	pthread_mutex_lock(&pool->lock);
	while (!pool->over) {
		task = pool_take(pool, NULL);
		if (task)
			pool_run(pool, task, thread);
		else
			pthread_cond_wait(&pool->queued, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int pool_open(struct pool **out)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	*out = pool;
	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->queued, NULL);
	pthread_cond_init(&pool->done, NULL);
	pool->end = &pool->first;
	return 0;
}

int pool_grow(struct pool *pool, unsigned int threads)
{
	int err = 0;

	while (!err && pool->count + 1 < threads) {
		struct worker *worker = &pool->workers[pool->count];

		worker->pool = pool;
		err = -pthread_create(&worker->thread, NULL, pool_work, worker);
		if (!err)
			pool->count++;
	}
	return err;
}

unsigned int pool_threads(const struct pool *pool)
{
	return pool->count + 1;
}

void pool_submit(struct pool *pool, struct task *task)
{
	pthread_mutex_lock(&pool->lock);
	task->state = TASK_QUEUED;
	task->next = NULL;
	*pool->end = task;
	pool->end = &task->next;
	pthread_cond_signal(&pool->queued);
	pthread_mutex_unlock(&pool->lock);
}

void pool_wait(struct pool *pool, struct task *task, unsigned int thread)
{
	pthread_mutex_lock(&pool->lock);
	while (task->state == TASK_QUEUED || task->state == TASK_RUNNING) {
		struct task *next = pool_take(pool, task->state == TASK_QUEUED ? task : NULL);

		if (next)
			pool_run(pool, next, thread);
		else
			pthread_cond_wait(&pool->done, &pool->lock);
	}
	task->state = TASK_IDLE;
	pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->over = true;
	pthread_cond_broadcast(&pool->queued);
	pthread_mutex_unlock(&pool->lock);
	while (pool->count)
		pthread_join(pool->workers[--pool->count].thread, NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->queued);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
