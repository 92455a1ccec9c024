/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "process.h"

#define IMAGE_LIMIT_MS 120000

/* The words of [guest] files, each as an --overlay. */
static char *overlays_of(const char *files)
{
    char *words = vpc_copy(files), *rest = NULL, *all = vpc_copy("");

    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *longer = vpc_format("%s --overlay %s", all, word);

        free(all);
        all = longer;
    }
    free(words);
    return all;
}

static bool run_image(const char *command, const char *output, char **error)
{
    struct vpc_process process = {0};
    int status = 0;

    if (!vpc_process_start(&process, command, output, error))
        return false;
    if (!vpc_process_wait(&process, &status, IMAGE_LIMIT_MS))
        *error = vpc_format("\"%s\" does not end", command);
    else if (status != 0)
        *error = vpc_format("\"%s\" failed, see %s", command, output);
    vpc_process_end(&process);
    return *error == NULL;
}

char *vpc_machine_image(const struct vpc_implementation *implementation, const char *build,
                        const char *guest_dir, const char *guest_image, char **error)
{
    const char *pairs[] = {"build", build, NULL};
    const char *unknown = "";
    const char *given = implementation->guest_files ? implementation->guest_files : "";
    char *files = vpc_expand(given, pairs, &unknown);
    char *overlays = files ? overlays_of(files) : NULL;
    char *image = vpc_format("%s/conform-%s.cpio.gz", guest_dir,
                             implementation->role == VPC_FROM_HOST ? "host" : "guest");
    char *log = vpc_format("%s/conform-image.log", guest_dir);
    char *base = vpc_format("%s --dir %s", guest_image, guest_dir);
    char *command = vpc_format("%s --overlay %s/vpc-puppet:/etc/vpc/boot:755%s -o %s", base, build,
                               overlays ? overlays : "", image);

    if (files == NULL)
        *error = vpc_format("%s: files in [guest]: an unknown placeholder: %s",
                            implementation->path, unknown);
    if (*error || !run_image(base, log, error) || !run_image(command, log, error)) {
        free(image);
        image = NULL;
    }
    free(files);
    free(overlays);
    free(log);
    free(base);
    free(command);
    return image;
}

bool vpc_machine_start(struct vpc_machine *machine, const struct vpc_backend_config *config,
                       char **error)
{
    char *kernel = vpc_format("%s/vmlinuz", config->guest_dir);
    char *snapshots = vpc_format("%s/snapshots", config->guest_dir);
    struct vpc_vm_options options = {
        .name = config->vm,
        .tag = config->tag,
        .kernel = kernel,
        .initrd = config->initrd,
        .snapshots = snapshots,
    };
    char why[512] = "";

    machine->vm = vpc_vm_start(&options, why, sizeof(why));
    if (machine->vm == NULL)
        *error = vpc_format("the virtual machine can not be started: %s", why);
    free(kernel);
    free(snapshots);
    return machine->vm != NULL;
}

void vpc_machine_end(struct vpc_machine *machine)
{
    vpc_vm_stop(machine->vm);
    machine->vm = NULL;
}

int vpc_machine_next(struct vpc_machine *machine, int timeout_ms, struct vpc_puppet_event *event)
{
    struct vpc_vm_event one;

    while (machine->vm && vpc_vm_poll(machine->vm, timeout_ms, &one) == 1) {
        if (one.type == VPC_VM_PUPPET_LOST || one.type == VPC_VM_GONE)
            return -1;
        if (one.type == VPC_VM_PUPPET) {
            *event = one.puppet;
            return 1;
        }
        timeout_ms = 0;
    }
    return 0;
}
