/* SPDX-License-Identifier: GPL-2.0-only */
/* array.h - arrays that double as they grow. */
#ifndef VNT_ARRAY_H
#define VNT_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `need` items of `size` bytes; `items` is the address of the array's pointer. 0, or
 * -ENOMEM with all as it was. */
static inline int array_reserve(void *items, size_t *room, size_t need, size_t size)
{
	size_t more = *room ? *room : 4;
	void *array;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	/* Copied, because a pointer to items must not be accessed as a pointer to void. */
	memcpy(&array, items, sizeof(array));
	array = reallocarray(array, more, size);
	if (!array)
		return -ENOMEM;
	memcpy(items, &array, sizeof(array));
	*room = more;
	return 0;
}

#endif
