/* SPDX-License-Identifier: MIT */
/* The guest endpoint: runs inside the virtual machine. */
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
    static const struct vpc_daemon guest = {
        .program = "vpc-guest",
        .direct = &direct,
        .role = VPC_ROLE_GUEST,
        .purpose = "Runs the VPCBus guest endpoint inside a virtual machine.",
        .bus = "/dev/virtio-ports/org.vpcbus.0",
    };

    return vpc_daemon_main(&guest, &vpc_endpoint_abi_v1, argc, argv);
}
