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

/* The worst row with payloads of 4 KiB and more; whole: of those, or of the split ones. */
static json_t *large_goal(const json_t *decode, bool whole, const char *text, const char *name,
                          const char *other)
{
    double worst = 0, at = 0;
    const json_t *row;
    size_t i;

    json_array_foreach(decode, i, row)
    {
        double ratio = report_ratio(row, name) / report_ratio(row, other);

        if (field(row, "payload") < 4096 || (field(row, "piece") == 0) != whole || ratio <= worst)
            continue;
        worst = ratio;
        at = (double)field(row, "payload");
    }
    return goal(text, worst <= 1.2, "at worst %.2f times, payload %.0f", worst, at);
}

static json_t *memcpy_goal(const json_t *decode)
{
    const json_t *row = whole_row(decode, VPC_PAYLOAD_MAX);
    double copied = report_ratio(row, "memcpy") / report_ratio(row, "grammar_and_ring");
    double lent = report_ratio(row, "memcpy") / report_ratio(row, "grammar");

    return goal("64 KiB: 0.8 of memcpy's bandwidth, the copy to the ring included", copied >= 0.8,
                "%.2f; %.0f when lent", copied, lent);
}

static json_t *channels_goal(const json_t *channels)
{
    const json_t *one = json_array_get(channels, 0), *turns = json_array_get(channels, 1);
    double still = report_ratio(one, "10000"), active = report_ratio(turns, "10000");

    return goal("flat from 1 to 10,000 open pairs (at most 1.2 times)", still <= 1.2,
                "%.2f times when one sends; %.2f when each does in turn", still, active);
}

json_t *goals_of(const json_t *results)
{
    const json_t *decode = json_object_get(results, "decode");

    return json_pack(
        "[o, o, o, o, o, o]", empty_goal(decode),
        large_goal(decode, true, "decode from 4 KiB, whole input: at most 1.2 times by hand",
                   "grammar", "hand"),
        large_goal(decode, true, "the same, the copy to the ring included", "grammar_and_ring",
                   "hand_and_ring"),
        large_goal(decode, false, "decode from 4 KiB, split input: at most 1.2 times by hand",
                   "grammar", "hand"),
        memcpy_goal(decode), channels_goal(json_object_get(results, "channels")));
}
