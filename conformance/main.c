/* SPDX-License-Identifier: MIT */
/* vpc-conform: the command line. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "document/embedded.h"
#include "verdicts/coverage.h"
#include "verdicts/report.h"
#include "verdicts/suite.h"

enum exit_code {
    EXIT_PASS = 0,
    EXIT_FAIL = 1,
    EXIT_USAGE = 2,
    EXIT_INCONCLUSIVE = 3,
    EXIT_TOO_FEW = 4,
};

struct settings {
    struct vpc_suite suite;
    const char *scenarios;
    const char *junit;
    const char *json;
    const char *report;
    size_t min;
    bool gate;
    bool help;
};

static const struct vpc_backend_ops *const backends[] = {&vpc_backend_inproc, &vpc_backend_socket,
                                                         &vpc_backend_qemu};

static void usage(FILE *out)
{
    fputs(
        "usage: vpc-conform run [OPTION]... [SCENARIO]...   judge implementations\n"
        "       vpc-conform check [SCENARIO]...             read scenarios, run nothing\n"
        "       vpc-conform list [SCENARIO]...              scenarios and their titles\n"
        "       vpc-conform coverage [--gate]               requirements and their scenarios\n"
        "\n"
        "  --implementation FILE  description of an implementation (may be repeated)\n"
        "  --backend NAME         inproc, socket, qemu (may be repeated; default: inproc)\n"
        "  --scenarios DIR        where scenarios are (default: conformance/scenarios)\n"
        "  --split HOW            pieces of what is sent on the bus: whole, 1, random, largest\n"
        "  --seed N               of all that is random (default: 1)\n"
        "  --min N                red when fewer runs than N passed (default: 1)\n"
        "  --jobs N               so many runs at once (default: 1)\n"
        "  --out DIR              folders of failures (default: vpc-conform.out)\n"
        "  --report FILE, --junit FILE, --json FILE       write a report\n"
        "  --guest-dir DIR        qemu: where guest images are (default: guest beside "
        "vpc-conform)\n"
        "  --guest-image PROGRAM  qemu: what makes them (default: tools/guest-image)\n"
        "  --gate                 coverage: red when a MUST or an event has no scenario\n"
        "\n"
        "A SCENARIO is a file, a folder, or a scenario's name.\n"
        "Exit: 0 all pass, 1 a fail, 2 bad command line, scenario or descriptor, 3 nothing worse\n"
        "than inconclusive, 4 fewer than --min passed, 70 a harness error.\n",
        out);
}

static int complain(char *error)
{
    fprintf(stderr, "vpc-conform: %s\n", error);
    free(error);
    return EXIT_USAGE;
}

/* ---- options ---------------------------------------------------------------------------------------------------------- */

static bool set_implementation(struct settings *settings, const char *value, char **error)
{
    struct vpc_suite *suite = &settings->suite;
    struct vpc_implementation *one = vpc_implementation_load(value, error);

    if (one == NULL)
        return false;
    suite->implementations = vpc_grow(suite->implementations, suite->implementation_count + 1,
                                      sizeof(struct vpc_implementation *));
    suite->implementations[suite->implementation_count++] = one;
    return true;
}

static bool set_backend(struct settings *settings, const char *value, char **error)
{
    struct vpc_suite *suite = &settings->suite;

    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(backends[i]->name, value) != 0)
            continue;
        if (suite->backend_count < 3)
            suite->backends[suite->backend_count++] = backends[i];
        return true;
    }
    *error = vpc_format("--backend %s: write inproc, socket or qemu", value);
    return false;
}

static bool set_split(struct settings *settings, const char *value, char **error)
{
    for (int i = VPC_SPLIT_WHOLE; i <= VPC_SPLIT_LARGEST; i++) {
        if (strcmp(vpc_split_name((enum vpc_split)i), value) == 0) {
            settings->suite.split = (enum vpc_split)i;
            return true;
        }
    }
    *error = vpc_format("--split %s: write whole, 1, random or largest", value);
    return false;
}

static bool number(const char *name, const char *value, uint64_t *result, char **error)
{
    if (vpc_number(value, result))
        return true;
    *error = vpc_format("%s %s: write a number", name, value);
    return false;
}

static bool set_seed(struct settings *settings, const char *value, char **error)
{
    return number("--seed", value, &settings->suite.seed, error);
}

