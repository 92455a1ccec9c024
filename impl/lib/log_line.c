/* SPDX-License-Identifier: MIT */
#include "log_line.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"

/* What stands before the fields, or says nothing here. */
static const char *const shown[] = {"time", "id", "name", "level", "source", "message"};

static bool is_shown(const char *key)
{
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        if (strcmp(shown[i], key) == 0)
            return true;
    return false;
}

const char *vpc_log_line_member(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return text != NULL ? text : "";
}

static const char *colour_of(const char *level)
{
    if (strcmp(level, "error") == 0)
        return "\033[31m";
    return strcmp(level, "warning") == 0 ? "\033[33m" : "\033[32m";
}

static void print_time(FILE *out, json_int_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];

    if (localtime_r(&seconds, &tm) == NULL || !strftime(text, sizeof(text), "%F %T", &tm))
        text[0] = '\0';
    fprintf(out, "%s.%03d", text, (int)(ms % 1000));
}

void vpc_log_line_fields(json_t *entry, void (*take)(void *user, const char *key, const char *text),
                         void *user)
{
    const char *key;
    json_t *value;

    json_object_foreach(entry, key, value)
    {
        if (is_shown(key))
            continue;
        if (json_is_string(value)) {
            take(user, key, json_string_value(value));
        } else {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

            take(user, key, text != NULL ? text : "?");
            free(text);
        }
    }
}

static void print_field(void *out, const char *key, const char *text)
{
    fprintf(out, " %s=%s", key, text);
}

static void print_text(FILE *out, const char *text)
{
    vpc_print_visible(out, text, strlen(text));
}

static void print_visible_field(void *out, const char *key, const char *text)
{
    fputc(' ', out);
    print_text(out, key);
    fputc('=', out);
    print_text(out, text);
}

void vpc_log_line_text(json_t *entry, char *out, size_t size)
{
    FILE *text = fmemopen(out, size, "w");

    if (text == NULL) {
        out[0] = '\0';
        return;
    }
    setvbuf(text, NULL, _IOFBF, size);
    fprintf(text, "%s: %s", vpc_log_line_member(entry, "name"),
            vpc_log_line_member(entry, "message"));
    vpc_log_line_fields(entry, print_field, text);
    fclose(text);
    out[size - 1] = '\0';
}

static void print_head(FILE *out, const json_t *entry, bool colour)
{
    const char *level = vpc_log_line_member(entry, "level");
    size_t n = strlen(level);

    print_time(out, json_integer_value(json_object_get(entry, "time")));
    fprintf(out, " %s", colour ? colour_of(level) : "");
    print_text(out, level);
    fprintf(out, "%*s%s ", n < 7 ? (int)(7 - n) : 0, "", colour ? "\033[0m" : "");
    print_text(out, vpc_log_line_member(entry, "source"));
    fprintf(out, " %" JSON_INTEGER_FORMAT " ", json_integer_value(json_object_get(entry, "id")));
    print_text(out, vpc_log_line_member(entry, "name"));
    fputs(": ", out);
    print_text(out, vpc_log_line_member(entry, "message"));
}

void vpc_log_line_print(FILE *out, const char *text, size_t n, bool colour)
{
    json_t *entry = json_loadb(text, n, 0, NULL);

    if (!json_is_object(entry)) {
        vpc_print_visible(out, text, n);
        fputc('\n', out);
        json_decref(entry);
        return;
    }
    print_head(out, entry, colour);
    vpc_log_line_fields(entry, print_visible_field, out);
    fputc('\n', out);
    json_decref(entry);
}
