/* SPDX-License-Identifier: MIT */
/* Reports for people, as text. */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "report/left_out.h"

#define LAST_LINES 16 /* of a trace, where only its end is shown */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* ---- one run ------------------------------------------------------------------------------------------------------ */

static void write_requirements(const struct vpc_suite *suite, const char *ids, FILE *out)
{
    while (*ids) {
        size_t n = strcspn(ids, " ");
        char id[24] = "";
        const struct vpc_requirement *requirement;

        snprintf(id, sizeof(id), "%.*s", (int)n, ids);
        requirement = vpc_spec_requirement(suite->spec, id);
        if (requirement)
            fprintf(out, "  %-8s %s\n", id, requirement->text);
        ids += n + strspn(ids + n, " ");
    }
}

/* Where the last lines of a text begin. */
static const char *last_lines(const char *text)
{
    size_t count = 0;

    for (const char *at = text + strlen(text); at > text; at--) {
        if (at[-1] == '\n' && at[0] != '\0' && ++count == LAST_LINES)
            return at;
    }
    return text;
}

static void write_trace(const char *text, FILE *out)
{
    char *clean = vpc_clean(last_lines(text));

    for (const char *at = clean; *at;) {
        size_t n = strcspn(at, "\n");

        fprintf(out, "    %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    free(clean);
}

static void write_field(const char *name, const char *text, FILE *out)
{
    fprintf(out, "  %-8s ", name);
    vpc_write_clean(or_empty(text), out);
    fputc('\n', out);
}

void vpc_report_detail(const struct vpc_suite *suite, const struct vpc_suite_run *run, FILE *out)
{
    const struct vpc_result *result = &run->result;

    fprintf(out, "%s: %s, %s, split %s: ", run->script->path, vpc_verdict_name(result->verdict),
            run->backend->name, vpc_split_name(run->split));
    vpc_write_clean(run->script->title, out);
    fputc('\n', out);
    write_field("of", run->implementation->name, out);
    if (result->line)
        fprintf(out, "  line     %s:%d\n", run->script->path, result->line);
    if (result->expected)
        write_field("expected", result->expected, out);
    write_field("got", result->got, out);
    write_requirements(suite, or_empty(result->requirement), out);
    if (result->trace && *result->trace) {
        fprintf(out, "  the last of the trace (> to the subject, < from it):\n");
        write_trace(result->trace, out);
    }
    fprintf(out, "  seed     %llu\n", (unsigned long long)suite->seed);
    if (run->folder)
        fprintf(out, "  again    %s/repeat.sh\n", run->folder);
}

/* ---- all runs ----------------------------------------------------------------------------------------------------- */

static void write_row(const struct vpc_suite_run *run, FILE *out)
{
    static const char *const standings[] = {"", "  expected: ", "  ALARM, no longer: ", ""};
    const struct vpc_result *result = &run->result;
    enum vpc_standing standing = vpc_standing_of(run);

    fprintf(out, "%-14s %-7s %-6s %-36s %5llu ms", vpc_verdict_name(result->verdict),
            run->backend->name, run->script->role == VPC_FROM_HOST ? "host" : "guest",
            run->script->name, (unsigned long long)result->ms);
    if (run->split != VPC_SPLIT_WHOLE)
        fprintf(out, "  split %s", vpc_split_name(run->split));
    if (result->verdict == VPC_NOT_SUPPORTED) {
        fputs("  needs ", out);
        vpc_write_clean(or_empty(result->got), out);
    }
    fputs(standings[standing], out);
    if (*standings[standing])
        vpc_write_clean(run->expectation->reason, out);
    fputc('\n', out);
    if (standing != VPC_STANDING_BAD)
        return;
    fprintf(out, "  line %d: expected ", result->line);
    vpc_write_clean(or_empty(result->expected), out);
    fputs(", got ", out);
    vpc_write_clean(or_empty(result->got), out);
    fputc('\n', out);
}

/* A line for each reason.  Of a role that is not judged at all nobody asks for the names. */
void vpc_report_left_out(const struct vpc_suite *suite, FILE *out)
{
    struct vpc_left_outs outs;

    vpc_left_outs_of(suite, &outs);
    for (size_t i = 0; i < outs.count; i++) {
        const struct vpc_left_out *one = &outs.list[i];

        fprintf(out, "%zu not run", one->count);
        if (one->backend)
            fprintf(out, " on %s", one->backend->name);
        fputs(", because ", out);
        vpc_write_clean(one->because, out);
        for (size_t k = 0; one->backend && k < one->count; k++) {
            fputs(k ? ", " : ": ", out);
            vpc_write_clean(one->scripts[k]->name, out);
        }
        fputc('\n', out);
    }
    vpc_left_outs_free(&outs);
}

void vpc_report_totals(const struct vpc_suite *suite, FILE *out)
{
    size_t expected = vpc_suite_count_standing(suite, VPC_STANDING_EXPECTED);
    size_t alarms = vpc_suite_count_standing(suite, VPC_STANDING_ALARM);

    fprintf(out, "%zu runs of %zu scenarios, split ", suite->run_count, suite->script_count);
    for (size_t i = 0; i < suite->split_count; i++)
        fprintf(out, "%s%s", i ? " " : "", vpc_split_name(suite->splits[i]));
    if (suite->shards)
        fprintf(out, ", shard %zu/%zu", suite->shard, suite->shards);
    fprintf(out, ", seed %llu: %zu pass", (unsigned long long)suite->seed,
            vpc_suite_count(suite, VPC_PASS));
    if (vpc_suite_count(suite, VPC_NON_STRICT))
        fprintf(out, ", %zu non-strict", vpc_suite_count(suite, VPC_NON_STRICT));
    fprintf(out, ", %zu fail, %zu inconclusive, %zu not supported, %zu harness errors",
            vpc_suite_count(suite, VPC_FAIL), vpc_suite_count(suite, VPC_INCONCLUSIVE),
            vpc_suite_count(suite, VPC_NOT_SUPPORTED), vpc_suite_count(suite, VPC_HARNESS_ERROR));
    if (expected)
        fprintf(out, "; %zu of them expected", expected);
    if (alarms)
        fprintf(out, "; %zu no longer as expected", alarms);
    fputc('\n', out);
}

void vpc_report_text(const struct vpc_suite *suite, FILE *out)
{
    for (size_t i = 0; i < suite->run_count; i++)
        write_row(&suite->runs[i], out);
    for (size_t i = 0; i < suite->run_count; i++) {
        if (vpc_standing_of(&suite->runs[i]) != VPC_STANDING_BAD)
            continue;
        fputc('\n', out);
        vpc_report_detail(suite, &suite->runs[i], out);
    }
    fputc('\n', out);
    vpc_report_left_out(suite, out);
    vpc_report_totals(suite, out);
}
