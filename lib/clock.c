// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "clock.h"

static void set_method(struct clock_fit *fit, const char *method)
{
	snprintf(fit->method, sizeof(fit->method), "%s", method);
}

static bool is_exact(const struct clock_fit *fit)
{
	return strcmp(fit->method, "reference") == 0 || strcmp(fit->method, "same") == 0;
}

static int64_t add_bounds(int64_t a, int64_t b)
{
	int64_t sum;

	if (a == CLOCK_UNBOUNDED || b == CLOCK_UNBOUNDED || __builtin_add_overflow(a, b, &sum))
		return CLOCK_UNBOUNDED;
	return sum;
}

/* Domains without a boot ID (no /proc) share nothing. */
static bool same_boot(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

static const struct domain *find_boot(const struct domain *domains, size_t count,
				      const char *boot_id)
{
	for (size_t i = 0; i < count; i++)
		if (same_boot(domains[i].boot_id, boot_id))
			return &domains[i];
	return NULL;
}

static int64_t saturating_sub(int64_t a, int64_t b)
{
	int64_t difference;

	if (__builtin_sub_overflow(a, b, &difference))
		return b < 0 ? INT64_MAX : INT64_MIN;
	return difference;
}

static int64_t saturating_add(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* What turns this domain's CLOCK_MONOTONIC into CLOCK_REALTIME. */
static int64_t wall_offset(const struct anchor_row *anchor)
{
	return anchor->real_ns - anchor->mono_ns;
}

/* The clock that the input's own reference gets; its shift is *shift. */
static struct clock_fit place_input(const struct clock_input *input, const struct domain *placed,
				    size_t nplaced, const struct anchor_row *reference,
				    int64_t *shift)
{
	struct clock_fit fit = {.bound_ns = CLOCK_UNBOUNDED};

	for (size_t i = 0; i < input->ndomains; i++) {
		const struct domain *known = find_boot(placed, nplaced, input->domains[i].boot_id);

		if (!known)
			continue;
		*shift = saturating_sub(known->clock.offset_ns, input->domains[i].clock.offset_ns);
		fit = known->clock;
		if (is_exact(&fit))
			set_method(&fit, "same");
		return fit;
	}
	*shift = 0;
	set_method(&fit, "none");
	if (input->anchors[0].mono_ns && reference->mono_ns) {
		set_method(&fit, "realtime");
		*shift = saturating_sub(wall_offset(&input->anchors[0]), wall_offset(reference));
	}
	return fit;
}

int64_t clock_place(const struct clock_input *input, const struct domain *placed, size_t nplaced,
		    const struct anchor_row *reference, struct clock_fit *fits)
{
	struct clock_fit fit = {.method = "reference"};
	int64_t shift = 0;

	if (nplaced)
		fit = place_input(input, placed, nplaced, reference, &shift);
	for (size_t i = 0; i < input->ndomains; i++) {
		const struct clock_fit *own = &input->domains[i].clock;

		fits[i] = is_exact(own) ? fit : *own;
		fits[i].offset_ns = saturating_add(own->offset_ns, shift);
		fits[i].bound_ns = add_bounds(is_exact(own) ? 0 : own->bound_ns, fit.bound_ns);
		if (!nplaced && is_exact(own))
			set_method(&fits[i], i ? "same" : "reference");
	}
	return shift;
}

void clock_leave(const struct clock_input *input, const char *reference_boot_id,
		 struct clock_fit *fits)
{
	for (size_t i = 0; i < input->ndomains; i++) {
		fits[i] = (struct clock_fit){.method = "none", .bound_ns = CLOCK_UNBOUNDED};
		if (same_boot(input->domains[i].boot_id, reference_boot_id))
			fits[i].bound_ns = 0;
	}
}
