/* SPDX-License-Identifier: MIT */
#include "virtual_machine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LOOK_AGAIN_MS = 250, /* while there is no event that a waiter could sleep on */
};

static const struct {
    const char *name, *missing;
} levels[] = {
    [VPC_LEVEL_ABSENT] = {"absent",
                          "no host endpoint runs for this virtual machine (start vpc-host)"},
    [VPC_LEVEL_DOWN] = {"down", "the virtual machine is not running (start QEMU)"},
    [VPC_LEVEL_RUNNING] =
        {"running", "no guest endpoint answers in the virtual machine (start vpc-guest in it)"},
    [VPC_LEVEL_COMPONENTS] = {"components", "the guest endpoint takes no channels yet"},
    [VPC_LEVEL_READY] = {"ready", ""},
};

enum {
    LEVELS = sizeof(levels) / sizeof(levels[0]),
};

const char *vpc_level_name(enum vpc_level level)
{
    return (unsigned)level < LEVELS ? levels[level].name : "unknown";
}

const char *vpc_level_missing(enum vpc_level level)
{
    return (unsigned)level < LEVELS ? levels[level].missing : "";
}

/* The control socket of a name; names that a path could misread have none. */
static int socket_path(const char *dir, const char *name, char path[VPC_FILE_SIZE + 300])
{
    char root[VPC_FILE_SIZE];
    int error = vpc_runtime_dir(dir, root, sizeof(root));
    if (error || !*name || *name == '.' || strchr(name, '/') || strlen(name) > 255)
        return error ? error : EINVAL;
    snprintf(path, VPC_FILE_SIZE + 300, "%s/vms/%s.sock", root, name);
    return 0;
}

vpc_hresult vpc_find_virtual_machine(const char *dir, const char *name, vpc_virtual_machine **vm)
{
    char path[VPC_FILE_SIZE + 300];
    int error = socket_path(dir, name, path);
    if (error)
        return VPC_E_POINTER;
    return vpc_open_control_socket(path, vm);
}

static int is_socket(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".sock") == 0;
}

