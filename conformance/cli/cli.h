/* SPDX-License-Identifier: MIT */
/*
 * The command line of vpc-conform: options, and a verb for each thing that it does.
 *
 * Errors are one line that the caller frees; a verb gives the exit code (enum vpc_exit, or VPC_EXIT_HARNESS).
 */
#ifndef VPC_CONFORM_CLI_H
#define VPC_CONFORM_CLI_H

#include "report/report.h"
#include "verdicts/suite.h"

#define VPC_REPORTS_MAX 16

struct conform_settings {
    struct vpc_suite suite;
    const char *scenarios; /* the folder of all */
    const char *covering;  /* keep these only, or NULL */
    struct {
        vpc_report_fn *fn;
        const char *path;
    } reports[VPC_REPORTS_MAX];
    size_t report_count;
    size_t min;
    int role; /* of --role: enum vpc_role_bit, or 0 */
    bool gate, help, version;
    enum conform_sandbox_wish { CONFORM_NO_SANDBOX, CONFORM_TRY_SANDBOX, CONFORM_SANDBOX } sandbox;
};

extern const struct vpc_backend_ops *const vpc_backends[VPC_BACKENDS];

/* Reads argv up to the verb's words; false: *error. */
bool conform_options_parse(struct conform_settings *settings, int argc, char **argv, char **error);
bool vpc_backend_by_name(const char *name, const struct vpc_backend_ops **backend);
bool vpc_split_by_name(const char *name, enum vpc_split *split);
/* Adds an implementation's description to the suite. */
bool vpc_add_implementation(struct vpc_suite *suite, const char *path, char **error);
void vpc_usage(FILE *out);
/* Whether the machine has what the suite's runs need; processes: whether they are in real time.  False: it
 * was said what is missing. */
bool vpc_machine_suffices(const struct vpc_suite *suite, bool processes);
/* What --sandbox asks for becomes the suite's; false: it was said what the kernel does not grant. */
bool conform_sandbox_suffices(struct conform_settings *settings);
/* Says once which fence around shared objects there is not; they run all the same. */
void conform_say_fences(const struct vpc_suite *suite);
/* Says the error on standard error and frees it; VPC_EXIT_USAGE. */
int vpc_complain(char *error);

/* Verbs; words are what stands behind the verb, ended by NULL. */
typedef int vpc_verb_fn(struct conform_settings *settings, char **words);

vpc_verb_fn vpc_verb_run, vpc_verb_check, vpc_verb_list, vpc_verb_coverage, vpc_verb_new,
    vpc_verb_shrink, vpc_verb_generate, vpc_verb_interop, vpc_verb_steps, vpc_verb_fields;

#endif
