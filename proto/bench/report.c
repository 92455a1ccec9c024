/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>

static json_t *spread_json(struct spread spread)
{
    return json_pack("[f, f, f]", spread.low, spread.median, spread.high);
}

json_t *report_contest(const struct contest *contest)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < contest->contenders; i++)
        json_object_set_new(object, contest->contender[i].name,
                            json_pack("{s:o, s:o, s:f}", "ns", spread_json(contest->ns[i]), "ratio",
                                      spread_json(contest->ratio[i]), "per_second",
                                      1e9 / contest->ns[i].median));
    return object;
}

static double value_of(const json_t *row, const char *name, const char *what, size_t quartile)
{
    json_t *contest = json_object_get(row, "contest");
    json_t *spread = json_object_get(json_object_get(contest, name), what);

    return json_number_value(json_array_get(spread, quartile));
}

double report_ratio(const json_t *row, const char *name)
{
    return value_of(row, name, "ratio", 1);
}

double report_ns(const json_t *row, const char *name)
{
    return value_of(row, name, "ns", 1);
}

static double megabytes(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, "octets_of_frame")) * 1e3 / report_ns(row, name);
}

static const char *piece_name(const json_t *row, char *text, size_t size)
{
    json_int_t piece = json_integer_value(json_object_get(row, "piece"));

    if (piece == 0)
        return "whole";
    snprintf(text, size, "%d", (int)piece);
    return text;
}

static void print_decode(const json_t *row)
{
    char text[16];

    printf("%7d %6s %9.2f %10.0f %8.2f %8.2f  %5.2f [%.2f..%.2f] %10.0f %10.0f %6.2f %6.2f\n",
           (int)json_integer_value(json_object_get(row, "payload")),
           piece_name(row, text, sizeof(text)), 1e3 / report_ns(row, "grammar"),
           megabytes(row, "grammar"), report_ns(row, "grammar"), report_ns(row, "hand"),
           report_ratio(row, "grammar"), value_of(row, "grammar", "ratio", 0),
           value_of(row, "grammar", "ratio", 2), megabytes(row, "memcpy"),
           megabytes(row, "grammar_and_ring"),
           report_ratio(row, "memcpy") / report_ratio(row, "grammar_and_ring"),
           report_ratio(row, "memcpy") / report_ratio(row, "hand_and_ring"));
}

static void print_encode(const json_t *row)
{
    printf("%7d %9.2f %10.0f %8.2f %8.2f  %5.2f [%.2f..%.2f]\n",
           (int)json_integer_value(json_object_get(row, "payload")), 1e3 / report_ns(row, "encode"),
           megabytes(row, "encode"), report_ns(row, "encode"), report_ns(row, "memcpy"),
           report_ratio(row, "encode"), value_of(row, "encode", "ratio", 0),
           value_of(row, "encode", "ratio", 2));
}

static void print_session(const json_t *row)
{
    char text[16];

    printf("%7d %6s %9.2f %10.0f %8.1f %10.0f  %5.2f [%.2f..%.2f]\n",
           (int)json_integer_value(json_object_get(row, "payload")),
           piece_name(row, text, sizeof(text)), 1e3 / report_ns(row, "session"),
           megabytes(row, "session"), report_ns(row, "session"), megabytes(row, "memcpy"),
           report_ratio(row, "session"), value_of(row, "session", "ratio", 0),
           value_of(row, "session", "ratio", 2));
}

static void print_channels(const json_t *row)
{
    static const char *const names[] = {"1", "10", "100", "1000", "10000"};

    printf("%-20s", json_string_value(json_object_get(row, "load")));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        printf(" %8.1f (%.2f)", report_ns(row, names[i]), report_ratio(row, names[i]));
    printf(" %8.1f\n", report_ns(row, "lines"));
}

static void print_instructions(const json_t *row)
{
    printf("%-32s %10.1f\n", json_string_value(json_object_get(row, "case")),
           json_number_value(json_object_get(row, "instructions")));
}

static void print_goal(const json_t *row)
{
    printf("%-6s %-72s %s\n", json_is_true(json_object_get(row, "met")) ? "met" : "missed",
           json_string_value(json_object_get(row, "goal")),
           json_string_value(json_object_get(row, "measured")));
}

static const struct {
    const char *name, *title, *columns;
    void (*print)(const json_t *row);
} tables[] = {
    {"decode",
     "Decode: the grammar's parser and the decoder by hand (payload lent where it lies, or "
     "gathered when it is split);\n"
     "memcpy: the same octets copied to a ring in the same pieces; with ring: decoded, and each "
     "payload copied to it",
     "payload  input  Mframes/s       MB/s       ns  hand ns  ratio [quartiles]  memcpy MB/s  ring "
     "MB/s  of memcpy: it, by hand",
     print_decode},
    {"encode",
     "Encode: header, body, payload copied, seal; memcpy: the same octets, a frame at a time",
     "payload Mframes/s       MB/s       ns  memcpy ns  ratio [quartiles]", print_encode},
    {"session",
     "Session: one program's write to the other's read, by two sessions, one DATA for each write, "
     "its credit included;\n"
     "a byte is copied four times (ring, frame, ring, program), when split five times; memcpy: "
     "once",
     "payload  input  Mframes/s       MB/s       ns memcpy MB/s  ratio [quartiles]", print_session},
    {"channels",
     "Channels: ns for a write of 64 octets from program to program (ratio to one pair), by open "
     "pairs;\n"
     "lines: ns to read and write the lines of memory of 10,000 pairs in turn, and nothing else, "
     "for each pair",
     "                              1             10            100           1000          10000"
     "    lines",
     print_channels},
    {"instructions", "Instructions for each frame (callgrind)", "case", print_instructions},
    {"goals", "Goals", "       goal, and what this run has", print_goal},
};

void report_print(const json_t *results)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        const json_t *rows = json_object_get(results, tables[i].name), *row;
        size_t n;

        if (json_array_size(rows) == 0)
            continue;
        printf("%s\n%s\n", tables[i].title, tables[i].columns);
        json_array_foreach(rows, n, row) tables[i].print(row);
        putchar('\n');
    }
}
