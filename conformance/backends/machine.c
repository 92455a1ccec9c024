/* SPDX-License-Identifier: MIT */
#include "backends/machine.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/folder.h"
#include "memory.h"

#define MIB (1u << 20)

/*
 * What must be there before any run.  Measured with the reference, each run by itself, every 3 ms in /proc and on a disk of its
 * own: a usual run took 33 descriptors of a process, 28 inodes, 3 processes, 0.2 MiB of room, 3 MiB of memory and 9 of
 * addresses.  The few that move megabytes took 73 descriptors, 16 MiB of room, 130 of memory and 330 of addresses, in-process
 * most.  With a virtual machine it was 83 descriptors, 4 processes, 96 MiB of room where the machine is saved, 314 of memory
 * and 2385 of addresses.  There is enough for all runs to be usual at once, with memory for one that is not; whoever lacks
 * more is seen when he does (vpc_machine_excuse(), witness.h).
 */
enum {
    RUN_DESCRIPTORS = 256,
    RUN_DESCRIPTORS_INPROC = 32,
    RUN_INODES = 64,
    RUN_PROCESSES = 16,
    RUN_MIB = 8, /* of room */
    RUN_MIB_MACHINE = 128,
    MEMORY_MIB = 192, /* of the harness and the largest run, and then of each run: */
    MEMORY_MIB_RUN = 32,
    MEMORY_MIB_MACHINE = 384,
    ADDRESSES_MIB = 512, /* of one process */
    ADDRESSES_MIB_MACHINE = 4096,
    RUNS_PER_PROCESSOR = 16, /* that wait for the most part, in real time */
};

/* Below this the machine is short. */
enum {
    SHORT_OF_ROOM = 256 << 10,
    SHORT_OF_INODES = 4,
    SHORT_OF_DESCRIPTORS = 16,
    SHORT_OF_MEMORY_MIB = 16,
};

bool vpc_machine_is_short(int error)
{
    static const int short_of[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC, EDQUOT, EIO, EROFS};

    for (size_t i = 0; i < sizeof(short_of) / sizeof(short_of[0]); i++)
        if (short_of[i] == error)
            return true;
    return false;
}

char *vpc_machine_words(const char *what, int error)
{
    const char *remedy = "";

    if (error == EMFILE)
        remedy = ": raise \"ulimit -n\"";
    else if (error == ENFILE || error == ENOMEM || error == ENOBUFS)
        remedy = ": end other programs, or give fewer --jobs";
    else if (error == ENOSPC || error == EDQUOT)
        remedy = ": make room, or set TMPDIR to another folder";
    return vpc_format("the harness can not %s: %s%s", what, strerror(error), remedy);
}

/* ---- what the kernel tells ------------------------------------------------------------------------------------------ */

uint64_t vpc_machine_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    size_t n = name ? strlen(name) : 0;
    char line[256];
    uint64_t found = UINT64_MAX;

    while (file && found == UINT64_MAX && fgets(line, sizeof(line), file)) {
        const char *at = line + n;

        if (name && strncmp(line, name, n) != 0)
            continue;
        while (*at && !isdigit((unsigned char)*at) && (name || *at == ' '))
            at++;
        if (isdigit((unsigned char)*at))
            found = strtoull(at, NULL, 10);
        if (name == NULL)
            break;
    }
    if (file)
        fclose(file);
    return found;
}

/* What is left of a control group's limit; UINT64_MAX: there is no limit. */
static uint64_t left_of_group(const char *what)
{
    char *max = vpc_format("/sys/fs/cgroup/%s.max", what);
    char *now = vpc_format("/sys/fs/cgroup/%s.current", what);
    uint64_t limit = vpc_machine_number(max, NULL), used = vpc_machine_number(now, NULL), cache = 0;

    free(max);
    free(now);
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return UINT64_MAX;
    /* Files that nobody uses now are forgotten when memory is wanted. */
    if (strcmp(what, "memory") == 0)
        cache = vpc_machine_number("/sys/fs/cgroup/memory.stat", "inactive_file ");
    used -= cache < used ? cache : 0;
    return limit > used ? limit - used : 0;
}

static uint64_t free_memory_mib(void)
{
    uint64_t kib = vpc_machine_number("/proc/meminfo", "MemAvailable:"),
             group = left_of_group("memory");
    uint64_t mib = kib == UINT64_MAX ? UINT64_MAX : kib / 1024;

    return group / MIB < mib ? group / MIB : mib;
}

