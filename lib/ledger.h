/* SPDX-License-Identifier: GPL-2.0-only */
/* ledger.h - the loss ledger, summed up: one row for each domain, probe, CPU and cause. */
#ifndef VNT_LEDGER_H
#define VNT_LEDGER_H

#include "map.h"
#include "report.h"

/* All zero is an empty ledger. */
struct ledger {
	struct ledger_report *rows;
	size_t count;
	size_t room;
	struct map by_key;
};

int ledger_add(struct ledger *ledger, const struct loss_row *row); /* 0 or -ENOMEM */

/* Hands over the rows: by domain, probe, CPU and cause, those of any probe or CPU last. */
void ledger_take(struct ledger *ledger, struct report *report);
void ledger_release(struct ledger *ledger);

#endif
