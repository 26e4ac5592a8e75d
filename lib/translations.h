/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * translations.h - which flow a packet was of before hosts on its way changed addresses or ports.
 *
 * A translation of a flow is in force from its time on, until the next one of the same flow: ports are
 * used again. Across clocks it begins as much earlier as these may differ, so that no packet comes out
 * of a translation before it went in; for the same reason the first one of a flow begins
 * TRANSLATION_LEAD_NS earlier. A trace has it before all events of that time (man/vnettrace.5).
 */
#ifndef VNT_TRANSLATIONS_H
#define VNT_TRANSLATIONS_H

#include "flows.h"
#include "map.h"
#include "report.h"

struct translation {
	uint64_t time_ns;
	uint64_t before; /* hash of the flow */
	uint16_t probe;
	uint32_t older; /* of the same flow, or MAP_NONE */
};

struct translated_flow {
	uint64_t hash;
	uint32_t newest;
};

/* All zero holds none. */
struct translations {
	struct translation *rows;
	size_t count;
	size_t room;
	struct translated_flow *flows;
	size_t nflows;
	size_t flows_room;
	struct map by_hash; /* -> flows */
};

/*
 * Probes are those of `info`. What would make a flow one of its own is left out: where a later host
 * undoes what an earlier one did, the flow is the first one again. 0 or -ENOMEM.
 */
int translations_add(struct translations *translations, const struct trace_info *info,
		     const struct translation_row *row);

/* The flow, as its sender made it, of a packet that was of this flow at that time and probe. */
uint64_t translations_origin(const struct translations *translations, const struct trace_info *info,
			     uint64_t flow, uint64_t time_ns, uint16_t probe);

/* Fills in what each of the report's flows was translated to, as far as `flows` has its name. 0 or
 * -ENOMEM. */
int translations_report(const struct translations *translations, const struct trace_info *info,
			const struct flows *flows, struct report *report);
void translations_release(struct translations *translations);

#endif
