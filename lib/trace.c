// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

static const char *const loss_causes[LOSS_CAUSES] = {
	[LOSS_OTHER] = "other",
	[LOSS_RING_FULL] = "ring full",
	[LOSS_WRITE_ERROR] = "write error",
	[LOSS_DAMAGED_FILE] = "damaged file",
	[LOSS_RECURSION] = "recursion",
	[LOSS_SAMPLED] = "sampled out",
};

static const char *const cost_programs[PROGRAMS] = {
	[PROGRAM_ALL] = "all",
	[PROGRAM_DEV_RX] = "dev:rx",
	[PROGRAM_DEV_TX] = "dev:tx",
};

const char *loss_cause_name(uint64_t cause)
{
	return loss_causes[cause < LOSS_CAUSES ? cause : LOSS_OTHER];
}

const char *cost_program_name(uint64_t program)
{
	return program < PROGRAMS ? cost_programs[program] : "other";
}

int trace_info_add_domain(struct trace_info *info, const struct domain *domain)
{
	struct domain *domains;

	if (info->ndomains >= MAX_DOMAINS)
		return -EOVERFLOW;
	domains = reallocarray(info->domains, info->ndomains + 1, sizeof(*domains));
	if (!domains)
		return -ENOMEM;
	info->domains = domains;
	info->domains[info->ndomains] = *domain;
	return info->ndomains++;
}

int trace_info_add_probe(struct trace_info *info, const struct probe *probe)
{
	struct probe *probes;

	if (info->nprobes >= MAX_PROBES)
		return -EOVERFLOW;
	probes = reallocarray(info->probes, info->nprobes + 1, sizeof(*probes));
	if (!probes)
		return -ENOMEM;
	info->probes = probes;
	info->probes[info->nprobes] = *probe;
	return info->nprobes++;
}

void trace_info_release(struct trace_info *info)
{
	free(info->domains);
	free(info->probes);
	memset(info, 0, sizeof(*info));
}
