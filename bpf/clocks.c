// SPDX-License-Identifier: GPL-2.0-only
#include "clocks.h"
#include "host.h"

#define VMS_NS 1000000000ull /* some files for each virtual CPU */

static int put_anchor(struct clocks *clocks, struct writer *writer)
{
	struct anchor_row anchor;
	const struct batch batch = {.type = BATCH_ANCHORS, .count = 1, .rows = &anchor};

	host_anchor(clocks->domain, &anchor);
	ptp_read(&clocks->ptp, &anchor);
	return writer_put(writer, &batch);
}

static int put_vms(struct clocks *clocks, struct writer *writer)
{
	struct vms *vms = &clocks->vms;
	uint64_t before_ns = host_now_ns(clocks->domain), after_ns;
	int err = vms_read(vms, VMS_FOLDER);
	struct batch batch = {.type = BATCH_VMS, .count = vms->count, .rows = vms->rows};

	after_ns = host_now_ns(clocks->domain);
	clocks->vms_ns = before_ns;
	for (size_t i = 0; i < vms->count; i++) {
		vms->rows[i].before_ns = before_ns;
		vms->rows[i].after_ns = after_ns;
	}
	return err || !vms->count ? err : writer_put(writer, &batch);
}

void clocks_open(struct clocks *clocks, const struct domain *domain)
{
	*clocks = (struct clocks){.domain = domain};
	ptp_open(&clocks->ptp);
}

int clocks_put(struct clocks *clocks, struct writer *writer, bool all)
{
	int err = put_anchor(clocks, writer);

	if (err || (!all && host_now_ns(clocks->domain) - clocks->vms_ns < VMS_NS))
		return err;
	return put_vms(clocks, writer);
}

void clocks_close(struct clocks *clocks)
{
	ptp_close(&clocks->ptp);
	vms_release(&clocks->vms);
}
