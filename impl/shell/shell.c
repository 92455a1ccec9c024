/* SPDX-License-Identifier: MIT */
/*
 * The shell's middle: it opens the parts, turns the loop, and after each call into the endpoint
 * takes what that gave.
 *
 * Settling is a loop, since taking output is itself a call (bus_sent() may free credit,
 * stream_sent() may end a pair). It can't run for ever: each descriptor moves at most VPC_BUDGET
 * octets per settle, and what an endpoint asks for without new octets is bounded (vpc_endpoint.h,
 * "Limits").
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox.h"
#include "shell_internal.h"

enum {
    STOP_LIMIT_MS = 5000, /* how long open pairs may drain after the first signal */
    FLUSH_LIMIT_MS = 500, /* how long the last octets may take after STOPPED */
    STOP_GRACE_MS = 2000, /* an endpoint that does not say STOPPED in time is left alone */
};

void vpc_shell_note(const struct vpc_shell *shell, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "%s: VM %s: %s\n", shell->config.program, shell->config.vm, text);
}

static uint64_t random_bits(void *user)
{
    uint64_t bits = 0;
    unsigned char *at = (unsigned char *)&bits;
    size_t have = 0;

    (void)user;
    while (have < sizeof(bits)) {
        ssize_t n = getrandom(at + have, sizeof(bits) - have, 0);

        if (n < 0 && errno != EINTR)
            abort(); /* without random numbers a session could be mistaken for an older one */
        if (n > 0)
            have += (size_t)n;
    }
    return bits;
}

/* The bus comes after the streams: what they took may give the peer credit. */
static void flush_all(struct vpc_shell *shell)
{
    for (struct vpc_stream *s = shell->streams; s != NULL; s = s->next)
        vpc_stream_flush(s);
    vpc_bus_flush(&shell->bus);
    vpc_control_flush(&shell->control);
}

static bool resume_one(struct vpc_shell *shell)
{
    for (struct vpc_stream *s = shell->streams; s != NULL; s = s->next)
        if (vpc_stream_resume(s))
            return true;
    return false;
}

void vpc_shell_settle(struct vpc_shell *shell)
{
    bool more;

    if (shell->settling)
        return;
    shell->settling = true;
    vpc_actions_take(shell);
    do {
        flush_all(shell);
        more = resume_one(shell) || vpc_control_reap(&shell->control);
        more |= vpc_actions_take(shell);
    } while (more);
    for (struct vpc_stream *s = shell->streams; s != NULL; s = s->next)
        vpc_stream_want(s);
    shell->settling = false;
}

static void note_log(const struct vpc_shell *shell, int error)
{
    vpc_shell_note(shell, "the event log %s can not be opened: %s", shell->config.log_path,
                   strerror(error));
}

static void note_trace(const struct vpc_shell *shell, int error)
{
    vpc_shell_note(shell, "the trace %s can not be opened: %s", shell->config.trace_path,
                   error == EEXIST ? "it is there, and is no trace" : strerror(error));
}

/* What to do, where a socket's path is taken. */
static const char *path_hint(int error)
{
    if (error == EADDRINUSE)
        return " (an endpoint runs already)";
    return error == EEXIST ? " and is no socket (remove it, or choose another path)" : "";
}

static int open_parts(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;
    int error = vpc_log_open(&shell->log, config->log_path, config->verbose);

    if (error) {
        note_log(shell, error);
        return error;
    }
    error = vpc_trace_open(shell);
    if (error) {
        note_trace(shell, error);
        return error;
    }
    error = vpc_journal_open(&shell->journal, config->journal, config->program);
    if (error) {
        vpc_shell_note(shell, "the journal's socket %s can not be used: %s", config->journal,
                       strerror(error));
        return error;
    }
    error = vpc_control_open(&shell->control, shell, config->control_path);
    if (error) {
        vpc_shell_note(shell, "the control socket %s can not be made: %s%s", config->control_path,
                       strerror(error), path_hint(error));
        return error;
    }
    error = vpc_bus_open(&shell->bus, shell, config->bus);
    if (error)
        vpc_shell_note(shell, "the bus %s can not be opened: %s%s", config->bus, strerror(error),
                       path_hint(error));
    return error;
}

