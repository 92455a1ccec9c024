/* SPDX-License-Identifier: MIT */
/* The options: one table that is parsed by and that --help is made of. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "backends/filter.h"
#include "backends/machine.h"
#include "backends/sandbox.h"
#include "cli/cli.h"

const struct vpc_backend_ops *const vpc_backends[VPC_BACKENDS] = {
    &vpc_backend_inproc, &vpc_backend_socket, &vpc_backend_qemu};

int vpc_complain(char *error)
{
    fprintf(stderr, "vpc-conform: %s\n", error);
    free(error);
    return VPC_EXIT_USAGE;
}

bool vpc_backend_by_name(const char *name, const struct vpc_backend_ops **backend)
{
    for (size_t i = 0; i < sizeof(vpc_backends) / sizeof(vpc_backends[0]); i++) {
        if (strcmp(vpc_backends[i]->name, name) != 0)
            continue;
        *backend = vpc_backends[i];
        return true;
    }
    return false;
}

bool vpc_split_by_name(const char *name, enum vpc_split *split)
{
    for (int i = 0; i < VPC_SPLITS; i++) {
        if (strcmp(vpc_split_name((enum vpc_split)i), name) != 0)
            continue;
        *split = (enum vpc_split)i;
        return true;
    }
    return false;
}

bool vpc_add_implementation(struct vpc_suite *suite, const char *path, char **error)
{
    struct vpc_implementation *one = vpc_implementation_load(path, error);

    if (one == NULL)
        return false;
    for (size_t i = 0; i < suite->implementation_count; i++)
        if (strcmp(suite->implementations[i]->name, one->name) == 0)
            *error =
                vpc_format("%s: %s has the same name, \"%s\"; reports could not tell them apart",
                           path, suite->implementations[i]->path, one->name);
    suite->implementations = vpc_grow_by_one(suite->implementations, suite->implementation_count,
                                             sizeof(struct vpc_implementation *));
    suite->implementations[suite->implementation_count++] = one;
    return *error == NULL;
}

bool vpc_machine_suffices(const struct vpc_suite *suite, bool processes)
{
    struct vpc_machine_need need = {.jobs = vpc_suite_most_jobs(suite), .processes = processes};
    char *missing;

    for (size_t i = 0; i < suite->backend_count; i++) {
        need.processes |= suite->backends[i]->bit != VPC_INPROC;
        need.machines |= suite->backends[i]->bit == VPC_QEMU;
    }
    missing = vpc_machine_missing(&need);
    if (missing)
        vpc_complain(missing);
    return missing == NULL;
}

bool conform_sandbox_suffices(struct conform_settings *settings)
{
    unsigned granted = settings->sandbox == CONFORM_NO_SANDBOX ? 0 : conform_sandbox_granted();
    unsigned missing = settings->sandbox == CONFORM_NO_SANDBOX ? 0 : VPC_SANDBOX_ALL & ~granted;
    bool enough = missing == 0 || settings->sandbox == CONFORM_TRY_SANDBOX;
    char *words = conform_sandbox_words(missing);

    settings->suite.sandbox = granted;
    if (missing)
        vpc_complain(vpc_format("--sandbox: the kernel grants no %s%s", words,
                                enough ? ": without" : "; --sandbox=try goes on without"));
    free(words);
    return enough;
}

void conform_say_fences(const struct vpc_suite *suite)
{
    bool objects = false, loaded = suite->backend_count == 0; /* fields, shrink: in-process */
    int missing;

    for (size_t i = 0; i < suite->implementation_count; i++)
        objects |= suite->implementations[i]->object != NULL;
    for (size_t i = 0; i < suite->backend_count; i++)
        loaded |= suite->backends[i] == &vpc_backend_inproc;
    missing = objects && loaded ? conform_filter_missing() : 0;
    if (missing)
        fprintf(
            stderr,
            "vpc-conform: the kernel takes no seccomp filter (%s): shared objects run without that "
            "fence\n",
            strerror(missing));
}

