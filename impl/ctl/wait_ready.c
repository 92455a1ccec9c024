/* SPDX-License-Identifier: MIT */
/* wait-ready: waits, says on a terminal what it waits for, and when its time is over what was missing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "trust.h"

static void print_answer(const struct ctl *c, vpc_hresult result, const vpc_progress *progress)
{
    json_t *answer = json_pack("{s:s, s:s, s:s, s:b}", c->tag != NULL ? "tag" : "vm", ctl_where(c),
                               "level", vpc_level_name(progress->level), "missing",
                               progress->missing, "ready", result == VPC_S_OK);

    ctl_print_json(answer);
    json_decref(answer);
}

static int ended(const struct ctl *c, vpc_hresult result, const vpc_progress *progress)
{
    if (c->json)
        print_answer(c, result, progress);
    if (result != VPC_S_OK)
        ctl_complain(c, "%s: %s (0x%08X): not ready: %s", ctl_where(c), vpc_hresult_name(result),
                     result, progress->missing);
    return ctl_status(result);
}

static void show_progress(const vpc_progress *progress, void *user)
{
    const struct ctl *c = user;

    if (c->progress && progress->level != VPC_LEVEL_READY)
        ctl_complain(c, "%s: waiting: %s", ctl_where(c), progress->missing);
}

/* ---- by the event alone: no host endpoint needs to run ---------------------------------------- */

struct search {
    const struct ctl *c;
    vpc_progress *progress;
};

/* What the endpoint with the tag says is missing; the event itself can not tell.  Of several it is the one that lacks most:
 * the guest of another machine may have said the tag, which does not make this one ready (RDY-7). */
static void look_at(const char *name, void *user)
{
    const struct search *search = user;
    vpc_virtual_machine *vm;
    vpc_progress progress;
    char tag[VPC_TAG_SIZE];

    if (vpc_find_virtual_machine(search->c->runtime_dir, name, &vm) != VPC_S_OK)
        return;
    vpc_set_time_limit(vm, 1000);
    if (vpc_chassis_asset_tag(vm, tag) == VPC_S_OK && strcmp(tag, search->c->tag) == 0 &&
        vpc_readiness(vm, &progress) == VPC_S_OK && progress.level < search->progress->level)
        *search->progress = progress;
    vpc_release_virtual_machine(vm);
}

static vpc_progress missing_of_tag(const struct ctl *c)
{
    const vpc_progress absent = {
        .level = VPC_LEVEL_ABSENT,
        .missing =
            "no host endpoint of a virtual machine with this tag runs, or it has not the event"};
    vpc_progress progress = {.level = VPC_LEVEL_READY};
    struct search search = {c, &progress};

    vpc_list_virtual_machines(c->runtime_dir, look_at, &search);
    return progress.level != VPC_LEVEL_READY ? progress : absent;
}

static int wait_for_tag(const struct ctl *c)
{
    char name[VPC_FILE_SIZE];
    vpc_event *event;
    vpc_progress progress = {.level = VPC_LEVEL_READY};
    int error = vpc_event_name(c->tag, name, sizeof(name));

    if (!error)
        error = vpc_event_open(c->runtime_dir, name, &event);
    if (error) {
        char why[VPC_WHY_SIZE] = "";

        if (error == EPERM || error == EACCES)
            vpc_distrust(c->runtime_dir, NULL, why, sizeof(why));
        ctl_complain(c, "the ready event of the tag %s can not be opened: %s", c->tag,
                     *why ? why : strerror(error));
        return CTL_FAILED;
    }
    if (c->progress && !vpc_event_is_set(event))
        ctl_complain(c, "waiting for the event %s", name);
    error = vpc_event_wait(event, c->timeout_ms);
    vpc_event_close(event);
    if (error)
        progress = missing_of_tag(c);
    return ended(c, error ? VPC_ERROR_TIMEOUT : VPC_S_OK, &progress);
}

int ctl_wait_ready(const struct ctl *c)
{
    vpc_progress progress;

    if (c->tag != NULL)
        return wait_for_tag(c);
    vpc_hresult result = vpc_wait_channel_ready(c->runtime_dir, c->vm, c->timeout_ms, &progress,
                                                show_progress, (void *)(uintptr_t)c);
    return ended(c, result, &progress);
}
