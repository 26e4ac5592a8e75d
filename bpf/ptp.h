/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ptp.h - what a PTP clock says: that of the host, which KVM shows to a guest, else of a network card.
 *
 * PTP_SYS_OFFSET_PRECISE compares it with CLOCK_REALTIME in one instant; where the device cannot,
 * PTP_SYS_OFFSET_EXTENDED reads it between two readings of that, some times over.
 */
#ifndef VNT_PTP_H
#define VNT_PTP_H

#include "lib/trace.h"

struct ptp {
	int fd;          /* below 0: there is no such clock, or it cannot be read */
	uint64_t device; /* as in struct anchor_row */
};

void ptp_open(struct ptp *ptp);

/* Fills what an anchor says of the clock, with 0 if there is none. */
void ptp_read(const struct ptp *ptp, struct anchor_row *anchor);
void ptp_close(struct ptp *ptp);

#endif
