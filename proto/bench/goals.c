/* SPDX-License-Identifier: MIT */
/* What the codec is to reach on one core, and whether this run has it. */
#include "goals.h"

#include "vpcbus.h"

#include <stdio.h>

static json_t *goal(const char *text, bool met, const char *format, double a, double b)
{
    char measured[128];

    snprintf(measured, sizeof(measured), format, a, b);
    return json_pack("{s:s, s:b, s:s}", "goal", text, "met", (int)met, "measured", measured);
}

static json_int_t field(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

static const json_t *whole_row(const json_t *decode, json_int_t payload)
{
    const json_t *row;
    size_t i;

    json_array_foreach(decode, i, row) if (field(row, "payload") == payload &&
                                           field(row, "piece") == 0) return row;
    return NULL;
}

static json_t *empty_goal(const json_t *decode)
{
    const json_t *row = whole_row(decode, 0);
    double millions = 1e3 / report_ns(row, "grammar"), ratio = report_ratio(row, "grammar");

    return goal("decode empty frames: 25 million a second, or at most 5 times by hand",
                millions >= 25 || ratio <= 5, "%.1f million, %.2f times", millions, ratio);
}

/* Whether the input cuts every frame, so that a decoder must gather it. */
static bool is_cut(const json_t *row)
{
    double frame = json_number_value(json_object_get(row, "octets_of_frame"));

    return field(row, "piece") != 0 && (double)field(row, "piece") < frame;
}

/* The worst row with payloads of 4 KiB and more, of those that are cut or of the others. */
static json_t *large_goal(const json_t *decode, bool cut, const char *text, const char *name,
                          const char *other)
{
    double worst = 0, more_ns = 0;
    const json_t *row;
    size_t i;

    json_array_foreach(decode, i, row)
    {
        double ratio = report_ratio(row, name) / report_ratio(row, other);

        if (field(row, "payload") < 4096 || is_cut(row) != cut || ratio <= worst)
            continue;
        worst = ratio;
        more_ns = report_ns(row, name) - report_ns(row, other);
    }
    return goal(text, worst <= 1.2, "at worst %.2f times, %.0f ns more", worst, more_ns);
}

static json_t *memcpy_goal(const json_t *decode)
{
    const json_t *row = whole_row(decode, VPC_PAYLOAD_MAX);
    double copied = report_ratio(row, "memcpy") / report_ratio(row, "grammar_and_ring");
    double lent = report_ratio(row, "memcpy") / report_ratio(row, "grammar");

    return goal("64 KiB whole: 0.8 of memcpy's bandwidth, the copy to the ring included",
                copied >= 0.8, "%.2f; %.0f when lent", copied, lent);
}

static json_t *channels_goal(const json_t *channels, size_t load, const char *text)
{
    const json_t *row = json_array_get(channels, load);
    double thousand = report_ratio(row, "1000"), most = report_ratio(row, "10000");

    return goal(text, thousand <= 1.2 && most <= 1.2, "%.2f times at 1,000, %.2f at 10,000",
                thousand, most);
}

/* What no cache holds must come from memory, whatever the library does. */
static json_t *lines_goal(const json_t *channels)
{
    const json_t *row = json_array_get(channels, 1);
    double more = report_ns(row, "10000") - report_ns(row, "1"), lines = report_ns(row, "lines");

    return goal("in turn, 10,000 pairs: no slower than one pair plus the bare lines of 10,000",
                more <= lines, "%.0f ns more; the lines alone: %.0f ns", more, lines);
}

json_t *goals_of(const json_t *results)
{
    const json_t *decode = json_object_get(results, "decode");
    const json_t *channels = json_object_get(results, "channels");

    return json_pack(
        "[o, o, o, o, o, o, o, o]", empty_goal(decode),
        large_goal(decode, false,
                   "from 4 KiB, payload lent, not touched: at most 1.2 times by hand", "grammar",
                   "hand"),
        large_goal(decode, false,
                   "from 4 KiB, payload copied to the ring: at most 1.2 times by hand",
                   "grammar_and_ring", "hand_and_ring"),
        large_goal(decode, true, "from 4 KiB, frames cut and gathered: at most 1.2 times by hand",
                   "grammar", "hand"),
        memcpy_goal(decode),
        channels_goal(channels, 0,
                      "flat to 10,000 open pairs of which one sends: at most 1.2 times"),
        channels_goal(channels, 1,
                      "flat to 10,000 open pairs that send in turn: at most 1.2 times"),
        lines_goal(channels));
}
