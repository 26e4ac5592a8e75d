// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/paths.h"

#define PATHS  200
#define LENGTH 7
#define PROBES 3

struct sample {
	uint16_t probes[LENGTH];
	size_t length;
	uint32_t path;
};

static struct sample make_sample(struct paths *paths)
{
	struct sample sample = {.length = rand() % (LENGTH + 1), .path = PATH_EMPTY};

	for (size_t i = 0; i < sample.length; i++) {
		sample.probes[i] = rand() % PROBES;
		cr_assert_eq(paths_extend(paths, sample.path, sample.probes[i], &sample.path), 0);
	}
	return sample;
}

static bool contains(const struct sample *whole, const struct sample *part)
{
	size_t found = 0;

	for (size_t i = 0; i < whole->length && found < part->length; i++)
		found += whole->probes[i] == part->probes[found];
	return found == part->length;
}

Test(paths, what_contains_what)
{
	static struct sample samples[PATHS];
	struct paths paths = {0};
	size_t contained = 0;

	srand(1);
	for (size_t i = 0; i < PATHS; i++)
		samples[i] = make_sample(&paths);
	for (size_t i = 0; i < PATHS * PATHS; i++) {
		const struct sample *whole = &samples[i / PATHS], *part = &samples[i % PATHS];
		bool expected = contains(whole, part);

		cr_assert_eq(paths_contains(&paths, whole->path, part->path), expected);
		contained += expected;
	}
	cr_assert(contained > PATHS * 10 && contained < PATHS * PATHS / 2);
	paths_release(&paths);
}
