// SPDX-License-Identifier: GPL-2.0-only
/*
 * precise.c - preloaded into a process, makes every PTP clock one that the processor can be compared with in one
 * instant: PTP_SYS_OFFSET_PRECISE says that it is 5 s and 7 ns ahead. No card that is emulated can do that.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <linux/ptp_clock.h>

typedef int (*ioctl_function)(int fd, unsigned long request, void *argument);

int ioctl(int fd, unsigned long request, ...)
{
	ioctl_function next = (ioctl_function)dlsym(RTLD_NEXT, "ioctl");
	struct ptp_sys_offset_precise *precise;
	void *argument;
	va_list list;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	if (request != PTP_SYS_OFFSET_PRECISE)
		return next(fd, request, argument);
	precise = argument;
	precise->sys_realtime = (struct ptp_clock_time){.sec = 1000, .nsec = 1};
	precise->device = (struct ptp_clock_time){.sec = 1005, .nsec = 8};
	return 0;
}
