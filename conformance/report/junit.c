/* SPDX-License-Identifier: MIT */
/* JUnit's XML, in the form that Jenkins, GitLab and others read: one suite for each implementation, backend and split. */
#include <string.h>

#include "clean.h"
#include "report/report.h"

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* What stands for a run that is no pass; an expected failure is skipped, and one that no longer comes is a failure. */
static const char *element_of(const struct vpc_suite_run *run)
{
    static const char *const elements[VPC_VERDICT_COUNT] = {
        [VPC_FAIL] = "failure",
        [VPC_INCONCLUSIVE] = "skipped",
        [VPC_NOT_SUPPORTED] = "skipped",
        [VPC_HARNESS_ERROR] = "error",
    };
    enum vpc_standing standing = vpc_standing_of(run);

    if (standing == VPC_STANDING_EXPECTED)
        return "skipped";
    return standing == VPC_STANDING_ALARM ? "failure" : elements[run->result.verdict];
}

static bool together(const struct vpc_suite_run *a, const struct vpc_suite_run *b)
{
    return a->implementation == b->implementation && a->backend == b->backend &&
           a->split == b->split;
}

static void write_time(uint64_t ms, FILE *out)
{
    fprintf(out, " time=\"%llu.%03llu\"", (unsigned long long)ms / 1000,
            (unsigned long long)ms % 1000);
}

static void write_message(const struct vpc_suite_run *run, const char *element, FILE *out)
{
    const struct vpc_result *result = &run->result;

    fprintf(out, ">\n      <%s message=\"%s", element, vpc_verdict_name(result->verdict));
    if (run->expectation) {
        fprintf(out, " (expected %s: ", vpc_verdict_word(run->expectation->verdict));
        vpc_write_xml(run->expectation->reason, out);
        fputc(')', out);
    }
    fputs(": ", out);
    vpc_write_xml(or_empty(result->got), out);
    fputs("\"", out);
    if (strcmp(element, "skipped") == 0) { /* its content is of no type in the schema */
        fputs("/>\n    </testcase>\n", out);
        return;
    }
    fprintf(out, " type=\"%s\">", vpc_verdict_word(result->verdict));
    vpc_write_xml(run->script->path, out);
    fprintf(out, ":%d: ", result->line);
    vpc_write_xml(or_empty(result->requirement), out);
    fputs(" expected ", out);
    vpc_write_xml(or_empty(result->expected), out);
    fputs("\n", out);
    vpc_write_xml(or_empty(result->trace), out);
    fprintf(out, "</%s>\n    </testcase>\n", element);
}

static void write_case(const struct vpc_suite_run *run, FILE *out)
{
    const char *element = element_of(run);

    fputs("    <testcase classname=\"", out);
    vpc_write_xml(run->implementation->name, out);
    fprintf(out, ".%s.%s\" name=\"", run->backend->name, vpc_split_name(run->split));
    vpc_write_xml(run->script->name, out);
    fputs("\"", out);
    write_time(run->result.ms, out);
    if (element)
        write_message(run, element, out);
    else
        fputs("/>\n", out);
}

struct sums {
    size_t tests, failures, errors, skipped;
    uint64_t ms;
};

static struct sums sum(const struct vpc_suite *suite, const struct vpc_suite_run *like)
{
    struct sums sums = {0};

    for (size_t i = 0; i < suite->run_count; i++) {
        const char *element = element_of(&suite->runs[i]);

        if (like && !together(like, &suite->runs[i]))
            continue;
        sums.tests++;
        sums.ms += suite->runs[i].result.ms;
        sums.failures += element && strcmp(element, "failure") == 0;
        sums.errors += element && strcmp(element, "error") == 0;
        sums.skipped += element && strcmp(element, "skipped") == 0;
    }
    return sums;
}

static void write_sums(const struct sums *sums, FILE *out)
{
    fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", sums->tests, sums->failures,
            sums->errors);
    write_time(sums->ms, out);
}

/* The first of a suite opens it. */
static void write_suite(const struct vpc_suite *suite, size_t first, FILE *out)
{
    const struct vpc_suite_run *like = &suite->runs[first];
    struct sums sums = sum(suite, like);
    char when[32];
    struct tm utc;

    gmtime_r(&suite->when, &utc);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
    fputs("  <testsuite name=\"", out);
    vpc_write_xml(like->implementation->name, out);
    fprintf(out, ", %s, split %s\" timestamp=\"%s\" skipped=\"%zu\"", like->backend->name,
            vpc_split_name(like->split), when, sums.skipped);
    write_sums(&sums, out);
    fputs(">\n", out);
    for (size_t i = first; i < suite->run_count; i++)
        if (together(like, &suite->runs[i]))
            write_case(&suite->runs[i], out);
    fputs("  </testsuite>\n", out);
}

void vpc_report_junit(const struct vpc_suite *suite, FILE *out)
{
    struct sums sums = sum(suite, NULL);

    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vpc-conform\"", out);
    write_sums(&sums, out);
    fputs(">\n", out);
    for (size_t i = 0; i < suite->run_count; i++) {
        bool begun = false;

        for (size_t before = 0; before < i && !begun; before++)
            begun = together(&suite->runs[before], &suite->runs[i]);
        if (!begun)
            write_suite(suite, i, out);
    }
    fputs("</testsuites>\n", out);
}