static int make_endpoint(struct vpc_shell *shell)
{
    char why[256] = "";
    vpc_endpoint_config config = {
        .role = shell->config.role,
        .vm = shell->config.vm,
        .tag = shell->config.tag,
        .options = shell->config.options,
        .random = random_bits,
        .error = why,
        .error_size = sizeof(why),
    };

    errno = EINVAL;
    shell->ep = shell->abi->create(&config, shell->loop.now);
    if (shell->ep != NULL)
        return 0;
    int error = errno;
    vpc_shell_note(shell, "the endpoint refuses its settings: %s (see VPCBUS.md, section 10)",
                   *why ? why : strerror(error));
    return error == EINVAL ? VPC_SHELL_BAD_SETTING : error;
}

int vpc_shell_open(const struct vpc_shell_config *config, struct vpc_shell **shell)
{
    struct vpc_shell *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return ENOMEM;
    made->config = *config;
    made->abi = config->abi;
    made->log.fd = made->journal.fd = -1;
    made->signals.fd = -1;
    made->bus.watch.fd = -1;
    made->bus.listener.watch.fd = made->bus.listener.lock = -1;
    made->control.listener.watch.fd = made->control.listener.lock = -1;
    int error = vpc_loop_open(&made->loop);
    if (!error)
        error = make_endpoint(made);
    if (!error)
        error = open_parts(made);
    if (error) {
        vpc_shell_close(made);
        return error;
    }
    vpc_shell_settle(made);
    *shell = made;
    return 0;
}

void vpc_shell_close(struct vpc_shell *shell)
{
    if (shell == NULL)
        return;
    for (struct vpc_stream *s = shell->streams; s != NULL; s = s->next)
        vpc_stream_end(s, true);
    vpc_streams_bury(shell);
    vpc_bus_close(&shell->bus);
    vpc_control_close(&shell->control);
    vpc_ready_close(shell);
    vpc_journal_close(&shell->journal);
    vpc_trace_close(shell);
    vpc_log_close(&shell->log);
    vpc_watch_close(&shell->loop, &shell->signals);
    if (shell->ep != NULL)
        shell->abi->destroy(shell->ep);
    vpc_loop_close(&shell->loop);
    free(shell);
}

static void before_handlers(void *owner)
{
    struct vpc_shell *shell = owner;

    shell->abi->clock(shell->ep, shell->loop.now);
    vpc_shell_settle(shell);
}

/* Tells the endpoint as soon as it has all that the local programs wrote, or the limit is over. */
static void advance_stop(struct vpc_shell *shell)
{
    uint64_t now = shell->loop.now, left = shell->stop_at > now ? shell->stop_at - now : 0;

    if (!shell->stop_at || (left > 0 && vpc_streams_unread(shell)))
        return;
    shell->stop_at = 0;
    shell->abi->stop(shell->ep, left);
    vpc_shell_settle(shell);
}

int vpc_shell_turn(struct vpc_shell *shell, int wait_ms)
{
    uint64_t until = shell->abi->deadline(shell->ep);

    if (shell->stop_at && shell->stop_at < until)
        until = shell->stop_at;
    if (wait_ms >= 0 && until > shell->loop.now + (uint64_t)wait_ms)
        until = shell->loop.now + (uint64_t)wait_ms;
    int error = vpc_loop_turn(&shell->loop, until, before_handlers, shell);
    vpc_shell_settle(shell);
    advance_stop(shell);
    vpc_streams_bury(shell);
    vpc_control_bury(&shell->control);
    return error;
}

uint64_t vpc_shell_turns(const struct vpc_shell *shell)
{
    return shell->loop.turns;
}

void vpc_shell_stop(struct vpc_shell *shell, uint64_t limit_ms)
{
    vpc_streams_take_no_more(shell);
    shell->stop_at = shell->loop.now + limit_ms;
    advance_stop(shell);
}

bool vpc_shell_stopped(const struct vpc_shell *shell)
{
    return shell->stopped;
}

