/* SPDX-License-Identifier: MIT */
/* The named ready event, of which the host endpoint is the owner (RDY-1). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shell_internal.h"

/* Opens and owns the event `name`; a virtual machine that was given another tag has another event.
 */
static int own(vpc_shell *shell, const char *name)
{
    int error = 0;
    if (strcmp(shell->ready_name, name) != 0) {
        vpc_event_close(shell->ready);
        shell->ready = NULL;
        snprintf(shell->ready_name, sizeof(shell->ready_name), "%s", name);
    }
    if (!shell->ready)
        error = vpc_event_open(shell->config.runtime_dir, name, &shell->ready);
    return error ? error : vpc_event_own(shell->ready);
}

void vpc_ready_set(vpc_shell *shell, const char *name, bool set)
{
    if (!shell->config.runtime_dir)
        return;
    int error = own(shell, name);
    if (!error)
        error = vpc_event_set(shell->ready, set);
    if (error)
        vpc_shell_note(shell, "the ready event %s can not be %s: %s%s", name, set ? "set" : "reset",
                       strerror(error),
                       error == EBUSY
                           ? " (another VM's host endpoint owns it: give each VM a tag of its own)"
                           : "");
}
