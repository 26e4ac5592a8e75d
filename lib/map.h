/* SPDX-License-Identifier: GPL-2.0-only */
/* map.h - hash table from 64-bit keys to indices into somebody's array. Nothing is ever removed. */
#ifndef VNT_MAP_H
#define VNT_MAP_H

#include <stddef.h>
#include <stdint.h>

#define MAP_NONE UINT32_MAX

struct map_slot {
	uint64_t key;
	uint32_t value;
	uint32_t pad;
};

/* All zero is an empty map. */
struct map {
	struct map_slot *slots;
	size_t room; /* power of two */
	size_t count;
};

/* One round of a multiply-xorshift hash; its low bits depend on all bits. */
static inline uint64_t map_hash(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* Fetches into the cache what map_find() will look at. */
static inline void map_prefetch(const struct map *map, uint64_t key)
{
	__builtin_prefetch(map->slots + (map_hash(0, key) & (map->room - 1)));
}

/* Free slots hold MAP_NONE: the one a key is in or, if it is in none, belongs in. There is room. */
static inline struct map_slot *map_slot(const struct map *map, uint64_t key)
{
	size_t at = map_hash(0, key);

	for (;; at++) {
		struct map_slot *slot = &map->slots[at & (map->room - 1)];

		if (slot->value == MAP_NONE || slot->key == key)
			return slot;
	}
}

/* MAP_NONE if there is none. */
static inline uint32_t map_find(const struct map *map, uint64_t key)
{
	return map->room ? map_slot(map, key)->value : MAP_NONE;
}

/* `key` is not in the map and `value` is not MAP_NONE. 0 or -ENOMEM. */
int map_add(struct map *map, uint64_t key, uint32_t value);
void map_release(struct map *map);

#endif
