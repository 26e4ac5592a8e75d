/* SPDX-License-Identifier: GPL-2.0-only */
/* commands.h - the subcommands: one row in main.c, one file each. */
#ifndef VNT_COMMANDS_H
#define VNT_COMMANDS_H

#include "options.h"

extern const struct command command_record;
extern const struct command command_merge;
extern const struct command command_report;

#endif
