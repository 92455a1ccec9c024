/* SPDX-License-Identifier: MIT */
/*
 * The shell's middle: it opens the parts, turns the loop, and after each call into the endpoint
 * takes what that gave.
 *
 * The exchange is a loop, since taking output is itself a call (bus_sent() may free room, stream_sent() may end a pair).
 * It can't run for ever: each stream moves at most VPC_BUDGET octets each way per turn, and what an endpoint asks for
 * without new octets is bounded (vpc_endpoint.h, "Limits").  Nothing in it looks at all streams or all clients: lists
 * hold those of which something is to be seen.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "forward.h"
#include "output.h"
#include "shell_internal.h"

enum {
    STREAMS_MIN = 64, /* in the index, if nobody says how many there will be */
};

bool vpc_shell_is_heard(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&out, 1, 0) > 0;
}

void vpc_shell_note(const struct vpc_shell *shell, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!vpc_shell_is_heard())
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "%s: VM %s: ", shell->config.program, shell->config.vm);
    vpc_print_visible(stderr, text, strlen(text));
    fputc('\n', stderr);
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
void vpc_shell_exchange(struct vpc_shell *shell)
{
    if (shell->exchanging)
        return;
    shell->exchanging = true;
    vpc_carry_out(shell);
    do {
        vpc_streams_look(shell);
        vpc_bus_flush(&shell->bus);
        vpc_control_server_flush(&shell->control);
        vpc_carry_out(shell);
    } while (vpc_control_server_reap(&shell->control) || vpc_streams_wait(shell));
    vpc_streams_want(shell);
    shell->exchanging = false;
}

