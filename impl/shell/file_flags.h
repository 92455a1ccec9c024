/* SPDX-License-Identifier: MIT */
/* How the files are opened that SIGHUP opens again. */
#ifndef VPC_FILE_FLAGS_H
#define VPC_FILE_FLAGS_H

#include <fcntl.h>

#define VPC_LOG_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY)
/* To count what is in it. */
#define VPC_LOG_READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define VPC_TRACE_FLAGS    (O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define VPC_CONFIG_FLAGS   (O_RDONLY | O_CLOEXEC | O_NOCTTY)

#endif
