/* SPDX-License-Identifier: GPL-2.0-only */
/* tempfile.h - files without a name, in $TMPDIR or /var/tmp: gone when they are closed. */
#ifndef VNT_TEMPFILE_H
#define VNT_TEMPFILE_H

#include <stddef.h>

const char *tempfile_folder(void);

int tempfile_open(void); /* the descriptor or -errno */

/* As write(2) and read(2), but all of it. 0 or -errno; -EIO where the file ends before. */
int tempfile_write(int fd, const void *bytes, size_t size);
int tempfile_read(int fd, void *bytes, size_t size);

#endif
