/* SPDX-License-Identifier: MIT */
/*
 * The QEMU backend: a virtual machine for each run, from the snapshot of a guest that has booted.
 *
 * Goal: the subject's other end of the bus is a real virtio-serial port.  Events come from the VM's one descriptor (the
 * puppet's answers, QEMU's end) and from the bus.  Limits: the puppet's windows bound what waits here.  What may never
 * happen: that the end of a VM is taken for the subject's, so whatever goes wrong with the VM itself is told as BROKEN,
 * which ends the run as a harness error; and that a VM outlives its run: QEMU dies with the process that started it, and
 * all its files are in the run's folder.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/guest_image.h"
#include "backends/qemu.h"
#include "document/table.h"
#include "vm/qmp.h"

#define EVENTS_AT_ONCE 64
#define BOOT_MS        60000 /* far more than a boot takes, on a busy machine too */

uint64_t vpc_qemu_now(struct vpc_backend *backend)
{
    (void)backend;
    return (uint64_t)vpc_qmp_now();
}

void vpc_qemu_tell(struct vpc_qemu *self, enum vpc_seen_kind kind, int id, uint32_t value,
                   const char *text, size_t size)
{
    struct vpc_seen seen = {kind, id, value, text, size};

    self->saw = true;
    self->config.sink(self->config.user, &seen);
}

void vpc_qemu_break(struct vpc_qemu *self, const char *format, ...)
{
    char text[512];
    va_list args;

    if (self->broken)
        return;
    self->broken = true;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    vpc_qemu_tell(self, VPC_SEEN_BROKEN, 0, 0, text, strlen(text));
}

/* ---- the VM ----------------------------------------------------------------------------------------------------------- */

static void show_wait(void *context, const char *waiting_for, int elapsed)
{
    (void)context;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[Kwaiting for %s (%d s)", waiting_for, elapsed / 1000);
    else if (elapsed == 0)
        fprintf(stderr, "vpc-conform: waiting for %s\n", waiting_for);
}

/* special: what is not the same for every VM of the run. */
static struct vpc_vm *start_vm(const struct vpc_backend_config *config,
                               const struct vpc_vm_options *special, char **error)
{
    char *kernel = vpc_format("%s/vmlinuz", config->guest_dir);
    char *snapshots = vpc_format("%s/snapshots", config->guest_dir);
    char *monitor = config->watched ? vpc_format("%s/monitor", config->dir) : NULL;
    struct vpc_vm_options options = *special;
    char words[640];
    struct vpc_vm *vm;

    options.name = config->vm;
    options.tag = config->tag;
    options.kernel = kernel;
    options.monitor = monitor;
    options.launcher = config->launcher;
    options.scratch = config->dir;
    options.snapshots = snapshots;
    vm = vpc_vm_start(&options, words, sizeof(words));
    if (vm == NULL)
        *error = vpc_copy(words);
    free(monitor);
    free(kernel);
    free(snapshots);
    return vm;
}

bool vpc_qemu_boot(struct vpc_qemu *self, const char *bus, char **error)
{
    struct vpc_vm_options options = {.initrd = self->config.initrd, .bus = bus};

    self->vm = start_vm(&self->config, &options, error);
    return self->vm != NULL;
}

bool vpc_qemu_restore(struct vpc_qemu *self, const char *kept, char **error)
{
    struct vpc_vm_options options = {
        .initrd = self->config.initrd, .kept = kept, .puppet = vpc_vm_take_puppet(self->vm)};

    vpc_vm_stop(self->vm);
    self->vm = start_vm(&self->config, &options, error);
    return self->vm != NULL;
}

struct vpc_puppet *vpc_qemu_puppet(struct vpc_qemu *self)
{
    struct vpc_puppet *puppet = self->vm ? vpc_vm_puppet(self->vm) : NULL;

    if (puppet == NULL)
        vpc_qemu_break(self, "VM %s: there is no puppet to ask", self->config.vm);
    return puppet;
}

/* What the puppet no longer knows has ended by itself. */
void vpc_qemu_asked(struct vpc_qemu *self, int result, const char *what)
{
    if (result != 0 && errno != EBADF)
        vpc_qemu_break(self, "VM %s: the puppet can not be told to %s: %s", self->config.vm, what,
                       strerror(errno));
}

static void on_event(struct vpc_qemu *self, const struct vpc_vm_event *event)
{
    if (event->type == VPC_VM_PUPPET && event->puppet.type == VPC_PUPPET_PONG) {
        if (event->puppet.handle == 0 && self->resetting)
            self->up_again = true;
        else if (event->puppet.handle == 0)
            vpc_qemu_break(self, "VM %s: the guest has booted again in mid-run", self->config.vm);
        self->pong = event->puppet.handle;
    } else if (event->type == VPC_VM_PUPPET) {
        self->on_puppet(self, &event->puppet);
    } else if (event->type == VPC_VM_PUPPET_LOST) {
        vpc_qemu_break(self, "VM %s: the line to the puppet was lost in mid-run: %s",
                       self->config.vm, strerror(event->status));
    } else if (event->type == VPC_VM_TROUBLE) {
        vpc_qemu_break(self, "%s", vpc_vm_error(self->vm));
    } else if (event->type == VPC_VM_GONE) {
        vpc_qemu_break(self, "VM %s: QEMU ended in mid-run with %s %d", self->config.vm,
                       WIFSIGNALED(event->status) ? "signal" : "status",
                       WIFSIGNALED(event->status) ? WTERMSIG(event->status)
                                                  : WEXITSTATUS(event->status));
    }
}

void vpc_qemu_take(struct vpc_qemu *self)
{
    struct vpc_vm_event event;

    for (int i = 0; i < EVENTS_AT_ONCE && self->vm && vpc_vm_poll(self->vm, 0, &event) == 1; i++)
        on_event(self, &event);
}

bool vpc_qemu_await(struct vpc_qemu *self, const bool *flag, const bool *other, int ms)
{
    int64_t end = vpc_qmp_now() + ms;
    struct vpc_vm_event event;

    while (!*flag && !(other && *other) && self->vm && !self->broken) {
        int64_t left = end - vpc_qmp_now();

        if (left <= 0)
            break;
        if (vpc_vm_poll(self->vm, (int)left, &event) == 1)
            on_event(self, &event);
    }
    return *flag;
}

void vpc_qemu_sync(struct vpc_qemu *self)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(self);
    uint32_t ping = puppet ? vpc_puppet_ping(puppet) : 0;
    int64_t end = vpc_qmp_now() + VPC_QEMU_ANSWER_MS;
    struct vpc_vm_event event;

    while (ping && self->pong != ping && !self->broken) {
        int64_t left = end - vpc_qmp_now();

        if (left <= 0)
            vpc_qemu_break(self, "VM %s: the puppet has not answered for %d ms", self->config.vm,
                           VPC_QEMU_ANSWER_MS);
        else if (vpc_vm_poll(self->vm, (int)left, &event) == 1)
            on_event(self, &event);
    }
}

