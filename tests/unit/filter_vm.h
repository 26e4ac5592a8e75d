/* SPDX-License-Identifier: GPL-2.0-only */
/* filter_vm.h - runs a translated filter as strictly as the kernel's verifier would have it. */
#ifndef VNT_TESTS_FILTER_VM_H
#define VNT_TESTS_FILTER_VM_H

#include "lib/filter.h"
#include "lib/packet.h"

/*
 * r0 at the exit; -1, and why in *fault, for an access out of bounds or out of alignment, for reading
 * what was not written, or for an instruction that the translator should not emit.
 */
int vm_run(const struct filter *filter, const struct vnt_view *view, const char **fault);

/* NULL if every instruction can be reached, jumps lead forward to one that is there, and nothing runs
 * off the end; else why not. */
const char *vm_check(const struct filter *filter);

/* Small programs of one fault each: NULL, or the one that the two above did not notice. */
const char *vm_unnoticed(void);

/* Loads the filter into the kernel as the subprogram of a caller that has a view on its stack. 0;
 * -EPERM where that is not allowed; another -errno, with the verifier's last line in `log`. */
int vm_load(const struct filter *filter, char *log, size_t size);

#endif
