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
	[LOSS_UNREAD] = "out of reach",
};

static const char *const cost_programs[PROGRAMS] = {
	[PROGRAM_ALL] = "all",
	[PROGRAM_DEV_RX] = "dev:rx",
	[PROGRAM_DEV_TX] = "dev:tx",
};

static const char *const tunnel_kinds[VNT_TUNNEL_KINDS] = {
	[VNT_TUNNEL_NONE] = "other", [VNT_TUNNEL_VXLAN] = "vxlan", [VNT_TUNNEL_GENEVE] = "geneve",
	[VNT_TUNNEL_GRE] = "gre",    [VNT_TUNNEL_IP] = "ip",       [VNT_TUNNEL_VLAN] = "vlan",
	[VNT_TUNNEL_MPLS] = "mpls",
};

const char *tunnel_kind_name(unsigned int kind)
{
	return tunnel_kinds[kind < VNT_TUNNEL_KINDS ? kind : VNT_TUNNEL_NONE];
}

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

uint64_t trace_flow_mask(const struct trace_info *info)
{
	return info->ndomains && info->domains[0].id == VNT_ID_PAYLOAD ? 0 : UINT64_MAX;
}
