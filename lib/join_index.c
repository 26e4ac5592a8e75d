// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "join_private.h"
#include "map.h"

#define BUCKET_SEATS 4          /* of the ring, for each bucket */
#define LARGE_MIN    (4u << 20) /* bytes */

/* The low bits of the hash choose it. */
static struct bucket *join_bucket(const struct join *join, uint32_t hash)
{
	return &join->buckets[hash & (join->nbuckets - 1)];
}

static uint16_t hash_tag(uint32_t hash)
{
	return hash >> 16;
}

uint32_t join_hash(uint64_t flow, uint64_t key)
{
	return map_hash(map_hash(0, flow), key) | 1u << 31;
}

uint32_t join_hash_packet(const struct join *join, uint64_t flow, uint64_t key)
{
	return join_hash(flow & join->flow_mask, key);
}

size_t join_index_size(size_t seats)
{
	return seats / BUCKET_SEATS * sizeof(struct bucket);
}

void join_index_add(struct join *join, uint32_t number, uint32_t hash)
{
	struct bucket *bucket = join_bucket(join, hash);
	uint32_t next = hash, at;

	for (;;) {
		at = bucket->newest + 1 < BUCKET ? bucket->newest + 1 : 0;
		if (!in_flight(join, bucket->numbers[at]))
			break;
		bucket->full = number;
		bucket = join_bucket(join, ++next);
	}
	bucket->tags[at] = hash_tag(hash);
	bucket->numbers[at] = number;
	bucket->newest = at;
}

/* So many more that are in the ring. */
static void join_index_some(struct join *join, size_t count)
{
	uint32_t hashes[JOIN_AHEAD], first = join->front + join->count;

	for (size_t i = 0; i < count; i++) {
		const struct seat *seat = join_seat(join, first + i);

		hashes[i] = join_hash_packet(join, seat->flow, seat->key);
		__builtin_prefetch(join_bucket(join, hashes[i]));
	}
	for (size_t i = 0; i < count; i++, join->count++)
		join_index_add(join, first + i, hashes[i]);
}

/* A large index is used all over: with large pages that is a third faster. The ring is used in order. */
static void prefer_large_pages(void *bytes, size_t size)
{
	uintptr_t page = sysconf(_SC_PAGESIZE), first = (uintptr_t)bytes & -page;

	if (size >= LARGE_MIN)
		madvise((void *)first, ((uintptr_t)bytes + size - first + page - 1) & -page,
			MADV_HUGEPAGE);
}

int join_index_make(struct join *join)
{
	size_t size = join_index_size(join->ring_size);
	struct bucket empty = {.full = join->front - 1};
	uint32_t count = join->count;

	free(join->buckets);
	join->nbuckets = join->ring_size / BUCKET_SEATS;
	join->buckets = aligned_alloc(sizeof(empty), size);
	if (!join->buckets)
		return -ENOMEM;
	prefer_large_pages(join->buckets, size);
	for (int i = 0; i < BUCKET; i++)
		empty.numbers[i] = join->front - 1;
	for (size_t i = 0; i < join->nbuckets; i++)
		join->buckets[i] = empty;
	for (join->count = 0; join->count != count;)
		join_index_some(join, join_ahead(count - join->count));
	return 0;
}

/* The journey at this place of the bucket, if the packet's events are part of it; or NULL. */
static inline struct seat *bucket_seat(const struct join *join, const struct bucket *bucket,
				       uint32_t at, uint64_t flow, uint64_t key)
{
	struct seat *seat = join_seat(join, bucket->numbers[at]);

	if (in_flight(join, bucket->numbers[at]) && seat->key == key &&
	    !((seat->flow ^ flow) & join->flow_mask) && !join_is_over(join, seat))
		return seat;
	return NULL;
}

/* Is any of its tags this one? All at once: without a branch for each. */
static bool bucket_has(const struct bucket *bucket, uint64_t tag)
{
	const uint64_t ones = 0x0001000100010001ull;
	uint64_t a = bucket->tags4[0] ^ tag * ones, b = bucket->tags4[1] ^ tag * ones;

	return (((a - ones) & ~a) | ((b - ones) & ~b)) & ones << 15;
}

static struct seat *bucket_search(const struct join *join, const struct bucket *bucket,
				  uint64_t flow, uint64_t key, uint16_t tag)
{
	struct seat *seat = NULL;

	for (uint32_t at = 0; at < BUCKET && !seat; at++)
		if (bucket->tags[at] == tag)
			seat = bucket_seat(join, bucket, at, flow, key);
	return seat;
}

/* Apart, so that what is nearly always done saves no registers. */
__attribute__((noinline)) static struct seat *join_search(const struct join *join, uint64_t flow,
							  uint64_t key, uint32_t hash)
{
	const struct bucket *bucket = join_bucket(join, hash);
	uint16_t tag = hash_tag(hash);

	for (uint32_t next = hash;; bucket = join_bucket(join, ++next)) {
		struct seat *seat = NULL;

		if (bucket_has(bucket, tag))
			seat = bucket_search(join, bucket, flow, key, tag);
		if (seat || !in_flight(join, bucket->full))
			return seat;
	}
}

/* Most often it is the newest in its bucket. */
struct seat *join_index_find(const struct join *join, uint64_t flow, uint64_t key, uint32_t hash)
{
	const struct bucket *bucket = join_bucket(join, hash);
	struct seat *seat = NULL;

	if (bucket->tags[bucket->newest] == hash_tag(hash))
		seat = bucket_seat(join, bucket, bucket->newest, flow, key);
	return seat ? seat : join_search(join, flow, key, hash);
}

void join_index_fetch(const struct join *join, const struct leg *legs, size_t count,
		      uint32_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		hashes[i] = join_hash_packet(join, legs[i].flow, legs[i].key);
		__builtin_prefetch(join_bucket(join, hashes[i]));
	}
}

/* Those which are not the newest of their bucket are few. Of new ones nothing is fetched, without a branch that
 * nobody could predict. */
void join_index_fetch_seats(const struct join *join, const uint32_t *hashes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct bucket *bucket = join_bucket(join, hashes[i]);
		const struct seat *seat = join_seat(join, bucket->numbers[bucket->newest]);
		const void *const ends[2][2] = {{bucket, bucket},
						{seat, (const char *)(seat + 1) - 1}};
		bool found = bucket->tags[bucket->newest] == hash_tag(hashes[i]);

		__builtin_prefetch(ends[found][0]);
		__builtin_prefetch(ends[found][1]);
	}
}
