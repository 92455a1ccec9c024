#include "backend.h"
const struct vpc_backend_ops vpc_backend_socket = {.name = "socket", .bit = VPC_SOCKET, .real_time = true};
