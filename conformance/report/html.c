/* SPDX-License-Identifier: MIT */
/* One page: page.html, which is embedded, with the document of the JSON report in it. */
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "document/embedded.h"
#include "report/document.h"
#include "report/report.h"

/* In a script element neither markup nor the end of one may stand; in JSON `<` is only found in strings. */
static void write_data(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("\\u003c", out);
        else
            fputc(*text, out);
    }
}

/* Cleans every string, keys apart: they are ours. */
static void clean_strings(json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_string(json)) {
        char *clean = vpc_clean(json_string_value(json));

        json_string_set(json, clean);
        free(clean);
    }
    json_array_foreach(json, i, value) clean_strings(value);
    json_object_foreach(json, key, value) clean_strings(value);
}

/* The page up to the mark, what stands for the mark, and on. */
static const char *write_up_to(const char *page, const char *mark, FILE *out)
{
    const char *place = strstr(page, mark);

    fwrite(page, 1, (size_t)(place - page), out);
    return place + strlen(mark);
}

void vpc_report_html(const struct vpc_suite *suite, FILE *out)
{
    json_t *json = vpc_report_document(suite);
    const char *page = vpc_embedded_page;
    char *text;

    clean_strings(json);
    text = json_dumps(json, JSON_COMPACT);
    page = write_up_to(page, "@STYLE@\n", out);
    fputs(vpc_embedded_style, out);
    page = write_up_to(page, "@DATA@", out);
    write_data(text, out);
    page = write_up_to(page, "@SCRIPT@\n", out);
    fputs(vpc_embedded_script, out);
    fputs(page, out);
    free(text);
    json_decref(json);
}
