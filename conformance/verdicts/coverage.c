/* SPDX-License-Identifier: MIT */
#include "verdicts/coverage.h"

#include <stdlib.h>
#include <string.h>

#include "document/entry.h"
#include "files.h"

static bool covers(const struct vpc_script *script, const char *id)
{
    for (size_t i = 0; i < script->cover_count; i++)
        if (strcmp(script->covers[i], id) == 0)
            return true;
    return false;
}

static size_t write_scenarios(const struct vpc_suite *suite, const char *id, FILE *out)
{
    size_t count = 0;

    for (size_t i = 0; i < suite->script_count; i++)
        if (covers(suite->scripts[i], id))
            fprintf(out, "%s%s", count++ ? ", " : "", suite->scripts[i]->name);
    return count;
}

size_t vpc_coverage(const struct vpc_suite *suite, FILE *out)
{
    const struct vpc_spec *spec = suite->spec;
    size_t gaps = 0, covered = 0, musts = 0;

    for (size_t i = 0; i < spec->requirement_count; i++) {
        const struct vpc_requirement *requirement = &spec->requirements[i];
        size_t count;

        fprintf(out, "%-7s %-4s ", requirement->id, requirement->must ? "MUST" : "");
        count = write_scenarios(suite, requirement->id, out);
        fputs(count ? "\n" : "-\n", out);
        covered += count > 0;
        musts += requirement->must;
        gaps += requirement->must && count == 0;
    }
    fprintf(out, "\n%zu of %zu requirements have a scenario; %zu of %zu MUSTs have none%s\n",
            covered, spec->requirement_count, gaps, musts, gaps ? ":" : "");
    for (size_t i = 0; i < spec->requirement_count; i++) {
        bool found = false;

        for (size_t s = 0; s < suite->script_count; s++)
            found |= covers(suite->scripts[s], spec->requirements[i].id);
        if (spec->requirements[i].must && !found)
            fprintf(out, "  %-7s %s\n", spec->requirements[i].id, spec->requirements[i].text);
    }
    return gaps;
}

/* ---- events --------------------------------------------------------------------------------------------------------- */

/* An entry that came by EVENT shows that the subject hands it on, and not that anybody logs it. */
static bool of_the_peer(const struct vpc_script *script, const struct vpc_step *step)
{
    const struct vpc_arg *source = vpc_step_arg(step, "source");

    return source != NULL &&
           strcmp(source->value, script->role == VPC_FROM_HOST ? "host" : "guest") != 0;
}

static bool expects(const struct vpc_script *script, json_int_t id, const char *name)
{
    for (size_t i = 0; i < script->step_count; i++) {
        const struct vpc_step *step = &script->steps[i];

        if (step->op == VPC_OP_LOG_EXPECT && !of_the_peer(script, step) &&
            (atoll(step->args[0].value) == id || strcmp(step->args[0].value, name) == 0))
            return true;
    }
    return false;
}

static bool expected(const struct vpc_suite *suite, json_int_t id, const char *name)
{
    for (size_t i = 0; i < suite->script_count; i++)
        if (expects(suite->scripts[i], id, name))
            return true;
    return false;
}

/* Whether a line of the file gives a reason for the id. */
static bool listed(const char *list, json_int_t id)
{
    char line[512], reason[8];
    long long listed_id;
    bool found = false;
    FILE *file = vpc_file_open(list);

    while (file && !found && fgets(line, sizeof(line), file))
        found = sscanf(line, "%lld %7s", &listed_id, reason) == 2 && listed_id == id;
    if (file)
        fclose(file);
    return found;
}

size_t vpc_coverage_events(const struct vpc_suite *suite, const char *list, FILE *out)
{
    json_t *catalogue = vpc_catalogue_load();
    const json_t *event;
    size_t faults = 0, i;

    json_array_foreach(json_object_get(catalogue, "events"), i, event)
    {
        json_int_t id = json_integer_value(json_object_get(event, "id"));
        const char *name = json_string_value(json_object_get(event, "name"));
        bool judged = expected(suite, id, name), excused = listed(list, id);

        if (judged != excused)
            continue;
        fprintf(out,
                judged ? "event %lld %s has a scenario; take it out of %s\n"
                       : "event %lld %s has no scenario; write one, or why not into %s\n",
                (long long)id, name, list);
        faults++;
    }
    json_decref(catalogue);
    return faults;
}
