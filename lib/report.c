// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "report.h"

void report_release(struct report *report)
{
	for (size_t i = 0; i < report->npaths; i++) {
		free(report->paths[i].probes);
		free(report->paths[i].hops);
	}
	for (size_t i = 0; i < report->nflows; i++)
		free(report->flows[i].translated);
	free(report->domains);
	free(report->ranges);
	free(report->probes);
	free(report->paths);
	free(report->losses);
	free(report->flows);
	free(report->cpus);
	free(report->ledger);
	free(report->tunnels);
	free(report->programs);
	*report = (struct report){0};
}