static bool set_min(struct settings *settings, const char *value, char **error)
{
    uint64_t min = 0;
    bool good = number("--min", value, &min, error);

    settings->min = min;
    return good;
}

static bool set_jobs(struct settings *settings, const char *value, char **error)
{
    uint64_t jobs = 0;
    bool good = number("--jobs", value, &jobs, error);

    if (good && (jobs < 1 || jobs > 64)) {
        *error = vpc_format("--jobs %s: write 1 to 64", value);
        return false;
    }
    settings->suite.jobs = jobs;
    return good;
}

#define TEXT_OPTION(name, place)                                                                   \
    static bool name(struct settings *settings, const char *value, char **error)                   \
    {                                                                                              \
        (void)error;                                                                               \
        settings->place = value;                                                                   \
        return true;                                                                               \
    }

TEXT_OPTION(set_scenarios, scenarios)
TEXT_OPTION(set_out, suite.out)
TEXT_OPTION(set_junit, junit)
TEXT_OPTION(set_json, json)
TEXT_OPTION(set_report, report)
TEXT_OPTION(set_guest_dir, suite.guest_dir)
TEXT_OPTION(set_guest_image, suite.guest_image)

static bool set_gate(struct settings *settings, const char *value, char **error)
{
    (void)value;
    (void)error;
    return settings->gate = true;
}

static bool set_help(struct settings *settings, const char *value, char **error)
{
    (void)value;
    (void)error;
    return settings->help = true;
}

typedef bool option_fn(struct settings *settings, const char *value, char **error);

static option_fn *const option_fns[] = {
    set_implementation, set_backend,     set_scenarios, set_split,
    set_seed,           set_min,         set_out,       set_report,
    set_junit,          set_json,        set_gate,      set_help,
    set_guest_dir,      set_guest_image, set_jobs};

static const struct option long_options[] = {
    {"implementation", required_argument, NULL, 0},
    {"backend", required_argument, NULL, 1},
    {"scenarios", required_argument, NULL, 2},
    {"split", required_argument, NULL, 3},
    {"seed", required_argument, NULL, 4},
    {"min", required_argument, NULL, 5},
    {"out", required_argument, NULL, 6},
    {"report", required_argument, NULL, 7},
    {"junit", required_argument, NULL, 8},
    {"json", required_argument, NULL, 9},
    {"gate", no_argument, NULL, 10},
    {"help", no_argument, NULL, 11},
    {"guest-dir", required_argument, NULL, 12},
    {"guest-image", required_argument, NULL, 13},
    {"jobs", required_argument, NULL, 14},
    {0},
};

