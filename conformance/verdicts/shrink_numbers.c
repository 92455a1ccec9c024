/* SPDX-License-Identifier: MIT */
/*
 * Numbers made small: how many octets, how often, how long.
 *
 * What is sent and what is asked for often have the same number, which must then be changed in both; so all places that have
 * one number are tried together first, then each by itself.  Nothing is unrolled or reordered.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "verdicts/shrink.h"

#define PLACES_MAX 256

struct place {
    size_t start, end; /* in the text */
    uint64_t value;    /* of a duration: milliseconds */
    bool time;
};

static bool begins(const char *text, size_t n, const char *word)
{
    return n >= strlen(word) && strncmp(text, word, strlen(word)) == 0;
}

/* A number, or a duration in one unit, that is the whole of these n octets. */
static bool read_place(const char *text, size_t n, bool time, struct place *place)
{
    char digits[16] = "";
    size_t count = 0;

    while (count < n && count < 12 && isdigit((unsigned char)text[count]))
        count++;
    memcpy(digits, text, count);
    place->value = strtoull(digits, NULL, 10);
    place->time = time;
    if (time && n == count + 1 && text[count] == 's')
        place->value *= 1000;
    else if (n != count + (time ? 2 : 0) || (time && strncmp(text + count, "ms", 2) != 0))
        return false;
    return count > 0;
}

/* One word of a line; first: the line's first word, or NULL when this is it. */
static bool is_place(const char *word, size_t n, const char *first, struct place *place)
{
    bool waits = first && begins(first, 5, "wait ");
    size_t skip = 0;

    if (begins(word, n, "bytes=") || begins(word, n, "times="))
        skip = 6;
    else if (!waits && !(first && begins(first, 7, "repeat ")))
        return false;
    return read_place(word + skip, n - skip, waits, place);
}

static size_t find_places(const char *text, struct place places[PLACES_MAX])
{
    size_t count = 0;

    for (const char *line = text; *line; line += *line == '\n') {
        const char *first = NULL;

        while (*line && *line != '\n' && *line != '#') {
            size_t n = strcspn(line, " \t\n"), skip;

            if (n > 0 && count < PLACES_MAX && is_place(line, n, first, &places[count])) {
                skip = begins(line, n, "bytes=") || begins(line, n, "times=") ? 6 : 0;
                places[count].start = (size_t)(line - text) + skip;
                places[count++].end = (size_t)(line - text) + n;
            }
            first = first == NULL && n > 0 ? line : first;
            line += n;
            line += strspn(line, " \t");
        }
        line += strcspn(line, "\n");
    }
    return count;
}

/* The text with another number at the place; with all: wherever the same number stands. */
static char *with_number(const char *text, const struct place *places, size_t count, size_t which,
                         bool all, uint64_t value)
{
    struct vpc_buffer out = {0};
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        char *number;

        if (i != which && !(all && places[i].value == places[which].value &&
                            places[i].time == places[which].time))
            continue;
        number = vpc_format("%llu%s", (unsigned long long)value, places[i].time ? "ms" : "");
        vpc_buffer_add(&out, text + at, places[i].start - at);
        vpc_buffer_add(&out, number, strlen(number));
        at = places[i].end;
        free(number);
    }
    vpc_buffer_add(&out, text + at, strlen(text + at) + 1);
    return (char *)out.data;
}

/* By halves, towards the smallest number that still does; takes over the text. */
static char *reduce(struct vpc_shrink *shrink, char *text, size_t which, bool all)
{
    struct place places[PLACES_MAX];
    size_t count = find_places(text, places);
    uint64_t low = 0, high = places[which].value, try = 1;
    char *best = NULL;

    while (low + 1 < high && vpc_shrink_may_try(shrink)) {
        char *other = with_number(text, places, count, which, all, try);

        if (vpc_shrink_fails(shrink, other)) {
            high = try;
            free(best);
            best = other;
        } else {
            low = try;
            free(other);
        }
        try = low + (high - low) / 2;
    }
    if (best == NULL)
        return text;
    free(text);
    return best;
}

char *vpc_shrink_numbers(struct vpc_shrink *shrink, char *text)
{
    struct place places[PLACES_MAX];
    size_t count = find_places(text, places);

    shrink->numbers = true;
    for (size_t i = 0; i < 2 * count; i++)
        text = reduce(shrink, text, i % count, i < count);
    shrink->numbers = false;
    return text;
}
