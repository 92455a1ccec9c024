/* SPDX-License-Identifier: MIT */
/* vpc-conform interop. */
#include <errno.h>
#include <string.h>

#include "backends/adapter.h"
#include "cli/cli.h"
#include "files.h"
#include "interop/interop.h"

static const char *what_is_wrong(const struct conform_settings *settings, char **words)
{
    const struct vpc_suite *suite = &settings->suite;
    int roles = 0;

    for (size_t i = 0; i < suite->implementation_count; i++) {
        if (suite->implementations[i]->command == NULL)
            return "interop needs command in [process] of every --implementation";
        roles |= suite->implementations[i]->role;
    }
    for (size_t i = 0; i < settings->report_count; i++)
        if (settings->reports[i].fn != vpc_report_text &&
            settings->reports[i].fn != vpc_report_json)
            return "interop writes --report and --json only";
    if (*words)
        return "interop takes no scenario: its conversations are its own";
    return roles == (VPC_FROM_HOST | VPC_FROM_GUEST)
               ? NULL
               : "interop needs --implementation FILE of a host and of a guest";
}

static void write_text(FILE *out, const void *matrix)
{
    vpc_interop_write(matrix, out);
}

static void write_json(FILE *out, const void *matrix)
{
    json_dumpf(matrix, out, JSON_INDENT(1));
    fputc('\n', out);
}

static bool write_to(const json_t *matrix, bool as_json, const char *path)
{
    if (vpc_file_write(path, as_json ? write_json : write_text, matrix))
        return true;
    vpc_complain(vpc_format("%s: the report can not be written: %s", path, vpc_file_words(errno)));
    return false;
}

static int report(const struct conform_settings *settings, const json_t *matrix)
{
    int code = vpc_interop_exit(matrix);
    bool to_standard = false;

    for (size_t i = 0; i < settings->report_count; i++) {
        to_standard |= strcmp(settings->reports[i].path, "-") == 0;
        if (!write_to(matrix, settings->reports[i].fn == vpc_report_json,
                      settings->reports[i].path))
            code = VPC_EXIT_HARNESS;
    }
    if (!to_standard)
        vpc_interop_write(matrix, stdout);
    return code;
}

int vpc_verb_interop(struct conform_settings *settings, char **words)
{
    struct vpc_suite *suite = &settings->suite;
    const char *wrong = what_is_wrong(settings, words);
    char *error = NULL;
    json_t *matrix;
    int code;

    if (wrong)
        return vpc_complain(vpc_copy(wrong));
    if (!vpc_machine_suffices(suite, true) || !conform_sandbox_suffices(settings))
        return VPC_EXIT_HARNESS;
    for (size_t i = 0; i < suite->implementation_count; i++)
        if (!vpc_adapter_probe(suite->implementations[i], suite->build, suite->sandbox, &error)) {
            vpc_complain(error);
            return VPC_EXIT_HARNESS;
        }
    matrix = vpc_interop_run(suite);
    if (suite->interrupted) {
        fprintf(stderr, "vpc-conform: interrupted by %s\n", strsignal(suite->interrupted));
        code = 128 + suite->interrupted;
    } else {
        code = report(settings, matrix);
    }
    json_decref(matrix);
    return code;
}