void vpc_shell_reload(struct vpc_shell *shell)
{
    struct vpc_shell_config *config = &shell->config;

    if (config->reload != NULL)
        config->reload(config->reload_user, config);
    int error = vpc_log_reopen(&shell->log, config->log_path, config->verbose);
    if (error)
        note_log(shell, error);
    error = vpc_trace_open(shell);
    if (error) {
        note_trace(shell, error);
        vpc_trace_failed(shell, config->trace_path, error);
    }
}

bool vpc_shell_has_output(const struct vpc_shell *shell)
{
    const void *octets;

    if (shell->bus.up && shell->abi->bus_output(shell->ep, &octets))
        return true;
    for (const struct vpc_stream *s = shell->streams; s != NULL; s = s->next)
        if (s->phase == VPC_STREAM_LINGERING)
            return true;
    for (const struct vpc_client *c = shell->control.clients; c != NULL; c = c->next)
        if (c->out_size && !c->doomed)
            return true;
    return false;
}

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

/* The folder of a path, to folder (VPC_FILE_SIZE octets). */
static const char *folder_of(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');
    int n = slash != NULL ? (int)(slash - path) : 0;

    snprintf(folder, VPC_FILE_SIZE, "%.*s", n, path);
    return n ? folder : slash != NULL ? "/" : ".";
}

/* Of the sockets that the bus makes and looks at. */
static int family_of(const struct vpc_bus *bus)
{
    switch (bus->address.kind) {
    case VPC_BUS_PORT:
        return AF_UNSPEC;
    case VPC_BUS_VSOCK:
    case VPC_BUS_VSOCK_LISTEN:
        return AF_VSOCK;
    default:
        return AF_UNIX;
    }
}

static int enter_sandbox(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;
    const struct vpc_bus *bus = &shell->bus;
    char control[VPC_FILE_SIZE], listen[VPC_FILE_SIZE], log[VPC_FILE_SIZE], trace[VPC_FILE_SIZE],
        settings[VPC_FILE_SIZE];
    const char *what;
    bool paths;

    if (config->no_sandbox != NULL) {
        vpc_shell_log(shell, VPC_LOG_SANDBOX_OFF, json_pack("{s:s}", "cause", config->no_sandbox));
        return 0;
    }
    struct vpc_sandbox sandbox = {
        .program = config->program,
        .vm = config->vm,
        .role = config->role,
        .bus_family = family_of(bus),
        .port = bus->address.kind == VPC_BUS_PORT ? bus->address.path : NULL,
        .traces = config->trace_path != NULL || config->config_path != NULL,
        .config = config->config_path != NULL ? folder_of(config->config_path, settings) : NULL,
        .folders = {config->runtime_dir, folder_of(config->control_path, control),
                    bus->address.kind == VPC_BUS_LISTEN ? folder_of(bus->address.path, listen)
                                                        : NULL,
                    config->log_path != NULL ? folder_of(config->log_path, log) : NULL,
                    config->trace_path != NULL ? folder_of(config->trace_path, trace) : NULL},
    };
    int error = vpc_sandbox_enter(&sandbox, &what, &paths);
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

int vpc_shell_run(struct vpc_shell *shell)
{
    uint64_t give_up = UINT64_MAX;
    int error = watch_signals(shell);

    if (!error)
        error = enter_sandbox(shell);
    while (!error && !shell->stopped && shell->loop.now < give_up) {
        if (shell->signals_seen && give_up == UINT64_MAX)
            give_up = shell->loop.now + STOP_LIMIT_MS + STOP_GRACE_MS;
        error = vpc_shell_turn(shell, shell->signals_seen ? FLUSH_LIMIT_MS : -1);
    }
    if (error || !shell->stopped) {
        vpc_shell_note(shell, "stopped without ceremony: %s",
                       error ? strerror(error) : "the endpoint does not stop");
        return 1;
    }
    uint64_t flushed_by = shell->loop.now + FLUSH_LIMIT_MS;
    while (vpc_shell_has_output(shell) && shell->loop.now < flushed_by)
        if (vpc_shell_turn(shell, (int)(flushed_by - shell->loop.now)) != 0)
            break;
    return 0;
}
