/* SPDX-License-Identifier: MIT */
/*
 * AF_VSOCK as the bus: sockets between a machine and its host, that no network carries.
 *
 * The machine at the other end is known by its number, the CID, which the kernel vouches for.  Who runs the program there is
 * that machine's own affair.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "shell_internal.h"

enum {
    BACKLOG = 1,
};

static struct sockaddr_vm address_of(uint32_t cid, uint32_t port)
{
    return (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
}

static int new_socket(int *fd)
{
    *fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *fd < 0 ? errno : 0;
}

static int give_up(int *fd)
{
    int error = errno;

    close(*fd);
    *fd = -1;
    return error;
}

int vpc_vsock_connect(const struct vpc_bus_address *address, int *fd)
{
    struct sockaddr_vm to = address_of(address->cid, address->port);
    int error = new_socket(fd);

    if (error || connect(*fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        return error;
    return errno == EINPROGRESS ? EINPROGRESS : give_up(fd);
}

int vpc_vsock_listen(const struct vpc_bus_address *address, int *fd)
{
    struct sockaddr_vm at = address_of(VMADDR_CID_ANY, address->port);
    int error = new_socket(fd);

    if (error ||
        (bind(*fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(*fd, BACKLOG) == 0))
        return error;
    return give_up(fd);
}

bool vpc_vsock_is_welcome(const struct vpc_bus_address *address, int fd, uint32_t *cid)
{
    struct sockaddr_vm peer;
    socklen_t size = sizeof(peer);

    *cid = VPC_CID_ANY;
    if (address->cid == VPC_CID_ANY)
        return true;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0)
        return false;
    *cid = peer.svm_cid;
    return peer.svm_cid == address->cid;
}
