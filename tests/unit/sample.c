// SPDX-License-Identifier: GPL-2.0-only
/* What a sample keeps: evenly, independently, nested, and by whole windows of TCP data. */
#include <criterion/criterion.h>

#include "lib/map.h"
#include "lib/packet.h"
#include "lib/sample.h"

#define TRIES 200000
#define BINS  256

static uint64_t seed = 1;

static uint64_t random64(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return vnt_mix(seed, seed >> 29);
}

static uint64_t random_below(uint64_t limit)
{
	return random64() % limit;
}

static uint32_t level(uint64_t flow, uint64_t key)
{
	return vnt_sample_level(flow, key, 0, 0);
}

static uint32_t tcp_level(uint64_t flow, uint32_t sequence, uint32_t payload)
{
	/* IP ID and TSval are no part of it: a retransmission is kept like the original. */
	return vnt_sample_level(flow, random64() << 32 | sequence, payload, VNT_PACKET_TCP_DATA);
}

/* Chi-square of BINS equal bins is within five standard deviations of its mean. */
static void expect_even(const uint32_t *bins, size_t total, const char *what)
{
	double want = (double)total / BINS, sum = 0;

	for (size_t i = 0; i < BINS; i++)
		sum += (bins[i] - want) * (bins[i] - want) / want;
	sum -= BINS - 1;
	cr_assert(sum * sum < 25 * 2 * (BINS - 1), "%s: %.1f off", what, sum);
}

Test(sample, thresholds)
{
	cr_assert_eq(vnt_sample_threshold(1), VNT_SAMPLE_ALL);
	cr_assert_eq(vnt_sample_threshold(2), 0x7fffffffu);
	cr_assert_eq(vnt_sample_threshold(3), 0x55555555u);
	cr_assert_eq(vnt_sample_threshold(1000), 4294967u);
	cr_assert_eq(vnt_sample_threshold(1ull << 32), 0);
}

/* The IDs that exist: digests of one flow, windows of a flow one after the other, flows of a window. */
Test(sample, levels_are_even)
{
	uint32_t digests[BINS] = {0}, windows[BINS] = {0}, flows[BINS] = {0}, low[BINS] = {0};

	for (uint32_t i = 0; i < TRIES; i++) {
		digests[level(7, vnt_mix(0, i)) >> 24]++;
		windows[tcp_level(vnt_mix(0, i >> 16), i << 16, 1) >> 24]++;
		flows[tcp_level(vnt_mix(3, i), 5, 1) >> 24]++;
		low[level(7, vnt_mix(0, i)) & 255]++;
	}
	expect_even(digests, TRIES, "digests");
	expect_even(windows, TRIES, "windows");
	expect_even(flows, TRIES, "flows");
	expect_even(low, TRIES, "low bits");
}

/* p of touching two windows is 1 - (1 - p)^2 only if neighbours are independent. */
Test(sample, neighbouring_windows_are_independent)
{
	for (uint32_t n = 2; n <= 64; n *= 4) {
		uint32_t threshold = vnt_sample_threshold(n), both = 0;
		double want = (double)TRIES / n / n;

		for (uint32_t i = 0; i < TRIES; i++) {
			uint64_t flow = vnt_mix(n, i >> 8);
			uint32_t at = (i & 255) << 17;

			both += tcp_level(flow, at, 1) <= threshold &&
				tcp_level(flow, at + VNT_SAMPLE_WINDOW, 1) <= threshold;
		}
		cr_assert((both - want) * (both - want) < 25 * want, "1/%u: %u, not %.0f", n, both,
			  want);
	}
}

/* A table of the packets kept must fill as evenly as one of all of them. */
Test(sample, hash_of_the_join_is_independent)
{
	uint32_t threshold = vnt_sample_threshold(16), bins[BINS] = {0}, kept = 0;

	for (uint32_t i = 0; i < 16 * TRIES; i++) {
		uint64_t flow = vnt_mix(1, i / 100), key = vnt_mix(2, i);

		if (level(flow, key) > threshold)
			continue;
		bins[map_hash(map_hash(0, flow), key) & (BINS - 1)]++;
		kept++;
	}
	expect_even(bins, kept, "slots");
}

Test(sample, payload_of_other_packets_is_no_matter)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t flow = random64(), key = random64();

		cr_assert_eq(vnt_sample_level(flow, key, random_below(100000), VNT_PACKET_SHORT),
			     vnt_sample_level(flow, key, 1, 0));
	}
}

Test(sample, more_than_a_window_is_always_kept)
{
	cr_assert_eq(tcp_level(9, 17, VNT_SAMPLE_WINDOW + 1), 0);
	cr_assert_neq(tcp_level(9, 17, VNT_SAMPLE_WINDOW), 0);
}

/* Cut at random places: whoever touches a kept window is kept, and whoever is touches one. */
static void check_cuts(uint64_t flow, uint32_t begin, uint32_t bytes, uint32_t threshold)
{
	for (uint32_t done = 0, n; done < bytes; done += n) {
		uint32_t first = begin + done, touches = 0;

		n = 1 + random_below(random_below(2) ? 1448 : VNT_SAMPLE_WINDOW);
		if (n > bytes - done)
			n = bytes - done;
		for (uint32_t at = 0; at < n; at++)
			if (!at || !((first + at) & (VNT_SAMPLE_WINDOW - 1)))
				touches |= tcp_level(flow, first + at, 1) <= threshold;
		cr_assert_eq(tcp_level(flow, first, n) <= threshold, touches);
	}
}

Test(sample, any_segmentation_keeps_the_kept_windows)
{
	for (uint32_t i = 0; i < 300; i++) {
		uint64_t flow = random64();
		/* Every third around the end of the sequence space. */
		uint32_t begin = i % 3 ? random64() : 0u - random_below(200000);
		uint32_t bytes = 1 + random_below(400000);
		uint32_t threshold = vnt_sample_threshold(1 + random_below(20));

		for (int cut = 0; cut < 3; cut++)
			check_cuts(flow, begin, bytes, threshold);
	}
}

Test(sample, first_byte_decides_for_any_length)
{
	for (int i = 0; i < 10000; i++) {
		uint64_t flow = random64();
		uint32_t sequence = random64(), bytes = 1 + random_below(70000);

		cr_assert(tcp_level(flow, sequence, bytes) <= tcp_level(flow, sequence, 1));
	}
}
