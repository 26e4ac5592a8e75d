// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cbpf.h"
#include "filter.h"

static int translate(struct filter *filter, const struct bpf_program *program, char *reason)
{
	struct cbpf_insn *code = calloc(program->bf_len, sizeof(*code));
	int err;

	if (!code)
		return -ENOMEM;
	for (unsigned int i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *insn = &program->bf_insns[i];

		code[i] = (struct cbpf_insn){insn->code, insn->jt, insn->jf, insn->k};
	}
	err = cbpf_translate(filter, code, program->bf_len, reason);
	free(code);
	return err;
}

int filter_compile(struct filter *filter, const char *expression, char *reason)
{
	struct bpf_program program;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	int err;

	memset(filter, 0, sizeof(*filter));
	snprintf(reason, FILTER_REASON_MAX, "%s", strerror(ENOMEM));
	if (!pcap)
		return -ENOMEM;
	if (pcap_compile(pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(reason, FILTER_REASON_MAX, "%s", pcap_geterr(pcap));
		pcap_close(pcap);
		return -EINVAL;
	}
	err = translate(filter, &program, reason);
	pcap_freecode(&program);
	pcap_close(pcap);
	return err;
}

void filter_release(struct filter *filter)
{
	free(filter->insns);
	memset(filter, 0, sizeof(*filter));
}
