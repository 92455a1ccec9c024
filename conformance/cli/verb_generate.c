/* SPDX-License-Identifier: MIT */
/* vpc-conform generate. */
#include <stdio.h>

#include "cli/cli.h"
#include "generate/generate.h"
#include "memory.h"

int vpc_verb_generate(struct conform_settings *settings, char **words)
{
    const struct vpc_suite *suite = &settings->suite;
    char *error = NULL;
    size_t count, legal, left_out;

    if (*words)
        return vpc_complain(vpc_format("%s: generate takes --seed N and --out DIR only", *words));
    if (!vpc_generate(suite->table, suite->out, suite->seed, &count, &error))
        return vpc_complain(error);
    printf("%zu scenarios in %s, seed %llu\n", count, suite->out, (unsigned long long)suite->seed);
    printf("\nlegal events of a session that have none, and why:\n");
    vpc_gen_session_left_out(stdout, &legal, &left_out);
    printf("%zu of %zu transitions of a session have one\n", legal - left_out, legal);
    return VPC_EXIT_PASS;
}
