/* SPDX-License-Identifier: MIT */
/* vpcctl: the host and guest endpoints' command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "local_socket.h"
#include "output.h"
#include "version.h"

enum {
    OPT_JSON = 1 << 0,
    OPT_SOCKET = 1 << 1,
    OPT_TAG = 1 << 2,
    OPT_TIMEOUT = 1 << 3,
    OPT_FOLLOW = 1 << 4,
    OPT_EXPLAIN = 1 << 5,
    OPT_FILE = 1 << 6,
    OPT_RUNTIME_DIR = 1 << 7,
    OPT_HELP = 1 << 8,
    OPT_VERSION = 1 << 9,
    OPT_XML = 1 << 10,
    OPT_LINGER = 1 << 13,
    OPT_REMOVE = 1 << 14,
    OPT_LIST = 1 << 15,
    OPT_WAIT = 1 << 16,
    OPT_REFUSE = 1 << 17,
    MAY_BE_PORT = 1 << 18, /* PIPE may be :PORT */
    NEEDS_VM = 1 << 11,    /* the first argument is VM, unless an option takes its place */
    NEEDS_PIPE = 1 << 12,  /* the next one is PIPE */
    ALWAYS = OPT_JSON | OPT_RUNTIME_DIR,
    TALKS = ALWAYS | NEEDS_VM | OPT_SOCKET | OPT_TIMEOUT,
};

/* Seconds, fractions allowed, to milliseconds; -1 when text is none. */
static int64_t seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    return end == text || *end || !(value >= 0 && value <= INT_MAX / 1000)
               ? -1
               : (int64_t)(value * 1000);
}

/* How a value, or that an option was given, comes to its place in struct ctl; false: it is none. */
static bool take_text(void *place, const char *value)
{
    *(const char **)place = value;
    return true;
}

static bool take_seconds(void *place, const char *value)
{
    int64_t ms = seconds(value);

    *(int64_t *)place = ms;
    return ms >= 0;
}

static bool take_linger(void *place, const char *value)
{
    if (strcmp(value, "forever") != 0)
        return take_seconds(place, value);
    *(int64_t *)place = VPC_FOREVER;
    return true;
}

static bool take_mark(void *place, const char *value)
{
    (void)value;
    *(bool *)place = true;
    return true;
}

#define TO(member) offsetof(struct ctl, member)

/* Also what the completion of shells reads: `vpcctl --help` and `vpcctl COMMAND --help`. */
static const struct option_row {
    const char *name, *value, *help;
    int flag;
    bool (*take)(void *place, const char *value); /* NULL: that it was given is all */
    size_t at;
} option_rows[] = {
    {"json", NULL, "print JSON", OPT_JSON, take_mark, TO(json)},
    {"runtime-dir", "DIR", "the runtime directory of the endpoints", OPT_RUNTIME_DIR, take_text,
     TO(runtime_dir)},
    {"socket", "PATH", "the control socket of any endpoint, instead of VM", OPT_SOCKET, take_text,
     TO(socket)},
    {"timeout", "SECONDS", "how long to wait; fractions are allowed", OPT_TIMEOUT, take_seconds,
     TO(timeout_ms)},
    {"linger", "SECONDS", "how long to wait for more input when the guest has finished, or forever",
     OPT_LINGER, take_linger, TO(linger_ms)},
    {"tag", "TAG", "wait for the ready event of this chassis asset tag, instead of VM", OPT_TAG,
     take_text, TO(tag)},
    {"follow", NULL, "go on with what comes", OPT_FOLLOW, take_mark, TO(follow)},
    {"file", "FILE", "the event log, instead of VM", OPT_FILE, take_text, TO(file)},
    {"explain", "ID", "what an event means, by its id or name; all: each", OPT_EXPLAIN, take_text,
     TO(explain)},
    {"xml", NULL, "print Windows event XML", OPT_XML, take_mark, TO(xml)},
    {"remove", "LISTEN", "end the forward that listens there", OPT_REMOVE, take_text, TO(remove)},
    {"list", NULL, "the forwards that there are", OPT_LIST, take_mark, TO(list)},
    {"wait-until-ready", NULL, "clients that come too early wait, and are not refused", OPT_WAIT,
     take_mark, TO(wait_until_ready)},
    {"refuse-when-full", NULL, "clients for whom no channel is free are refused, and do not wait",
     OPT_REFUSE, take_mark, TO(refuse_when_full)},
    {"help", NULL, "this help", OPT_HELP, NULL, 0},
    {"version", NULL, "the version", OPT_VERSION, NULL, 0},
};

