// SPDX-License-Identifier: GPL-2.0-only
#include "budget.h"

#define AIM         0.85 /* of the limit: what comes next is not known */
#define ROOM        0.6  /* of the limit: below it the rate may rise */
#define QUIET_LOOKS 5
#define RISE_MAX    2.0

void budget_start(struct budget *budget, double limit, uint32_t ceiling, uint64_t now_ns)
{
	*budget = (struct budget){
		.limit = limit, .ceiling = ceiling, .threshold = ceiling, .time_ns = now_ns};
}

static uint32_t scale(const struct budget *budget, double factor)
{
	double threshold = budget->threshold * factor;

	if (threshold <= BUDGET_FLOOR)
		return budget->ceiling < BUDGET_FLOOR ? budget->ceiling : BUDGET_FLOOR;
	return threshold < budget->ceiling ? (uint32_t)threshold : budget->ceiling;
}

uint32_t budget_look(struct budget *budget, uint64_t now_ns, uint64_t run_ns)
{
	double share, aim = AIM * budget->limit;

	if (budget->limit <= 0 || now_ns <= budget->time_ns)
		return budget->threshold;
	share = (double)(run_ns - budget->run_ns) / (double)(now_ns - budget->time_ns);
	budget->time_ns = now_ns;
	budget->run_ns = run_ns;

	if (share > ROOM * budget->limit)
		budget->quiet = 0;
	else
		budget->quiet++;
	if (share > budget->limit) {
		uint32_t lower = scale(budget, aim / share);

		budget->exhausted |= lower == budget->threshold;
		budget->threshold = lower;
	} else if (budget->quiet >= QUIET_LOOKS) {
		double rise = share > 0 ? aim / share : RISE_MAX;

		budget->quiet = 0;
		budget->threshold = scale(budget, rise < RISE_MAX ? rise : RISE_MAX);
	}
	return budget->threshold;
}
