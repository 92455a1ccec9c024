/* SPDX-License-Identifier: MIT */
/* Parts of the monitor that its two files share. */
#ifndef VPC_CONFORM_MONITOR_CHANNEL_H
#define VPC_CONFORM_MONITOR_CHANNEL_H

#include "testers/monitor.h"

/* Notes a breach, if it is the first. */
void vpc_monitor_breach(struct vpc_monitor *monitor, const char *requirement, const char *format,
                        ...) __attribute__((format(printf, 3, 4)));

/* A message of a channel: the tester's, which the subject may read at any later time; the subject's. */
void vpc_monitor_channel_sent(struct vpc_monitor *monitor, const struct conform_frame *frame);
void vpc_monitor_channel_frame(struct vpc_monitor *monitor, const struct conform_frame *frame);
void vpc_monitor_forget_channels(struct vpc_monitor *monitor);

#endif