/* ---- setters ------------------------------------------------------------------------------------------------------ */

static bool set_implementation(struct conform_settings *settings, const char *value, char **error)
{
    return vpc_add_implementation(&settings->suite, value, error);
}

static bool set_backend(struct conform_settings *settings, const char *value, char **error)
{
    struct vpc_suite *suite = &settings->suite;
    const struct vpc_backend_ops *backend;

    if (!vpc_backend_by_name(value, &backend)) {
        *error = vpc_format("--backend %s: write inproc, socket or qemu", value);
        return false;
    }
    for (size_t i = 0; i < suite->backend_count; i++)
        if (suite->backends[i] == backend)
            return true;
    suite->backends[suite->backend_count++] = backend;
    return true;
}

static void add_split(struct vpc_suite *suite, enum vpc_split split)
{
    for (size_t i = 0; i < suite->split_count; i++)
        if (suite->splits[i] == split)
            return;
    suite->splits[suite->split_count++] = split;
}

static bool set_split(struct conform_settings *settings, const char *value, char **error)
{
    enum vpc_split split;
    bool all = strcmp(value, "all") == 0;

    if (!all && !vpc_split_by_name(value, &split)) {
        *error = vpc_format("--split %s: write whole, 1, random, largest or all", value);
        return false;
    }
    for (int i = 0; i < VPC_SPLITS; i++)
        if (all || i == (int)split)
            add_split(&settings->suite, (enum vpc_split)i);
    return true;
}

static bool number(const char *name, const char *value, uint64_t min, uint64_t max,
                   uint64_t *result, char **error)
{
    if (vpc_number(value, result) && *result >= min && *result <= max)
        return true;
    *error = vpc_format("%s %s: write a number from %llu to %llu", name, value,
                        (unsigned long long)min, (unsigned long long)max);
    return false;
}

static bool set_seed(struct conform_settings *settings, const char *value, char **error)
{
    return number("--seed", value, 0, INT64_MAX, &settings->suite.seed, error);
}

static bool set_min(struct conform_settings *settings, const char *value, char **error)
{
    return number("--min", value, 0, SIZE_MAX, &settings->min, error);
}

static bool set_jobs(struct conform_settings *settings, const char *value, char **error)
{
    struct vpc_suite *suite = &settings->suite;
    const char *equals = strchr(value, '=');
    const struct vpc_backend_ops *backend;
    size_t jobs;
    char *name;
    bool known;

    if (!number("--jobs", equals ? equals + 1 : value, 1, 64, equals ? &jobs : &suite->jobs, error))
        return false;
    if (equals == NULL)
        return true;
    name = vpc_copy_n(value, (size_t)(equals - value));
    known = vpc_backend_by_name(name, &backend);
    free(name);
    if (known)
        vpc_suite_set_jobs(suite, backend, jobs);
    else
        *error = vpc_format("--jobs %s: write N, inproc=N, socket=N or qemu=N", value);
    return known;
}

static bool set_limit(struct conform_settings *settings, const char *value, char **error)
{
    uint64_t seconds = 0;
    bool good = number("--limit", value, 1, 86400, &seconds, error);

    settings->suite.limit_ms = (int)seconds * 1000;
    return good;
}

static bool set_shard(struct conform_settings *settings, const char *value, char **error)
{
    struct vpc_suite *suite = &settings->suite;
    char end;

    settings->suite.partial = true;
    if (sscanf(value, "%zu/%zu%c", &suite->shard, &suite->shards, &end) == 2 && suite->shard >= 1 &&
        suite->shard <= suite->shards)
        return true;
    *error = vpc_format("--shard %s: write I/N, the I'th of N parts, from 1", value);
    return false;
}

static bool set_sandbox(struct conform_settings *settings, const char *value, char **error)
{
    settings->sandbox = value ? CONFORM_TRY_SANDBOX : CONFORM_SANDBOX;
    if (value == NULL || strcmp(value, "try") == 0)
        return true;
    *error = vpc_format("--sandbox=%s: write --sandbox or --sandbox=try", value);
    return false;
}

