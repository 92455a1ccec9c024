/* SPDX-License-Identifier: MIT */
/* The report for programs; the page holds the same document. */
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "files.h"
#include "report/document.h"
#include "report/left_out.h"
#include "report/report.h"

/* ---- runs --------------------------------------------------------------------------------------------------------- */

static json_t *expectation_json(const struct vpc_expectation *one)
{
    return json_pack("{s:s, s:o, s:o}", "verdict", vpc_verdict_word(one->verdict), "reason",
                     vpc_json_text(one->reason), "place", vpc_json_text(one->place));
}

json_t *vpc_report_run_json(const struct vpc_suite_run *run)
{
    static const char *const standings[] = {"good", "expected", "alarm", "bad"};
    const struct vpc_result *result = &run->result;
    json_t *json =
        json_pack("{s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:I}", "scenario",
                  vpc_json_text(run->script->name), "path", vpc_json_text(run->script->path),
                  "implementation", vpc_json_text(run->implementation->name), "backend",
                  run->backend->name, "split", vpc_split_name(run->split), "verdict",
                  vpc_verdict_word(result->verdict), "standing", standings[vpc_standing_of(run)],
                  "line", result->line, "step", vpc_json_text(result->step), "expected",
                  vpc_json_text(result->expected), "got", vpc_json_text(result->got), "requirement",
                  vpc_json_text(result->requirement), "ms", (json_int_t)result->ms);

    if (run->expectation)
        json_object_set_new(json, "expectation", expectation_json(run->expectation));
    if (run->folder)
        json_object_set_new(json, "folder", vpc_json_text(run->folder));
    return json;
}

/* Of passes of one implementation in one scenario the first one's trace stands for all. */
static bool shows_trace(const struct vpc_suite *suite, size_t which)
{
    const struct vpc_suite_run *run = &suite->runs[which];

    for (size_t i = 0; i < which && run->result.verdict == VPC_PASS; i++)
        if (suite->runs[i].script == run->script &&
            suite->runs[i].implementation == run->implementation &&
            suite->runs[i].result.verdict == VPC_PASS)
            return false;
    return run->result.trace != NULL;
}

static json_t *runs_json(const struct vpc_suite *suite)
{
    json_t *all = json_array();

    for (size_t i = 0; i < suite->run_count; i++) {
        json_t *one = vpc_report_run_json(&suite->runs[i]);

        if (shows_trace(suite, i))
            json_object_set_new(one, "trace", vpc_trace_json(suite->runs[i].result.trace));
        json_array_append_new(all, one);
    }
    return all;
}

/* ---- what was judged ---------------------------------------------------------------------------------------------- */

static json_t *implementations_json(const struct vpc_suite *suite)
{
    json_t *all = json_array();

    for (size_t i = 0; i < suite->implementation_count; i++) {
        const struct vpc_implementation *one = suite->implementations[i];

        json_array_append_new(
            all, json_pack("{s:o, s:s, s:o, s:o}", "name", vpc_json_text(one->name), "role",
                           one->role == VPC_FROM_HOST ? "host" : "guest", "descriptor",
                           vpc_json_text(one->path), "features", vpc_json_text(one->features)));
    }
    return all;
}

static json_t *scenario_json(const struct vpc_script *script)
{
    json_t *covers = json_array();
    char *text = vpc_file_read(script->path), *folder = vpc_folder_of(script);
    json_t *json;

    for (size_t i = 0; i < script->cover_count; i++)
        json_array_append_new(covers, json_string(script->covers[i]));
    json = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "name", vpc_json_text(script->name),
                     "title", vpc_json_text(script->title), "path", vpc_json_text(script->path),
                     "folder", vpc_json_text(folder), "subject",
                     script->role == VPC_FROM_HOST ? "host" : "guest", "covers", covers, "script",
                     vpc_json_text(text));
    free(folder);
    free(text);
    return json;
}

static json_t *scenarios_json(const struct vpc_suite *suite)
{
    json_t *all = json_array();

    for (size_t i = 0; i < suite->script_count; i++)
        json_array_append_new(all, scenario_json(suite->scripts[i]));
    return all;
}

static json_t *left_out_json(const struct vpc_suite *suite)
{
    json_t *all = json_array();
    struct vpc_left_outs outs;

    vpc_left_outs_of(suite, &outs);
    for (size_t i = 0; i < outs.count; i++) {
        const struct vpc_left_out *one = &outs.list[i];
        json_t *names = json_array();

        for (size_t k = 0; k < one->count; k++)
            json_array_append_new(names, vpc_json_text(one->scripts[k]->name));
        json_array_append_new(all, json_pack("{s:s*, s:o, s:o}", "backend",
                                             one->backend ? one->backend->name : NULL, "because",
                                             vpc_json_text(one->because), "scenarios", names));
    }
    vpc_left_outs_free(&outs);
    return all;
}

static json_t *requirements_json(const struct vpc_suite *suite)
{
    json_t *all = json_array();

    for (size_t i = 0; i < suite->spec->requirement_count; i++) {
        const struct vpc_requirement *one = &suite->spec->requirements[i];

        json_array_append_new(all,
                              json_pack("{s:s, s:b, s:s, s:s}", "id", one->id, "must", one->must,
                                        "section", one->section, "text", one->text));
    }
    return all;
}

static json_t *topics_json(const struct vpc_suite *suite)
{
    json_t *all = json_array();
    struct vpc_topics topics;

    vpc_topics_of(suite, &topics);
    for (size_t i = 0; i < topics.count; i++)
        json_array_append_new(
            all, json_pack("{s:o, s:s, s:b}", "name", vpc_json_text(topics.list[i].name), "title",
                           topics.list[i].title, "folder", topics.list[i].folder));
    vpc_topics_free(&topics);
    return all;
}

static json_t *totals_json(const struct vpc_suite *suite)
{
    json_t *totals = json_object();

    for (int i = 0; i < VPC_VERDICT_COUNT; i++)
        json_object_set_new(totals, vpc_verdict_word((enum vpc_verdict)i),
                            json_integer((json_int_t)vpc_suite_count(suite, (enum vpc_verdict)i)));
    return totals;
}

json_t *vpc_report_document(const struct vpc_suite *suite)
{
    json_t *splits = json_array(), *json;
    char when[32];
    struct tm utc;

    for (size_t i = 0; i < suite->split_count; i++)
        json_array_append_new(splits, json_string(vpc_split_name(suite->splits[i])));
    gmtime_r(&suite->when, &utc);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    json = json_pack("{s:i, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema",
                     1, "tool", "vpc-conform", "when", when, "ms", (json_int_t)suite->ms, "seed",
                     (json_int_t)suite->seed, "splits", splits, "totals", totals_json(suite),
                     "implementations", implementations_json(suite), "topics", topics_json(suite),
                     "requirements", requirements_json(suite), "scenarios", scenarios_json(suite),
                     "left_out", left_out_json(suite), "runs", runs_json(suite));
    if (suite->shards)
        json_object_set_new(
            json, "shard",
            json_pack("[I, I]", (json_int_t)suite->shard, (json_int_t)suite->shards));
    return json;
}

void vpc_report_json(const struct vpc_suite *suite, FILE *out)
{
    json_t *json = vpc_report_document(suite);

    json_dumpf(json, out, JSON_INDENT(1));
    fputc('\n', out);
    json_decref(json);
}
