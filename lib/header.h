/* SPDX-License-Identifier: GPL-2.0-only */
/* header.h - the payload of the HEADER block: domains, probes and the field table. */
#ifndef VNT_HEADER_H
#define VNT_HEADER_H

#include "trace.h"

/* To a new buffer that the caller frees. 0, -ENOMEM, or -EINVAL if the tables are not usable: no
 * domain, too many rows, or a probe of a domain that is not there. */
int header_encode(const struct trace_info *info, uint8_t **payload, size_t *size);

/* To new tables; 0, -ENOMEM or -EBADMSG. Records with unknown keys are skipped. */
int header_decode(const uint8_t *payload, size_t size, struct trace_info *info);

#endif
