/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "file_name.h"
#include "journal.h"
#include "sandbox.h"
#include "shell.h"
#include "vpc.h"

enum {
    EXIT_USAGE = 2,
    VM_NAME_MAX = 40, /* longer ones would not fit into the path of a socket */
};

/* What the command line said. */
typedef struct settings {
    const vpc_daemon *daemon;
    const char *vm, *bus, *runtime_dir, *tag, *log, *control, *journal;
    json_t *options;
    bool verbose, no_sandbox;
} settings;

typedef struct option_row {
    const char *name;
    const char *argument; /* NULL: it takes none */
    uint32_t roles;       /* bit per enum vpc_role; 0: both */
    const char *help;
    int (*take)(settings *s, const char *argument); /* 0: go on; else the exit status + 1 */
} option_row;

static int take_help(settings *s, const char *argument);

static int take_vm(settings *s, const char *argument)
{
    s->vm = argument;
    return 0;
}

static int take_bus(settings *s, const char *argument)
{
    s->bus = argument;
    return 0;
}

static int take_runtime_dir(settings *s, const char *argument)
{
    s->runtime_dir = argument;
    return 0;
}

static int take_tag(settings *s, const char *argument)
{
    s->tag = argument;
    return 0;
}

static int take_log(settings *s, const char *argument)
{
    s->log = argument;
    return 0;
}

static int take_control(settings *s, const char *argument)
{
    s->control = argument;
    return 0;
}

static int usage_error(const settings *s, const char *what, const char *argument)
{
    fprintf(stderr, "%s: %s: %s (see %s --help)\n", s->daemon->program, what, argument,
            s->daemon->program);
    return EXIT_USAGE + 1;
}

static void set_option(settings *s, const char *name, const char *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool is_number = end != value && !*end && !errno;
    json_object_set_new(s->options, name, is_number ? json_integer(number) : json_string(value));
}

/* NAME=VALUE; the endpoint itself knows which settings there are and what they may be. */
static int take_option(settings *s, const char *argument)
{
    const char *equals = strchr(argument, '=');
    char name[64];
    if (!equals || equals == argument || !equals[1] || equals - argument >= (ptrdiff_t)sizeof(name))
        return usage_error(s, "--option needs NAME=VALUE", argument);
    snprintf(name, sizeof(name), "%.*s", (int)(equals - argument), argument);
    set_option(s, name, equals + 1);
    return 0;
}

static int take_allow_ports(settings *s, const char *argument)
{
    set_option(s, "allow_ports", argument);
    return 0;
}

static int take_journal(settings *s, const char *argument)
{
    s->journal = argument;
    return 0;
}

static int take_verbose(settings *s, const char *argument)
{
    (void)argument;
    s->verbose = true;
    return 0;
}

static int take_no_sandbox(settings *s, const char *argument)
{
    (void)argument;
    s->no_sandbox = true;
    return 0;
}

static int take_version(settings *s, const char *argument)
{
    (void)argument;
    printf("%s, VPCBus 1.0\n", s->daemon->program);
    return EXIT_SUCCESS + 1;
}

static const option_row rows[] = {
    {"vm", "NAME", 0, "the virtual machine's name (guest: the host name, if not given)", take_vm},
    {"bus", "PATH", 0, "the way to the other endpoint: see the manual page", take_bus},
    {"runtime-dir", "DIR", 0, "where sockets, ready event and log are", take_runtime_dir},
    {"tag", "TAG", 0, "chassis asset tag (host: expected, guest: its own, from DMI if not given)",
     take_tag},
    {"log", "FILE", 0, "the event log", take_log},
    {"control", "PATH", 1u << VPC_ROLE_GUEST, "the control socket", take_control},
    {"allow-ports", "LIST", 1u << VPC_ROLE_GUEST,
     "the ports that the host may reach, such as 80,6000-6999 (all)", take_allow_ports},
    {"option", "NAME=VALUE", 0, "a limit or time (VPCBUS.md, section 10); may be repeated",
     take_option},
    {"journal", "PATH", 0, "the systemd journal's socket, or none (its default under systemd)",
     take_journal},
    {"verbose", NULL, 0, "show the log's entries on standard error too", take_verbose},
    {"no-sandbox", NULL, 0, "keep all rights: for a kernel that has no seccomp", take_no_sandbox},
    {"version", NULL, 0, "say the version and exit", take_version},
    {"help", NULL, 0, "this text", take_help},
};

enum {
    ROWS = sizeof(rows) / sizeof(rows[0]),
};

static bool applies(const option_row *row, const vpc_daemon *daemon)
{
    return !row->roles || (row->roles & (1u << daemon->role));
}

static int take_help(settings *s, const char *argument)
{
    (void)argument;
    printf("usage: %s [options]\n%s\n\n", s->daemon->program, s->daemon->purpose);
    for (size_t i = 0; i < ROWS; i++) {
        char left[40];
        snprintf(left, sizeof(left), "--%s %s", rows[i].name,
                 rows[i].argument ? rows[i].argument : "");
        if (applies(&rows[i], s->daemon))
            printf("  %-22s %s\n", left, rows[i].help);
    }
    return EXIT_SUCCESS + 1;
}

