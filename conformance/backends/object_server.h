/* SPDX-License-Identifier: MIT */
/* The process that holds the shared object: object.c starts it, this is all that it does. */
#ifndef VPC_CONFORM_OBJECT_SERVER_H
#define VPC_CONFORM_OBJECT_SERVER_H

#include "backends/object.h"

/* Loads the object, says so on fd, and answers what is asked there until its other end is closed. */
_Noreturn void vpc_object_serve(const struct vpc_object_config *config, int fd);

#endif
