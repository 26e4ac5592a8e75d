// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "clock.h"

static void set_method(struct clock_fit *fit, const char *method)
{
	snprintf(fit->method, sizeof(fit->method), "%s", method);
}

bool clock_is_exact(const struct clock_fit *fit)
{
	return strcmp(fit->method, "reference") == 0 || strcmp(fit->method, "same") == 0;
}

static int64_t add_bounds(int64_t a, int64_t b)
{
	int64_t sum;

	if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum))
		return CLOCK_UNBOUNDED;
	return sum;
}

bool clock_same_boot(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

static const struct domain *find_boot(const struct domain *domains, size_t count,
				      const char *boot_id)
{
	for (size_t i = 0; i < count; i++)
		if (clock_same_boot(domains[i].boot_id, boot_id))
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

int64_t clock_wall_offset(const struct anchor_row *anchor)
{
	uint64_t offset = anchor->real_ns - anchor->mono_ns;

	if (anchor->ptp_device & ANCHOR_PTP_KVM)
		offset += anchor->ptp_ns - anchor->ptp_real_ns;
	return (int64_t)offset;
}

/* The clock of a domain that was booted together with a placed one, and is shifted as far. */
static struct clock_fit share_clock(const struct domain *placed)
{
	struct clock_fit fit = placed->clock;

	if (clock_is_exact(&fit))
		set_method(&fit, "same");
	if (fit.drift_ppm != 0)
		fit.bound_ns = CLOCK_UNBOUNDED;
	return fit;
}

/* What `own` is to its input, and the input to the reference: the weaker method, the sum of bounds. */
static struct clock_fit compose(const struct clock_fit *own, const struct clock_fit *input)
{
	struct clock_fit fit = clock_is_exact(own) ? *input : *own;

	if (strcmp(input->method, "none") == 0)
		set_method(&fit, "none");
	fit.bound_ns = add_bounds(clock_is_exact(own) ? 0 : own->bound_ns, input->bound_ns);
	return fit;
}

/* The domain of the input that was booted together with a placed one, *known: rather one that agrees
 * exactly with the input's reference. input->ndomains if there is none. */
static size_t find_shared(const struct clock_input *input, const struct domain *placed,
			  size_t nplaced, const struct domain **known)
{
	size_t found = input->ndomains;

	for (size_t i = 0; i < input->ndomains; i++) {
		const struct domain *same = find_boot(placed, nplaced, input->domains[i].boot_id);
		bool exact = clock_is_exact(&input->domains[i].clock);

		if (!same || (found != input->ndomains && !exact))
			continue;
		found = i;
		*known = same;
		if (exact)
			break;
	}
	return found;
}

/* The clock that the input's own reference gets; its shift is *shift. */
static struct clock_fit place_input(const struct clock_input *input, const struct domain *placed,
				    size_t nplaced, const struct anchor_row *reference,
				    int64_t *shift)
{
	struct clock_fit fit = {.bound_ns = CLOCK_UNBOUNDED};
	const struct domain *known = NULL;
	size_t shared = find_shared(input, placed, nplaced, &known);

	if (shared != input->ndomains) {
		const struct clock_fit *own = &input->domains[shared].clock;

		*shift = saturating_sub(known->clock.offset_ns, own->offset_ns);
		fit = share_clock(known);
		return compose(own, &fit);
	}
	*shift = 0;
	set_method(&fit, "none");
	if (input->anchors[0].mono_ns && reference->mono_ns) {
		set_method(&fit, "realtime");
		*shift = saturating_sub(clock_wall_offset(&input->anchors[0]),
					clock_wall_offset(reference));
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
		const struct domain *known = find_boot(placed, nplaced, input->domains[i].boot_id);

		fits[i] = compose(own, &fit);
		fits[i].offset_ns = saturating_add(own->offset_ns, shift);
		if (known && known->clock.offset_ns == fits[i].offset_ns)
			fits[i] = share_clock(known);
		if (!nplaced && clock_is_exact(own))
			set_method(&fits[i], i ? "same" : "reference");
	}
	return shift;
}

void clock_carry(const struct clock_input *input, const struct clock_fit *estimate,
		 const struct clock_fit *root, struct clock_fit *fits)
{
	struct clock_fit fit = *estimate;

	if (!clock_is_exact(root))
		set_method(&fit, root->method);
	fit.bound_ns = add_bounds(estimate->bound_ns, root->bound_ns);
	for (size_t i = 0; i < input->ndomains; i++) {
		const struct clock_fit *own = &input->domains[i].clock;

		fits[i] = compose(own, &fit);
		fits[i].offset_ns = saturating_add(
			own->offset_ns, saturating_add(estimate->offset_ns, root->offset_ns));
	}
}

void clock_leave(const struct clock_input *input, const struct domain *reference,
		 struct clock_fit *fits)
{
	for (size_t i = 0; i < input->ndomains; i++) {
		const struct domain *domain = &input->domains[i];

		fits[i] = (struct clock_fit){.method = "none",
					     .offset_ns = domain->clock.offset_ns,
					     .bound_ns = CLOCK_UNBOUNDED};
		if (clock_same_boot(domain->boot_id, reference->boot_id) &&
		    domain->clock.offset_ns == reference->clock.offset_ns)
			fits[i].bound_ns = 0;
	}
}