/* 0, or the exit status + 1. */
static int parse(settings *s, int argc, char **argv)
{
    struct option options[ROWS + 1] = {0};
    for (size_t i = 0, n = 0; i < ROWS; i++)
        if (applies(&rows[i], s->daemon))
            options[n++] =
                (struct option){.name = rows[i].name,
                                .has_arg = rows[i].argument ? required_argument : no_argument,
                                .val = (int)i + 1};
    for (;;) {
        int at = getopt_long(argc, argv, "", options, NULL);
        if (at == -1)
            break;
        if (at < 1 || at > ROWS) /* getopt has said what is wrong */
            return EXIT_USAGE + 1;
        int done = rows[at - 1].take(s, optarg);
        if (done)
            return done;
    }
    if (optind < argc)
        return usage_error(s, "there is an argument too many", argv[optind]);
    return 0;
}

/* systemd sets JOURNAL_STREAM for the services whose output it takes. */
static const char *journal_socket(const settings *s)
{
    if (s->journal)
        return strcmp(s->journal, "none") == 0 ? NULL : s->journal;
    return getenv("JOURNAL_STREAM") ? VPC_JOURNAL_SOCKET : NULL;
}

/* The tag that QEMU's -smbios type=3,asset=TAG gives the machine; "" without one. */
static const char *tag_of_machine(char tag[VPC_TAG_SIZE])
{
    FILE *file = fopen("/sys/class/dmi/id/chassis_asset_tag", "re");
    tag[0] = '\0';
    if (file) {
        if (!fgets(tag, VPC_TAG_SIZE, file))
            tag[0] = '\0';
        fclose(file);
    }
    size_t n = 0;
    while (tag[n] >= 0x20 && tag[n] <= 0x7e)
        n++;
    while (n > 0 && tag[n - 1] == ' ')
        n--;
    tag[n] = '\0';
    return tag;
}

static bool good_vm_name(const char *vm)
{
    char file[VPC_FILE_NAME_SIZE];
    if (!*vm || *vm == '.' || strlen(vm) > VM_NAME_MAX)
        return false;
    vpc_file_name(vm, file);
    return strcmp(vm, file) == 0;
}

/* The name in a guest's log; a kernel that was given no host name calls itself "(none)". */
static const char *name_of_guest(struct utsname *host)
{
    return uname(host) == 0 && good_vm_name(host->nodename) ? host->nodename : "guest";
}

static int run(const vpc_shell_config *config)
{
    vpc_shell *shell = NULL;
    signal(SIGPIPE, SIG_IGN);
    int error = vpc_shell_open(config, &shell);
    if (error)
        return error == VPC_SHELL_BAD_SETTING ? EXIT_USAGE : EXIT_FAILURE;
    int status = vpc_shell_run(shell);
    vpc_shell_close(shell);
    return status;
}

/* Fills in what was not said, and runs. */
static int run_with_defaults(settings *s, const vpc_endpoint_abi *abi)
{
    char root[VPC_FILE_SIZE], tag[VPC_TAG_SIZE], log[VPC_FILE_SIZE + 96],
        control[VPC_FILE_SIZE + 96];
    struct utsname host;
    bool guest = s->daemon->role == VPC_ROLE_GUEST;
    const char *vm = s->vm ? s->vm : guest ? name_of_guest(&host) : "";
    const char *bus = s->bus ? s->bus : s->daemon->bus;
    if (!good_vm_name(vm))
        return usage_error(s, "--vm needs 1 to 40 of A-Z a-z 0-9 . _ -, not beginning with a dot",
                           vm) -
               1;
    if (!bus || !*bus)
        return usage_error(s, "--bus is missing", "the path of QEMU's socket") - 1;
    int error = vpc_runtime_dir(s->runtime_dir, root, sizeof(root));
    if (!error)
        error = vpc_runtime_dir_make(root);
    if (error) {
        fprintf(stderr, "%s: VM %s: the runtime directory %s can not be used: %s%s\n",
                s->daemon->program, vm, root, strerror(error),
                error == EPERM ? " (it and its folders must be yours, with mode 0700)" : "");
        return EXIT_FAILURE;
    }
    snprintf(control, sizeof(control), guest ? "%s/guest.sock" : "%s/vms/%s.sock", root, vm);
    snprintf(log, sizeof(log), guest ? "%s/log/guest.jsonl" : "%s/log/%s.jsonl", root, vm);
    char *options = json_dumps(s->options, 0);
    vpc_shell_config config = {
        .abi = abi,
        .program = s->daemon->program,
        .role = s->daemon->role,
        .vm = vm,
        .tag = s->tag  ? s->tag
               : guest ? tag_of_machine(tag)
                       : "",
        .options = options,
        .bus = bus,
        .runtime_dir = root,
        .control_path = s->control ? s->control : control,
        .log_path = s->log ? s->log : log,
        .journal = journal_socket(s),
        .verbose = s->verbose,
        .no_sandbox = s->no_sandbox            ? "told so by --no-sandbox"
                      : vpc_sandbox_possible() ? NULL
                                               : "this build watches its memory instead",
    };
    int status = run(&config);
    free(options);
    return status;
}

int vpc_daemon_main(const vpc_daemon *daemon, const vpc_endpoint_abi *abi, int argc, char **argv)
{
    settings s = {.daemon = daemon, .options = json_object()};
    int done = parse(&s, argc, argv);
    int status = done ? done - 1 : run_with_defaults(&s, abi);
    json_decref(s.options);
    return status;
}
