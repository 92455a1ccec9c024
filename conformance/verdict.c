/* SPDX-License-Identifier: MIT */
/* See verdict.h. */
#include "verdict.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *word;
} verdicts[VPC_VERDICT_COUNT] = {
    [VPC_PASS] = {"pass", "pass"},
    [VPC_NON_STRICT] = {"non-strict", "non-strict"},
    [VPC_FAIL] = {"FAIL", "fail"},
    [VPC_INCONCLUSIVE] = {"inconclusive", "inconclusive"},
    [VPC_NOT_SUPPORTED] = {"not supported", "not-supported"},
    [VPC_HARNESS_ERROR] = {"HARNESS ERROR", "harness-error"},
};

const char *vpc_verdict_name(enum vpc_verdict verdict)
{
    return verdicts[verdict].name;
}

const char *vpc_verdict_word(enum vpc_verdict verdict)
{
    return verdicts[verdict].word;
}

bool vpc_verdict_of(const char *word, enum vpc_verdict *verdict)
{
    for (int i = 0; i < VPC_VERDICT_COUNT; i++) {
        if (strcmp(verdicts[i].word, word) != 0)
            continue;
        *verdict = (enum vpc_verdict)i;
        return true;
    }
    return false;
}

bool vpc_verdict_good(enum vpc_verdict verdict)
{
    return verdict == VPC_PASS || verdict == VPC_NON_STRICT;
}

void vpc_result_clear(struct vpc_result *result)
{
    free(result->step);
    free(result->expected);
    free(result->got);
    free(result->requirement);
    free(result->trace);
    *result = (struct vpc_result){0};
}
