/* SPDX-License-Identifier: GPL-2.0-only */
/* crc32c.h - CRC-32C (Castagnoli), as in RFC 3720, appendix B.4. */
#ifndef VNT_CRC32C_H
#define VNT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Uses the processor's instruction where it has one. */
uint32_t crc32c(const void *bytes, size_t size);

/* The same without it. */
uint32_t crc32c_portable(const void *bytes, size_t size);

#endif
