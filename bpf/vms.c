// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/array.h"
#include "vms.h"

static DIR *open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !folder)
		close(fd);
	return folder;
}

/* Also of a signed one, in two's complement. */
static bool read_number(int folder, const char *name, uint64_t *number)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	char text[32], *end;
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return false;
	text[length] = '\0';
	errno = 0;
	*number = *text == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
	return !errno && end != text && (*end == '\n' || !*end);
}

/* Where the processor cannot scale, no file says so. */
static bool read_cpu(int folder, struct vm_row *row)
{
	if (!read_number(folder, "tsc-offset", &row->offset))
		return false;
	if (!read_number(folder, "tsc-scaling-ratio", &row->ratio) ||
	    !read_number(folder, "tsc-scaling-ratio-frac-bits", &row->fraction_bits)) {
		row->ratio = 1;
		row->fraction_bits = 0;
	}
	return true;
}

/* False if any of the machine's CPUs cannot be read, or there are none. */
static bool read_machine(DIR *machine, struct vm_row *row)
{
	const struct dirent *entry;
	bool found = false, alike = true;

	while ((entry = readdir(machine))) {
		struct vm_row cpu = {.vm = row->vm};
		DIR *folder;
		bool known;

		if (strncmp(entry->d_name, "vcpu", 4) != 0)
			continue;
		folder = open_folder(dirfd(machine), entry->d_name);
		known = folder && read_cpu(dirfd(folder), &cpu);
		if (folder)
			closedir(folder);
		if (!known)
			return false;
		alike &= !found || memcmp(row, &cpu, sizeof(cpu)) == 0;
		found = true;
		*row = cpu;
	}
	if (!alike)
		row->ratio = 0;
	return found;
}

static int add_machine(struct vms *vms, int root, const char *name)
{
	struct vm_row row = {0};
	uint32_t process, descriptor;
	DIR *machine;
	char more;
	int err = 0;

	if (sscanf(name, "%" SCNu32 "-%" SCNu32 "%c", &process, &descriptor, &more) != 2)
		return 0;
	machine = open_folder(root, name);
	if (!machine)
		return 0;
	row.vm = (uint64_t)process << 32 | descriptor;
	if (read_machine(machine, &row)) {
		err = array_reserve(&vms->rows, &vms->room, vms->count + 1, sizeof(*vms->rows));
		if (!err)
			vms->rows[vms->count++] = row;
	}
	closedir(machine);
	return err;
}

int vms_read(struct vms *vms, const char *folder)
{
	DIR *root = open_folder(AT_FDCWD, folder);
	const struct dirent *entry;
	int err = 0;

	vms->count = 0;
	if (!root)
		return 0;
	while (!err && (entry = readdir(root)))
		err = add_machine(vms, dirfd(root), entry->d_name);
	closedir(root);
	return err;
}

void vms_release(struct vms *vms)
{
	free(vms->rows);
	*vms = (struct vms){0};
}
