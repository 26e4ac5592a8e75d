// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "lib/pool.h"

#define TASKS 1000

struct job {
	struct task task;
	struct pool *pool;
	struct job *needs; /* or NULL */
	unsigned int thread;
	int runs;
};

static void run(struct task *task, unsigned int thread)
{
	struct job *job = (struct job *)task; /* it comes first */

	if (job->needs)
		pool_wait(job->pool, &job->needs->task, thread);
	job->thread = thread;
	job->runs += 1 + (job->needs ? job->needs->runs : 0);
}

static void submit(struct pool *pool, struct job *job, struct job *needs)
{
	*job = (struct job){.task.run = run, .pool = pool, .needs = needs};
	pool_submit(pool, &job->task);
}

/* Waited for in another order than they were submitted in. */
static void run_all(unsigned int threads)
{
	static struct job jobs[TASKS];
	struct pool *pool;

	cr_assert_eq(pool_open(&pool), 0);
	cr_assert_eq(pool_grow(pool, threads), 0);
	cr_assert_eq(pool_threads(pool), threads);
	for (int i = 0; i < TASKS; i++)
		submit(pool, &jobs[i], NULL);
	for (int i = TASKS; i-- > 0;) {
		pool_wait(pool, &jobs[i].task, 0);
		cr_assert_eq(jobs[i].runs, 1);
		cr_assert_lt(jobs[i].thread, threads);
	}
	pool_wait(pool, &jobs[0].task, 0); /* it is idle */
	pool_close(pool);
}

Test(pool, runs_each_task_once)
{
	run_all(1);
	run_all(2);
	run_all(8);
}

Test(pool, a_task_waits_for_another_also_on_one_thread)
{
	for (unsigned int threads = 1; threads < 4; threads++) {
		struct job first, second;
		struct pool *pool;

		cr_assert_eq(pool_open(&pool), 0);
		cr_assert_eq(pool_grow(pool, threads), 0);
		for (int i = 0; i < TASKS; i++) {
			submit(pool, &first, NULL);
			submit(pool, &second, &first);
			pool_wait(pool, &second.task, 0);
			cr_assert_eq(second.runs, 2);
		}
		pool_close(pool);
	}
}
