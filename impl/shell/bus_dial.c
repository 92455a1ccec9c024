/* SPDX-License-Identifier: MIT */
#include "bus_dial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "local_socket.h"
#include "shell_internal.h"

#define PORT_LINKS "/dev/virtio-ports/"
#define PORT_CLASS "/sys/class/virtio-ports"

enum {
    /* Of octets that QEMU has not read yet: what one channel filled this with lies before every other's.  With half of it the
     * kernel cuts a frame of 64 KiB in two, and a stream takes half as many system calls more. */
    SEND_BUFFER = 65536,
    PORT_NAME_SIZE = 128,
};

/* For people only: who can not have the name goes without. */
static void call(int fd, const char *label)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t n = label != NULL ? strlen(label) : 0;

    if (n == 0 || n >= sizeof(name.sun_path))
        return;
    memcpy(name.sun_path + 1, label, n);
    (void)bind(fd, (const struct sockaddr *)&name,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n));
}

static int dial_unix(const char *path, const char *label, int *fd)
{
    struct vpc_address address;
    int error = vpc_address_open(&address, path);

    if (error)
        return error;
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made >= 0)
        call(made, label);
    if (made < 0 || connect(made, (struct sockaddr *)&address.un, sizeof(address.un)) != 0 ||
        setsockopt(made, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int)) != 0)
        error = errno;
    vpc_address_close(&address);
    if (error && made >= 0)
        close(made);
    else if (!error)
        *fd = made;
    return error;
}

/* ENODEV: it is no device. */
static int open_device(const char *path, int flags, int *fd)
{
    struct stat st;

    *fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | flags);
    if (*fd < 0)
        return errno;
    if (fstat(*fd, &st) == 0 && S_ISCHR(st.st_mode))
        return 0;
    close(*fd);
    *fd = -1;
    return ENODEV;
}

/* What the class says of the port that the kernel calls `device`, without its newline; "": nothing. */
static void read_attribute(const char *device, const char *attribute, char line[PORT_NAME_SIZE])
{
    char path[sizeof(PORT_CLASS) + NAME_MAX + 8];

    line[0] = '\0';
    snprintf(path, sizeof(path), PORT_CLASS "/%s/%s", device, attribute);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(line, PORT_NAME_SIZE, file) == NULL)
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
}

/* The device of the class, and not what somebody laid where it should be. */
static int open_port(const char *device, int *fd)
{
    char path[sizeof("/dev/") + NAME_MAX], want[PORT_NAME_SIZE], is[PORT_NAME_SIZE] = "";
    struct stat st;

    snprintf(path, sizeof(path), "/dev/%s", device);
    int error = open_device(path, O_NOFOLLOW, fd);
    if (error)
        return error;
    read_attribute(device, "dev", want);
    if (fstat(*fd, &st) == 0)
        snprintf(is, sizeof(is), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (*want && strcmp(want, is) == 0)
        return 0;
    close(*fd);
    *fd = -1;
    return ENODEV;
}

static int open_named(const char *name, int *fd)
{
    char is[PORT_NAME_SIZE];
    int error = ENOENT;
    DIR *class = opendir(PORT_CLASS);

    for (struct dirent *entry; class != NULL && error == ENOENT && (entry = readdir(class));) {
        if (entry->d_name[0] == '.')
            continue;
        read_attribute(entry->d_name, "name", is);
        if (strcmp(is, name) == 0)
            error = open_port(entry->d_name, fd);
    }
    if (class != NULL)
        closedir(class);
    return error;
}

/* A link may be missing, or, where nobody removes it, lead to a device that is no longer there. */
static int dial_port(const char *path, int *fd)
{
    const size_t links = sizeof(PORT_LINKS) - 1;
    int error = open_device(path, 0, fd);

    if (!error && vpc_port_is_gone(*fd)) {
        close(*fd);
        *fd = -1;
        error = ENODEV;
    }
    if ((error == ENOENT || error == ENXIO || error == ENODEV) &&
        strncmp(path, PORT_LINKS, links) == 0)
        error = open_named(path + links, fd);
    return error;
}

bool vpc_port_is_gone(int fd)
{
    return read(fd, NULL, 0) < 0 && errno == ENODEV;
}

int vpc_bus_dial(const struct vpc_bus_address *address, int *fd)
{
    *fd = -1;
    switch (address->kind) {
    case VPC_BUS_CONNECT:
        return dial_unix(address->path, address->label, fd);
    case VPC_BUS_PORT:
        return dial_port(address->path, fd);
    case VPC_BUS_VSOCK:
        return vpc_vsock_connect(address, fd);
    case VPC_BUS_LISTEN:
    case VPC_BUS_VSOCK_LISTEN:
        break;
    }
    return EINVAL;
}
