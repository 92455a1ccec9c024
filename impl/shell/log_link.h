/* SPDX-License-Identifier: MIT */
/* Where programs look for the log of a machine: in the runtime directory is the log itself, or a link to it. */
#ifndef VPC_LOG_LINK_H
#define VPC_LOG_LINK_H

/*
 * Makes `place` a link to the log, unless that is the log's own path or the log is no regular file; one that is there
 * already goes.  0, or an errno: EEXIST when something else is there, which stays.
 */
int vpc_log_link(const char *place, const char *log);
/* Takes the link away: the log is another one now.  What is no link stays. */
void vpc_log_unlink(const char *place);

#endif
