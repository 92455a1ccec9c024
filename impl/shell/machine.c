/* SPDX-License-Identifier: MIT */
/*
 * Who tells the endpoint how its machine is (TRN-7): the observer (observer.h), or, where there is no other process, the
 * monitor itself.
 */
#include <errno.h>
#include <string.h>

#include "shell_internal.h"

/* What the guest said before is heard first (SES-21). */
static void tell(void *user, enum vpc_machine_state machine)
{
    struct vpc_shell *shell = user;

    vpc_bus_take(&shell->bus);
    shell->config.machine(shell->ep, machine);
    vpc_shell_exchange(shell);
}

static void on_message(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_shell *shell = watch->owner;
    uint32_t machine;
    int error;

    (void)events;
    while ((error = vpc_observer_hear(shell->config.observer, &machine)) == 0)
        tell(shell, machine);
    if (error == EAGAIN)
        return;
    vpc_watch_remove(&shell->loop, watch);
    vpc_shell_note(shell,
                   "the process that talks to %s (the observer) has ended: nobody tells of the "
                   "machine any more, until this endpoint is started again: %s",
                   shell->config.monitor, strerror(error));
    tell(shell, VPC_MACHINE_UNKNOWN);
}

int vpc_machine_open(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;
    const struct vpc_hypervisor_config monitor = {
        .program = config->program,
        .vm = config->vm,
        .path = config->monitor,
        .tell = tell,
        .user = shell,
    };

    if (config->monitor == NULL)
        return 0;
    if (config->observer == NULL) {
        vpc_hypervisor_open(&shell->monitor, &monitor, &shell->loop);
        return 0;
    }
    shell->observer =
        (struct vpc_watch){.fd = config->observer->fd, .on_ready = on_message, .owner = shell};
    return vpc_watch_set(&shell->loop, &shell->observer, EPOLLIN);
}

void vpc_machine_close(struct vpc_shell *shell)
{
    vpc_hypervisor_close(&shell->monitor);
    vpc_watch_remove(&shell->loop, &shell->observer);
}