static bool set_expect(struct conform_settings *settings, const char *value, char **error)
{
    return vpc_expectations_load(&settings->suite.expectations, value, error);
}

static bool set_role(struct conform_settings *settings, const char *value, char **error)
{
    settings->role = strcmp(value, "host") == 0    ? VPC_FROM_HOST
                     : strcmp(value, "guest") == 0 ? VPC_FROM_GUEST
                                                   : 0;
    if (settings->role == 0)
        *error = vpc_format("--role %s: write host or guest", value);
    return settings->role != 0;
}

static bool add_report(struct conform_settings *settings, vpc_report_fn *fn, const char *path,
                       char **error)
{
    if (settings->report_count == VPC_REPORTS_MAX) {
        *error = vpc_format("%s: at most %d reports", path, VPC_REPORTS_MAX);
        return false;
    }
    settings->reports[settings->report_count].fn = fn;
    settings->reports[settings->report_count++].path = path;
    return true;
}

#define REPORT_OPTION(name, fn)                                                                    \
    static bool name(struct conform_settings *settings, const char *value, char **error)           \
    {                                                                                              \
        return add_report(settings, fn, value, error);                                             \
    }

REPORT_OPTION(set_report, vpc_report_text)
REPORT_OPTION(set_tap, vpc_report_tap)
REPORT_OPTION(set_tap14, vpc_report_tap14)
REPORT_OPTION(set_junit, vpc_report_junit)
REPORT_OPTION(set_json, vpc_report_json)
REPORT_OPTION(set_html, vpc_report_html)

#define PLAIN_OPTION(name, statement)                                                              \
    static bool name(struct conform_settings *settings, const char *value, char **error)           \
    {                                                                                              \
        (void)value;                                                                               \
        (void)error;                                                                               \
        statement;                                                                                 \
        return true;                                                                               \
    }

PLAIN_OPTION(set_scenarios, settings->scenarios = value)
PLAIN_OPTION(set_covers, settings->covering = value)
PLAIN_OPTION(set_out, settings->suite.out = value)
PLAIN_OPTION(set_guest_dir, settings->suite.guest_dir = value)
PLAIN_OPTION(set_guest_image, settings->suite.guest_image = value)
PLAIN_OPTION(set_first_failure, settings->suite.first_failure = settings->suite.partial = true)
PLAIN_OPTION(set_gate, settings->gate = true)
PLAIN_OPTION(set_help, settings->help = true)
PLAIN_OPTION(set_version, settings->version = true)

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *value; /* NULL: takes none; "[=...": may have one */
    bool (*set)(struct conform_settings *settings, const char *value, char **error);
    const char *help;
} options[] = {
    {"implementation", "FILE", set_implementation,
     "description of an implementation (may be repeated)"},
    {"backend", "NAME", set_backend, "inproc, socket or qemu (may be repeated; default: inproc)"},
    {"split", "HOW", set_split,
     "how what is sent on the bus is cut: whole, 1, random, largest, all (may be repeated)"},
    {"reference", "FILE", set_implementation,
     "shrink: an implementation that must pass what is left (default: the reference)"},
    {"seed", "N", set_seed, "of all that is random (default: 1)"},
    {"scenarios", "DIR", set_scenarios,
     "where scenarios are (default: beside vpc-conform, as built or installed)"},
    {"covers", "PATTERN", set_covers, "only scenarios that cover such a requirement: 'CLS-*'"},
    {"shard", "I/N", set_shard, "only the I'th of N parts of the runs"},
    {"jobs", "[BACKEND=]N", set_jobs,
     "so many runs at once, of all or of one backend (may be repeated; default: 1)"},
    {"limit", "SECONDS", set_limit,
     "of one run (default: 120) or conversation (default: 30), in real time"},
    {"sandbox", "[=try]", set_sandbox,
     "run, interop, shrink: shut subjects in, or (try) as far as the kernel grants it"},
    {"first-failure", NULL, set_first_failure, "begin no run after one that was bad"},
    {"min", "N", set_min, "red when fewer runs are good (default: 1)"},
    {"expect", "FILE", set_expect,
     "what is known to go wrong: lines SCENARIO VERDICT REASON (may be repeated)"},
    {"out", "DIR", set_out,
     "folders of failures, or of what is generated (default: vpc-conform.out)"},
    {"report", "FILE", set_report, "write a row for each run; - is standard output, also below"},
    {"html", "FILE", set_html, "write one page with everything in it"},
    {"junit", "FILE", set_junit, "write JUnit's XML"},
    {"tap", "FILE", set_tap, "write TAP version 13, which every reader of TAP knows"},
    {"tap14", "FILE", set_tap14, "write TAP version 14"},
    {"json", "FILE", set_json, "write JSON, as report.schema.json describes it"},
    {"guest-dir", "DIR", set_guest_dir,
     "qemu: where guest images are (default: guest beside vpc-conform; installed: in the cache)"},
    {"guest-image", "PROGRAM", set_guest_image,
     "qemu: what makes them (default: tools/guest-image)"},
    {"gate", NULL, set_gate,
     "coverage, fields: red when a MUST, an event or a field has no scenario"},
    {"role", "ROLE", set_role, "new: host or guest"},
    {"help", NULL, set_help, "this text"},
    {"version", NULL, set_version, "the version"},
};

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static int takes_value(const char *value)
{
    if (value == NULL)
        return no_argument;
    return strncmp(value, "[=", 2) == 0 ? optional_argument : required_argument;
}

