/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bus_address.h"
#include "file_name.h"
#include "group.h"
#include "journal.h"
#include "log_link.h"
#include "observer.h"
#include "opener.h"
#include "output.h"
#include "runtime_dir.h"
#include "sandbox.h"
#include "settings.h"
#include "shell.h"
#include "vpc.h"

enum {
    EXIT_USAGE = 2,
    DEFAULT_MAX_PAIRS = 16, /* the endpoint's own (VPCBUS.md, section 10) */
    HOST_PAIR_FILES =
        4, /* the lock, the listening socket, the client that has just come; who started it */
    GUEST_PAIR_FILES = 1,
    FORWARD_FOLDERS = 64,
    OTHER_FILES = 256, /* control clients, connections that linger, the log, the bus */
    CLIENTS = 64, /* of the control socket, beside those that wait for the end of a pair (CTL-9) */
    VM_NAME_MAX = 40, /* longer ones would not fit into the path of a socket */
};

/* systemd sets JOURNAL_STREAM for the services whose output it takes. */
static const char *journal_socket(const struct vpc_settings *s)
{
    if (s->journal != NULL)
        return strcmp(s->journal, "none") == 0 ? NULL : s->journal;
    return getenv("JOURNAL_STREAM") != NULL ? VPC_JOURNAL_SOCKET : NULL;
}

