/* SPDX-License-Identifier: MIT */
/* The host endpoint of one virtual machine. */
#include "shell/daemon.h"

/* The symbol has its type's name, so C needs another name for it here. */
extern const vpc_endpoint_abi reference __asm__(VPC_ENDPOINT_ABI_SYMBOL);

int main(int argc, char **argv)
{
    static const vpc_daemon host = {
        .program = "vpc-host",
        .role = VPC_ROLE_HOST,
        .purpose = "Runs the VPCBus host endpoint of one virtual machine.",
    };
    return vpc_daemon_main(&host, &reference, argc, argv);
}