static uint64_t limit_of(int which)
{
    struct rlimit limit;

    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

/* Threads of this user: they are what RLIMIT_NPROC counts. */
static uint64_t tasks_of_user(void)
{
    DIR *processes = opendir("/proc");
    const struct dirent *one;
    uint64_t count = 0;

    while (processes && (one = readdir(processes)) != NULL) {
        char path[300];
        struct stat owner;
        uint64_t threads;

        snprintf(path, sizeof(path), "/proc/%s/status", one->d_name);
        if (!isdigit((unsigned char)*one->d_name) || stat(path, &owner) != 0 ||
            owner.st_uid != getuid())
            continue;
        threads = vpc_machine_number(path, "Threads:");
        count += threads == UINT64_MAX ? 0 : threads;
    }
    if (processes)
        closedir(processes);
    return count;
}

/* ---- before any run ------------------------------------------------------------------------------------------------- */

static char *few_descriptors(const struct vpc_machine_need *need)
{
    rlim_t wanted = (need->processes ? RUN_DESCRIPTORS : RUN_DESCRIPTORS_INPROC) + 2 * need->jobs;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return vpc_format("the limit of open descriptors can not be read: %s", strerror(errno));
    if (limit.rlim_cur >= wanted)
        return NULL;
    if (limit.rlim_max < wanted)
        return vpc_format("%llu descriptors may be open, a run needs %llu: raise \"ulimit -n\"",
                          (unsigned long long)limit.rlim_max, (unsigned long long)wanted);
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return NULL;
    return vpc_format("the limit of open descriptors can not be raised to %llu: %s",
                      (unsigned long long)wanted, strerror(errno));
}

static char *little_on(const struct statvfs *disk, const char *folder,
                       const struct vpc_machine_need *need)
{
    uint64_t wanted = (uint64_t)need->jobs * (need->machines ? RUN_MIB_MACHINE : RUN_MIB);
    uint64_t room = (uint64_t)disk->f_bavail * disk->f_frsize / MIB;

    if (room < wanted)
        return vpc_format("%s has room for %llu MiB, %zu runs at once need %llu: make room, or set "
                          "TMPDIR to another folder",
                          folder, (unsigned long long)room, need->jobs, (unsigned long long)wanted);
    if (disk->f_files > 0 && disk->f_favail < RUN_INODES * need->jobs)
        return vpc_format("%s has %llu inodes left, %zu runs at once need %zu: remove files, or "
                          "set TMPDIR to another folder",
                          folder, (unsigned long long)disk->f_favail, need->jobs,
                          RUN_INODES * need->jobs);
    return NULL;
}

static char *little_room(const struct vpc_machine_need *need)
{
    struct vpc_folder folder;
    struct statvfs disk;
    char *error = NULL, *base;

    if (!vpc_folder_begin(&folder, &error))
        return error;
    base = vpc_copy_n(folder.real, (size_t)(strrchr(folder.real, '/') - folder.real));
    if (statvfs(base, &disk) != 0)
        error = vpc_format("%s: %s", base, strerror(errno));
    else
        error = little_on(&disk, base, need);
    free(base);
    vpc_folder_end(&folder);
    return error;
}

static char *little_memory(const struct vpc_machine_need *need)
{
    uint64_t wanted =
        MEMORY_MIB + need->jobs * (need->machines ? MEMORY_MIB_MACHINE : MEMORY_MIB_RUN);
    uint64_t addresses = need->machines ? ADDRESSES_MIB_MACHINE : ADDRESSES_MIB;

    if (free_memory_mib() < wanted)
        return vpc_format("%llu MiB of memory are free, %zu runs at once need %llu: end other "
                          "programs, or give fewer --jobs",
                          (unsigned long long)free_memory_mib(), need->jobs,
                          (unsigned long long)wanted);
    if (limit_of(RLIMIT_AS) / MIB < addresses)
        return vpc_format("a process may have %llu MiB of addresses, it needs %llu: raise "
                          "\"ulimit -v\"",
                          (unsigned long long)limit_of(RLIMIT_AS) / MIB,
                          (unsigned long long)addresses);
    return NULL;
}

static char *few_processes(const struct vpc_machine_need *need)
{
    uint64_t wanted = RUN_PROCESSES * need->jobs, limit = limit_of(RLIMIT_NPROC), tasks;

    if (left_of_group("pids") < wanted)
        return vpc_format("the control group has room for %llu processes more, %zu runs at once "
                          "need %llu: raise its pids.max, or give fewer --jobs",
                          (unsigned long long)left_of_group("pids"), need->jobs,
                          (unsigned long long)wanted);
    if (limit == UINT64_MAX || geteuid() == 0) /* which it does not bind */
        return NULL;
    tasks = tasks_of_user();
    if (tasks + wanted <= limit)
        return NULL;
    return vpc_format(
        "this user has %llu processes of %llu, %zu runs at once need %llu more: raise "
        "\"ulimit -u\", or give fewer --jobs",
        (unsigned long long)tasks, (unsigned long long)limit, need->jobs,
        (unsigned long long)wanted);
}

static char *few_processors(const struct vpc_machine_need *need)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = (size_t)(processors > 0 ? processors : 1) * RUNS_PER_PROCESSOR;

    if (!need->processes || need->jobs <= most)
        return NULL;
    return vpc_format("%ld processors are there, and %zu runs at once in real time are too many: "
                      "give --jobs %zu at most",
                      processors, need->jobs, most);
}

