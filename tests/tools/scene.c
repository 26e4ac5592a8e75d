// SPDX-License-Identifier: GPL-2.0-only
/*
 * scene.c - trace files of hosts with clocks of their own, 5 s long: h0.vnt, h1.vnt, ...
 *
 *   scene FOLDER HOSTS [BACK [STEP]]
 *
 * Host 0 sends each of the others 500 packets a second, and gets BACK (500) from each. The clock of host 1 is
 * set by STEP us (0) in the middle.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/clock_scene.h"

#define WAY                                                             \
	{                                                               \
		.base = 10, .rate = 500, .queue = 10, .queue_odds = 0.5 \
	}

int main(int argc, char **argv)
{
	struct scene scene = {.name = "scene", .seconds = 5, .forth = WAY, .back = WAY};

	if (argc < 3) {
		fprintf(stderr, "usage: scene FOLDER HOSTS [BACK [STEP]]\n");
		return 2;
	}
	scene.hosts = strtoul(argv[2], NULL, 10);
	if (argc > 3)
		scene.back.rate = strtod(argv[3], NULL);
	if (argc > 4)
		scene.step_us = strtod(argv[4], NULL);
	if (!scene.hosts || scene.hosts > SCENE_HOSTS_MAX)
		return 2;
	scene_write(&scene, 1, argv[1]);
	return 0;
}
