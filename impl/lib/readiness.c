/* SPDX-License-Identifier: MIT */
/*
 * How far a virtual machine has come, and the wait until it is ready.
 *
 * The wait sleeps on the ready event, where the tag that names it is known, and looks at the host
 * endpoint in between: the event tells when, the endpoint what is missing.  Neither needs to be
 * there, and an endpoint that is there may be stopped: nothing here waits longer than a look.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "trust.h"
#include "virtual_machine.h"

enum {
    LOOK_AGAIN_MS = 250, /* from one look at the endpoint to the next */
    SET_ALREADY_MS = 20,
    LOOK_MS = 1000, /* an endpoint that takes longer to answer is shown as silent */
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

static vpc_progress progress_of(enum vpc_level level, const char *missing)
{
    vpc_progress progress = {.level = level};

    snprintf(progress.missing, sizeof(progress.missing), "%.*s", VPC_MISSING_SIZE - 1, missing);
    return progress;
}

static enum vpc_level level_of(const char *name)
{
    enum vpc_level level = VPC_LEVEL_READY;

    while (level > VPC_LEVEL_DOWN && (name == NULL || strcmp(name, levels[level].name) != 0))
        level--;
    return level;
}

static vpc_hresult look(vpc_virtual_machine *vm, char tag[VPC_TAG_SIZE], vpc_progress *progress)
{
    json_t *answer = NULL;
    vpc_hresult result = vpc_control(vm, "query-vm", NULL, &answer);

    if (result == VPC_S_OK) {
        const char *said = json_string_value(json_object_get(answer, "tag"));
        const char *missing = json_string_value(json_object_get(answer, "missing"));
        enum vpc_level level = level_of(json_string_value(json_object_get(answer, "level")));

        snprintf(tag, VPC_TAG_SIZE, "%s", said != NULL ? said : "");
        *progress = progress_of(level, missing != NULL ? missing : vpc_level_missing(level));
    }
    json_decref(answer);
    return result;
}

vpc_hresult vpc_readiness(vpc_virtual_machine *vm, vpc_progress *progress)
{
    char tag[VPC_TAG_SIZE];

    return look(vm, tag, progress);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* One wait: the connection to the endpoint, made as often as need be, and what was seen last. */
struct wait {
    const char *dir, *name;
    vpc_virtual_machine *vm;
    char tag[VPC_TAG_SIZE]; /* "" until it is known */
    vpc_progress progress;
};

static vpc_progress look_again(struct wait *w)
{
    struct vpc_trust trust = {0};
    vpc_progress progress;
    vpc_hresult result =
        w->vm != NULL ? VPC_S_OK : vpc_find_trusted(w->dir, w->name, &w->vm, &trust);

    if (result == VPC_S_OK) {
        vpc_set_time_limit(w->vm, LOOK_MS);
        result = look(w->vm, w->tag, &progress);
    }
    if (result == VPC_S_OK)
        return progress;
    if (result == VPC_ERROR_TIMEOUT)
        return progress_of(VPC_LEVEL_ABSENT, "the host endpoint is there, but does not answer");
    vpc_release_virtual_machine(w->vm);
    w->vm = NULL;
    return progress_of(VPC_LEVEL_ABSENT,
                       *trust.why ? trust.why : vpc_level_missing(VPC_LEVEL_ABSENT));
}

static bool same(const vpc_progress *a, const vpc_progress *b)
{
    return a->level == b->level && strcmp(a->missing, b->missing) == 0;
}

/* Sleeps on the ready event where its name is known, else just so long. */
static void sleep_until_change(const struct wait *w, int64_t ms)
{
    char name[VPC_TAG_SIZE + 32];
    vpc_event *event = NULL;
    bool set = false;

    if (*w->tag && vpc_event_name(w->tag, name, sizeof(name)) == 0 &&
        vpc_event_open(w->dir, name, &event) == 0) {
        set = vpc_event_is_set(event);
        if (!set)
            vpc_event_wait(event, ms);
    }
    vpc_event_close(event);
    /* Set just now, or by another machine of the same tag: that must not make this spin. */
    if (set || event == NULL)
        poll(NULL, 0, (int)(set && ms > SET_ALREADY_MS ? SET_ALREADY_MS : ms));
}

vpc_hresult vpc_wait_channel_ready(const char *dir, const char *name, int64_t limit_ms,
                                   vpc_progress *progress,
                                   void (*changed)(const vpc_progress *progress, void *user),
                                   void *user)
{
    char path[VPC_CONTROL_PATH_SIZE];
    struct wait w = {.dir = dir, .name = name};
    int64_t end = vpc_end_of(limit_ms), left;
    bool first = true;
    vpc_hresult result = vpc_control_path(dir, name, path);

    if (progress != NULL)
        *progress = progress_of(VPC_LEVEL_ABSENT, "that is no name of a virtual machine");
    if (result != VPC_S_OK)
        return result;
    for (;;) {
        vpc_progress now = look_again(&w);

        if (changed != NULL && (first || !same(&now, &w.progress)))
            changed(&now, user);
        first = false;
        w.progress = now;
        left = end - vpc_now_ms();
        if (now.level == VPC_LEVEL_READY || left <= 0)
            break;
        sleep_until_change(&w, left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS);
    }
    vpc_release_virtual_machine(w.vm);
    if (progress != NULL)
        *progress = w.progress;
    return w.progress.level == VPC_LEVEL_READY ? VPC_S_OK : VPC_ERROR_TIMEOUT;
}
