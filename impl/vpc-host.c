/* SPDX-License-Identifier: MIT */
/* The host endpoint of one virtual machine. */
#include "core/direct.h"
#include "shell/daemon.h"
#include "shell/shell.h"

int main(int argc, char **argv)
{
    static const struct vpc_shell_direct direct = {
        .space = vpc_endpoint_stream_space,
        .filled = vpc_endpoint_stream_filled,
        .pieces = vpc_endpoint_stream_pieces,
    };
    static const struct vpc_daemon host = {
        .program = "vpc-host",
        .direct = &direct,
        .machine = vpc_endpoint_machine_v1,
        .role = VPC_ROLE_HOST,
        .purpose = "Runs the VPCBus host endpoint of one virtual machine.",
    };

    return vpc_daemon_main(&host, &vpc_endpoint_abi_v1, argc, argv);
}
