// SPDX-License-Identifier: GPL-2.0-only
/*
 * recursion.c - preloaded into a process, makes the kernel say that it skipped runs of its BPF
 * programs because each would have interrupted itself: RECURSION_MISSES of each program. No packet
 * provokes that at the devices' tracepoints: they run with softirqs off, and nothing sends or
 * receives in a hardirq (but for netpoll, which does not pass them).
 */
#include <dlfcn.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define ARGUMENTS 6

typedef long (*syscall_function)(long number, ...);

/* Only of programs there is so much to say. */
static int is_program(const union bpf_attr *attr)
{
	return attr->info.info_len >=
	       offsetof(struct bpf_prog_info, recursion_misses) + sizeof(__u64);
}

static void add_misses(const union bpf_attr *attr)
{
	const char *misses = getenv("RECURSION_MISSES");
	struct bpf_prog_info *info = (void *)(unsigned long)attr->info.info;

	if (misses)
		info->recursion_misses += strtoull(misses, NULL, 10);
}

/* libbpf's way into the kernel. */
long syscall(long number, ...)
{
	syscall_function next = (syscall_function)dlsym(RTLD_NEXT, "syscall");
	long arguments[ARGUMENTS], result;
	va_list list;

	va_start(list, number);
	for (int i = 0; i < ARGUMENTS; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	result = next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		      arguments[5]);
	if (number == SYS_bpf && arguments[0] == BPF_OBJ_GET_INFO_BY_FD && result == 0 &&
	    is_program((const union bpf_attr *)arguments[1]))
		add_misses((const union bpf_attr *)arguments[1]);
	return result;
}
