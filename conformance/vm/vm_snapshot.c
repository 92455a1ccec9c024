/*
 * A booted guest, kept: its memory as a file, the rest of the machine as QEMU's migration stream.
 *
 * Booting takes seconds; mapping a file does not. A guest is booted once with its memory in a
 * shared file, as far as its puppet waiting for work, stopped, and its devices' state written
 * without the memory (x-ignore-shared). Each VM then maps the file privately, reads the state and
 * goes on: from the same instant as all the others, so it gets entropy and the time of day before
 * anything runs in it.
 *
 * A snapshot is a directory named by a hash of all that it depends on. It is made under another
 * name and renamed when whole: it is there entirely or not at all, whoever else makes the same
 * one, and a kill at any point leaves at most rubbish of another name. One that cannot be
 * restored (of another QEMU, say) is made anew, once. Only those used last are kept: a removed
 * one lives on in the VMs that have it mapped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vm/vm_hash.h"
#include "vm/vm_internal.h"

/* How many snapshots stay; each takes about half of its VM's memory on disk. */
#define SNAPSHOTS_KEPT 6
/* What is older than any start may take, in seconds, and still not whole, is rubbish. */
#define UNFINISHED_AGE 3600

static int mix_file(struct vpc_vm *vm, const char *path, uint64_t *hash)
{
    int error = vpc_hash_file(hash, path);

    return error ? vm_fail(vm, "cannot read %s: %s", path, strerror(error)) : 0;
}

/* Sets dir to where the snapshot of this VM belongs. */
static int name_snapshot(struct vpc_vm *vm, char dir[PATH_MAX])
{
    const struct vpc_vm_options *options = &vm->options;
    uint64_t hash = VPC_HASH_BEGIN;

    if (mix_file(vm, options->kernel, &hash) != 0 || mix_file(vm, options->initrd, &hash) != 0 ||
        mix_file(vm, options->launcher, &hash) != 0)
        return -1;
    hash = vpc_hash_text(vpc_hash_text(hash, options->tag), options->append);
    hash = vpc_hash(hash, &options->memory, sizeof(options->memory));
    hash = vpc_hash(hash, &options->console, sizeof(options->console));
    if (snprintf(dir, PATH_MAX, "%s/%016llx", options->snapshots, (unsigned long long)hash) >=
        PATH_MAX - 64)
        return vm_fail(vm, "the snapshot path %s is too long", options->snapshots);
    return 0;
}

static void file_in(char path[PATH_MAX], const char *dir, const char *name)
{
    if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
        path[0] = 0; /* never: name_snapshot leaves room */
}

static void remove_snapshot(const char *dir)
{
    char path[PATH_MAX];

    file_in(path, dir, "ram");
    unlink(path);
    file_in(path, dir, "state");
    unlink(path);
    rmdir(dir);
}

/* Finished ones are named by their hash alone; those being made have a dot and more. */
static int is_finished(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789abcdef") == 16 && entry->d_name[16] == 0;
}

static int is_unfinished(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789abcdef") == 16 && entry->d_name[16] == '.';
}

/* When it was last used, or begun; seconds. */
static time_t last_use(const char *directory, const char *name)
{
    char path[PATH_MAX];
    struct stat status;

    file_in(path, directory, name);
    return stat(path, &status) == 0 ? status.st_mtime : 0;
}

