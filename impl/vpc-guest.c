/* SPDX-License-Identifier: MIT */
/* The guest endpoint: runs inside the virtual machine. */
#include "shell/daemon.h"

int main(int argc, char **argv)
{
    static const struct vpc_daemon guest = {
        .program = "vpc-guest",
        .role = VPC_ROLE_GUEST,
        .purpose = "Runs the VPCBus guest endpoint inside a virtual machine.",
        .bus = "/dev/virtio-ports/org.vpcbus.0",
    };

    return vpc_daemon_main(&guest, &vpc_endpoint_abi_v1, argc, argv);
}
