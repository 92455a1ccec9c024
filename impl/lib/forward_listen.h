/* SPDX-License-Identifier: MIT */
/* Where a forward listens (VPCBUS.md, section 8, "Forwards").  The conventions are those of vpc.h. */
#ifndef VPC_FORWARD_LISTEN_H
#define VPC_FORWARD_LISTEN_H

enum vpc_listen_kind {
    VPC_LISTEN_WRONG,
    VPC_LISTEN_NAME, /* of a Unix socket, whose place is the endpoint's own affair */
    VPC_LISTEN_PATH, /* of a Unix socket */
    VPC_LISTEN_IPV4, /* a port of 127.0.0.1 */
    VPC_LISTEN_IPV6, /* a port of ::1 */
};

/* What the text is, as in spec/names.rl; *port is that of the last two kinds, 0: any that is free. */
enum vpc_listen_kind vpc_forward_listen(const char *text, unsigned *port);

#endif