char *vpc_machine_missing(const struct vpc_machine_need *need)
{
    static char *(*const looks[])(const struct vpc_machine_need *) = {
        few_descriptors, little_room, little_memory, few_processes, few_processors};
    char *missing = NULL;

    if (access("/proc/self/stat", R_OK) != 0)
        return vpc_format("/proc is not mounted: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]) && missing == NULL; i++)
        missing = looks[i](need);
    return missing;
}

/* ---- after a run ---------------------------------------------------------------------------------------------------- */

/* How many octets of the disk the folder takes. */
static uint64_t size_of_tree(const char *folder)
{
    char *const paths[] = {(char *)(uintptr_t)folder, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_PHYSICAL | FTS_COMFOLLOW, NULL);
    FTSENT *entry;
    uint64_t size = 0;

    while (tree && (entry = fts_read(tree)) != NULL)
        if (entry->fts_info == FTS_F)
            size += (uint64_t)entry->fts_statp->st_blocks * 512;
    if (tree)
        fts_close(tree);
    return size;
}

static char *full_disk(const char *folder)
{
    struct statvfs disk;
    uint64_t room;

    if (statvfs(folder, &disk) != 0)
        return vpc_format("%s: %s", folder, strerror(errno));
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room < SHORT_OF_ROOM && size_of_tree(folder) < VPC_MACHINE_OWN)
        return vpc_format("the disk of TMPDIR is full, %llu KiB are free: make room",
                          (unsigned long long)room / 1024);
    if (disk.f_files > 0 && disk.f_favail < SHORT_OF_INODES)
        return vpc_format("the disk of TMPDIR has %llu inodes left: remove files",
                          (unsigned long long)disk.f_favail);
    return NULL;
}

/* Why not so many more can be opened by anyone; NULL: they can. */
static char *few_files(uint64_t wanted)
{
    uint64_t files = vpc_machine_number("/proc/sys/fs/file-nr", NULL);
    uint64_t most = vpc_machine_number("/proc/sys/fs/file-max", NULL);

    if (files == UINT64_MAX || most == UINT64_MAX || files + wanted < most)
        return NULL;
    return vpc_format("%llu of the %llu files that all processes together may have open are",
                      (unsigned long long)files, (unsigned long long)most);
}

char *vpc_machine_excuse(const char *folder)
{
    char *excuse = full_disk(folder);

    if (excuse == NULL)
        excuse = few_files(SHORT_OF_DESCRIPTORS);
    if (excuse)
        return excuse;
    if (free_memory_mib() < SHORT_OF_MEMORY_MIB)
        return vpc_format("%llu MiB of memory are free: end other programs",
                          (unsigned long long)free_memory_mib());
    return NULL;
}

/* ---- what a subject complains of ---------------------------------------------------------------------------------------- */

/* A disk that nobody can write to is not short: it is as it is. */
static char *little_left(const char *folder)
{
    struct statvfs disk;
    uint64_t room;

    if (statvfs(folder, &disk) != 0 || disk.f_blocks == 0 || disk.f_flag & ST_RDONLY)
        return NULL;
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room / MIB < RUN_MIB)
        return vpc_format("the disk of %s has %llu KiB left: make room", folder,
                          (unsigned long long)room / 1024);
    if (disk.f_files > 0 && disk.f_favail < RUN_INODES)
        return vpc_format("the disk of %s has %llu inodes left: remove files", folder,
                          (unsigned long long)disk.f_favail);
    return NULL;
}

/* The run's own folder counts only when it is not the run that has filled it. */
static char *lacks_room(const char *folder)
{
    const char *places[] = {getenv("HOME"), "/tmp", "/var/tmp", "/dev/shm", "/run", "/var/log"};
    char *lack = size_of_tree(folder) < VPC_MACHINE_OWN ? little_left(folder) : NULL;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && lack == NULL; i++)
        lack = places[i] ? little_left(places[i]) : NULL;
    return lack;
}

static char *lacks_files(const char *folder)
{
    (void)folder;
    return few_files(RUN_DESCRIPTORS);
}

static char *lacks_memory(const char *folder)
{
    (void)folder;
    if (free_memory_mib() >= MEMORY_MIB)
        return NULL;
    return vpc_format("%llu MiB of memory are free: end other programs, or give fewer --jobs",
                      (unsigned long long)free_memory_mib());
}

static char *lacks_processes(const char *folder)
{
    const struct vpc_machine_need one = {.jobs = 1, .processes = true};

    (void)folder;
    return few_processes(&one);
}

char *vpc_machine_lacks(enum conform_need need, const char *folder)
{
    static char *(*const looks[])(const char *folder) = {
        [CONFORM_ROOM] = lacks_room,
        [CONFORM_FILES] = lacks_files,
        [CONFORM_MEMORY] = lacks_memory,
        [CONFORM_PROCESSES] = lacks_processes,
    };

    return looks[need](folder);
}
