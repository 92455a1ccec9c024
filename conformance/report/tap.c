/* SPDX-License-Identifier: MIT */
/*
 * TAP: one test point for each run, with a YAML block for each that is no pass.  Of what we write the versions 13 and 14 differ
 * in their first line alone; but readers of 13, as Debian's prove, refuse a line that says 14.
 *
 * An expected failure is a TODO; where it no longer comes the point is not ok, for TAP would let a TODO pass.
 */
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "report/report.h"

/* A description may not hold what begins a directive. */
static void write_words(const char *text, FILE *out)
{
    char *clean = vpc_clean(text);

    for (const char *at = clean; *at; at++) {
        if (*at == '#' || *at == '\\')
            fputc('\\', out);
        if (*at == '\n')
            fputs("\u240a", out);
        else
            fputc(*at, out);
    }
    free(clean);
}

/* A JSON string is a YAML scalar. */
static void write_yaml(const char *name, const char *text, FILE *out)
{
    char *clean = vpc_clean(text ? text : "");
    json_t *json = json_string(clean);
    char *quoted = json_dumps(json, JSON_ENCODE_ANY);

    fprintf(out, "  %s: %s\n", name, quoted);
    free(quoted);
    json_decref(json);
    free(clean);
}

static void write_block(const struct vpc_suite_run *run, FILE *out)
{
    const struct vpc_result *result = &run->result;

    fputs("  ---\n", out);
    write_yaml("verdict", vpc_verdict_word(result->verdict), out);
    write_yaml("file", run->script->path, out);
    fprintf(out, "  line: %d\n", result->line);
    write_yaml("requirement", result->requirement, out);
    write_yaml("wanted", result->expected, out);
    write_yaml("found", result->got, out);
    if (run->folder)
        write_yaml("folder", run->folder, out);
    fputs("  ...\n", out);
}

static void write_point(const struct vpc_suite_run *run, size_t number, FILE *out)
{
    enum vpc_standing standing = vpc_standing_of(run);
    enum vpc_verdict verdict = run->result.verdict;
    bool good = standing != VPC_STANDING_ALARM &&
                (vpc_verdict_good(verdict) || verdict == VPC_NOT_SUPPORTED);

    fprintf(out, "%sok %zu - ", good ? "" : "not ", number);
    write_words(run->implementation->name, out);
    fprintf(out, ", %s, split %s: ", run->backend->name, vpc_split_name(run->split));
    write_words(run->script->name, out);
    if (verdict == VPC_NOT_SUPPORTED) {
        fputs(" # SKIP needs ", out);
        write_words(run->result.got ? run->result.got : "", out);
    } else if (standing == VPC_STANDING_EXPECTED) {
        fputs(" # TODO ", out);
        write_words(run->expectation->reason, out);
    }
    fputc('\n', out);
    if (standing == VPC_STANDING_ALARM || (verdict != VPC_PASS && verdict != VPC_NOT_SUPPORTED))
        write_block(run, out);
}

static void write_tap(const struct vpc_suite *suite, int version, FILE *out)
{
    fprintf(out, "TAP version %d\n1..%zu\n", version, suite->run_count);
    for (size_t i = 0; i < suite->run_count; i++)
        write_point(&suite->runs[i], i + 1, out);
    for (size_t i = 0; i < suite->run_count; i++)
        if (vpc_standing_of(&suite->runs[i]) == VPC_STANDING_ALARM)
            fprintf(out, "# %s: no longer %s\n", suite->runs[i].expectation->place,
                    vpc_verdict_word(suite->runs[i].expectation->verdict));
    fputs("# ", out);
    vpc_report_totals(suite, out);
}

void vpc_report_tap(const struct vpc_suite *suite, FILE *out)
{
    write_tap(suite, 13, out);
}

void vpc_report_tap14(const struct vpc_suite *suite, FILE *out)
{
    write_tap(suite, 14, out);
}