bool vpc_qemu_act(struct vpc_qemu *self, enum vpc_vm_action action, char **error)
{
    static int (*const acts[])(struct vpc_vm *, int) = {
        [VPC_PAUSE_VM] = vpc_vm_pause, [VPC_RESUME_VM] = vpc_vm_resume,
        [VPC_RESET_VM] = vpc_vm_reset, [VPC_UNPLUG_VM] = vpc_vm_unplug,
        [VPC_PLUG_VM] = vpc_vm_plug,
    };

    if (acts[action](self->vm, VPC_QEMU_ANSWER_MS) != 0) {
        *error = vpc_copy(vpc_vm_error(self->vm));
        return false;
    }
    if (action != VPC_RESET_VM)
        return true;
    self->resetting = true;
    self->up_again = false;
    vpc_qemu_await(self, &self->up_again, NULL, BOOT_MS);
    self->resetting = false;
    if (!self->up_again)
        *error = vpc_format("VM %s: the guest is not up %d ms after its reset", self->config.vm,
                            BOOT_MS);
    return self->up_again;
}

/* ---- what runs share ---------------------------------------------------------------------------------------------------- */

/* The first start makes the snapshot, so that no run has to. */
static bool qemu_prepare(const struct vpc_backend_config *config, const char *guest_image,
                         char **initrd, char **error)
{
    struct vpc_vm_options options = {.progress = show_wait};
    struct vpc_vm *vm;

    if (!vpc_guest_image(config->implementation, config->build, config->guest_dir, guest_image,
                         initrd, error))
        return false;
    options.initrd = *initrd;
    vm = start_vm(config, &options, error);
    if (vm == NULL) {
        free(*initrd);
        *initrd = NULL;
    }
    vpc_vm_stop(vm);
    return *initrd != NULL;
}

static struct vpc_backend *qemu_create(const struct vpc_backend_config *config, char **error)
{
    return config->implementation->role == VPC_FROM_GUEST ? vpc_qemu_guest_create(config, error)
                                                          : vpc_qemu_host_create(config, error);
}

const struct vpc_backend_ops vpc_backend_qemu = {
    .name = "qemu",
    .bit = VPC_QEMU,
    .real_time = true,
    .prepare = qemu_prepare,
    .create = qemu_create,
};
