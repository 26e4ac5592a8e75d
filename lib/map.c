// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "map.h"

#define MAP_ROOM_MIN 16

static int map_grow(struct map *map)
{
	struct map grown = {.room = map->room ? map->room * 2 : MAP_ROOM_MIN, .count = map->count};

	grown.slots = malloc(grown.room * sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < grown.room; i++)
		grown.slots[i].value = MAP_NONE;
	for (size_t i = 0; i < map->room; i++) {
		if (map->slots[i].value != MAP_NONE)
			*map_slot(&grown, map->slots[i].key) = map->slots[i];
	}
	free(map->slots);
	*map = grown;
	return 0;
}

int map_add(struct map *map, uint64_t key, uint32_t value)
{
	int err;

	if (map->count * 2 >= map->room) {
		err = map_grow(map);
		if (err)
			return err;
	}
	*map_slot(map, key) = (struct map_slot){.key = key, .value = value};
	map->count++;
	return 0;
}

void map_release(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}
