/* SPDX-License-Identifier: MIT */
/* What stands on the terminal after a run. */
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "report/report.h"
#include "report/topics.h"

#define NAME_WIDTH 24 /* of an implementation in the table */
#define ROWS_SHOWN 20 /* of what went wrong, behind the first */

struct colours {
    const char *good, *bad, *doubt, *off;
};

static const struct colours none = {"", "", "", ""};
static const struct colours ansi = {"\033[32m", "\033[31;1m", "\033[33m", "\033[0m"};

/* ---- what went wrong ---------------------------------------------------------------------------------------------- */

static void write_short(const struct vpc_suite_run *run, FILE *out)
{
    fprintf(out, "%s: %s, ", run->script->name, vpc_verdict_name(run->result.verdict));
    vpc_write_clean(run->implementation->name, out);
    fprintf(out, ", %s, split %s, line %d: ", run->backend->name, vpc_split_name(run->split),
            run->result.line);
    vpc_write_clean(run->result.got ? run->result.got : "", out);
    fputc('\n', out);
    if (run->folder)
        fprintf(out, "  again    %s/repeat.sh\n", run->folder);
}

/* The first in full, the others in a line each. */
static void write_bad(const struct vpc_suite *suite, FILE *out)
{
    size_t count = 0;

    for (size_t i = 0; i < suite->run_count; i++) {
        if (vpc_standing_of(&suite->runs[i]) != VPC_STANDING_BAD)
            continue;
        if (count == 0)
            vpc_report_detail(suite, &suite->runs[i], out);
        else if (count <= ROWS_SHOWN)
            write_short(&suite->runs[i], out);
        if (count++ == 0)
            fputc('\n', out);
    }
    if (count > ROWS_SHOWN + 1)
        fprintf(out, "... and %zu more\n", count - ROWS_SHOWN - 1);
    if (count > 1)
        fputc('\n', out);
}

static void write_alarms(const struct vpc_suite *suite, FILE *out)
{
    for (size_t i = 0; i < suite->run_count; i++) {
        const struct vpc_suite_run *run = &suite->runs[i];

        if (vpc_standing_of(run) != VPC_STANDING_ALARM)
            continue;
        fprintf(out, "%s: %s of ", run->expectation->place, run->script->name);
        vpc_write_clean(run->implementation->name, out);
        fprintf(out, " (%s, split %s) is %s now and no longer %s: take the line out\n",
                run->backend->name, vpc_split_name(run->split),
                vpc_verdict_name(run->result.verdict), vpc_verdict_word(run->expectation->verdict));
    }
    for (size_t i = 0; vpc_suite_stale(suite) && i < suite->expectations.count; i++)
        if (suite->expectations.list[i].runs == 0)
            fprintf(out, "%s: no run is called so: take the line out\n",
                    suite->expectations.list[i].place);
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static void write_cell(const struct vpc_tally *tally, size_t width, const struct colours *colours,
                       FILE *out)
{
    char text[64] = "-";
    const char *colour = "";
    int padding;

    if (tally->runs) {
        snprintf(text, sizeof(text), "%zu/%zu%s", tally->good, tally->runs,
                 tally->standings[VPC_STANDING_BAD] ? " !" : "");
        colour = tally->standings[VPC_STANDING_BAD] ? colours->bad
                 : tally->good < tally->runs        ? colours->doubt
                                                    : colours->good;
    }
    padding = (int)width - (int)strlen(text);
    fprintf(out, "  %s%s%s%*s", colour, text, *colour ? colours->off : "", padding, "");
}

static size_t width_of(const struct vpc_implementation *implementation)
{
    size_t n = strlen(implementation->name);

    return n > NAME_WIDTH ? NAME_WIDTH : n < 9 ? 9 : n;
}

static void write_head(const struct vpc_suite *suite, FILE *out)
{
    fprintf(out, "%-34s", "topic");
    for (size_t i = 0; i < suite->implementation_count; i++) {
        char *name = vpc_copy_n(suite->implementations[i]->name, NAME_WIDTH);

        fputs("  ", out);
        vpc_write_clean(name, out);
        fprintf(out, "%*s", (int)(width_of(suite->implementations[i]) - strlen(name)), "");
        free(name);
    }
    fputc('\n', out);
}

static void write_table(const struct vpc_suite *suite, const struct colours *colours, FILE *out)
{
    struct vpc_topics topics;

    vpc_topics_of(suite, &topics);
    write_head(suite, out);
    for (size_t t = 0; t < topics.count; t++) {
        fprintf(out, "%-7s %-26.26s", topics.list[t].name, topics.list[t].title);
        for (size_t i = 0; i < suite->implementation_count; i++) {
            struct vpc_tally tally =
                vpc_tally_of(suite, &topics.list[t], suite->implementations[i]);

            write_cell(&tally, width_of(suite->implementations[i]), colours, out);
        }
        fputc('\n', out);
    }
    vpc_topics_free(&topics);
}

void vpc_report_summary(const struct vpc_suite *suite, FILE *out, bool colour)
{
    const struct colours *colours = colour ? &ansi : &none;

    write_bad(suite, out);
    write_alarms(suite, out);
    write_table(suite, colours, out);
    fputc('\n', out);
    vpc_report_left_out(suite, out);
    vpc_report_totals(suite, out);
}
