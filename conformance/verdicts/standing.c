/* SPDX-License-Identifier: MIT */
/* What the runs of a suite come to. */
#include "verdicts/suite.h"

enum vpc_standing vpc_standing_of(const struct vpc_suite_run *run)
{
    enum vpc_verdict verdict = run->result.verdict;
    bool good = vpc_verdict_good(verdict) || verdict == VPC_NOT_SUPPORTED;

    if (run->expectation == NULL || verdict == VPC_NOT_SUPPORTED)
        return good ? VPC_STANDING_GOOD : VPC_STANDING_BAD;
    if (run->expectation->verdict == verdict)
        return good ? VPC_STANDING_GOOD : VPC_STANDING_EXPECTED;
    return good ? VPC_STANDING_ALARM : VPC_STANDING_BAD;
}

size_t vpc_suite_count(const struct vpc_suite *suite, enum vpc_verdict verdict)
{
    size_t count = 0;

    for (size_t i = 0; i < suite->run_count; i++)
        count += suite->runs[i].result.verdict == verdict;
    return count;
}

size_t vpc_suite_count_standing(const struct vpc_suite *suite, enum vpc_standing standing)
{
    size_t count = 0;

    for (size_t i = 0; i < suite->run_count; i++)
        count += vpc_standing_of(&suite->runs[i]) == standing;
    return count;
}

size_t vpc_suite_stale(const struct vpc_suite *suite)
{
    size_t count = 0;

    for (size_t i = 0; !suite->partial && i < suite->expectations.count; i++)
        count += suite->expectations.list[i].runs == 0;
    return count;
}

static bool any_bad(const struct vpc_suite *suite, enum vpc_verdict verdict)
{
    for (size_t i = 0; i < suite->run_count; i++)
        if (suite->runs[i].result.verdict == verdict &&
            vpc_standing_of(&suite->runs[i]) == VPC_STANDING_BAD)
            return true;
    return false;
}

int vpc_suite_exit(const struct vpc_suite *suite, size_t min)
{
    size_t good = vpc_suite_count(suite, VPC_PASS) + vpc_suite_count(suite, VPC_NON_STRICT);

    if (suite->trouble || any_bad(suite, VPC_HARNESS_ERROR))
        return VPC_EXIT_HARNESS;
    if (any_bad(suite, VPC_FAIL))
        return VPC_EXIT_FAIL;
    if (vpc_suite_count_standing(suite, VPC_STANDING_ALARM) || vpc_suite_stale(suite))
        return VPC_EXIT_ALARM;
    if (any_bad(suite, VPC_INCONCLUSIVE))
        return VPC_EXIT_INCONCLUSIVE;
    return good == 0 || good < min ? VPC_EXIT_TOO_FEW : VPC_EXIT_PASS;
}
