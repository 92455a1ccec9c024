/* SPDX-License-Identifier: MIT */
/*
 * A run of the shell, from the sandbox to the last octet: what the signals say, and how it stops.
 *
 * It stops in three steps, each with a limit: what local programs have written is taken, the endpoint drains its pairs
 * and says STOPPED, and the last octets go out.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sandbox.h"
#include "shell_internal.h"

enum {
    STOP_LIMIT_MS = 5000,  /* how long open pairs may drain after the first signal */
    FLUSH_LIMIT_MS = 2000, /* how long after STOPPED a control client may read nothing (CTL-8), */
    FLUSH_END_MS = 5000,   /* and how long the last octets may take in all */
    LOOK_MS = 500,         /* while it is stopped: whether that takes too long */
    STOP_GRACE_MS = 2000,  /* an endpoint that does not say STOPPED in time is left alone */
};

/* ---- the stop ---------------------------------------------------------------------------------- */

void vpc_stop_advance(struct vpc_shell *shell)
{
    uint64_t now = shell->loop.now, left = shell->stop_at > now ? shell->stop_at - now : 0;

    if (!shell->stop_at || (left > 0 && shell->streams.unread > 0))
        return;
    shell->stop_at = 0;
    shell->abi->stop(shell->ep, left);
    vpc_shell_exchange(shell);
}

static void tell_manager(struct vpc_shell *shell, const char *state)
{
    int error = vpc_service_manager_tell(&shell->manager, state);

    if (error)
        vpc_shell_note(shell, "the service manager at %s does not take %s: %s",
                       shell->config.manager, state, strerror(error));
}

void vpc_shell_stop(struct vpc_shell *shell, uint64_t limit_ms)
{
    tell_manager(shell, "STOPPING=1");
    vpc_streams_take_no_more(shell);
    shell->stop_at = shell->loop.now + limit_ms;
    vpc_stop_advance(shell);
}

bool vpc_shell_stopped(const struct vpc_shell *shell)
{
    return shell->stopped;
}

/* ---- signals ----------------------------------------------------------------------------------- */

/* The first signal to stop lets open pairs drain; a second one means now. */
static void on_signal(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_shell *shell = watch->owner;
    struct signalfd_siginfo info;

    (void)events;
    while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo == SIGHUP)
            vpc_shell_reload(shell);
        else
            vpc_shell_stop(shell, shell->signals_seen++ ? 0 : STOP_LIMIT_MS);
}

static sigset_t taken_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void vpc_shell_hold_hangup(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void vpc_shell_hold_signals(void)
{
    sigset_t set = taken_signals();

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log at the limit of a file's size is a full disk, no end */
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int watch_signals(struct vpc_shell *shell)
{
    sigset_t set = taken_signals();

    vpc_shell_hold_signals();
    shell->signals = (struct vpc_watch){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
        .on_ready = on_signal,
        .owner = shell,
    };
    return shell->signals.fd < 0 ? errno : vpc_watch_set(&shell->loop, &shell->signals, EPOLLIN);
}

/* Without it nothing can be opened any more, so the endpoint ends, in order, to be started again. */
static void on_opener_end(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_shell *shell = watch->owner;

    (void)events;
    vpc_watch_remove(&shell->loop, watch);
    vpc_shell_note(shell,
                   "the process that opens all for it (the opener) has ended: the endpoint stops");
    shell->without_opener = true;
    shell->signals_seen++;
    vpc_shell_stop(shell, STOP_LIMIT_MS);
}

static int watch_opener(struct vpc_shell *shell)
{
    const struct vpc_opener *opener = shell->config.opener;

    if (opener == NULL)
        return 0;
    shell->opener = (struct vpc_watch){.fd = opener->fd, .on_ready = on_opener_end, .owner = shell};
    return vpc_watch_set(&shell->loop, &shell->opener, EPOLLRDHUP);
}

/* ---- the sandbox ------------------------------------------------------------------------------- */

static int confine(struct vpc_shell *shell, const struct vpc_sandbox *sandbox)
{
    const char *what;
    bool paths;
    int error = vpc_sandbox_enter(sandbox, &what, &paths);

    if (error)
        vpc_shell_note(shell,
                       "no sandbox: %s: %s (a kernel without it needs --no-sandbox; then the "
                       "endpoint is safe only from a peer that you trust)",
                       what, strerror(error));
    else if (!paths)
        vpc_shell_log(shell, VPC_LOG_SANDBOX_OFF,
                      json_pack("{s:s}", "cause",
                                "the kernel has no Landlock: files are not confined, system calls "
                                "are"));
    return error;
}

/* It has opened all that is opened once; it says itself what is wrong. */
static int confine_opener(const struct vpc_shell *shell)
{
    int fd;

    return vpc_opener_wish(shell->asked, VPC_WISH_CONFINE, &fd);
}

static int enter_sandbox(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;

    if (config->no_sandbox != NULL) {
        vpc_shell_log(shell, VPC_LOG_SANDBOX_OFF, json_pack("{s:s}", "cause", config->no_sandbox));
        return 0;
    }
    int error = confine_opener(shell);
    if (error)
        return error;
    return confine(shell, &(struct vpc_sandbox){
                              .program = config->program, .vm = config->vm, .role = config->role});
}

/* ---- the run ----------------------------------------------------------------------------------- */

static void flush_last_octets(struct vpc_shell *shell)
{
    const uint64_t end = shell->loop.now + FLUSH_END_MS;
    uint64_t flushed_by = shell->loop.now + FLUSH_LIMIT_MS, sent = shell->control.sent;

    while (vpc_shell_has_output(shell) && shell->loop.now < flushed_by) {
        if (vpc_shell_turn(shell, (int)(flushed_by - shell->loop.now)) != 0)
            return;
        if (shell->control.sent == sent)
            continue;
        sent = shell->control.sent;
        flushed_by = shell->loop.now + FLUSH_LIMIT_MS;
        flushed_by = flushed_by < end ? flushed_by : end;
    }
}

int vpc_shell_run(struct vpc_shell *shell)
{
    uint64_t give_up = UINT64_MAX;
    int error = watch_signals(shell);

    if (!error)
        error = watch_opener(shell);
    if (!error)
        error = enter_sandbox(shell);
    if (!error)
        tell_manager(shell, "READY=1");
    while (!error && !shell->stopped && shell->loop.now < give_up) {
        if (shell->signals_seen && give_up == UINT64_MAX)
            give_up = shell->loop.now + STOP_LIMIT_MS + STOP_GRACE_MS;
        error = vpc_shell_turn(shell, shell->signals_seen ? LOOK_MS : -1);
    }
    if (error || !shell->stopped) {
        vpc_shell_note(shell, "stopped without ceremony: %s",
                       error ? strerror(error) : "the endpoint does not stop");
        return 1;
    }
    flush_last_octets(shell);
    return shell->without_opener ? 1 : 0;
}
