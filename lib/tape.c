// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tape.h"
#include "tempfile.h"

static int tape_start(struct tape *tape)
{
	if (!tape->buffer)
		tape->buffer = malloc(TAPE_BUFFER);
	if (!tape->buffer)
		return -ENOMEM;
	if (tape->open)
		return 0;
	tape->fd = tempfile_open();
	if (tape->fd < 0)
		return tape->fd;
	tape->open = true;
	return 0;
}

static int tape_flush(struct tape *tape)
{
	int err = tempfile_write(tape->fd, tape->buffer, tape->at);

	tape->at = 0;
	return err;
}

int tape_write(struct tape *tape, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	int err = tape_start(tape);

	while (size && !err) {
		size_t room = TAPE_BUFFER - tape->at, part = size < room ? size : room;

		memcpy(tape->buffer + tape->at, from, part);
		tape->at += part;
		tape->left += part;
		from += part;
		size -= part;
		if (tape->at == TAPE_BUFFER)
			err = tape_flush(tape);
	}
	return err;
}

int tape_rewind(struct tape *tape)
{
	int err = tape->open ? tape_flush(tape) : 0;

	free(tape->buffer);
	tape->buffer = NULL;
	tape->end = 0;
	if (!err && tape->open && lseek(tape->fd, 0, SEEK_SET) < 0)
		err = -errno;
	return err;
}

int tape_read(struct tape *tape, void *bytes, size_t size)
{
	uint8_t *to = bytes;
	int err = tape_start(tape);

	while (size && !err) {
		size_t part = tape->end - tape->at;

		if (!part) {
			tape->at = 0;
			tape->end = tape->left < TAPE_BUFFER ? tape->left : TAPE_BUFFER;
			err = tape->end ? tempfile_read(tape->fd, tape->buffer, tape->end) : -EIO;
			continue;
		}
		part = size < part ? size : part;
		memcpy(to, tape->buffer + tape->at, part);
		tape->at += part;
		tape->left -= part;
		to += part;
		size -= part;
	}
	return err;
}

void tape_release(struct tape *tape)
{
	if (tape->open)
		close(tape->fd);
	free(tape->buffer);
	*tape = (struct tape){0};
}
