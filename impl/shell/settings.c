/* SPDX-License-Identifier: MIT */
/*
 * One table of settings serves the command line (--NAME VALUE), the configuration file (a JSON object of the same names) and the
 * comparison of the two at a reload.
 */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_flags.h"
#include "forward_listen.h"
#include "lib/version.h"
#include "vpc.h"

enum {
    DEFAULT_LOG_LIMIT_MIB = 4,
    DEFAULT_TRACE_LIMIT_MIB = 64,
    MAX_LIMIT_MIB = 1 << 20,
};

struct setting;

struct setting {
    const char *name;
    const char *argument; /* NULL: it takes none */
    uint32_t roles;       /* bit per enum vpc_role; 0: both */
    const char *help;
    /* From the command line. */
    enum vpc_settings_result (*take)(struct vpc_settings *s, const struct setting *row,
                                     const char *argument);
    /* From the file; NULL: it can not stand there. */
    bool (*load)(struct vpc_settings *s, const struct setting *row, const json_t *value);
    size_t at;    /* take_text, take_limit: where it is kept */
    bool changes; /* while the program runs */
};

enum vpc_settings_result vpc_usage_error(const struct vpc_daemon *daemon, const char *what,
                                         const char *argument)
{
    fprintf(stderr, "%s: %s: %s (see %s --help)\n", daemon->program, what, argument,
            daemon->program);
    return VPC_SETTINGS_WRONG;
}

static const char **text_of(struct vpc_settings *s, const struct setting *row)
{
    return (const char **)(void *)((char *)s + row->at);
}

static enum vpc_settings_result take_text(struct vpc_settings *s, const struct setting *row,
                                          const char *argument)
{
    *text_of(s, row) = argument;
    return VPC_SETTINGS_RUN;
}

static bool load_text(struct vpc_settings *s, const struct setting *row, const json_t *value)
{
    const char *text = json_string_value(value);

    if (text != NULL)
        *text_of(s, row) = text;
    return text != NULL;
}

static bool good_number(const char *text, long long *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && !*end && !errno;
}

static bool set_limit(struct vpc_settings *s, const struct setting *row, long long mib)
{
    uint64_t *limit = (void *)((char *)s + row->at);

    *limit = (uint64_t)mib << 20;
    return mib >= 0 && mib <= MAX_LIMIT_MIB;
}

static enum vpc_settings_result take_limit(struct vpc_settings *s, const struct setting *row,
                                           const char *argument)
{
    char what[64];
    long long mib;

    if (good_number(argument, &mib) && set_limit(s, row, mib))
        return VPC_SETTINGS_RUN;
    snprintf(what, sizeof(what), "--%s is in MiB, 0 (none) to %d", row->name, MAX_LIMIT_MIB);
    return vpc_usage_error(s->daemon, what, argument);
}

static bool load_limit(struct vpc_settings *s, const struct setting *row, const json_t *value)
{
    return json_is_integer(value) && set_limit(s, row, json_integer_value(value));
}

static void set_option(struct vpc_settings *s, const char *name, const char *value)
{
    long long number;

    json_object_set_new(s->options, name,
                        good_number(value, &number) ? json_integer(number) : json_string(value));
}

/* NAME=VALUE; the endpoint itself knows which options there are and what they may be. */
static enum vpc_settings_result take_option(struct vpc_settings *s, const struct setting *row,
                                            const char *argument)
{
    const char *equals = strchr(argument, '=');
    char name[64];

    (void)row;
    if (equals == NULL || equals == argument || !equals[1] ||
        equals - argument >= (ptrdiff_t)sizeof(name))
        return vpc_usage_error(s->daemon, "--option needs NAME=VALUE", argument);
    snprintf(name, sizeof(name), "%.*s", (int)(equals - argument), argument);
    set_option(s, name, equals + 1);
    return VPC_SETTINGS_RUN;
}

/* ---- forwards ---- */

static bool good_policy(const char *name, const json_t *value)
{
    const char *text = json_string_value(value);

    return (strcmp(name, "when-not-ready") == 0 || strcmp(name, "when-full") == 0) &&
           text != NULL && (strcmp(text, "wait") == 0 || strcmp(text, "refuse") == 0);
}