bool conform_options_parse(struct conform_settings *settings, int argc, char **argv, char **error)
{
    struct option table[OPTION_COUNT + 1] = {0};
    int which;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        table[i] = (struct option){options[i].name, takes_value(options[i].value), NULL, (int)i};
    while ((which = getopt_long(argc, argv, "", table, NULL)) >= 0) {
        if (which == '?') {
            *error = vpc_copy("see vpc-conform --help");
            return false;
        }
        if (!options[which].set(settings, optarg, error))
            return false;
    }
    return true;
}

void vpc_usage(FILE *out)
{
    fputs(
        "usage: vpc-conform run [OPTION]... [SCENARIO]...   judge implementations\n"
        "       vpc-conform check [SCENARIO]...             read scenarios, run nothing\n"
        "       vpc-conform list [SCENARIO]...              scenarios and their titles\n"
        "       vpc-conform coverage [--gate]               requirements and their scenarios\n"
        "       vpc-conform fields [--gate] [OPTION]...     which scenario notices a wrong field\n"
        "       vpc-conform new NAME --role host|guest      begin the description of yours\n"
        "       vpc-conform shrink FOLDER                   make a failing script small\n"
        "       vpc-conform generate [--seed N] --out DIR   write scenarios made of spec/\n"
        "       vpc-conform interop [OPTION]...             each host with each guest\n"
        "       vpc-conform steps [WORD]...                 lines that a scenario may have\n\n",
        out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *value = options[i].value ? options[i].value : "";
        char *name =
            vpc_format("--%s%s%s", options[i].name, strncmp(value, "[=", 2) == 0 ? "" : " ", value);

        fprintf(out, "  %-22s %s\n", name, options[i].help);
        free(name);
    }
    fputs("\nA SCENARIO is a file, a folder, or a pattern of names: hello-world, 'half-close*', "
          "'guest/*'.\n"
          "Exit: 0 all good (pass, non-strict), 1 a fail, 2 bad command line, scenario or\n"
          "descriptor, 3 nothing worse than inconclusive, 4 no run or fewer than --min were good,\n"
          "5 an expected failure no longer comes, 70 the harness, the machine or a full disk.\n",
          out);
}
