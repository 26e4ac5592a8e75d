/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * margin.h - the lines that pass above some points and below others, and the one in the middle.
 *
 * y is the offset of two clocks at the time x. A packet one way proves that the offset is not below
 * a point, one the other way that it is not above one. All lines that no point contradicts form a
 * convex set; that of maximum margin is as far from the points of both kinds as can be, measured along y
 * (a linear program in the plane: Megiddo, "Linear programming in linear time", 1984). Only the
 * convex hull of each kind counts (Andrew's monotone chain, 1979).
 */
#ifndef VNT_MARGIN_H
#define VNT_MARGIN_H

#include <stdbool.h>
#include <stddef.h>

/* No two clocks that run differ by more: 1000 ppm. */
#define MARGIN_SLOPE_MAX 1e-3

struct vertex {
	double x;
	double y;
	size_t point; /* the caller's number of it */
};

/* A convex chain in order of x: of points below the line its upper hull, of those above it the lower. */
struct chain {
	struct vertex *vertices;
	size_t count;
	size_t room;
};

enum side {
	SIDE_BELOW, /* the line is not below these points */
	SIDE_ABOVE,
	SIDES
};

struct hulls {
	struct chain chains[SIDES];
};

struct line {
	double slope;
	double at_zero; /* y where x is 0 */
};

/* The feasible lines of hulls: those with slopes from least to most, and the one in the middle. */
struct margin {
	struct line line;
	double margin;    /* distance along y; negative: no line is feasible */
	double slope_min; /* of the feasible ones; not set if there are none */
	double slope_max;
	bool open; /* the points do not say the slope, but what it can be: it is the one nearest 0 */
	size_t support[3 * SIDES]; /* points that the line is stuck between; some are equal */
};

/* Points come in order of x; 0 or -ENOMEM. */
int hulls_add(struct hulls *hulls, enum side side, const struct vertex *point);
void hulls_clear(struct hulls *hulls); /* keeps the memory */
void hulls_release(struct hulls *hulls);

/* False if one kind of points is missing: then nothing says where the line is. */
bool margin_fit(const struct hulls *hulls, struct margin *margin);

/* Lowest and highest y at x, inside the points or beyond, of all feasible lines. */
void margin_interval(const struct hulls *hulls, const struct margin *margin, double x, double *low,
		     double *high);

#endif
