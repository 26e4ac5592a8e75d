// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

const char *const loss_cause_names[LOSS_CAUSES] = {
	[LOSS_OTHER] = "other",
	[LOSS_RING_FULL] = "ring full",
	[LOSS_WRITE_ERROR] = "write error",
	[LOSS_DAMAGED_FILE] = "damaged file",
};

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

int trace_info_copy(struct trace_info *to, const struct trace_info *from)
{
	int err = 0;

	memset(to, 0, sizeof(*to));
	for (size_t i = 0; i < from->ndomains && err >= 0; i++)
		err = trace_info_add_domain(to, &from->domains[i]);
	for (size_t i = 0; i < from->nprobes && err >= 0; i++)
		err = trace_info_add_probe(to, &from->probes[i]);
	if (err < 0)
		trace_info_release(to);
	return err < 0 ? err : 0;
}

void trace_info_release(struct trace_info *info)
{
	free(info->domains);
	free(info->probes);
	memset(info, 0, sizeof(*info));
}
