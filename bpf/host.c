// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

#include "host.h"

#define NS_PER_S 1000000000ll

/* First line of a small file, without the newline; "" if it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	line[0] = '\0';
	if (!file)
		return;
	if (fgets(line, size, file))
		line[strcspn(line, "\n")] = '\0';
	fclose(file);
}

/* Absent before Linux 5.5 and without CONFIG_TIME_NS: then there is no offset. */
static void read_timens(struct domain *domain)
{
	FILE *file = fopen("/proc/self/timens_offsets", "re");
	long long seconds, nanoseconds;
	char clock[16];

	if (!file)
		return;
	while (fscanf(file, "%15s %lld %lld", clock, &seconds, &nanoseconds) == 3) {
		int64_t offset_ns = seconds * NS_PER_S + nanoseconds;

		if (strcmp(clock, "monotonic") == 0)
			domain->timens_monotonic_ns = offset_ns;
		else if (strcmp(clock, "boottime") == 0)
			domain->timens_boottime_ns = offset_ns;
	}
	fclose(file);
}

int host_domain(struct domain *domain, const char *name)
{
	struct utsname uts;

	memset(domain, 0, sizeof(*domain));
	if (uname(&uts))
		return -errno;
	snprintf(domain->name, sizeof(domain->name), "%s", name ? name : uts.nodename);
	snprintf(domain->hostname, sizeof(domain->hostname), "%s", uts.nodename);
	snprintf(domain->kernel, sizeof(domain->kernel), "%s", uts.release);
	read_line("/proc/sys/kernel/random/boot_id", domain->boot_id, sizeof(domain->boot_id));
	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		  domain->clock_source, sizeof(domain->clock_source));
	read_timens(domain);
	snprintf(domain->clock.method, sizeof(domain->clock.method), "reference");
	return 0;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now))
		return 0;
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t host_now_ns(const struct domain *domain)
{
	return clock_ns(CLOCK_MONOTONIC) - domain->timens_monotonic_ns;
}

static uint64_t read_tsc(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __rdtsc();
#else
	return 0;
#endif
}

void host_anchor(const struct domain *domain, struct anchor_row *anchor)
{
	struct timex state = {.modes = 0};
	int64_t before, after;

	memset(anchor, 0, sizeof(*anchor));
	before = host_now_ns(domain);
	anchor->raw_ns = clock_ns(CLOCK_MONOTONIC_RAW) - domain->timens_monotonic_ns;
	anchor->real_ns = clock_ns(CLOCK_REALTIME);
	anchor->tai_ns = clock_ns(CLOCK_TAI);
	anchor->boot_ns = clock_ns(CLOCK_BOOTTIME) - domain->timens_boottime_ns;
	anchor->tsc = read_tsc();
	after = host_now_ns(domain);
	anchor->mono_ns = before + (after - before) / 2;
	anchor->width_ns = after - before;

	if (adjtimex(&state) < 0)
		return;
	anchor->freq_scaled_ppm = state.freq;
	anchor->adj_offset_ns = state.status & STA_NANO ? state.offset : state.offset * 1000;
	anchor->max_error_us = state.maxerror;
	anchor->est_error_us = state.esterror;
	anchor->adj_status = state.status;
}
