/* SPDX-License-Identifier: MIT */
/* The guest endpoint: runs inside the virtual machine. */
#include "shell/daemon.h"

/* The symbol has its type's name, so C needs another name for it here. */
extern const vpc_endpoint_abi reference __asm__(VPC_ENDPOINT_ABI_SYMBOL);

int main(int argc, char **argv)
{
    static const vpc_daemon guest = {
        .program = "vpc-guest",
        .role = VPC_ROLE_GUEST,
        .purpose = "Runs the VPCBus guest endpoint inside a virtual machine.",
        .bus = "/dev/virtio-ports/org.vpcbus.0",
    };
    return vpc_daemon_main(&guest, &reference, argc, argv);
}
