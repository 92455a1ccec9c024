/* SPDX-License-Identifier: MIT */
/* The named ready event, of which the host endpoint is the owner (RDY-1); a virtual machine that was given another tag
 * has another event.  One whose tag was given owns it from the start; one whose tag a guest said gives way to it (RDY-7). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shell_internal.h"

enum {
    READY_RETRY_MS = 200,
    READY_GIVE_WAY_MS = 600, /* within it the other owns the event, and its name can be told */
    READY_AGAIN_MS = 2000,   /* the file may have been replaced */
    READY_LOGGED_MAX = 16,   /* in a second: a guest can say another tag with each session */
};

static void end_life(struct vpc_shell *shell)
{
    if (shell->ready_alive >= 0)
        close(shell->ready_alive);
    shell->ready_alive = -1;
}

/* That we live is said by a descriptor, which goes with us before the opener knows. */
static int ask(struct vpc_shell *shell, struct vpc_answer *answer)
{
    uint32_t bits = (shell->ready_wanted ? VPC_EVENT_IS_SET : 0) |
                    (shell->ready_given ? VPC_EVENT_IS_GIVEN : 0);

    int fd, error = vpc_opener_event(shell->asked, shell->ready_name, bits, answer, &fd);

    if (fd >= 0) {
        end_life(shell);
        shell->ready_alive = fd;
    }
    return error;
}

static void say_who_owns_it(const struct vpc_shell *shell, const char *owner, char *buf,
                            size_t size)
{
    snprintf(
        buf, size,
        shell->ready_given
            ? "the host endpoint of the VM %s owns it, and the VM %s was given the same tag: "
              "give each VM a tag of its own (--tag, set-tag)"
            : "the host endpoint of the VM %s owns it, and the guest of the VM %s said the same "
              "tag: give the first its tag by --tag, and look why the guest says it",
        *owner ? owner : "(unknown)", shell->config.vm);
}

/* It is tried again, and told then if it is still so. */
static bool too_often(struct vpc_shell *shell)
{
    if (shell->loop.now - shell->ready_log_since >= 1000) {
        shell->ready_log_since = shell->loop.now;
        shell->ready_logged = 0;
    }
    return shell->ready_logged++ >= READY_LOGGED_MAX;
}

/* Told once until it succeeds or fails otherwise. */
static void log_failure(struct vpc_shell *shell, int error, const char *owner)
{
    if (error == shell->ready_error || too_often(shell))
        return;
    shell->ready_error = error;
    char cause[512];
    if (error == EBUSY)
        say_who_owns_it(shell, owner, cause, sizeof(cause));
    else
        snprintf(cause, sizeof(cause), "%s", strerror(error));
    if (shell->ready_given)
        vpc_shell_note(shell, "the ready event %s is not ours: %s", shell->ready_name, cause);
    vpc_shell_log(
        shell, VPC_LOG_READY_EVENT_FAILED,
        json_pack("{s:s, s:i, s:s}", "event", shell->ready_name, "errno", error, "cause", cause));
}

static void give_up(struct vpc_shell *shell)
{
    int fd;

    end_life(shell);
    if (shell->ready_asked)
        vpc_opener_wish(shell->asked, VPC_WISH_END_EVENT, &fd);
    shell->ready_asked = false;
}

/* Another machine was given the tag, which our guest said. */
static void give_way(struct vpc_shell *shell)
{
    give_up(shell);
    vpc_timer_set(&shell->loop, &shell->ready_retry, shell->loop.now + READY_GIVE_WAY_MS);
}

/* Whoever waits for the event would wait for ever if it was not tried again. */
static void try_to_set(struct vpc_shell *shell)
{
    struct vpc_answer answer = {.text = ""};
    int error = ask(shell, &answer);

    shell->ready_asked = true;
    if (error == ECANCELED) {
        give_way(shell);
        return;
    }
    if (error == EMFILE) /* what says that we live is lost: next time it is made anew */
        give_up(shell);
    if (error)
        log_failure(shell, error, answer.text);
    else
        shell->ready_error = 0;
    vpc_timer_set(&shell->loop, &shell->ready_retry,
                  shell->loop.now + (error ? READY_RETRY_MS : READY_AGAIN_MS));
}

static void on_retry(struct vpc_timer *timer)
{
    try_to_set(timer->owner);
}

void vpc_ready_set(struct vpc_shell *shell, const char *name, bool set, bool given)
{
    if (shell->config.runtime_dir == NULL)
        return;
    if (strcmp(shell->ready_name, name) != 0) {
        vpc_ready_close(shell);
        snprintf(shell->ready_name, sizeof(shell->ready_name), "%s", name);
        shell->ready_error = 0;
    }
    shell->ready_wanted = set;
    if (given != shell->ready_given)
        shell->ready_error = 0; /* what is to be said is another thing */
    shell->ready_given = given;
    shell->ready_retry.on_due = on_retry;
    shell->ready_retry.owner = shell;
    vpc_timer_clear(&shell->loop, &shell->ready_retry);
    try_to_set(shell);
}

void vpc_ready_close(struct vpc_shell *shell)
{
    vpc_timer_clear(&shell->loop, &shell->ready_retry);
    give_up(shell);
}
