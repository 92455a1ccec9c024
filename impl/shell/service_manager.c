/* SPDX-License-Identifier: MIT */
#include "service_manager.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "opener.h"

static int dial(struct vpc_service_manager *manager)
{
    return vpc_opener_wish(manager->asked, VPC_WISH_MANAGER, &manager->fd);
}

int vpc_service_manager_open(struct vpc_service_manager *manager, const struct vpc_opener *asked,
                             const char *path)
{
    *manager = (struct vpc_service_manager){.fd = -1};
    if (path == NULL || !*path)
        return 0;
    manager->asked = asked;
    int error = dial(manager);
    return error == ENAMETOOLONG || error == EAFNOSUPPORT ? error : 0;
}

void vpc_service_manager_close(struct vpc_service_manager *manager)
{
    if (manager->fd >= 0)
        close(manager->fd);
    manager->fd = -1;
}

int vpc_service_manager_tell(struct vpc_service_manager *manager, const char *state)
{
    if (manager->asked == NULL)
        return 0;
    int error = manager->fd < 0 ? dial(manager) : 0;
    if (error)
        return error;
    if (send(manager->fd, state, strlen(state), MSG_NOSIGNAL) >= 0)
        return 0;
    error = errno;
    vpc_service_manager_close(manager); /* it may be another the next time */
    return error;
}
