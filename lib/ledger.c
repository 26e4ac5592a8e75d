// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "ledger.h"

/* In the order of the report. */
static uint64_t ledger_key(const struct ledger_report *row)
{
	return (uint64_t)row->domain << 48 | (uint64_t)row->probe << 32 | (uint64_t)row->cpu << 16 |
	       row->cause;
}

int ledger_add(struct ledger *ledger, const struct loss_row *loss)
{
	struct ledger_report row = {
		.domain = loss->domain,
		.probe = loss->probe,
		.cpu = loss->cpu < ANY_CPU ? loss->cpu : ANY_CPU,
		.cause = loss->cause,
		.first_ns = loss->first_ns,
		.last_ns = loss->last_ns,
	};
	uint32_t index = map_find(&ledger->by_key, ledger_key(&row));
	struct ledger_report *sum;
	int err;

	if (!loss->count)
		return 0;
	if (index == MAP_NONE) {
		err = array_reserve(&ledger->rows, &ledger->room, ledger->count + 1, sizeof(row));
		if (!err)
			err = map_add(&ledger->by_key, ledger_key(&row), ledger->count);
		if (err)
			return err;
		index = ledger->count++;
		ledger->rows[index] = row;
	}
	sum = &ledger->rows[index];
	if (row.first_ns < sum->first_ns)
		sum->first_ns = row.first_ns;
	if (row.last_ns > sum->last_ns)
		sum->last_ns = row.last_ns;
	sum->count = sum->count + loss->count < sum->count ? UINT64_MAX : sum->count + loss->count;
	return 0;
}

static int compare_rows(const void *left, const void *right)
{
	uint64_t a = ledger_key(left), b = ledger_key(right);

	return (a > b) - (a < b);
}

void ledger_take(struct ledger *ledger, struct report *report)
{
	if (ledger->count)
		qsort(ledger->rows, ledger->count, sizeof(*ledger->rows), compare_rows);
	report->ledger = ledger->rows;
	report->nledger = ledger->count;
	map_release(&ledger->by_key);
	*ledger = (struct ledger){0};
}

void ledger_release(struct ledger *ledger)
{
	free(ledger->rows);
	map_release(&ledger->by_key);
	*ledger = (struct ledger){0};
}