/* A port, or an object with one and policies; takes over the reference to value. */
static bool add_forward(struct vpc_settings *s, const char *listen, json_t *value)
{
    const json_t *port = json_is_object(value) ? json_object_get(value, "port") : value;
    json_int_t number = json_integer_value(port);
    const char *name;
    json_t *member;
    unsigned at;
    bool good = vpc_forward_listen(listen, &at) != VPC_LISTEN_WRONG && json_is_integer(port) &&
                number >= 1 && number <= UINT16_MAX;

    json_object_foreach(value, name, member)
    {
        good = good && (strcmp(name, "port") == 0 || good_policy(name, member));
    }
    if (good)
        json_object_set(s->forwards, listen, value);
    json_decref(value);
    return good;
}

/* Adds ",NAME=VALUE" and so on to the object, and cuts them off the text; false: they are none. */
static bool take_policies(char *text, json_t *object)
{
    char *at = strstr(text, ",when-"), *word, *rest;

    if (at == NULL)
        return true;
    *at++ = '\0';
    for (word = strtok_r(at, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(word, '=');

        if (equals == NULL)
            return false;
        *equals = '\0';
        json_object_set_new(object, word, json_string(equals + 1));
    }
    return true;
}

static bool parse_forward(struct vpc_settings *s, char *text)
{
    json_t *object = json_object();
    bool good = take_policies(text, object);
    char *equals = good ? strrchr(text, '=') : NULL;

    if (equals != NULL) {
        *equals = '\0';
        json_object_set_new(object, "port", json_integer(vpc_port(equals + 1)));
        return add_forward(s, text, object);
    }
    json_decref(object);
    return false;
}

static enum vpc_settings_result take_forward(struct vpc_settings *s, const struct setting *row,
                                             const char *argument)
{
    char *text = strdup(argument);
    bool good = text != NULL && parse_forward(s, text);

    (void)row;
    free(text);
    return good ? VPC_SETTINGS_RUN
                : vpc_usage_error(s->daemon,
                                  "--forward needs LISTEN=PORT[,when-not-ready=wait]"
                                  "[,when-full=refuse], LISTEN a name, an absolute path, "
                                  "127.0.0.1:PORT or [::1]:PORT",
                                  argument);
}

static bool load_forwards(struct vpc_settings *s, const struct setting *row, const json_t *value)
{
    const char *listen;
    json_t *one;
    bool good = json_is_object(value);

    (void)row;
    json_object_foreach((json_t *)(uintptr_t)value, listen, one)
    {
        good = good && add_forward(s, listen, json_incref(one));
    }
    return good;
}

static enum vpc_settings_result take_allow_ports(struct vpc_settings *s, const struct setting *row,
                                                 const char *argument)
{
    (void)row;
    set_option(s, "allow_ports", argument);
    return VPC_SETTINGS_RUN;
}

static bool load_options(struct vpc_settings *s, const struct setting *row, const json_t *value)
{
    (void)row;
    return json_is_object(value) && json_object_update(s->options, (json_t *)(uintptr_t)value) == 0;
}

static enum vpc_settings_result take_verbose(struct vpc_settings *s, const struct setting *row,
                                             const char *argument)
{
    (void)row;
    (void)argument;
    s->verbose = true;
    return VPC_SETTINGS_RUN;
}

static bool load_verbose(struct vpc_settings *s, const struct setting *row, const json_t *value)
{
    (void)row;
    s->verbose = json_is_true(value);
    return json_is_boolean(value);
}

static enum vpc_settings_result take_no_sandbox(struct vpc_settings *s, const struct setting *row,
                                                const char *argument)
{
    (void)row;
    (void)argument;
    s->no_sandbox = true;
    return VPC_SETTINGS_RUN;
}

static enum vpc_settings_result take_version(struct vpc_settings *s, const struct setting *row,
                                             const char *argument)
{
    (void)row;
    (void)argument;
    printf("%s %s, VPCBus 1.0\n", s->daemon->program, VPC_VERSION_TEXT);
    return VPC_SETTINGS_TOLD;
}

static enum vpc_settings_result take_help(struct vpc_settings *s, const struct setting *row,
                                          const char *argument);

#define TEXT_AT(member)  take_text, load_text, offsetof(struct vpc_settings, member)
#define LIMIT_AT(member) take_limit, load_limit, offsetof(struct vpc_settings, member)

static const struct setting rows[] = {
    {"vm", "NAME", 0, "the virtual machine's name (guest: the host name, if not given)",
     TEXT_AT(vm), false},
    {"bus", "PATH", 0, "the way to the other endpoint: see the manual page", TEXT_AT(bus), false},
    {"qmp", "SOCKET", 1u << VPC_ROLE_HOST,
     "a QMP socket of QEMU for this program alone: pause and reset are seen", TEXT_AT(qmp), false},
    {"runtime-dir", "DIR", 0, "where sockets, ready event and log are", TEXT_AT(runtime_dir),
     false},
    {"group", "NAME", 0, "whose members may use the endpoint too, besides its own user and root",
     TEXT_AT(group), false},
    {"tag", "TAG", 0, "chassis asset tag (host: expected, guest: its own, from DMI if not given)",
     TEXT_AT(tag), false},
    {"log", "FILE", 0, "the event log", TEXT_AT(log), true},
    {"log-limit", "MIB", 0, "turn the log over to FILE.1 at this size (default 4; 0: never)",
     LIMIT_AT(log_limit), true},
    {"control", "PATH", 1u << VPC_ROLE_GUEST, "the control socket", TEXT_AT(control), false},
    {"trace", "FILE", 0, "what goes over the bus, as pcapng", TEXT_AT(trace), true},
    {"trace-limit", "MIB", 0, "turn the trace over to FILE.1 at this size (default 64; 0: never)",
     LIMIT_AT(trace_limit), true},
    {"allow-ports", "LIST", 1u << VPC_ROLE_GUEST,
     "the ports that the host may reach, such as 80,6000-6999 (all)", take_allow_ports, NULL, 0,
     false},
    {"forward", "LISTEN=PORT", 1u << VPC_ROLE_HOST,
     "a forward from the start on; may be repeated (see the manual page)", take_forward, NULL, 0,
     false},
    {"forward-dir", "DIR", 1u << VPC_ROLE_HOST,
     "where forwards may be started at paths later on, besides the runtime directory",
     TEXT_AT(forward_dir), false},
    {"option", "NAME=VALUE", 0, "a limit or time (VPCBUS.md, section 10); may be repeated",
     take_option, NULL, 0, false},
    {"config", "FILE", 0, "a JSON object of settings; SIGHUP reads it again", take_text, NULL,
     offsetof(struct vpc_settings, config), false},
    {"journal", "PATH", 0, "the systemd journal's socket, or none (its default under systemd)",
     TEXT_AT(journal), false},
    {"verbose", NULL, 0, "show the log's entries on standard error too", take_verbose, load_verbose,
     0, true},
    {"no-sandbox", NULL, 0, "keep all rights: for a kernel that has no seccomp", take_no_sandbox,
     NULL, 0, false},
    {"version", NULL, 0, "say the version and exit", take_version, NULL, 0, false},
    {"help", NULL, 0, "this text", take_help, NULL, 0, false},
};

/* The name in the file under which the endpoint's own options stand. */
static const struct setting options_row = {.name = "options", .load = load_options};
/* The same of --forward, which is one of several. */
static const struct setting forwards_row = {
    .name = "forwards", .load = load_forwards, .roles = 1u << VPC_ROLE_HOST};

enum {
    ROWS = sizeof(rows) / sizeof(rows[0]),
};

static bool applies(const struct setting *row, const struct vpc_daemon *daemon)
{
    return !row->roles || (row->roles & (1u << daemon->role));
}

static enum vpc_settings_result take_help(struct vpc_settings *s, const struct setting *row,
                                          const char *argument)
{
    (void)row;
    (void)argument;
    printf("usage: %s [options]\n%s\n\n", s->daemon->program, s->daemon->purpose);
    for (size_t i = 0; i < ROWS; i++) {
        char left[40];

        snprintf(left, sizeof(left), "--%s %s", rows[i].name,
                 rows[i].argument != NULL ? rows[i].argument : "");
        if (applies(&rows[i], s->daemon))
            printf("  %-22s %s\n", left, rows[i].help);
    }
    return VPC_SETTINGS_TOLD;
}

static enum vpc_settings_result read_arguments(struct vpc_settings *s, int argc, char **argv)
{
    struct option options[ROWS + 1] = {0};

    for (size_t i = 0, n = 0; i < ROWS; i++)
        if (applies(&rows[i], s->daemon))
            options[n++] = (struct option){.name = rows[i].name,
                                           .has_arg = rows[i].argument != NULL ? required_argument
                                                                               : no_argument,
                                           .val = (int)i + 1};
    optind = 0; /* GNU: from the beginning, also the second time */
    for (;;) {
        int at = getopt_long(argc, argv, "", options, NULL);

        if (at == -1)
            break;
        if (at < 1 || at > ROWS) /* getopt has said what is wrong */
            return VPC_SETTINGS_WRONG;
        enum vpc_settings_result result = rows[at - 1].take(s, &rows[at - 1], optarg);
        if (result != VPC_SETTINGS_RUN)
            return result;
    }
    if (optind < argc)
        return vpc_usage_error(s->daemon, "there is an argument too many", argv[optind]);
    return VPC_SETTINGS_RUN;
}

static const struct setting *find_in_file(const struct vpc_daemon *daemon, const char *name)
{
    if (strcmp(name, options_row.name) == 0)
        return &options_row;
    if (strcmp(name, forwards_row.name) == 0 && applies(&forwards_row, daemon))
        return &forwards_row;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].load != NULL && applies(&rows[i], daemon) && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static json_t *load(const char *path, json_error_t *where)
{
    int fd = open(path, VPC_CONFIG_FLAGS);

    if (fd < 0) {
        *where = (json_error_t){.line = 0};
        snprintf(where->text, sizeof(where->text), "%s", strerror(errno));
        return NULL;
    }
    json_t *file = json_loadfd(fd, JSON_REJECT_DUPLICATES, where);
    close(fd);
    return file;
}

static enum vpc_settings_result read_file(struct vpc_settings *s)
{
    json_error_t where;
    const char *name;
    json_t *value;

    s->file = load(s->config, &where);
    if (!json_is_object(s->file)) {
        fprintf(stderr, "%s: the configuration file %s, line %d: %s\n", s->daemon->program,
                s->config, s->file != NULL ? 1 : where.line,
                s->file != NULL ? "no JSON object" : where.text);
        return VPC_SETTINGS_WRONG;
    }
    json_object_foreach(s->file, name, value)
    {
        const struct setting *row = find_in_file(s->daemon, name);

        if (row != NULL && row->load(s, row, value))
            continue;
        fprintf(stderr, "%s: the configuration file %s: %s \"%s\"\n", s->daemon->program, s->config,
                row != NULL ? "a wrong value of" : "there is no setting", name);
        return VPC_SETTINGS_WRONG;
    }
    return VPC_SETTINGS_RUN;
}

enum vpc_settings_result vpc_settings_read(struct vpc_settings *s, const struct vpc_daemon *daemon,
                                           int argc, char **argv)
{
    *s = (struct vpc_settings){
        .daemon = daemon,
        .options = json_object(),
        .forwards = json_object(),
        .log_limit = (uint64_t)DEFAULT_LOG_LIMIT_MIB << 20,
        .trace_limit = (uint64_t)DEFAULT_TRACE_LIMIT_MIB << 20,
    };
    enum vpc_settings_result result = read_arguments(s, argc, argv);
    if (result != VPC_SETTINGS_RUN || s->config == NULL)
        return result;
    /* What the command line said overrides the file. */
    result = read_file(s);
    return result != VPC_SETTINGS_RUN ? result : read_arguments(s, argc, argv);
}

void vpc_settings_free(struct vpc_settings *s)
{
    json_decref(s->options);
    json_decref(s->forwards);
    json_decref(s->file);
    s->options = s->forwards = s->file = NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void vpc_settings_compare(const struct vpc_settings *first, const struct vpc_settings *now)
{
    static const char text[] = "%s: the setting \"%s\" changes with the next start only\n";

    for (size_t i = 0; i < ROWS; i++) {
        const char *const *a = (const void *)((const char *)first + rows[i].at),
                          *const *b = (const void *)((const char *)now + rows[i].at);

        if (rows[i].take == take_text && !rows[i].changes && !same_text(*a, *b))
            fprintf(stderr, text, first->daemon->program, rows[i].name);
    }
    if (!json_equal(first->options, now->options))
        fprintf(stderr, text, first->daemon->program, options_row.name);
    if (!json_equal(first->forwards, now->forwards))
        fprintf(stderr, text, first->daemon->program, forwards_row.name);
}
