/* SPDX-License-Identifier: MIT */
#include "virtual_machine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust.h"

vpc_hresult vpc_control_path(const char *dir, const char *name, char path[VPC_CONTROL_PATH_SIZE])
{
    char root[VPC_FILE_SIZE];

    errno = vpc_runtime_dir(dir, root, sizeof(root));
    if (!errno && (!*name || *name == '.' || strchr(name, '/') != NULL || strlen(name) > 255))
        errno = EINVAL;
    if (errno)
        return VPC_E_POINTER;
    snprintf(path, VPC_CONTROL_PATH_SIZE, "%s/vms/%s.sock", root, name);
    return VPC_S_OK;
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
    struct vpc_trust trust;
    int error = vpc_runtime_dir(dir, root, sizeof(root));

    if (!error)
        error = vpc_trust_folder(&trust, root, "vms");
    if (error)
        return error == ENOENT ? 0 : error;
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

vpc_hresult vpc_chassis_asset_tag(vpc_virtual_machine *vm, char tag[VPC_TAG_SIZE])
{
    json_t *answer = NULL;
    vpc_hresult result = vpc_control(vm, "query-vm", NULL, &answer);
    const char *said = json_string_value(json_object_get(answer, "tag"));

    snprintf(tag, VPC_TAG_SIZE, "%s", said != NULL ? said : "");
    json_decref(answer);
    return result;
}

vpc_hresult vpc_set_chassis_asset_tag(vpc_virtual_machine *vm, const char *tag)
{
    json_t *arguments = json_pack("{s:s*}", "tag", tag);

    if (arguments == NULL)
        return vpc_fail(vm, VPC_E_INVALIDARG, "the tag is not UTF-8");
    return vpc_control(vm, "set-tag", arguments, NULL);
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
    bool fits = path != NULL && strlen(path) < sizeof(info->path);
    snprintf(info->path, sizeof(info->path), "%s", fits ? path : "");
}

vpc_hresult vpc_start_communication_channel(vpc_virtual_machine *vm, int host_type,
                                            const char *host_name, int guest_type,
                                            const char *guest_name, vpc_channel_info *info)
{
    json_t *answer = NULL;
    json_t *arguments = json_pack("{s:i, s:s*, s:i, s:s*}", "host-type", host_type, "host-name",
                                  host_name, "guest-type", guest_type, "guest-name", guest_name);

    if (arguments == NULL) /* a name that is not UTF-8 is no valid name */
        return vpc_fail(vm, VPC_E_POINTER, "a name is not UTF-8");
    vpc_hresult result = vpc_control(vm, "start", arguments, &answer);
    if (info != NULL)
        fill(info, answer);
    json_decref(answer);
    return result;
}

vpc_hresult vpc_stop_communication_channel(vpc_virtual_machine *vm, const char *host_name)
{
    json_t *arguments = json_pack("{s:s}", "pipe", host_name);

    if (arguments == NULL)
        return vpc_fail(vm, VPC_E_POINTER, "the name is not UTF-8");
    return vpc_control(vm, "stop", arguments, NULL);
}

/* ---- forwards ---------------------------------------------------------------------------------- */

/* A text that is too long is "": part of it would be another place. */
static void put_text(char text[VPC_PATH_SIZE], const json_t *from, const char *key)
{
    const char *value = json_string_value(json_object_get(from, key));
    bool fits = value != NULL && strlen(value) < VPC_PATH_SIZE;

    snprintf(text, VPC_PATH_SIZE, "%s", fits ? value : "");
}

static bool is_policy(const json_t *from, const char *key, const char *policy)
{
    const char *value = json_string_value(json_object_get(from, key));

    return value != NULL && strcmp(value, policy) == 0;
}

static void fill_forward(vpc_forward_info *info, const json_t *from)
{
    *info = (vpc_forward_info){
        .port = (unsigned)json_integer_value(json_object_get(from, "port")),
        .pairs = (unsigned)json_integer_value(json_object_get(from, "pairs")),
        .accepted = (uint64_t)json_integer_value(json_object_get(from, "accepted")),
        .refused = (uint64_t)json_integer_value(json_object_get(from, "refused")),
        .error = (int)json_integer_value(json_object_get(from, "errno")),
    };
    if (is_policy(from, "when-not-ready", "wait"))
        info->flags |= VPC_FORWARD_WAIT_UNTIL_READY;
    if (is_policy(from, "when-full", "refuse"))
        info->flags |= VPC_FORWARD_REFUSE_WHEN_FULL;
    put_text(info->listen, from, "listen");
    put_text(info->path, from, "path");
}

vpc_hresult vpc_start_forward(vpc_virtual_machine *vm, const char *listen, unsigned port,
                              unsigned flags, vpc_forward_info *info)
{
    json_t *answer = NULL;
    json_t *arguments =
        json_pack("{s:s*, s:I, s:s, s:s}", "listen", listen, "port", (json_int_t)port,
                  "when-not-ready", flags & VPC_FORWARD_WAIT_UNTIL_READY ? "wait" : "refuse",
                  "when-full", flags & VPC_FORWARD_REFUSE_WHEN_FULL ? "refuse" : "wait");

    if (arguments == NULL)
        return vpc_fail(vm, VPC_E_POINTER, "the place to listen is not UTF-8");
    vpc_hresult result = vpc_control(vm, "start-forward", arguments, &answer);
    if (info != NULL) {
        fill_forward(info, answer);
        info->flags = flags;
    }
    json_decref(answer);
    return result;
}

vpc_hresult vpc_stop_forward(vpc_virtual_machine *vm, const char *listen)
{
    json_t *arguments = json_pack("{s:s*}", "listen", listen);

    if (arguments == NULL)
        return vpc_fail(vm, VPC_E_POINTER, "the place to listen is not UTF-8");
    return vpc_control(vm, "stop-forward", arguments, NULL);
}

vpc_hresult vpc_list_forwards(vpc_virtual_machine *vm,
                              void (*seen)(const vpc_forward_info *forward, void *user), void *user)
{
    json_t *answer = NULL, *forward;
    vpc_hresult result = vpc_control(vm, "query-forwards", NULL, &answer);
    vpc_forward_info info;
    size_t i;

    json_array_foreach(json_object_get(answer, "forwards"), i, forward)
    {
        fill_forward(&info, forward);
        seen(&info, user);
    }
    json_decref(answer);
    return result;
}