/* The tag that QEMU's -smbios type=3,asset=TAG gives the machine; "" without one. */
static const char *tag_of_machine(char tag[VPC_TAG_SIZE])
{
    FILE *file = fopen("/sys/class/dmi/id/chassis_asset_tag", "re");

    tag[0] = '\0';
    if (file != NULL) {
        if (fgets(tag, VPC_TAG_SIZE, file) == NULL)
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

/* One run of an endpoint: what it was started with, and what SIGHUP said since. */
struct daemon_run {
    struct vpc_settings first, now;
    int argc;
    char **argv;
    struct utsname host;
    const gid_t *group; /* &gid, or NULL: none */
    gid_t gid;
    struct vpc_bus_address bus;
    struct vpc_opener opener;
    struct vpc_observer observer;               /* with --qmp */
    char label[VPC_LABEL_MAX + 1];              /* of a host's connection to the bus */
    char *forward_folders[FORWARD_FOLDERS + 1]; /* NULL behind the last */
    char root[VPC_FILE_SIZE], tag[VPC_TAG_SIZE], control[VPC_FILE_SIZE + 96];
    char log[VPC_FILE_SIZE + 96];       /* if no other is said */
    char log_place[VPC_FILE_SIZE + 96]; /* where others look for it */
};

static struct vpc_changing changing_of(const struct daemon_run *run, const struct vpc_settings *s)
{
    return (struct vpc_changing){
        .log_path = s->log != NULL ? s->log : run->log,
        .log_limit = s->log_limit,
        .trace_path = s->trace,
        .trace_limit = s->trace_limit,
        .verbose = s->verbose,
    };
}

/* In the opener.  Settings that are wrong now change nothing. */
static bool reload(void *user, struct vpc_changing *changing)
{
    struct daemon_run *run = user;
    const struct vpc_daemon *daemon = run->first.daemon;
    struct vpc_settings next;

    if (vpc_settings_read(&next, daemon, run->argc, run->argv) != VPC_SETTINGS_RUN) {
        fprintf(stderr, "%s: the settings stay as they were\n", daemon->program);
        vpc_settings_free(&next);
        return false;
    }
    vpc_settings_compare(&run->first, &next);
    if (strcmp(changing->log_path, next.log != NULL ? next.log : run->log) != 0)
        vpc_log_unlink(run->log_place); /* no other can be made in the sandbox */
    *changing = changing_of(run, &next);
    vpc_settings_free(&run->now);
    run->now = next;
    return true;
}

static void link_log(const struct daemon_run *run, const struct vpc_shell_config *config)
{
    int error = vpc_log_link(run->log_place, config->log_path);

    if (error)
        fprintf(stderr,
                "%s: VM %s: vpcctl events finds the log %s with --file only: there can be no link "
                "to it at %s: %s\n",
                config->program, config->vm, config->log_path, run->log_place, strerror(error));
}

static int run_shell(const struct daemon_run *run, const struct vpc_shell_config *config)
{
    struct vpc_shell *shell = NULL;

    if (strcmp(config->log_path, run->log_place) == 0)
        vpc_log_unlink(run->log_place); /* it was another's */
    int error = vpc_shell_open(config, &shell);
    if (error)
        return error == VPC_SHELL_BAD_SETTING ? EXIT_USAGE : EXIT_FAILURE;
    link_log(run, config); /* no other endpoint of this machine runs */
    int status = vpc_shell_run(shell);
    vpc_shell_close(shell);
    return status;
}

static int join_group(struct daemon_run *run, const char *vm)
{
    const struct vpc_settings *s = &run->first;

    if (s->group == NULL)
        return 0;
    if (!vpc_group_find(s->group, &run->gid)) {
        vpc_usage_error(s->daemon, "--group: /etc/group has no such group, and it is no number",
                        s->group);
        return EXIT_USAGE;
    }
    run->group = &run->gid;
    int error = vpc_group_join(run->gid);
    if (error)
        fprintf(stderr, "%s: VM %s: the group %s can not be let in: %s%s\n", s->daemon->program, vm,
                s->group, strerror(error),
                error == EPERM ? " (the endpoint's own user must be a member: usermod -aG, and log "
                                 "in anew; a service: Group=)"
                               : "");
    return error ? EXIT_FAILURE : 0;
}

/* What is wrong with a runtime directory that was refused. */
static const char *hint_of_folder(const struct daemon_run *run, int error)
{
    if (error != EPERM)
        return "";
    return run->group == NULL ? " (it and its folders must be yours, with mode 0700)"
                              : " (it and its folders must be yours, and be given to no other "
                                "group: another group needs a directory of its own)";
}

/* systemd sets LOGS_DIRECTORY for the services that have such folders. */
static void place_log(struct daemon_run *run, const char *name)
{
    const char *folders = getenv("LOGS_DIRECTORY");
    int n = folders != NULL ? (int)strcspn(folders, ":") : 0;

    snprintf(run->log_place, sizeof(run->log_place), "%s/log/%s.jsonl", run->root, name);
    if (n > 0 && n < (int)VPC_FILE_SIZE)
        snprintf(run->log, sizeof(run->log), "%.*s/%s.jsonl", n, folders, name);
    else
        memcpy(run->log, run->log_place, sizeof(run->log));
}

static int make_places(struct daemon_run *run, const char *vm)
{
    const struct vpc_settings *s = &run->first;
    bool guest = s->daemon->role == VPC_ROLE_GUEST;
    int error = vpc_runtime_dir(s->runtime_dir, run->root, sizeof(run->root));

    if (!error)
        error = vpc_runtime_dir_make_for(run->root, run->group);
    if (error) {
        fprintf(stderr, "%s: VM %s: the runtime directory %s can not be used: %s%s\n",
                s->daemon->program, vm, run->root, strerror(error), hint_of_folder(run, error));
        return error;
    }
    snprintf(run->control, sizeof(run->control), guest ? "%s/guest.sock" : "%s/vms/%s.sock",
             run->root, vm);
    place_log(run, guest ? "guest" : vm);
    return 0;
}

/* What was not said is filled in; NULL, and the reason on stderr, when it must be said. */
static const char *choose_vm(struct daemon_run *run)
{
    const struct vpc_settings *s = &run->first;
    const char *other = s->daemon->role == VPC_ROLE_GUEST ? name_of_guest(&run->host) : "";
    const char *vm = s->vm != NULL ? s->vm : other;

    if (good_vm_name(vm))
        return vm;
    vpc_usage_error(s->daemon, "--vm needs 1 to 40 of A-Z a-z 0-9 . _ -, not beginning with a dot",
                    vm);
    return NULL;
}

static const char *choose_bus(const struct vpc_settings *s, struct vpc_bus_address *address)
{
    const char *bus = s->bus != NULL ? s->bus : s->daemon->bus;
    char what[160] = "--bus is missing";

    if (bus == NULL || !*bus) {
        vpc_usage_error(s->daemon, what, "the path of QEMU's socket");
        return NULL;
    }
    const char *wrong = vpc_bus_address_parse(bus, address);
    if (wrong == NULL)
        return bus;
    snprintf(what, sizeof(what), "--bus is wrong, %s", wrong);
    vpc_usage_error(s->daemon, what, bus);
    return NULL;
}

static const char *choose_tag(struct daemon_run *run)
{
    if (run->first.tag != NULL)
        return run->first.tag;
    return run->first.daemon->role == VPC_ROLE_GUEST ? tag_of_machine(run->tag) : "";
}

static unsigned max_pairs(const struct vpc_settings *s)
{
    const json_t *option = json_object_get(s->options, "max_pairs");
    json_int_t pairs = json_is_integer(option) ? json_integer_value(option) : DEFAULT_MAX_PAIRS;

    return pairs < 0 || pairs > UINT16_MAX ? 0 : (unsigned)pairs; /* the endpoint refuses it */
}

static unsigned descriptors_for(const struct vpc_settings *s)
{
    bool host = s->daemon->role == VPC_ROLE_HOST;

    return OTHER_FILES + max_pairs(s) * (host ? HOST_PAIR_FILES : GUEST_PAIR_FILES);
}

static unsigned clients_for(const struct vpc_settings *s)
{
    return CLIENTS + (s->daemon->role == VPC_ROLE_HOST ? max_pairs(s) : 0);
}

static const char *no_sandbox(const struct vpc_settings *s)
{
    if (s->no_sandbox)
        return "told so by --no-sandbox";
    return vpc_sandbox_possible() ? NULL : "this build watches its memory instead";
}

/* The folders in which forwards at paths may be made: of those that are known, and one for later ones. */
static void find_forward_folders(struct daemon_run *run)
{
    const struct vpc_settings *s = &run->first;
    const char *listen;
    json_t *value;
    size_t n = 0;

    if (s->forward_dir != NULL)
        run->forward_folders[n++] = strdup(s->forward_dir);
    json_object_foreach(s->forwards, listen, value)
    {
        const char *slash = strrchr(listen, '/');

        if (*listen == '/' && n < FORWARD_FOLDERS)
            run->forward_folders[n++] =
                strndup(listen, slash > listen ? (size_t)(slash - listen) : 1);
    }
}

static const char *control_path(const struct daemon_run *run)
{
    return run->first.control != NULL ? run->first.control : run->control;
}

/* As text; NULL: all. */
static const char *allowed_ports(const struct vpc_settings *s, char number[24])
{
    const json_t *ports = json_object_get(s->options, "allow_ports");

    if (!json_is_integer(ports))
        return json_string_value(ports);
    snprintf(number, 24, "%" JSON_INTEGER_FORMAT, json_integer_value(ports));
    return number;
}

/* Before anything else is open. */
static int start_opener(struct daemon_run *run, const char *vm)
{
    const struct vpc_settings *s = &run->first;
    char number[24];

    snprintf(run->label, sizeof(run->label), "%s of VM %s (process %ld)", s->daemon->program, vm,
             (long)getpid());
    run->bus.label = s->daemon->role == VPC_ROLE_HOST ? run->label : NULL;
    const struct vpc_acts_config config = {
        .program = s->daemon->program,
        .vm = vm,
        .role = s->daemon->role,
        .bus = run->bus,
        .runtime_dir = run->root,
        .group = run->group,
        .control_path = control_path(run),
        .forward_folders = (const char *const *)run->forward_folders,
        .journal = journal_socket(s),
        .manager = getenv("NOTIFY_SOCKET"),
        .changing = changing_of(run, s),
        .config_path = s->config,
        .reload = reload,
        .reload_user = run,
        .allow_ports = allowed_ports(s, number),
        .descriptors = descriptors_for(s),
    };
    int error = vpc_opener_start(&run->opener, &config);

    if (error)
        fprintf(stderr, "%s: VM %s: the process that opens all for it can not be started: %s\n",
                config.program, vm, strerror(error));
    return error;
}

/* Before anything but the opener is there. */
static int start_observer(struct daemon_run *run, const char *vm)
{
    const struct vpc_settings *s = &run->first;
    const struct vpc_observer_config config = {
        .program = s->daemon->program,
        .vm = vm,
        .path = s->qmp,
        .sandboxed = no_sandbox(s) == NULL,
        .not_its_own = run->opener.fd,
    };
    int error = s->qmp != NULL ? vpc_observer_start(&run->observer, &config) : 0;

    if (error)
        fprintf(stderr, "%s: VM %s: the process that talks to %s can not be started: %s\n",
                config.program, vm, s->qmp, strerror(error));
    return error;
}

static int run_with_defaults(struct daemon_run *run, const vpc_endpoint_abi *abi)
{
    const struct vpc_settings *s = &run->first;
    const char *vm = choose_vm(run), *bus = vm != NULL ? choose_bus(s, &run->bus) : NULL;

    if (vm == NULL || bus == NULL)
        return EXIT_USAGE;
    int wrong = join_group(run, vm);
    if (wrong)
        return wrong;
    find_forward_folders(run);
    if (make_places(run, vm) != 0 || start_opener(run, vm) != 0 || start_observer(run, vm) != 0)
        return EXIT_FAILURE;
    const struct vpc_changing changing = changing_of(run, s);
    char *options = json_dumps(s->options, 0), *forwards = json_dumps(s->forwards, 0);
    struct vpc_shell_config config = {
        .abi = abi,
        .opener = &run->opener,
        .direct = s->daemon->direct,
        .program = s->daemon->program,
        .role = s->daemon->role,
        .vm = vm,
        .tag = choose_tag(run),
        .options = options,
        .descriptors = descriptors_for(s),
        .clients = clients_for(s),
        .bus = bus,
        .monitor = s->qmp,
        .observer = &run->observer,
        .machine = s->daemon->machine,
        .runtime_dir = run->root,
        .group = run->group,
        .control_path = control_path(run),
        .forwards = forwards,
        .journal = journal_socket(s),
        .manager = getenv("NOTIFY_SOCKET"),
        .no_sandbox = no_sandbox(s),
        .log_path = changing.log_path,
        .log_limit = changing.log_limit,
        .trace_path = changing.trace_path,
        .trace_limit = changing.trace_limit,
        .verbose = changing.verbose,
    };
    int status = run_shell(run, &config);
    vpc_observer_end(&run->observer);
    vpc_opener_end(&run->opener);
    free(options);
    free(forwards);
    return status;
}

int vpc_daemon_main(const struct vpc_daemon *daemon, const vpc_endpoint_abi *abi, int argc,
                    char **argv)
{
    struct daemon_run run = {
        .argc = argc, .argv = argv, .opener = {.fd = -1}, .observer = {.fd = -1}};
    int status = EXIT_SUCCESS;

    vpc_shell_hold_hangup();
    switch (vpc_settings_read(&run.first, daemon, argc, argv)) {
    case VPC_SETTINGS_RUN:
        vpc_shell_hold_signals();
        status = run_with_defaults(&run, abi);
        break;
    case VPC_SETTINGS_WRONG:
        status = EXIT_USAGE;
        break;
    case VPC_SETTINGS_TOLD:
        status = vpc_output_end(daemon->program, EXIT_SUCCESS);
        break;
    }
    for (size_t i = 0; i < FORWARD_FOLDERS; i++)
        free(run.forward_folders[i]);
    vpc_settings_free(&run.first);
    vpc_settings_free(&run.now);
    return status;
}