static void remove_unfinished(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, is_unfinished, NULL);
    char path[PATH_MAX];

    for (int i = 0; i < count; i++) {
        file_in(path, directory, entries[i]->d_name);
        if (time(NULL) - last_use(directory, entries[i]->d_name) > UNFINISHED_AGE)
            remove_snapshot(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* Leaves as many as may stay, the last used. */
static void prune(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, is_finished, NULL);
    char path[PATH_MAX];

    for (int excess = count - SNAPSHOTS_KEPT; excess > 0; excess--) {
        int oldest = 0;

        while (!entries[oldest])
            oldest++;
        for (int i = oldest + 1; i < count; i++) {
            if (entries[i] && last_use(directory, entries[i]->d_name) <
                                  last_use(directory, entries[oldest]->d_name))
                oldest = i;
        }
        file_in(path, directory, entries[oldest]->d_name);
        remove_snapshot(path);
        free(entries[oldest]);
        entries[oldest] = NULL;
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    remove_unfinished(directory);
}

/* The shell word of a QMP "exec:" address. */
static void quote(char *out, size_t size, const char *before, const char *path)
{
    size_t at = (size_t)snprintf(out, size, "%s'", before);

    for (; *path && at + 6 < size; path++)
        at += (size_t)snprintf(out + at, size - at, *path == '\'' ? "'\\''" : "%c", *path);
    snprintf(out + at, size - at, "'");
}

static int command(struct vpc_vm *vm, const char *name, json_t *arguments, int64_t deadline)
{
    if (vpc_qmp_command(vm->qmp, name, arguments, NULL, deadline) != 0)
        return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
    return 0;
}

/* Whether the memory is left out, because it is in a file. */
static int set_capabilities(struct vpc_vm *vm, int without_memory, int64_t deadline)
{
    return command(vm, "migrate-set-capabilities",
                   json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability",
                             "x-ignore-shared", "state", without_memory, "capability", "events",
                             "state", 1),
                   deadline);
}

/* Waits until the migration, of either direction, is over. */
static int await_migration(struct vpc_vm *vm, int64_t deadline)
{
    for (;;) {
        json_t *info;
        char status[32];

        if (vpc_qmp_await(vm->qmp, "MIGRATION", deadline) != 0 ||
            vpc_qmp_command(vm->qmp, "query-migrate", NULL, &info, deadline) != 0)
            return vm_fail(vm, "the snapshot: %s", vpc_qmp_error(vm->qmp));
        const char *value = json_string_value(json_object_get(info, "status"));
        snprintf(status, sizeof(status), "%s", value ? value : "unknown");
        json_decref(info);
        if (strcmp(status, "completed") == 0)
            return 0;
        if (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0)
            return vm_fail(vm, "the snapshot: QEMU says that the migration %s", status);
    }
}

/* Boots a guest with its memory in dir, and writes its state there. */
static int keep(struct vpc_vm *vm, const char *dir, int64_t deadline)
{
    char ram[PATH_MAX], state[PATH_MAX], address[4 * PATH_MAX];

    file_in(ram, dir, "ram");
    file_in(state, dir, "state");
    quote(address, sizeof(address), "exec:cat >", state);
    if (vm_launch(vm, VM_MEMORY_FILE, ram, deadline) != 0 || vm_await_puppet(vm, deadline) != 0 ||
        command(vm, "stop", NULL, deadline) != 0 || set_capabilities(vm, 1, deadline) != 0 ||
        command(vm, "migrate", json_pack("{s:s}", "uri", address), deadline) != 0)
        return -1;
    return await_migration(vm, deadline);
}

static int make_snapshot(struct vpc_vm *vm, const char *dir, int64_t deadline)
{
    char work[PATH_MAX];

    if (mkdir(vm->options.snapshots, 0777) != 0 && errno != EEXIST)
        return vm_fail(vm, "cannot make %s: %s", vm->options.snapshots, strerror(errno));
    if (snprintf(work, sizeof(work), "%s.XXXXXX", dir) >= PATH_MAX || !mkdtemp(work))
        return vm_fail(vm, "cannot make a directory for %s: %s", dir, strerror(errno));
    int kept = keep(vm, work, deadline);
    vm_end(vm);
    if (kept == 0 && rename(work, dir) == 0) {
        prune(vm->options.snapshots);
        return 0;
    }
    if (kept == 0 && errno != EEXIST && errno != ENOTEMPTY)
        kept = vm_fail(vm, "cannot name the snapshot %s: %s", dir, strerror(errno));
    remove_snapshot(work);
    return kept;
}

/* What the copies of one instant must not share. */
static int freshen(struct vpc_vm *vm, int64_t deadline)
{
    uint8_t bytes[64];
    struct timespec now;
    uint32_t answers[3];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return vm_fail(vm, "getrandom: %s", strerror(errno));
    clock_gettime(CLOCK_REALTIME, &now);
    answers[0] = vpc_puppet_ping(vm->puppet);
    answers[1] = vpc_puppet_entropy(vm->puppet, bytes, sizeof(bytes));
    answers[2] = vpc_puppet_clock(vm->puppet, (uint32_t)now.tv_sec, (uint32_t)now.tv_nsec);
    return vm_await_answers(vm, answers, 3, "the puppet of the restored guest", deadline);
}

static int restore(struct vpc_vm *vm, const char *dir, int64_t deadline)
{
    char ram[PATH_MAX], state[PATH_MAX], address[4 * PATH_MAX];

    file_in(ram, dir, "ram");
    file_in(state, dir, "state");
    quote(address, sizeof(address), "exec:cat ", state);
    (void)utimensat(AT_FDCWD, dir, NULL, 0); /* for prune: used now, or else removed the sooner */
    if (vm_launch(vm, VM_MEMORY_PRIVATE_COPY, ram, deadline) != 0 ||
        set_capabilities(vm, 1, deadline) != 0 ||
        command(vm, "migrate-incoming", json_pack("{s:s}", "uri", address), deadline) != 0 ||
        await_migration(vm, deadline) != 0 || command(vm, "cont", NULL, deadline) != 0)
        return -1;
    return freshen(vm, deadline);
}

int vm_start_from_snapshot(struct vpc_vm *vm, int64_t deadline)
{
    char dir[PATH_MAX], state[PATH_MAX], why[600];

    if (name_snapshot(vm, dir) != 0)
        return -1;
    file_in(state, dir, "state");
    if (access(state, R_OK) == 0) {
        vm->from_snapshot = true;
        if (restore(vm, dir, deadline) == 0)
            return 0;
        snprintf(why, sizeof(why), "a new snapshot: the kept one is of no use (%s)", vm->error);
        vm_progress(vm, why, 0);
        vm_end(vm);
        remove_snapshot(dir);
    }
    if (make_snapshot(vm, dir, deadline) != 0)
        return -1;
    vm->from_snapshot = true;
    return restore(vm, dir, deadline);
}

/* ---- a machine in the middle of its work ---------------------------------------------------------------------------- */

/* As fast as the disk is: the guest stands still meanwhile. */
static int set_speed(struct vpc_vm *vm, int64_t deadline)
{
    return command(vm, "migrate-set-parameters",
                   json_pack("{s:I}", "max-bandwidth", (json_int_t)64 << 30), deadline);
}

/* A migration is said to be over a moment before the machine may go on. */
static int await_stopped(struct vpc_vm *vm, int64_t deadline)
{
    for (;;) {
        json_t *info;
        int finishing;

        if (vpc_qmp_command(vm->qmp, "query-status", NULL, &info, deadline) != 0)
            return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
        const char *status = json_string_value(json_object_get(info, "status"));
        finishing = status && strcmp(status, "finish-migrate") == 0;
        json_decref(info);
        if (!finishing)
            return 0;
        if (vpc_qmp_now() >= deadline)
            return vm_fail(vm, "QEMU does not finish the snapshot within the time limit");
        poll(NULL, 0, 2);
    }
}

int vpc_vm_keep(struct vpc_vm *vm, const char *path, int timeout)
{
    int64_t deadline = vpc_qmp_now() + timeout;
    char address[4 * PATH_MAX];

    if (vm->puppet)
        vpc_puppet_keep(vm->puppet);
    quote(address, sizeof(address), "exec:cat >", path);
    if (command(vm, "stop", NULL, deadline) != 0 || set_capabilities(vm, 0, deadline) != 0 ||
        set_speed(vm, deadline) != 0 ||
        command(vm, "migrate", json_pack("{s:s}", "uri", address), deadline) != 0 ||
        await_migration(vm, deadline) != 0 || await_stopped(vm, deadline) != 0)
        return -1;
    return command(vm, "cont", NULL, deadline);
}

/* The snapshot's memory is only where QEMU puts the pages: all that differ come from the file. */
int vm_start_from_kept(struct vpc_vm *vm, int64_t deadline)
{
    char dir[PATH_MAX], ram[PATH_MAX], address[4 * PATH_MAX];

    if (name_snapshot(vm, dir) != 0)
        return -1;
    file_in(ram, dir, "ram");
    quote(address, sizeof(address), "exec:cat ", vm->options.kept);
    if (vm_launch(vm, VM_MEMORY_PRIVATE_COPY, ram, deadline) != 0 ||
        set_capabilities(vm, 0, deadline) != 0 ||
        command(vm, "migrate-incoming", json_pack("{s:s}", "uri", address), deadline) != 0 ||
        await_migration(vm, deadline) != 0 || command(vm, "cont", NULL, deadline) != 0)
        return -1;
    return vm_await_puppet(vm, deadline);
}
