/* SPDX-License-Identifier: MIT */
/*
 * The event log in the form that Windows' Event Viewer and those who read its exports know: the schema
 * "http://schemas.microsoft.com/win/2004/08/events/event".  The numbers of levels are Windows' own; the event source and the
 * channel are VPCBus, the computer is the virtual machine.
 *
 * The texts are partly a guest's: whatever they hold, the document stays well-formed XML 1.0.
 */
#include "event_xml.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "log_line.h"
#include "output.h"

#define SCHEMA   "http://schemas.microsoft.com/win/2004/08/events/event"
#define CLASSIC  "0x80000000000000" /* the keyword of the classic event log */
#define TEXT_MAX 4096

static const struct level {
    const char *name, *shown;
    int number;
} levels[] = {
    {"error", "Error", 2},
    {"warning", "Warning", 3},
    {"info", "Information", 4},
};

static const struct level *level_of(const json_t *entry)
{
    const char *name = vpc_log_line_member(entry, "level");
    size_t i = 0;

    while (i < 2 && strcmp(levels[i].name, name) != 0)
        i++;
    return &levels[i];
}

/* XML 1.0 has no place for most control characters, not even as references. */
static void put_character(FILE *out, char c)
{
    switch (c) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\t':
    case '\n':
    case '\r':
        fprintf(out, "&#%d;", c);
        break;
    default:
        fputs((unsigned char)c < 0x20 ? "\xEF\xBF\xBD" : (char[]){c, 0}, out);
    }
}

/* UTF-8 as JSON has it; the two code points that XML lacks besides are replaced, and what a terminal would obey is written
 * as a reference. */
static void put_text(FILE *out, const char *text)
{
    for (size_t size, n = strlen(text); n > 0; text += size, n -= size) {
        uint32_t code = vpc_character(text, n, &size);

        if (code < 0x7f)
            put_character(out, *text);
        else if (code == UINT32_MAX || code == 0xfffe || code == 0xffff)
            fputs("\xEF\xBF\xBD", out);
        else if (vpc_is_hidden(code))
            fprintf(out, "&#%" PRIu32 ";", code);
        else
            fwrite(text, 1, size, out);
    }
}

static void put_time(FILE *out, json_int_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32] = "1970-01-01T00:00:00";

    if (gmtime_r(&seconds, &tm) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(out, "    <TimeCreated SystemTime=\"%s.%03dZ\"/>\n", text, (int)(ms % 1000));
}

static void put_data(void *out, const char *key, const char *text)
{
    if (strcmp(key, "vm") == 0)
        return; /* the computer */
    fputs("    <Data Name=\"", out);
    put_text(out, key);
    fputs("\">", out);
    put_text(out, text);
    fputs("</Data>\n", out);
}

static void put_element(FILE *out, const char *name, const char *text)
{
    fprintf(out, "    <%s>", name);
    put_text(out, text);
    fprintf(out, "</%s>\n", name);
}

static void put_system(FILE *out, json_t *entry, uint64_t record)
{
    json_int_t ms = json_integer_value(json_object_get(entry, "time"));

    fputs("  <System>\n    <Provider Name=\"VPCBus\"/>\n", out);
    fprintf(out, "    <EventID>%d</EventID>\n    <Version>0</Version>\n    <Level>%d</Level>\n",
            (int)(json_integer_value(json_object_get(entry, "id")) & 0xffff),
            level_of(entry)->number);
    fputs("    <Task>0</Task>\n    <Opcode>0</Opcode>\n    <Keywords>" CLASSIC "</Keywords>\n",
          out);
    put_time(out, ms < 0 ? 0 : ms);
    fprintf(out, "    <EventRecordID>%" PRIu64 "</EventRecordID>\n", record);
    fputs("    <Channel>VPCBus</Channel>\n", out);
    put_element(out, "Computer", vpc_log_line_member(entry, "vm"));
    fputs("  </System>\n", out);
}

void vpc_event_xml_begin(FILE *out)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Events>\n", out);
}

void vpc_event_xml_end(FILE *out)
{
    fputs("</Events>\n", out);
}

int vpc_event_xml_entry(FILE *out, const char *text, size_t n, uint64_t record)
{
    json_t *entry = json_loadb(text, n, 0, NULL);
    char message[TEXT_MAX];

    if (!json_is_object(entry)) {
        json_decref(entry);
        return EINVAL;
    }
    vpc_log_line_text(entry, message, sizeof(message));
    fputs("<Event xmlns=\"" SCHEMA "\">\n", out);
    put_system(out, entry, record);
    fputs("  <EventData>\n", out);
    put_data(out, "source", vpc_log_line_member(entry, "source"));
    vpc_log_line_fields(entry, put_data, out);
    fputs("  </EventData>\n  <RenderingInfo Culture=\"en-US\">\n", out);
    put_element(out, "Message", message);
    put_element(out, "Level", level_of(entry)->shown);
    fputs("  </RenderingInfo>\n</Event>\n", out);
    json_decref(entry);
    return 0;
}
