/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock.h - bringing the clocks of several inputs to one.
 *
 * The domains of one input already agree among themselves (a recording has one domain, a merged
 * trace was brought to its own reference), so an input as a whole is shifted.
 */
#ifndef VNT_CLOCK_H
#define VNT_CLOCK_H

#include "trace.h"

/* Does this clock agree with its input's reference, exactly? */
bool clock_is_exact(const struct clock_fit *fit);

/* Domains without a boot ID (no /proc) share nothing. */
bool clock_same_boot(const char *a, const char *b);

/* What turns a domain's CLOCK_MONOTONIC into CLOCK_REALTIME: that of its host where it can see it, as a
 * host and its guests are traced together more often than they are synchronized. */
int64_t clock_wall_offset(const struct anchor_row *anchor);

/* One input: its domains, and per domain the first anchor, or one with mono_ns 0 if it has none. */
struct clock_input {
	const struct domain *domains;
	size_t ndomains;
	const struct anchor_row *anchors;
};

/*
 * How far the times of `input` must be shifted to agree with the domains placed before (of which
 * placed[0] is the reference), and in `fits` (input->ndomains) the resulting clock of each domain.
 *
 * A domain that was booted together with one placed before has its clock, exactly, and brings along
 * the others of its input, each with what their own clock in the input is worth; but nothing is known
 * of how wrong that is if that clock drifts from the reference, as one shift cannot follow. Otherwise the wall
 * clocks decide (method "realtime"; of a guest that of its host, if KVM shows it), which proves nothing:
 * the bound is CLOCK_UNBOUNDED. Without
 * anchors on either side nothing is shifted (method "none").
 *
 * `reference` is the anchor of placed[0]; with nplaced 0 the input is the reference.
 */
int64_t clock_place(const struct clock_input *input, const struct domain *placed, size_t nplaced,
		    const struct anchor_row *reference, struct clock_fit *fits);

/* The same for an input that packets brought to the clock of another one, which was placed before:
 * `estimate` says how, `root` is what became of that other clock. */
void clock_carry(const struct clock_input *input, const struct clock_fit *estimate,
		 const struct clock_fit *root, struct clock_fit *fits);

/* The same where times are to be left alone: shifts nothing, says what that means. `reference` is the
 * first domain of the first input; offsets that an earlier merge added stay said. */
void clock_leave(const struct clock_input *input, const struct domain *reference,
		 struct clock_fit *fits);

#endif
