/* SPDX-License-Identifier: MIT */
/*
 * Where groups are made: a group that holds processes can give its children no bounds (but for the first of all), so it is not
 * our own group, but the nearest above it that bounds its children and lets us move a process down.  Who may not write there is
 * refused by the kernel; nothing is guessed, it is tried.
 */
#include "backends/group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

#define END_TRIES 200 /* of 5 ms: until what was killed is gone */

/* ---- files of a group ------------------------------------------------------------------------------------------------ */

/* What the file says, up to a limit, the caller's; NULL. */
static char *read_of(const char *group, const char *name)
{
    char *path = vpc_format("%s/%s", group, name), text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    if (fd >= 0)
        close(fd);
    free(path);
    return n < 0 ? NULL : vpc_copy_n(text, (size_t)n);
}

static bool write_to(const char *group, const char *name, const char *text)
{
    char *path = vpc_format("%s/%s", group, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    free(path);
    return good;
}

static bool has_word(const char *text, const char *word)
{
    size_t size = strlen(word), n;

    for (; text && *text; text += n + strspn(text + n, " \n")) {
        n = strcspn(text, " \n");
        if (n == size && strncmp(text, word, n) == 0)
            return true;
    }
    return false;
}

/* ---- where groups are ---------------------------------------------------------------------------------------------------- */

/* Where version 2 is mounted: its line is ID PARENT DEV ROOT POINT OPTIONS... - cgroup2 ...; the caller's, or NULL. */
static char *mount_point(void)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, *found = NULL, point[4096];
    size_t room = 0;

    while (mounts && found == NULL && getline(&line, &room, mounts) >= 0)
        if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1)
            found = vpc_copy(point);
    if (mounts)
        fclose(mounts);
    free(line);
    return found;
}

/* The group of this process below the mount point: "/..."; the caller's, or NULL. */
static char *own_group(void)
{
    char *text = read_of("/proc/self", "cgroup"), *own = NULL;

    for (char *line = text ? strtok(text, "\n") : NULL; line && !own; line = strtok(NULL, "\n"))
        if (strncmp(line, "0::/", 4) == 0)
            own = vpc_copy(line + 3);
    free(text);
    return own;
}

static bool bounds_children(const char *group)
{
    char *given = read_of(group, "cgroup.subtree_control");
    bool bounds = has_word(given, "memory") && has_word(given, "pids");

    free(given);
    return bounds;
}

/* A process of ours can be there. */
static bool can_enter(const char *group)
{
    struct conform_group probe;
    int status = -1;
    pid_t pid;

    conform_group_begin(&probe, group);
    pid = probe.path ? fork() : -1;
    if (pid == 0)
        _exit(conform_group_enter(probe.procs));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    conform_group_end(&probe);
    return status == 0;
}

/* A folder of groups in that group, or NULL. */
static char *groups_in(const char *group)
{
    char *path;

    if (!bounds_children(group) &&
        (!write_to(group, "cgroup.subtree_control", "+memory +pids") || !bounds_children(group)))
        return NULL;
    path = vpc_format("%s/vpc-conform-%d", group, (int)getpid());
    if (mkdir(path, 0755) == 0 && write_to(path, "cgroup.subtree_control", "+memory +pids") &&
        can_enter(path))
        return path;
    rmdir(path);
    free(path);
    return NULL;
}

char *conform_groups_begin(void)
{
    char *mount = mount_point(), *own = own_group(), *groups = NULL, *slash;

    while (mount && own && groups == NULL) {
        char *group = vpc_format("%s%s", mount, strcmp(own, "/") == 0 ? "" : own);

        groups = groups_in(group);
        free(group);
        slash = strrchr(own, '/');
        if (slash == NULL || own[1] == '\0')
            break;
        slash[slash == own] = '\0'; /* the one above it */
    }
    free(mount);
    free(own);
    return groups;
}

void conform_groups_end(char *groups)
{
    if (groups && rmdir(groups) != 0)
        fprintf(stderr, "vpc-conform: %s: the control group can not be removed: %s\n", groups,
                strerror(errno));
    free(groups);
}

/* ---- a run's --------------------------------------------------------------------------------------------------------------- */

/* Swap may not be counted here: then it is not bounded either. */
static bool bound(const char *group)
{
    char *memory = vpc_format("%llu", VPC_GROUP_MEMORY);
    char *processes = vpc_format("%d", VPC_GROUP_PROCESSES);
    bool good = write_to(group, "memory.max", memory) && write_to(group, "pids.max", processes);

    if (!write_to(group, "memory.swap.max", "0") && errno != ENOENT)
        good = false;
    free(memory);
    free(processes);
    return good;
}

void conform_group_begin(struct conform_group *group, const char *groups)
{
    char *procs;

    *group = (struct conform_group){0};
    if (groups == NULL)
        return;
    group->path = vpc_format("%s/run-XXXXXX", groups);
    if (mkdtemp(group->path) == NULL) {
        free(group->path);
        group->path = NULL;
        return;
    }
    procs = vpc_format("%s/cgroup.procs", group->path);
    group->procs = bound(group->path) ? open(procs, O_WRONLY | O_CLOEXEC) : -1;
    free(procs);
    if (group->procs < 0) {
        group->procs = 0;
        conform_group_end(group);
    }
}

int conform_group_enter(int procs)
{
    return write(procs, "0", 1) == 1 ? 0 : errno;
}

/* A kernel without cgroup.kill (5.14) has what was left there killed by the run's own end. */
void conform_group_end(struct conform_group *group)
{
    const struct timespec pause = {0, 5000000};

    if (group->path == NULL)
        return;
    if (group->procs > 0)
        close(group->procs);
    for (int i = 0; i < END_TRIES && rmdir(group->path) != 0 && errno == EBUSY; i++) {
        write_to(group->path, "cgroup.kill", "1");
        nanosleep(&pause, NULL);
    }
    free(group->path);
    *group = (struct conform_group){0};
}

bool conform_group_was_full(const struct conform_group *group)
{
    char *events = group->path ? read_of(group->path, "memory.events") : NULL;
    const char *kills = events ? strstr(events, "oom_kill ") : NULL;
    bool full = kills && atoi(kills + strlen("oom_kill ")) > 0;

    free(events);
    return full;
}
