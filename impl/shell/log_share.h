/* SPDX-License-Identifier: MIT */
/* Whose entry of a host's log it is (LOG-12): so that a guest can't push the host's own out of the files. */
#ifndef VPC_LOG_SHARE_H
#define VPC_LOG_SHARE_H

#include <stddef.h>
#include <stdint.h>

enum vpc_log_share {
    VPC_LOG_OWN,    /* the endpoint's, and what local programs cause: as much as they like */
    VPC_LOG_CAUSED, /* the host's words about what a guest can do at will, such as a session's begin */
    VPC_LOG_SAID, /* the guest's words: what came by EVENT */
    VPC_LOG_SHARES
};

/* Of an entry, a JSON object of n octets; what it can't make out is the endpoint's own. */
enum vpc_log_share vpc_log_share_of(const char *text, size_t n);
/* How many of a file's `limit` octets may be of that share. */
uint64_t vpc_log_share_limit(enum vpc_log_share share, uint64_t limit);

#endif
