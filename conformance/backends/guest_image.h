/* SPDX-License-Identifier: MIT */
/*
 * What a subject's guest boots from: the guest image with the puppet, and the implementation's files laid
 * over it.
 *
 * Ownership: *initrd and *error are texts that the caller frees.
 */
#ifndef VPC_CONFORM_GUEST_IMAGE_H
#define VPC_CONFORM_GUEST_IMAGE_H

#include <stdbool.h>

#include "backends/descriptor.h"

/*
 * Makes the initrd of a guest endpoint, or of a host endpoint's peer (the puppet alone), in guest_dir, unless
 * there is one of the same contents.  Runs the program tool (tools/guest-image), which tells on standard
 * error what it does.
 */
bool vpc_guest_image(const struct vpc_implementation *implementation, const char *build,
                     const char *guest_dir, const char *tool, char **initrd, char **error);

#endif
