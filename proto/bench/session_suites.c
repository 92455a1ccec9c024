/* SPDX-License-Identifier: MIT */
/* Whole sessions: seals, credit, rings and turns. */
#include "lines.h"
#include "rig.h"
#include "suites.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BUFFER       (256u * 1024)
#define SMALL_BUFFER 256u

static json_t *session_row(size_t chunk, size_t piece, double ms)
{
    struct rig rig;
    struct contest contest = {.units = 1, .ms = ms};

    rig_up(&rig, &(struct rig_plan){.pairs = 1, .buffer = BUFFER, .chunk = chunk, .piece = piece});
    contest_add(&contest, "memcpy", rig_memcpy, &rig);
    contest_add(&contest, "session", rig_first_pair, &rig);
    contest_run(&contest);
    rig_down(&rig);
    return json_pack("{s:i, s:i, s:f, s:o}", "payload", (int)chunk, "piece", (int)piece,
                     "octets_of_frame", (double)chunk, "contest", report_contest(&contest));
}

json_t *suite_session(double ms)
{
    static const size_t chunks[] = {1, 64, 512, 4096, 16384, VPC_PAYLOAD_MAX};
    static const size_t pieces[] = {0, 4096};
    json_t *rows = json_array();

    for (size_t i = 0; i < COUNT(chunks); i++)
        for (size_t j = 0; j < COUNT(pieces); j++)
            json_array_append_new(rows, session_row(chunks[i], pieces[j], ms));
    return rows;
}

static const struct {
    const char *name;
    void (*run)(void *);
    bool all; /* one run is a frame of each pair */
} loads[] = {
    {"one of them sends", rig_first_pair, false},
    {"each sends in turn", rig_pair_in_turn, false},
    {"all wait at once", rig_all_pairs, true},
};

static json_t *channels_row(size_t load, double ms)
{
    static const unsigned pairs[] = {1, 10, 100, 1000, 10000};
    static const char *const names[] = {"1", "10", "100", "1000", "10000"};
    struct rig rigs[COUNT(pairs)];
    struct lines lines;
    struct contest contest = {.units = 1, .ms = ms};
    json_t *row;

    for (size_t i = 0; i < COUNT(pairs); i++) {
        rig_up(&rigs[i],
               &(struct rig_plan){.pairs = pairs[i], .buffer = SMALL_BUFFER, .chunk = 64});
        contest_add(&contest, names[i], loads[load].run, &rigs[i]);
        contest.contender[i].units = loads[load].all ? pairs[i] : 1;
    }
    lines_make(&lines, pairs[COUNT(pairs) - 1], SMALL_BUFFER);
    contest_add(&contest, "lines", lines_touch, &lines);
    contest_run(&contest);
    row = json_pack("{s:s, s:o}", "load", loads[load].name, "contest", report_contest(&contest));
    for (size_t i = 0; i < COUNT(pairs); i++)
        rig_down(&rigs[i]);
    lines_free(&lines);
    return row;
}

json_t *suite_channels(double ms)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < COUNT(loads); i++)
        json_array_append_new(rows, channels_row(i, ms));
    return rows;
}