/* The soft limit of open files is a habit (1024); the hard one is what the system's owner means. */
static void raise_file_limit(const struct vpc_shell *shell)
{
    rlim_t wanted = shell->config.descriptors;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        vpc_shell_note(shell,
                       "max_pairs may need %llu open files, and the system allows %llu: clients "
                       "may have to wait (raise the hard limit, ulimit -Hn)",
                       (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
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

/* What endpoints of this machine have left: no other runs, since the control socket is ours. */
static void tidy_up(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;
    int error = vpc_log_shorten(&shell->log);

    if (error)
        vpc_shell_note(shell, "the event log %s, or a part of it, is too large and stays so: %s",
                       config->log_path, strerror(error));
}

static int open_parts(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;
    int error = vpc_log_open(&shell->log, shell);

    if (error) {
        note_log(shell, error);
        return error;
    }
    error = vpc_trace_open(shell);
    if (error) {
        note_trace(shell, error);
        return error;
    }
    error = vpc_journal_open(&shell->journal, shell->asked, config->journal, config->program);
    if (error) {
        vpc_shell_note(shell, "the journal's socket %s can not be used: %s", config->journal,
                       strerror(error));
        return error;
    }
    error = vpc_service_manager_open(&shell->manager, shell->asked, config->manager);
    if (error) {
        vpc_shell_note(shell, "the service manager's socket %s (NOTIFY_SOCKET) can not be used: %s",
                       config->manager, strerror(error));
        return error;
    }
    error = vpc_control_server_open(&shell->control, shell, config->control_path);
    if (error) {
        vpc_shell_note(shell, "the control socket %s can not be made: %s%s", config->control_path,
                       strerror(error), path_hint(error));
        return error;
    }
    tidy_up(shell);
    error = vpc_bus_open(&shell->bus, shell, config->bus);
    if (error)
        vpc_shell_note(shell, "the bus %s can not be opened: %s%s", config->bus, strerror(error),
                       path_hint(error));
    return error ? error : vpc_machine_open(shell);
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

/* Without a second process the acts are done here. */
static int open_acts(struct vpc_shell *shell)
{
    const struct vpc_shell_config *config = &shell->config;

    shell->asked = config->opener != NULL ? config->opener : &shell->own;
    if (config->opener != NULL)
        return 0;
    shell->own = (struct vpc_opener){.fd = -1, .acts = &shell->acts};
    struct vpc_acts_config acts = {
        .program = config->program,
        .vm = config->vm,
        .role = config->role,
        .runtime_dir = config->runtime_dir,
        .group = config->group,
        .control_path = config->control_path,
        .forward_folders = config->forward_folders,
        .journal = config->journal,
        .manager = config->manager,
        .changing =
            {
                .log_path = config->log_path,
                .log_limit = config->log_limit,
                .trace_path = config->trace_path,
                .trace_limit = config->trace_limit,
                .verbose = config->verbose,
            },
        .descriptors = config->descriptors,
    };
    vpc_bus_address_parse(config->bus, &acts.bus);
    return vpc_acts_open(&shell->acts, &acts);
}

static int open_all(struct vpc_shell *shell)
{
    unsigned room = shell->config.descriptors;

    raise_file_limit(shell);
    int error = vpc_streams_open(&shell->streams, room < STREAMS_MIN ? STREAMS_MIN : room);
    if (!error)
        error = open_acts(shell);
    if (!error)
        error = vpc_loop_open(&shell->loop);
    if (!error)
        error = make_endpoint(shell);
    if (!error)
        error = open_parts(shell);
    return error ? error : vpc_forwards_start(shell, shell->config.forwards);
}

int vpc_shell_open(const struct vpc_shell_config *config, struct vpc_shell **shell)
{
    struct vpc_shell *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return ENOMEM;
    made->config = *config;
    vpc_list_init(&made->forwards);
    made->abi = config->abi;
    vpc_log_init(&made->log);
    made->journal.fd = made->manager.fd = made->opener.fd = made->observer.fd = -1;
    made->ready_alive = -1;
    made->loop.epoll = made->signals.fd = -1;
    made->bus.watch.fd = -1;
    made->bus.listener.watch.fd = -1;
    made->acts.bus.lock = made->acts.control.lock = made->acts.turn.diag = -1;
    vpc_control_server_init(&made->control);
    int error = open_all(made);
    if (error) {
        vpc_shell_close(made);
        return error;
    }
    vpc_shell_exchange(made);
    *shell = made;
    return 0;
}

void vpc_shell_close(struct vpc_shell *shell)
{
    if (shell == NULL)
        return;
    vpc_forwards_close(shell);
    vpc_streams_close(shell);
    vpc_machine_close(shell);
    vpc_bus_close(&shell->bus);
    vpc_control_server_close(&shell->control);
    vpc_ready_close(shell);
    vpc_journal_close(&shell->journal);
    vpc_service_manager_close(&shell->manager);
    vpc_trace_close(shell);
    vpc_log_close(&shell->log);
    vpc_watch_close(&shell->loop, &shell->signals);
    if (shell->ep != NULL)
        shell->abi->destroy(shell->ep);
    vpc_loop_close(&shell->loop);
    vpc_acts_close(&shell->acts);
    free(shell);
}

static void before_handlers(void *owner)
{
    struct vpc_shell *shell = owner;

    shell->abi->clock(shell->ep, shell->loop.now);
    vpc_carry_out(shell);
    vpc_bus_look(&shell->bus);
}

int vpc_shell_turn(struct vpc_shell *shell, int wait_ms)
{
    uint64_t until = shell->abi->deadline(shell->ep);

    if (shell->stop_at && shell->stop_at < until)
        until = shell->stop_at;
    if (wait_ms >= 0 && until > shell->loop.now + (uint64_t)wait_ms)
        until = shell->loop.now + (uint64_t)wait_ms;
    vpc_streams_next_turn(shell);
    if (vpc_streams_wait(shell))
        until = shell->loop.now;
    int error = vpc_loop_turn(&shell->loop, until, before_handlers, shell);
    vpc_shell_exchange(shell);
    vpc_stop_advance(shell);
    vpc_streams_bury(shell);
    vpc_control_server_bury(&shell->control);
    return error;
}

uint64_t vpc_shell_turns(const struct vpc_shell *shell)
{
    return shell->loop.turns;
}

/* What a file is called now; NULL: there is none. */
static const char *learn_name(const struct vpc_shell *shell, enum vpc_kept which,
                              char name[VPC_FILE_SIZE])
{
    const struct vpc_errand errand = {.wish = VPC_WISH_FILE_NAME, .number = which};
    struct vpc_answer answer = {.text = ""};
    int fd;

    vpc_opener_ask(shell->asked, &errand, &answer, &fd);
    snprintf(name, VPC_FILE_SIZE, "%s", answer.text);
    return *name ? name : NULL;
}

/* The opener has read them; those that are wrong change nothing. */
static void learn_settings(struct vpc_shell *shell)
{
    struct vpc_shell_config *config = &shell->config;
    const struct vpc_errand errand = {.wish = VPC_WISH_RELOAD};
    struct vpc_answer answer;
    int fd;

    if (vpc_opener_ask(shell->asked, &errand, &answer, &fd) != 0)
        return;
    config->verbose = answer.verbose != 0;
    config->log_limit = answer.log_limit;
    config->trace_limit = answer.trace_limit;
    config->log_path = learn_name(shell, VPC_KEPT_LOG, shell->log_name);
    config->trace_path = learn_name(shell, VPC_KEPT_TRACE, shell->trace_name);
}

void vpc_shell_reload(struct vpc_shell *shell)
{
    struct vpc_shell_config *config = &shell->config;

    learn_settings(shell);
    int error = vpc_log_reopen(&shell->log, shell);
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
    if (shell->streams.lingering > 0)
        return true;
    return shell->control.with_output > 0;
}
