/* SPDX-License-Identifier: GPL-2.0-only */
/* tape.h - a temporary file that is written once, from start to end, and then read once. */
#ifndef VNT_TAPE_H
#define VNT_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPE_BUFFER (16u << 10) /* bytes of memory, while it is written or read */

/* All zero is an empty tape; it has a file once something was written. */
struct tape {
	bool open;
	int fd;
	uint8_t *buffer;
	size_t at;
	size_t end;
	uint64_t left; /* bytes: written so far, or to be read */
};

int tape_write(struct tape *tape, const void *bytes, size_t size); /* 0, -ENOMEM or -errno */

/* What was written can be read from now on; until then it takes no memory. 0 or -errno. */
int tape_rewind(struct tape *tape);

/* The next `size` bytes, of which there are as many. 0, -ENOMEM or -errno. */
int tape_read(struct tape *tape, void *bytes, size_t size);
void tape_release(struct tape *tape);

#endif