static bool parse_options(struct settings *settings, int argc, char **argv, char **error)
{
    int which;

    while ((which = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (which == '?') {
            *error = vpc_copy("see vpc-conform --help");
            return false;
        }
        if (!option_fns[which](settings, optarg, error))
            return false;
    }
    return true;
}

/* ---- scenarios ---------------------------------------------------------------------------------------------------------- */

/* A name that is no path is looked for in all folders of scenarios. */
static bool add_named(struct settings *settings, const char *name, char **error)
{
    if (access(name, R_OK) == 0)
        return vpc_suite_add(&settings->suite, name, error);
    return vpc_suite_add_named(&settings->suite, settings->scenarios, name, error);
}

static bool add_scenarios(struct settings *settings, char **names, char **error)
{
    if (*names == NULL)
        return vpc_suite_add(&settings->suite, settings->scenarios, error);
    for (; *names; names++)
        if (!add_named(settings, *names, error))
            return false;
    return true;
}

/* ---- verbs ---------------------------------------------------------------------------------------------------------------- */

static bool write_reports(const struct settings *settings, char **error)
{
    const struct vpc_suite *suite = &settings->suite;
    const char *bad = NULL;

    if (settings->junit && !vpc_report_junit(suite, settings->junit))
        bad = settings->junit;
    if (settings->json && !vpc_report_json(suite, settings->json))
        bad = settings->json;
    if (settings->report) {
        FILE *out = fopen(settings->report, "we");

        if (out)
            vpc_report_text(suite, out, false);
        if (out == NULL || fclose(out) != 0)
            bad = settings->report;
    }
    if (bad)
        *error = vpc_format("%s: the report can not be written: %s", bad, strerror(errno));
    return bad == NULL;
}

static int exit_code(const struct settings *settings)
{
    const struct vpc_suite *suite = &settings->suite;
    size_t passed = vpc_report_count(suite, VPC_PASS) + vpc_report_count(suite, VPC_NON_STRICT);

    if (vpc_report_count(suite, VPC_HARNESS_ERROR))
        return VPC_EXIT_HARNESS;
    if (vpc_report_count(suite, VPC_FAIL))
        return EXIT_FAIL;
    if (vpc_report_count(suite, VPC_INCONCLUSIVE))
        return EXIT_INCONCLUSIVE;
    if (passed < settings->min || passed == 0) {
        fprintf(stderr, "vpc-conform: %zu runs passed, at least %zu are asked for\n", passed,
                settings->min ? settings->min : 1);
        return EXIT_TOO_FEW;
    }
    return EXIT_PASS;
}

static int verb_run(struct settings *settings)
{
    struct vpc_suite *suite = &settings->suite;
    char *error = NULL;

    if (suite->implementation_count == 0)
        return complain(vpc_copy("run needs --implementation FILE"));
    if (suite->backend_count == 0)
        suite->backends[suite->backend_count++] = &vpc_backend_inproc;
    suite->progress = isatty(STDERR_FILENO);
    if (!vpc_suite_run(suite, &error)) {
        complain(error);
        return VPC_EXIT_HARNESS;
    }
    if (suite->interrupted) {
        fprintf(stderr, "vpc-conform: interrupted by %s\n", strsignal(suite->interrupted));
        return 128 + suite->interrupted;
    }
    vpc_report_text(suite, stdout, isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
    if (!write_reports(settings, &error))
        return complain(error);
    return exit_code(settings);
}

static int verb_check(struct settings *settings)
{
    return settings->suite.script_count ? EXIT_PASS : EXIT_TOO_FEW;
}

static int verb_list(struct settings *settings)
{
    for (size_t i = 0; i < settings->suite.script_count; i++)
        printf("%-6s %-32s %s\n",
               settings->suite.scripts[i]->role == VPC_FROM_HOST ? "host" : "guest",
               settings->suite.scripts[i]->name, settings->suite.scripts[i]->title);
    return verb_check(settings);
}

static int verb_coverage(struct settings *settings)
{
    char *list = vpc_format("%s/unjudged-events.txt", settings->scenarios);
    size_t gaps = vpc_coverage(&settings->suite, stdout);

    gaps += vpc_coverage_events(&settings->suite, list, stdout);
    free(list);
    return settings->gate && gaps ? EXIT_FAIL : EXIT_PASS;
}

struct verb {
    const char *name;
    int (*fn)(struct settings *settings);
};

static const struct verb verbs[] = {
    {"run", verb_run}, {"check", verb_check}, {"list", verb_list}, {"coverage", verb_coverage}};

static int dispatch(struct settings *settings, const char *name, char **rest)
{
    char *error = NULL;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) != 0)
            continue;
        if (!add_scenarios(settings, rest, &error))
            return complain(error);
        return verbs[i].fn(settings);
    }
    return complain(vpc_format("%s: the verbs are run, check, list and coverage", name));
}

static char *folder_of_program(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    return vpc_copy_n(path, slash ? (size_t)(slash - path) : 0);
}

int main(int argc, char **argv)
{
    struct settings settings = {.scenarios = "conformance/scenarios", .min = 1};
    struct vpc_suite *suite = &settings.suite;
    char *error = NULL, *build = folder_of_program(), *guest = vpc_format("%s/guest", build);
    struct vpc_table *table = vpc_table_load(vpc_embedded_messages, &error);
    struct vpc_spec *spec = vpc_spec_load(vpc_embedded_document);
    int code;

    signal(SIGPIPE, SIG_IGN);
    suite->table = table;
    suite->spec = spec;
    suite->seed = 1;
    suite->out = "vpc-conform.out";
    suite->build = build;
    suite->guest_dir = guest;
    suite->guest_image = "tools/guest-image";
    suite->program = argv[0];
    if (table == NULL || !parse_options(&settings, argc, argv, &error)) {
        code = complain(error);
    } else if (settings.help || optind >= argc) {
        usage(settings.help ? stdout : stderr);
        code = settings.help ? EXIT_PASS : EXIT_USAGE;
    } else {
        code = dispatch(&settings, argv[optind], argv + optind + 1);
    }
    vpc_suite_free(suite);
    vpc_spec_free(spec);
    vpc_table_free(table);
    free(build);
    free(guest);
    return code;
}