int vpc_list_virtual_machines(const char *dir, void (*seen)(const char *name, void *user),
                              void *user)
{
    char root[VPC_FILE_SIZE], path[VPC_FILE_SIZE + 8];
    struct dirent **entries = NULL;
    int error = vpc_runtime_dir(dir, root, sizeof(root));
    if (error)
        return error;
    snprintf(path, sizeof(path), "%s/vms", root);
    int n = scandir(path, &entries, is_socket, alphasort);
    if (n < 0)
        return errno == ENOENT ? 0 : errno;
    for (int i = 0; i < n; i++) {
        vpc_virtual_machine *vm;
        char *name = entries[i]->d_name;
        name[strlen(name) - 5] = '\0';
        /* The socket of a killed endpoint is still there; nobody answers at it. */
        if (vpc_find_virtual_machine(dir, name, &vm) == VPC_S_OK) {
            vpc_release_virtual_machine(vm);
            seen(name, user);
        }
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static vpc_hresult query_vm(vpc_virtual_machine *vm, char tag[VPC_TAG_SIZE], enum vpc_level *level)
{
    json_t *answer = NULL;
    vpc_hresult result = vpc_control(vm, "query-vm", NULL, &answer);
    if (result == VPC_S_OK) {
        const char *said = json_string_value(json_object_get(answer, "tag"));
        const char *name = json_string_value(json_object_get(answer, "level"));
        snprintf(tag, VPC_TAG_SIZE, "%s", said ? said : "");
        *level = VPC_LEVEL_READY;
        while (*level > VPC_LEVEL_DOWN && (!name || strcmp(name, levels[*level].name) != 0))
            --*level;
    }
    json_decref(answer);
    return result;
}

vpc_hresult vpc_chassis_asset_tag(vpc_virtual_machine *vm, char tag[VPC_TAG_SIZE])
{
    enum vpc_level level;
    return query_vm(vm, tag, &level);
}

vpc_hresult vpc_readiness(vpc_virtual_machine *vm, enum vpc_level *level)
{
    char tag[VPC_TAG_SIZE];
    return query_vm(vm, tag, level);
}

/* Sleeps on the ready event where its name is known, else just so long. */
static void sleep_until_change(const char *dir, const char *tag, int64_t ms)
{
    char name[VPC_TAG_SIZE + 32];
    vpc_event *event = NULL;
    if (*tag && vpc_event_name(tag, name, sizeof(name)) == 0 &&
        vpc_event_open(dir, name, &event) == 0) {
        vpc_event_wait(event, ms);
        vpc_event_close(event);
    } else {
        struct timespec ts = {.tv_sec = 0, .tv_nsec = ms * 1000000};
        nanosleep(&ts, NULL);
    }
}

/* The level now, and the tag if it is known; connects to the host endpoint as often as need be. */
static void look(const char *dir, const char *name, vpc_virtual_machine **vm,
                 char tag[VPC_TAG_SIZE], enum vpc_level *level)
{
    *level = VPC_LEVEL_ABSENT;
    tag[0] = '\0';
    if (!*vm && vpc_find_virtual_machine(dir, name, vm) != VPC_S_OK)
        return;
    if (query_vm(*vm, tag, level) == VPC_S_OK)
        return;
    vpc_release_virtual_machine(*vm);
    *vm = NULL;
    *level = VPC_LEVEL_ABSENT;
}

vpc_hresult vpc_wait_channel_ready(const char *dir, const char *name, int64_t limit_ms,
                                   enum vpc_level *level)
{
    vpc_virtual_machine *vm = NULL;
    char tag[VPC_TAG_SIZE];
    int64_t end = vpc_end_of(limit_ms);
    for (;;) {
        look(dir, name, &vm, tag, level);
        int64_t left = end - vpc_now_ms();
        if (*level == VPC_LEVEL_READY || left <= 0)
            break;
        sleep_until_change(dir, tag, left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS);
    }
    vpc_release_virtual_machine(vm);
    return *level == VPC_LEVEL_READY ? VPC_S_OK : VPC_ERROR_TIMEOUT;
}

static void fill(vpc_channel_info *info, const json_t *answer)
{
    const char *path = json_string_value(json_object_get(answer, "path"));
    *info = (vpc_channel_info){
        .port = (unsigned)json_integer_value(json_object_get(answer, "port")),
        .h2g = (uint32_t)json_integer_value(json_object_get(answer, "h2g")),
        .g2h = (uint32_t)json_integer_value(json_object_get(answer, "g2h")),
        .error = (int)json_integer_value(json_object_get(answer, "errno")),
    };
    snprintf(info->path, sizeof(info->path), "%s", path ? path : "");
}

vpc_hresult vpc_start_communication_channel(vpc_virtual_machine *vm, int host_type,
                                            const char *host_name, int guest_type,
                                            const char *guest_name, vpc_channel_info *info)
{
    json_t *answer = NULL;
    json_t *arguments = json_pack("{s:i, s:s*, s:i, s:s*}", "host-type", host_type, "host-name",
                                  host_name, "guest-type", guest_type, "guest-name", guest_name);
    if (!arguments) /* a name that is not UTF-8 is no valid name */
        return vpc_fail(vm, VPC_E_POINTER, "a name is not UTF-8");
    vpc_hresult result = vpc_control(vm, "start", arguments, &answer);
    if (info)
        fill(info, answer);
    json_decref(answer);
    return result;
}

vpc_hresult vpc_stop_communication_channel(vpc_virtual_machine *vm, const char *host_name)
{
    json_t *arguments = json_pack("{s:s}", "pipe", host_name);
    if (!arguments)
        return vpc_fail(vm, VPC_E_POINTER, "the name is not UTF-8");
    return vpc_control(vm, "stop", arguments, NULL);
}
