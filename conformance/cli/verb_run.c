/* SPDX-License-Identifier: MIT */
/* vpc-conform run, check, list, coverage. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/adapter.h"
#include "clean.h"
#include "cli/cli.h"
#include "verdicts/coverage.h"
#include "verdicts/field_coverage.h"

/* ---- which scenarios ---------------------------------------------------------------------------------------------- */

static bool add_named(struct conform_settings *settings, const char *name, char **error)
{
    if (access(name, R_OK) == 0)
        return vpc_suite_add(&settings->suite, name, error);
    return vpc_suite_add_matching(&settings->suite, settings->scenarios, name, error);
}

static bool add_scenarios(struct conform_settings *settings, char **names, char **error)
{
    struct vpc_suite *suite = &settings->suite;

    suite->partial |= *names != NULL || settings->covering != NULL;
    if (*names == NULL && !vpc_suite_add(suite, settings->scenarios, error))
        return false;
    for (; *names; names++)
        if (!add_named(settings, *names, error))
            return false;
    if (settings->covering)
        vpc_suite_keep_covering(suite, settings->covering);
    return true;
}

/* ---- run ---------------------------------------------------------------------------------------------------------- */

static bool to_standard_output(const struct conform_settings *settings)
{
    for (size_t i = 0; i < settings->report_count; i++)
        if (strcmp(settings->reports[i].path, "-") == 0)
            return true;
    return false;
}

/* All that can be written is written, whatever fails. */
static bool write_reports(const struct conform_settings *settings)
{
    const struct vpc_suite *suite = &settings->suite;
    bool good = true;

    for (size_t i = 0; i < settings->report_count; i++) {
        char *error = NULL;

        if (vpc_report_write(suite, settings->reports[i].fn, settings->reports[i].path, &error))
            continue;
        vpc_complain(error);
        good = false;
    }
    return good;
}

static void say_too_few(const struct conform_settings *settings)
{
    const struct vpc_suite *suite = &settings->suite;

    fprintf(stderr, "vpc-conform: %zu runs were good, at least %zu are asked for%s\n",
            vpc_suite_count(suite, VPC_PASS) + vpc_suite_count(suite, VPC_NON_STRICT),
            settings->min ? settings->min : 1,
            suite->run_count ? "" : ": no scenario is for these implementations and backends");
}

static int report(const struct conform_settings *settings)
{
    const struct vpc_suite *suite = &settings->suite;
    int code = vpc_suite_exit(suite, settings->min);

    if (!to_standard_output(settings))
        vpc_report_summary(suite, stdout, isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
    if (fflush(stdout) != 0 || ferror(stdout)) {
        vpc_complain(vpc_format("standard output: can not be written: %s", strerror(errno)));
        code = VPC_EXIT_HARNESS;
    }
    if (suite->trouble) {
        fputs("vpc-conform: ", stderr);
        vpc_write_clean(suite->trouble, stderr);
        fputc('\n', stderr);
    }
    if (!write_reports(settings))
        code = VPC_EXIT_HARNESS;
    if (code == VPC_EXIT_TOO_FEW)
        say_too_few(settings);
    return code;
}

static bool in_machines(const struct vpc_suite *suite)
{
    for (size_t i = 0; i < suite->backend_count; i++)
        if (suite->backends[i] == &vpc_backend_qemu)
            return true;
    return false;
}

int vpc_verb_run(struct conform_settings *settings, char **words)
{
    struct vpc_suite *suite = &settings->suite;
    char *error = NULL;

    suite->folds = true;
    if (!add_scenarios(settings, words, &error))
        return vpc_complain(error);
    if (suite->implementation_count == 0)
        return vpc_complain(vpc_copy("run needs --implementation FILE"));
    if (suite->backend_count == 0)
        suite->backends[suite->backend_count++] = &vpc_backend_inproc;
    if (settings->sandbox != CONFORM_NO_SANDBOX && in_machines(suite))
        return vpc_complain(
            vpc_copy("--sandbox is for inproc and socket: a virtual machine is one"));
    if (!vpc_machine_suffices(suite, false) || !conform_sandbox_suffices(settings))
        return VPC_EXIT_HARNESS;
    for (size_t i = 0; i < suite->implementation_count; i++)
        if (!vpc_adapter_probe(suite->implementations[i], suite->build, suite->sandbox, &error)) {
            vpc_complain(error);
            return VPC_EXIT_HARNESS;
        }
    conform_say_fences(suite);
    suite->progress = isatty(STDERR_FILENO);
    vpc_suite_run(suite);
    if (suite->interrupted) {
        fprintf(stderr, "vpc-conform: interrupted by %s\n", strsignal(suite->interrupted));
        return 128 + suite->interrupted;
    }
    return report(settings);
}

/* ---- the others --------------------------------------------------------------------------------------------------- */

int vpc_verb_check(struct conform_settings *settings, char **words)
{
    char *error = NULL;

    if (!add_scenarios(settings, words, &error))
        return vpc_complain(error);
    return settings->suite.script_count ? VPC_EXIT_PASS : VPC_EXIT_TOO_FEW;
}

int vpc_verb_list(struct conform_settings *settings, char **words)
{
    int code = vpc_verb_check(settings, words);

    for (size_t i = 0; i < settings->suite.script_count && code == VPC_EXIT_PASS; i++)
        printf("%-6s %-32s %s\n",
               settings->suite.scripts[i]->role == VPC_FROM_HOST ? "host" : "guest",
               settings->suite.scripts[i]->name, settings->suite.scripts[i]->title);
    return code;
}

int vpc_verb_fields(struct conform_settings *settings, char **words)
{
    struct vpc_suite *suite = &settings->suite;
    char *list = vpc_format("%s/unjudged-fields.txt", settings->scenarios), *error = NULL;
    size_t gaps = 0;

    if (suite->implementation_count == 0)
        error = vpc_copy("fields needs --implementation FILE, with an object in [abi]");
    conform_say_fences(suite);
    suite->progress = isatty(STDERR_FILENO);
    if (error == NULL && add_scenarios(settings, words, &error))
        gaps = vpc_field_coverage(suite, list, stdout, &error);
    free(list);
    if (error) {
        vpc_complain(error);
        return gaps == SIZE_MAX ? VPC_EXIT_HARNESS : VPC_EXIT_USAGE;
    }
    if (suite->interrupted)
        return 128 + suite->interrupted;
    return settings->gate && gaps ? VPC_EXIT_FAIL : VPC_EXIT_PASS;
}

int vpc_verb_coverage(struct conform_settings *settings, char **words)
{
    char *list = vpc_format("%s/unjudged-events.txt", settings->scenarios), *error = NULL;
    size_t gaps = 0;
    bool good = add_scenarios(settings, words, &error);

    if (good) {
        gaps = vpc_coverage(&settings->suite, stdout);
        gaps += vpc_coverage_events(&settings->suite, list, stdout);
    }
    free(list);
    if (!good)
        return vpc_complain(error);
    return settings->gate && gaps ? VPC_EXIT_FAIL : VPC_EXIT_PASS;
}
