/* SPDX-License-Identifier: GPL-2.0-only */
/* cpu_limit.h - for tests that must not take long, however busy the machine is. */
#ifndef CPU_LIMIT_H
#define CPU_LIMIT_H

#include <sys/resource.h>

/* For .init: a test that takes more than 10 s of CPU time is killed. */
static inline void limit_cpu(void)
{
	setrlimit(RLIMIT_CPU, &(struct rlimit){.rlim_cur = 10, .rlim_max = 10});
}

#endif
