// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/spec.h"

struct row {
	const char *text;
	int err;
	enum spec_kind kind;
	const char *netns;
	const char *device;
	bool rx;
	bool tx;
};

static void check(const struct row *row, int (*parse)(struct spec *, const char *, char *))
{
	char reason[SPEC_REASON_MAX] = "";
	struct spec spec;
	int err = parse(&spec, row->text, reason);

	cr_assert_eq(err, row->err, "'%s': %d", row->text, err);
	if (err) {
		cr_assert(strlen(reason) > 0 && !strchr(reason, '\n'), "'%s': '%s'", row->text,
			  reason);
		return;
	}
	cr_assert_eq(spec.kind, row->kind, "'%s'", row->text);
	cr_assert_str_eq(spec.netns, row->netns);
	cr_assert_str_eq(spec.device, row->device);
	cr_assert(spec.rx == row->rx && spec.tx == row->tx, "'%s'", row->text);
}

Test(spec, probes)
{
	static const struct row rows[] = {
		{"dev:eth0", 0, SPEC_DEVICE, "", "eth0", true, true},
		{"dev:eth0:rx", 0, SPEC_DEVICE, "", "eth0", true, false},
		{"dev:eth0:tx", 0, SPEC_DEVICE, "", "eth0", false, true},
		{"dev:h1/eth0:tx", 0, SPEC_DEVICE, "h1", "eth0", false, true},
		{"dev:pid=42/eth0", 0, SPEC_DEVICE, "pid=42", "eth0", true, true},
		{"port-of:ovs-br1", 0, SPEC_PORTS, "", "ovs-br1", true, true},
		{"port-of:sw/br0:rx", 0, SPEC_PORTS, "sw", "br0", true, false},
		{"dev:exactly-15-char", 0, SPEC_DEVICE, "", "exactly-15-char", true, true},
		{"dev:", -EINVAL},
		{"dev:/eth0", -EINVAL},
		{"dev:h1/", -EINVAL},
		{"dev:h1/:rx", -EINVAL},
		{"dev:eth0:", -EINVAL},
		{"dev:eth0:up", -EINVAL},
		{"dev:eth0:rx:tx", -EINVAL},
		{"dev:sixteen-chars-xx", -EINVAL},
		{"device:eth0", -EINVAL},
		{"eth0", -EINVAL},
		{"", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], spec_parse_probe);
}

Test(spec, interfaces)
{
	static const struct row rows[] = {
		{"eth0", 0, SPEC_INTERFACE, "", "eth0", true, true},
		{"eth0:rx", 0, SPEC_INTERFACE, "", "eth0", true, false},
		{"h1/eth0", 0, SPEC_INTERFACE, "h1", "eth0", true, true},
		{"", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], spec_parse_interface);
}