enum {
    OPTIONS = sizeof(option_rows) / sizeof(option_rows[0]),
};

struct command_row {
    const char *name, *usage, *help;
    int flags;    /* the options that it takes, NEEDS_VM, NEEDS_PIPE */
    int min, max; /* arguments behind VM and PIPE */
    int (*run)(const struct ctl *c);
};

static const struct command_row commands[] = {
    {"list", "", "the virtual machines of which a host endpoint runs", ALWAYS, 0, 0, ctl_list},
    {"show", "VM", "tag, readiness, what is missing, and the peer", TALKS, 0, 0, ctl_show},
    {"set-tag", "VM TAG", "set the chassis asset tag of a machine that does not run", TALKS, 1, 1,
     ctl_set_tag},
    {"wait-ready", "VM", "wait until channels can be started; say what is missing",
     ALWAYS | NEEDS_VM | OPT_TAG | OPT_TIMEOUT, 0, 0, ctl_wait_ready},
    {"start", "VM PIPE PORT", "start a communication channel; print the pipe's path",
     TALKS | NEEDS_PIPE, 1, 1, ctl_start},
    {"stop", "VM PIPE", "end a communication channel", TALKS | NEEDS_PIPE, 0, 0, ctl_stop},
    {"connect", "VM PIPE [PORT]",
     "join a pipe with standard input and output; PORT: start it first; VM :PORT: by a name of its "
     "own",
     OPT_RUNTIME_DIR | OPT_TIMEOUT | OPT_LINGER | NEEDS_VM | NEEDS_PIPE | MAY_BE_PORT, 0, 1,
     ctl_connect},
    {"forward", "VM [LISTEN PORT]",
     "let each client of a socket have a channel of its own; LISTEN: a name, a path, or a port",
     TALKS | OPT_REMOVE | OPT_LIST | OPT_WAIT | OPT_REFUSE, 0, 2, ctl_forward},
    {"stat", "VM", "counters", TALKS, 0, 0, ctl_stat},
    {"devices", "VM", "the channels, as devices", TALKS, 0, 0, ctl_devices},
    {"events", "VM", "the event log",
     ALWAYS | NEEDS_VM | OPT_FOLLOW | OPT_EXPLAIN | OPT_FILE | OPT_XML, 0, 0, ctl_events},
    {"pipe-path", "PIPE", "the Unix socket of a pipe name", ALWAYS | NEEDS_PIPE, 0, 0,
     ctl_pipe_path},
};

enum {
    COMMANDS = sizeof(commands) / sizeof(commands[0]),
};

static int usage(FILE *out)
{
    fputs("usage: vpcctl COMMAND ...\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        char left[64];

        snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].usage);
        fprintf(out, "  %-24s %s\n", left, commands[i].help);
    }
    fputs(
        "\nvpcctl COMMAND --help tells the options of a command.  Exit status: 0 done, 1 failed, 2 "
        "wrong usage,\n3 not ready, 4 out of time; vpcctl(1) has the others.\n",
        out);
    return out == stdout ? CTL_OK : CTL_USAGE;
}

static int command_usage(FILE *out, const struct command_row *command)
{
    fprintf(out, "usage: vpcctl %s %s%s[OPTION]...\n", command->name, command->usage,
            *command->usage ? " " : "");
    if (out != stdout)
        return CTL_USAGE;
    printf("%s\n\n", command->help);
    if (command->flags & NEEDS_PIPE)
        puts("PIPE is \\\\.\\pipe\\NAME, or NAME alone.\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        char left[32];

        if (!(option_rows[i].flag & (command->flags | OPT_HELP)))
            continue;
        snprintf(left, sizeof(left), "--%s %s", option_rows[i].name,
                 option_rows[i].value != NULL ? option_rows[i].value : "");
        printf("  %-20s %s\n", left, option_rows[i].help);
    }
    return CTL_OK;
}

static bool take_value(struct ctl *c, const struct option_row *row)
{
    return row->take == NULL || row->take((char *)c + row->at, optarg);
}

