/* SPDX-License-Identifier: MIT */
/* vpc-conform: sets up what all verbs share, and calls one. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/places.h"
#include "document/embedded.h"
#include "report/failure.h"

static const struct {
    const char *name;
    vpc_verb_fn *fn;
} verbs[] = {
    {"run", vpc_verb_run},           {"check", vpc_verb_check},     {"list", vpc_verb_list},
    {"coverage", vpc_verb_coverage}, {"new", vpc_verb_new},         {"shrink", vpc_verb_shrink},
    {"generate", vpc_verb_generate}, {"interop", vpc_verb_interop}, {"steps", vpc_verb_steps},
    {"fields", vpc_verb_fields},
};

#define QUOTED(word)   #word
#define AS_TEXT(macro) QUOTED(macro)

static int dispatch(struct conform_settings *settings, const char *name, char **words)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].fn(settings, words);
    return vpc_complain(vpc_format(
        "%s: the verbs are run, check, list, coverage, fields, new, shrink, generate, interop and "
        "steps",
        name));
}

/* Reports with a fixed time can be compared: reproducible-builds.org/specs/source-date-epoch. */
static time_t start_time(void)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    uint64_t value;

    return fixed && vpc_number(fixed, &value) ? (time_t)value : time(NULL);
}

static int run(struct conform_settings *settings, int argc, char **argv)
{
    char *error = NULL;

    if (!conform_options_parse(settings, argc, argv, &error))
        return vpc_complain(error);
    if (settings->version) {
        puts("vpc-conform " AS_TEXT(VPC_VERSION) ", VPCBus 1.0");
        return VPC_EXIT_PASS;
    }
    if (settings->help || optind >= argc) {
        vpc_usage(settings->help ? stdout : stderr);
        return settings->help ? VPC_EXIT_PASS : VPC_EXIT_USAGE;
    }
    return dispatch(settings, argv[optind], argv + optind + 1);
}

/* What was said and could not be written was not said. */
static int end_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (code == VPC_EXIT_HARNESS)
        return code;
    vpc_complain(vpc_format("standard output: can not be written: %s", strerror(errno)));
    return VPC_EXIT_HARNESS;
}

/* What is so unless an option says something else. */
static struct conform_settings defaults(const struct vpc_places *places, const char *program)
{
    return (struct conform_settings){
        .min = 1,
        .scenarios = places->scenarios,
        .suite =
            {
                .seed = 1,
                .out = "vpc-conform.out",
                .keep = vpc_failure_keep,
                .build = places->build,
                .guest_dir = places->guest_dir,
                .guest_image = places->guest_image,
                .launcher = places->launcher,
                .program = program,
                .when = start_time(),
            },
    };
}

int main(int argc, char **argv)
{
    struct vpc_places places;
    struct conform_settings settings;
    char *error = NULL;
    struct vpc_table *table = vpc_table_load(vpc_embedded_messages, &error);
    struct vpc_spec *spec = vpc_spec_load(vpc_embedded_document);
    int code;

    /* A subject of the same user may not read our memory, nor write into what we have open. */
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        fprintf(stderr, "vpc-conform: its memory can not be closed: %s\n", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    vpc_places_find(&places);
    settings = defaults(&places, argv[0]);
    settings.suite.table = table;
    settings.suite.spec = spec;
    code = table ? run(&settings, argc, argv) : vpc_complain(error);
    code = end_output(code);
    vpc_suite_free(&settings.suite);
    vpc_spec_free(spec);
    vpc_table_free(table);
    vpc_places_forget(&places);
    return code;
}
