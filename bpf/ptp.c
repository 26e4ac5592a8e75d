// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/ptp_clock.h>

#include "ptp.h"

#define SAMPLES  5
#define KVM_NAME "KVM virtual PTP" /* drivers/ptp/ptp_kvm_common.c */

struct reading {
	int64_t ptp_ns;
	int64_t real_ns;
	int64_t width_ns;
};

static bool is_kvm(unsigned int number)
{
	char path[64], name[sizeof(KVM_NAME)] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/ptp/ptp%u/clock_name", number);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return strcmp(name, KVM_NAME) == 0;
}

static int64_t nanoseconds(const struct ptp_clock_time *time)
{
	return time->sec * 1000000000ll + time->nsec;
}

static bool read_precise(int fd, struct reading *reading)
{
	struct ptp_sys_offset_precise precise = {0};

	if (ioctl(fd, PTP_SYS_OFFSET_PRECISE, &precise))
		return false;
	*reading = (struct reading){.ptp_ns = nanoseconds(&precise.device),
				    .real_ns = nanoseconds(&precise.sys_realtime)};
	return true;
}

/* The fastest reading says most. */
static bool read_extended(int fd, struct reading *reading)
{
	struct ptp_sys_offset_extended extended = {.n_samples = SAMPLES};

	if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &extended))
		return false;
	reading->width_ns = INT64_MAX;
	for (size_t i = 0; i < SAMPLES; i++) {
		int64_t before = nanoseconds(&extended.ts[i][0]);
		int64_t width = nanoseconds(&extended.ts[i][2]) - before;

		if (width < 0 || width >= reading->width_ns)
			continue;
		*reading = (struct reading){.ptp_ns = nanoseconds(&extended.ts[i][1]),
					    .real_ns = before + width / 2,
					    .width_ns = width};
	}
	return reading->width_ns < INT64_MAX;
}

static bool read_clock(int fd, struct reading *reading)
{
	return read_precise(fd, reading) || read_extended(fd, reading);
}

/* Takes the clock if it can be read, and is better than the one there is. */
static void try_device(struct ptp *ptp, const char *path)
{
	struct reading reading;
	unsigned int number;
	bool kvm;
	int fd;

	if (sscanf(path, "/dev/ptp%u", &number) != 1)
		return;
	kvm = is_kvm(number);
	if (ptp->fd >= 0 && !kvm)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!read_clock(fd, &reading)) {
		close(fd);
		return;
	}
	ptp_close(ptp);
	ptp->fd = fd;
	ptp->device = (number + 1) | (kvm ? ANCHOR_PTP_KVM : 0);
}

void ptp_open(struct ptp *ptp)
{
	glob_t found = {0};

	*ptp = (struct ptp){.fd = -1};
	if (!glob("/dev/ptp[0-9]*", 0, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++)
			try_device(ptp, found.gl_pathv[i]);
	globfree(&found);
}

void ptp_read(const struct ptp *ptp, struct anchor_row *anchor)
{
	struct reading reading;

	if (ptp->fd < 0 || !read_clock(ptp->fd, &reading))
		return;
	anchor->ptp_ns = reading.ptp_ns;
	anchor->ptp_real_ns = reading.real_ns;
	anchor->ptp_width_ns = reading.width_ns;
	anchor->ptp_device = ptp->device;
}

void ptp_close(struct ptp *ptp)
{
	if (ptp->fd >= 0)
		close(ptp->fd);
	ptp->fd = -1;
}