static const struct command_row *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* A name that nobody else has. */
static void name_pipe(char *pipe)
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        number = (uint64_t)vpc_now_ms();
    snprintf(pipe, VPC_PIPE_SIZE, "\\\\.\\pipe\\connect-%d-%016" PRIx64, (int)getpid(), number);
}

/* NAME alone is easier to type; it can not hold a backslash. */
static void take_pipe(struct ctl *c, const struct command_row *command, const char *given,
                      char *pipe)
{
    if ((command->flags & MAY_BE_PORT) && *given == ':' && vpc_port(given + 1) != 0) {
        c->port = given + 1;
        name_pipe(pipe);
    } else {
        snprintf(pipe, VPC_PIPE_SIZE, "%s%s", strchr(given, '\\') != NULL ? "" : "\\\\.\\pipe\\",
                 given);
    }
    c->pipe = pipe;
}

/* Tells VM, PIPE and the other arguments apart; false when there are too few or too many. */
static bool take_arguments(struct ctl *c, const struct command_row *command, int count, char **args,
                           char *pipe)
{
    bool vm = (command->flags & NEEDS_VM) && c->socket == NULL && c->tag == NULL &&
              c->explain == NULL && c->file == NULL;
    int taken = vm + !!(command->flags & NEEDS_PIPE);

    if (count - taken < command->min || count - taken > command->max)
        return false;
    if (vm)
        c->vm = *args++;
    if (command->flags & NEEDS_PIPE)
        take_pipe(c, command, *args++, pipe);
    c->args = args;
    c->count = count - taken;
    return c->port == NULL || c->count == 0;
}

static int run_command(struct ctl *c, int given, int count, char **args)
{
    char pipe[VPC_PIPE_SIZE];
    const struct command_row *command = find_command(args[0]);

    if (command == NULL) {
        fputs("vpcctl: there is no command ", stderr);
        vpc_print_visible(stderr, args[0], strlen(args[0]));
        fputs(" (see vpcctl --help)\n", stderr);
        return CTL_USAGE;
    }
    if (given & OPT_HELP)
        return command_usage(stdout, command);
    c->command = command->name;
    if (!take_arguments(c, command, count - 1, args + 1, pipe) || (given & ~command->flags))
        return command_usage(stderr, command);
    return command->run(c);
}

/* Reads the options into c; which were given, or -1. */
static int take_options(struct ctl *c, int argc, char **argv)
{
    struct option options[OPTIONS + 1] = {0};
    int given = 0, at;

    for (size_t i = 0; i < OPTIONS; i++)
        options[i] = (struct option){.name = option_rows[i].name,
                                     .has_arg = option_rows[i].value != NULL,
                                     .val = (int)i + 1};
    while ((at = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (at < 1 || at > OPTIONS) /* getopt has said what is wrong */
            return -1;
        if (!take_value(c, &option_rows[at - 1])) {
            fprintf(stderr, "vpcctl: --%s needs seconds: ", option_rows[at - 1].name);
            vpc_print_visible(stderr, optarg, strlen(optarg));
            fputc('\n', stderr);
            return -1;
        }
        given |= option_rows[at - 1].flag;
    }
    return given;
}

/* A descriptor that was closed before the start would become the number of the first socket.  What is printed into it
 * must fail: nobody sees it. */
static void fill_standard_descriptors(void)
{
    int fd = open("/dev/null", O_RDONLY);

    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDONLY);
    if (fd > STDERR_FILENO)
        close(fd);
}

static int run(struct ctl *c, int argc, char **argv)
{
    int given = take_options(c, argc, argv);

    if (given < 0)
        return CTL_USAGE;
    if (given & OPT_VERSION) {
        puts("vpcctl " VPC_VERSION_TEXT ", VPCBus 1.0");
        return CTL_OK;
    }
    if (optind < argc)
        return run_command(c, given, argc - optind, argv + optind);
    return usage(given & OPT_HELP ? stdout : stderr);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    struct ctl c = {.timeout_ms = VPC_FOREVER,
                    .linger_ms = CTL_LINGER_MS,
                    .colour = isatty(STDOUT_FILENO),
                    .progress = isatty(STDERR_FILENO)};
    return vpc_output_end("vpcctl", run(&c, argc, argv));
}
