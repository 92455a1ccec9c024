/* SPDX-License-Identifier: MIT */
#include "verdicts/report.h"

#include <string.h>

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

size_t vpc_report_count(const struct vpc_suite *suite, enum vpc_verdict verdict)
{
    size_t count = 0;

    for (size_t i = 0; i < suite->run_count; i++)
        count += suite->runs[i].result.verdict == verdict;
    return count;
}

/* ---- text ------------------------------------------------------------------------------------------------------------- */

static const char *colour_of(enum vpc_verdict verdict)
{
    static const char *const colours[] = {"\033[32m", "\033[31;1m", "\033[33m", "\033[36m",
                                          "\033[35;1m"};

    return colours[verdict];
}

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

static void write_indented(const char *text, FILE *out)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        fprintf(out, "    %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void write_detail(const struct vpc_suite *suite, const struct vpc_suite_run *run, FILE *out)
{
    const struct vpc_result *result = &run->result;

    fprintf(out, "\n%s: %s, %s: %s\n", run->script->path, vpc_verdict_name(result->verdict),
            run->backend->name, run->script->title);
    if (result->line)
        fprintf(out, "  line     %s:%d\n", run->script->path, result->line);
    fprintf(out, "  expected %s\n", or_empty(result->expected));
    fprintf(out, "  got      %s\n", or_empty(result->got));
    write_requirements(suite, or_empty(result->requirement), out);
    if (result->trace && *result->trace) {
        fprintf(out, "  the last of the trace (> to the subject, < from it):\n");
        write_indented(result->trace, out);
    }
    if (run->folder)
        fprintf(out, "  folder   %s\n", run->folder);
}

static bool wants_reason(const struct vpc_suite_run *run)
{
    return run->result.verdict != VPC_PASS && run->result.verdict != VPC_NOT_SUPPORTED;
}

static void write_row(const struct vpc_suite_run *run, FILE *out, bool colour)
{
    const struct vpc_result *result = &run->result;

    fprintf(out, "%s%-14s%s %-7s %-6s %-36s %5llu ms%s%s\n",
            colour ? colour_of(result->verdict) : "", vpc_verdict_name(result->verdict),
            colour ? "\033[0m" : "", run->backend->name,
            run->script->role == VPC_FROM_HOST ? "host" : "guest", run->script->name,
            (unsigned long long)result->ms, result->verdict == VPC_NOT_SUPPORTED ? "  needs " : "",
            result->verdict == VPC_NOT_SUPPORTED ? or_empty(result->got) : "");
    if (wants_reason(run))
        fprintf(out, "  line %d: expected %s, got %s\n", result->line, or_empty(result->expected),
                or_empty(result->got));
}

void vpc_report_text(const struct vpc_suite *suite, FILE *out, bool colour)
{
    for (size_t i = 0; i < suite->run_count; i++)
        write_row(&suite->runs[i], out, colour);
    for (size_t i = 0; i < suite->run_count; i++)
        if (wants_reason(&suite->runs[i]))
            write_detail(suite, &suite->runs[i], out);
    fprintf(out,
            "\n%zu runs of %zu scenarios, split %s, seed %llu: %zu pass, %zu fail, "
            "%zu inconclusive, %zu not supported, %zu harness errors\n",
            suite->run_count, suite->script_count, vpc_split_name(suite->split),
            (unsigned long long)suite->seed, vpc_report_count(suite, VPC_PASS),
            vpc_report_count(suite, VPC_FAIL), vpc_report_count(suite, VPC_INCONCLUSIVE),
            vpc_report_count(suite, VPC_NOT_SUPPORTED), vpc_report_count(suite, VPC_HARNESS_ERROR));
}

/* ---- JUnit -------------------------------------------------------------------------------------------------------------- */

static void write_xml(const char *text, FILE *out)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '&')
            fputs("&amp;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c == '\n')
            fputs("&#10;", out);
        else
            fputc(c < 0x20 || c > 0x7e ? '?' : c, out);
    }
}

static void write_case(const struct vpc_suite_run *run, FILE *out)
{
    static const char *const elements[] = {NULL, "failure", "skipped", "skipped", "error"};
    const struct vpc_result *result = &run->result;

    fprintf(out, "  <testcase classname=\"%s.", run->backend->name);
    write_xml(run->implementation->name, out);
    fputs("\" name=\"", out);
    write_xml(run->script->name, out);
    fprintf(out, "\" time=\"%llu.%03llu\"", (unsigned long long)result->ms / 1000,
            (unsigned long long)result->ms % 1000);
    if (result->verdict == VPC_PASS) {
        fputs("/>\n", out);
        return;
    }
    fprintf(out, ">\n    <%s message=\"%s: ", elements[result->verdict],
            vpc_verdict_name(result->verdict));
    write_xml(or_empty(result->got), out);
    fputs("\">", out);
    fprintf(out, "line %d: ", result->line);
    write_xml(or_empty(result->expected), out);
    fputs("\n", out);
    write_xml(or_empty(result->trace), out);
    fprintf(out, "</%s>\n  </testcase>\n", elements[result->verdict]);
}

bool vpc_report_junit(const struct vpc_suite *suite, const char *path)
{
    FILE *out = fopen(path, "we");

    if (out == NULL)
        return false;
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"vpc-conform\" "
            "tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\">\n",
            suite->run_count, vpc_report_count(suite, VPC_FAIL),
            vpc_report_count(suite, VPC_HARNESS_ERROR),
            vpc_report_count(suite, VPC_NOT_SUPPORTED) + vpc_report_count(suite, VPC_INCONCLUSIVE));
    for (size_t i = 0; i < suite->run_count; i++)
        write_case(&suite->runs[i], out);
    fputs("</testsuite>\n", out);
    return fclose(out) == 0;
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------- */

bool vpc_report_json(const struct vpc_suite *suite, const char *path)
{
    json_t *runs = json_array();
    json_t *all;
    int failed;

    for (size_t i = 0; i < suite->run_count; i++) {
        const struct vpc_suite_run *run = &suite->runs[i];

        json_array_append_new(
            runs,
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:I}", "scenario",
                      run->script->name, "implementation", run->implementation->name, "backend",
                      run->backend->name, "verdict", vpc_verdict_name(run->result.verdict), "line",
                      run->result.line, "expected", or_empty(run->result.expected), "got",
                      or_empty(run->result.got), "requirement", or_empty(run->result.requirement),
                      "ms", (json_int_t)run->result.ms));
    }
    all = json_pack("{s:s, s:I, s:o}", "split", vpc_split_name(suite->split), "seed",
                    (json_int_t)suite->seed, "runs", runs);
    failed = json_dump_file(all, path, JSON_INDENT(1));
    json_decref(all);
    return failed == 0;
}
