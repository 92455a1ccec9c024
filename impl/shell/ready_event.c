/* SPDX-License-Identifier: MIT */
/* The named ready event, of which the host endpoint is the owner (RDY-1); a virtual machine that was given another tag
 * has another event. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shell_internal.h"

enum {
    READY_RETRY_MS = 200,
    READY_AGAIN_MS = 2000, /* the file may have been replaced */
};

static int own(struct vpc_shell *shell)
{
    int error = 0;

    if (shell->ready == NULL)
        error = vpc_event_open(shell->config.runtime_dir, shell->ready_name, &shell->ready);
    return error ? error : vpc_event_own(shell->ready);
}

/* Told once until it succeeds or fails otherwise. */
static void log_failure(struct vpc_shell *shell, int error)
{
    if (error == shell->ready_error)
        return;
    shell->ready_error = error;
    const char *cause = error == EBUSY
                            ? "another VM's host endpoint owns it: give each VM a tag of its own"
                            : strerror(error);
    vpc_shell_log(
        shell, VPC_LOG_READY_EVENT_FAILED,
        json_pack("{s:s, s:i, s:s}", "event", shell->ready_name, "errno", error, "cause", cause));
}

/* Whoever waits for the event would wait for ever if it was not tried again. */
static void try_to_set(struct vpc_shell *shell)
{
    int error = own(shell);

    if (!error)
        error = vpc_event_set(shell->ready, shell->ready_wanted);
    if (error)
        log_failure(shell, error);
    else
        shell->ready_error = 0;
    vpc_timer_set(&shell->loop, &shell->ready_retry,
                  shell->loop.now + (error ? READY_RETRY_MS : READY_AGAIN_MS));
}

static void on_retry(struct vpc_timer *timer)
{
    try_to_set(timer->owner);
}

void vpc_ready_set(struct vpc_shell *shell, const char *name, bool set)
{
    if (shell->config.runtime_dir == NULL)
        return;
    if (strcmp(shell->ready_name, name) != 0) {
        vpc_ready_close(shell);
        snprintf(shell->ready_name, sizeof(shell->ready_name), "%s", name);
    }
    shell->ready_wanted = set;
    shell->ready_retry.on_due = on_retry;
    shell->ready_retry.owner = shell;
    vpc_timer_clear(&shell->loop, &shell->ready_retry);
    try_to_set(shell);
}

void vpc_ready_close(struct vpc_shell *shell)
{
    vpc_timer_clear(&shell->loop, &shell->ready_retry);
    vpc_event_close(shell->ready);
    shell->ready = NULL;
}
