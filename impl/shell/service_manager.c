/* SPDX-License-Identifier: MIT */
#include "service_manager.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

int vpc_service_manager_open(struct vpc_service_manager *manager, const char *path)
{
    *manager = (struct vpc_service_manager){.fd = -1, .address.sun_family = AF_UNIX};
    if (path == NULL || !*path)
        return 0;
    if (*path != '/' && *path != '@')
        return EAFNOSUPPORT;
    if (strlen(path) >= sizeof(manager->address.sun_path))
        return ENAMETOOLONG;
    memcpy(manager->address.sun_path, path, strlen(path));
    if (*path == '@')
        manager->address.sun_path[0] = '\0';
    manager->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return manager->fd < 0 ? errno : 0;
}

void vpc_service_manager_close(struct vpc_service_manager *manager)
{
    if (manager->fd >= 0)
        close(manager->fd);
    manager->fd = -1;
}

int vpc_service_manager_tell(const struct vpc_service_manager *manager, const char *state)
{
    if (manager->fd < 0)
        return 0;
    ssize_t sent = sendto(manager->fd, state, strlen(state), MSG_NOSIGNAL,
                          (const struct sockaddr *)&manager->address, manager->address_size);
    return sent < 0 ? errno : 0;
}
