/* SPDX-License-Identifier: MIT */
/*
 * The lines of a trace, taken apart.
 *
 * A line is a time in seconds, then `LINE: STEP` for a step that begins, `  > FRAME` or `  < FRAME` on the bus, `WHO > TEXT` or
 * `WHO < TEXT` of the other testers, or any note.  What a subject says stands behind these marks, so it can not forge one.
 */
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "report/document.h"

struct line {
    double ms;
    int step;    /* of a step that begins, else 0 */
    char who[9]; /* bus, api, log ...; "" of a note */
    char direction;
    char *text;
};

static bool take_number(char **at, double *ms)
{
    char *end;

    *ms = strtod(*at, &end) * 1000;
    if (end == *at || *end != ' ')
        return false;
    *at = end + 1;
    return true;
}

static bool take_step(char **at, int *step)
{
    char *end;
    long number = strtol(*at, &end, 10);

    if (end == *at || **at == ' ' || end[0] != ':' || end[1] != ' ')
        return false;
    *step = (int)number;
    *at = end + 2;
    return true;
}

/* `  > ` and `api < `. */
static void take_direction(char **at, struct line *line)
{
    size_t n = strcspn(*at, " ");
    const char *mark = *at + n + 1;
    bool bus = strncmp(*at, "  ", 2) == 0;

    if (bus)
        mark = *at + 2;
    if (n == 0 && !bus)
        return;
    if (n >= sizeof(line->who) || (*at)[n] == '\0' || !strchr("<>", mark[0]) || mark[1] != ' ')
        return;
    memcpy(line->who, bus ? "bus" : *at, bus ? 3 : n);
    line->direction = mark[0];
    *at = (char *)mark + 2;
}

static json_t *line_json(char *text)
{
    struct line line = {.text = text};
    char direction[2] = "";
    json_t *json;

    if (take_number(&line.text, &line.ms) && !take_step(&line.text, &line.step))
        take_direction(&line.text, &line);
    json = json_pack("{s:f, s:s}", "ms", line.ms, "text", line.text);
    direction[0] = line.direction;
    if (line.step)
        json_object_set_new(json, "step", json_integer(line.step));
    if (*line.who)
        json_object_set_new(json, "who", json_string(line.who));
    if (*direction)
        json_object_set_new(json, "direction", json_string(direction));
    return json;
}

json_t *vpc_trace_json(const char *trace)
{
    char *copy = vpc_clean_utf8(trace), *rest = copy, *text;
    json_t *all = json_array();

    while ((text = strsep(&rest, "\n")) != NULL)
        if (*text)
            json_array_append_new(all, line_json(text));
    free(copy);
    return all;
}
