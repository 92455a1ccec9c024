/* SPDX-License-Identifier: MIT */
/* Sets of TCP ports: the option allow_ports (VPCBUS.md, section 10).  The conventions are those of vpc.h. */
#ifndef VPC_PORT_LIST_H
#define VPC_PORT_LIST_H

#include <stdbool.h>
#include <stdint.h>

struct vpc_ports {
    uint8_t bits[8192]; /* one for each port */
};

/* Reads a list as in spec/names.rl ("80,6000-6999"); false when it is none, and *ports is of no use then. */
bool vpc_ports_parse(struct vpc_ports *ports, const char *text);
bool vpc_ports_have(const struct vpc_ports *ports, unsigned port);

#endif
