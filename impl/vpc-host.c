/* SPDX-License-Identifier: MIT */
/* The host endpoint of one virtual machine. */
#include "shell/daemon.h"

int main(int argc, char **argv)
{
    static const struct vpc_daemon host = {
        .program = "vpc-host",
        .role = VPC_ROLE_HOST,
        .purpose = "Runs the VPCBus host endpoint of one virtual machine.",
    };

    return vpc_daemon_main(&host, &vpc_endpoint_abi_v1, argc, argv);
}
