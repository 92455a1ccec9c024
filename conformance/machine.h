/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine of the QEMU backends: the image of an implementation, one VM, and its puppet's events.
 *
 * Ownership: a machine is a value of the backend; vpc_machine_end() stops the VM.  Errors are one line that the caller frees.
 */
#ifndef VPC_CONFORM_MACHINE_H
#define VPC_CONFORM_MACHINE_H

#include "backend.h"
#include "vm.h"

struct vpc_machine {
    struct vpc_vm *vm; /* NULL: none runs */
};

/*
 * Makes the initrd of an implementation in guest_dir: the base, the puppet and what [guest] files lays over it, by means of
 * the program guest_image.  The initrd's path, the caller's, or NULL with *error.
 */
char *vpc_machine_image(const struct vpc_implementation *implementation, const char *build,
                        const char *guest_dir, const char *guest_image, char **error);
/* From a snapshot where there is one, which is 0.3 s; the first start makes it. */
bool vpc_machine_start(struct vpc_machine *machine, const struct vpc_backend_config *config,
                       char **error);
void vpc_machine_end(struct vpc_machine *machine);
/* 1 and an event of the puppet, 0 if none comes within timeout_ms, -1 when the VM or its puppet is lost. */
int vpc_machine_next(struct vpc_machine *machine, int timeout_ms, struct vpc_puppet_event *event);

#endif
