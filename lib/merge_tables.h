/* SPDX-License-Identifier: GPL-2.0-only */
/* merge_tables.h - one table of domains and probes out of those of all inputs. */
#ifndef VNT_MERGE_TABLES_H
#define VNT_MERGE_TABLES_H

#include "clock_table.h"
#include "merge_input.h"

/* What clocks are known better at some times than at others. */
struct clock_rows {
	struct range_row *rows;
	size_t count;
	size_t room;
};

/* Are all packets named in the same way? 0, or -EINVAL with one line in `reason`. */
int merge_check_ids(const struct merge_input *inputs, size_t count, char *reason);

/*
 * Fills *info and *ranges, and in each input the mappings and the timeline; by `clocks` where that has a row.
 * Domains are one if name, boot ID and time namespace offsets agree and the boot ID is known; probes of different recordings are always
 * different. What would have the name of another one is called NAME~2, NAME~3, and so on. -EEXIST: a
 * recording is in two inputs, as only files of one trace are joined; -EOVERFLOW: more probes or domains
 * than numbers; -ENOMEM; with one line in `reason`.
 */
int merge_join_tables(struct trace_info *info, struct clock_rows *ranges,
		      struct merge_input *inputs, size_t count, bool align_clocks,
		      const struct clock_table *clocks, log_fn log, void *log_context,
		      char *reason);

#endif
