/* SPDX-License-Identifier: MIT */
/* The QEMU backend with a host endpoint as the subject: qemu_host.c. */
#ifndef VPC_CONFORM_QEMU_HOST_H
#define VPC_CONFORM_QEMU_HOST_H

#include "backend.h"

struct vpc_backend *vpc_qemu_host_create(const struct vpc_backend_config *config, char **error);

#endif
