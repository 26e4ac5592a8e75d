/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pool.h - threads that run tasks, first in first out.
 *
 * Whoever waits for a task runs it if no thread has begun it, and meanwhile others that are queued: a
 * pool of one thread, the caller's own, needs no other. So a task may wait only for tasks that wait for
 * none. Results are taken in the order in which the caller waits: how many threads there are makes
 * no difference to them.
 */
#ifndef VNT_POOL_H
#define VNT_POOL_H

#define POOL_THREADS_MAX 64

enum task_state {
	TASK_IDLE, /* not submitted, or done and waited for */
	TASK_QUEUED,
	TASK_RUNNING,
	TASK_DONE,
};

/* Embedded in what the task works on; all zero but for `run` is an idle one. */
struct task {
	void (*run)(struct task *task, unsigned int thread); /* 0 to threads - 1 */
	enum task_state state;                               /* the pool's own */
	struct task *next;
};

struct pool;

int pool_open(struct pool **pool); /* one of one thread; 0 or -ENOMEM */

/* From now on there are at least as many, the caller's counted; POOL_THREADS_MAX at most. 0 or the error
 * of pthread_create(3). */
int pool_grow(struct pool *pool, unsigned int threads);
unsigned int pool_threads(const struct pool *pool);

/* The task is idle, and stays where it is until it was waited for. */
void pool_submit(struct pool *pool, struct task *task);

/* Returns once the task is idle, also if it was already. From `thread` of a task, or 0 from outside. */
void pool_wait(struct pool *pool, struct task *task, unsigned int thread);

/* Accepts NULL; all tasks are idle. */
void pool_close(struct pool *pool);

#endif
