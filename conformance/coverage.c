/* SPDX-License-Identifier: MIT */
#include "coverage.h"

#include <string.h>

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
