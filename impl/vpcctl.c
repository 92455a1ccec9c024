/* SPDX-License-Identifier: MIT */
/* vpcctl: the host and guest endpoints' command line. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

enum {
    OPT_JSON = 1 << 0,
    OPT_SOCKET = 1 << 1,
    OPT_TAG = 1 << 2,
    OPT_TIMEOUT = 1 << 3,
    OPT_FOLLOW = 1 << 4,
    OPT_EXPLAIN = 1 << 5,
    OPT_FILE = 1 << 6,
    OPT_RUNTIME_DIR = 1 << 7,
    OPT_XML = 1 << 9,
    ALWAYS = OPT_JSON | OPT_RUNTIME_DIR,
    NEEDS_VM = 1 << 8, /* the first argument is VM */
};

typedef struct command_row {
    const char *name, *usage, *help;
    unsigned flags; /* the options that it takes, and NEEDS_VM */
    int count;      /* arguments behind VM */
    int (*run)(const ctl *c);
} command_row;

static const command_row commands[] = {
    {"list", "", "the virtual machines of which a host endpoint runs", ALWAYS, 0, ctl_list},
    {"show", "VM", "tag, readiness and peer", ALWAYS | NEEDS_VM | OPT_SOCKET, 0, ctl_show},
    {"wait-ready", "VM [--timeout S]",
     "wait until channels can be started; --tag TAG: by the event alone",
     ALWAYS | NEEDS_VM | OPT_TAG | OPT_TIMEOUT, 0, ctl_wait_ready},
    {"start", "VM PIPE PORT", "start a communication channel; prints the pipe's path",
     ALWAYS | NEEDS_VM | OPT_SOCKET | OPT_TIMEOUT, 2, ctl_start},
    {"stop", "VM PIPE", "end a communication channel", ALWAYS | NEEDS_VM | OPT_SOCKET, 1, ctl_stop},
    {"connect", "VM PIPE", "join a pipe with standard input and output", OPT_RUNTIME_DIR | NEEDS_VM,
     1, ctl_connect},
    {"stat", "VM", "counters", ALWAYS | NEEDS_VM | OPT_SOCKET, 0, ctl_stat},
    {"devices", "VM", "the channels, as devices", ALWAYS | NEEDS_VM | OPT_SOCKET, 0, ctl_devices},
    {"events", "VM [--follow] | --explain ID|all",
     "the event log (--xml: as Windows event XML); what an event means",
     ALWAYS | NEEDS_VM | OPT_FOLLOW | OPT_EXPLAIN | OPT_FILE | OPT_XML, 0, ctl_events},
    {"pipe-path", "PIPE", "the Unix socket of a pipe name", ALWAYS, 1, ctl_pipe_path},
};

enum {
    COMMANDS = sizeof(commands) / sizeof(commands[0]),
};

static const struct option options[] = {
    {"json", no_argument, NULL, OPT_JSON},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"tag", required_argument, NULL, OPT_TAG},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"follow", no_argument, NULL, OPT_FOLLOW},
    {"explain", required_argument, NULL, OPT_EXPLAIN},
    {"file", required_argument, NULL, OPT_FILE},
    {"xml", no_argument, NULL, OPT_XML},
    {"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

static int usage(FILE *out)
{
    fputs("usage: vpcctl [--runtime-dir DIR] [--json] COMMAND ...\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].usage);
        fprintf(out, "  %-36s %s\n", left, commands[i].help);
    }
    fputs("\nshow, stat, devices, start, stop: --socket PATH instead of VM (in a guest: its "
          "endpoint's control socket)\n"
          "exit status: 0 done, 1 failed, 2 wrong usage, 3 not ready or out of time\n",
          out);
    return out == stdout ? CTL_OK : CTL_USAGE;
}

/* Seconds, fractions allowed, to milliseconds; -1 when text is none. */
static int64_t seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    return end == text || *end || !(value >= 0 && value <= INT_MAX / 1000)
               ? -1
               : (int64_t)(value * 1000);
}

static bool take_value(ctl *c, int option)
{
    switch (option) {
    case OPT_JSON:
        c->json = true;
        break;
    case OPT_SOCKET:
        c->socket = optarg;
        break;
    case OPT_TAG:
        c->tag = optarg;
        break;
    case OPT_TIMEOUT:
        c->timeout_ms = seconds(optarg);
        return c->timeout_ms >= 0;
    case OPT_FOLLOW:
        c->follow = true;
        break;
    case OPT_EXPLAIN:
        c->explain = optarg;
        break;
    case OPT_XML:
        c->xml = true;
        break;
    case OPT_FILE:
        c->file = optarg;
        break;
    case OPT_RUNTIME_DIR:
        c->runtime_dir = optarg;
        break;
    }
    return true;
}

static const command_row *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int run_command(ctl *c, unsigned given, int count, char **args)
{
    const command_row *command = find_command(args[0]);
    if (!command) {
        fprintf(stderr, "vpcctl: there is no command %s (see vpcctl --help)\n", args[0]);
        return CTL_USAGE;
    }
    bool vm = (command->flags & NEEDS_VM) && !c->socket && !c->tag && !c->explain && !c->file;
    c->command = command->name;
    c->vm = vm && count > 1 ? args[1] : NULL;
    c->args = args + 1 + vm;
    c->count = count - 1 - vm;
    if (c->count != command->count || (given & ~command->flags)) {
        fprintf(stderr, "usage: vpcctl %s %s\n", command->name, command->usage);
        return CTL_USAGE;
    }
    int status = command->run(c);
    if (fflush(stdout) != 0 && status == CTL_OK && command->run != ctl_connect) {
        ctl_complain(c, "the output can not be written: %s", strerror(errno));
        status = CTL_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    ctl c = {.timeout_ms = VPC_FOREVER, .colour = isatty(STDOUT_FILENO)};
    unsigned given = 0;
    for (;;) {
        int option = getopt_long(argc, argv, "", options, NULL);
        if (option == -1)
            break;
        if (option == 'h')
            return usage(stdout);
        if (option == 'v')
            return puts("vpcctl, VPCBus 1.0") < 0;
        if (option == '?')
            return usage(stderr);
        if (!take_value(&c, option)) {
            fprintf(stderr, "vpcctl: --timeout needs seconds: %s\n", optarg);
            return CTL_USAGE;
        }
        given |= (unsigned)option;
    }
    return optind < argc ? run_command(&c, given, argc - optind, argv + optind) : usage(stderr);
}
