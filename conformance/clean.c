/* SPDX-License-Identifier: MIT */
/* See clean.h. */
#include "clean.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define REPLACEMENT 0xfffd

/* The character at the front of text, and its size; what is no UTF-8 is one octet that stands for U+FFFD. */
static uint32_t next(const char *text, size_t *size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    size_t n = at[0] < 0x80             ? 1
               : (at[0] & 0xe0) == 0xc0 ? 2
               : (at[0] & 0xf0) == 0xe0 ? 3
               : (at[0] & 0xf8) == 0xf0 ? 4
                                        : 0;
    uint32_t code = n > 1 ? at[0] & (0xffu >> (n + 1)) : at[0];

    *size = 1;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (n == 0 || code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return REPLACEMENT;
    *size = n;
    return code;
}

/* Code points that are not seen, or that change how others are seen. */
static bool hidden(uint32_t code)
{
    return (code >= 0x80 && code < 0xa0) || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) || (code & 0xfffe) == 0xfffe ||
           (code >= 0xe0000 && code <= 0xe0fff);
}

static uint32_t visible(uint32_t code)
{
    if (code == '\n' || code == '\t')
        return code;
    if (code < 0x20)
        return 0x2400 + code;
    if (code == 0x7f)
        return 0x2421;
    return hidden(code) ? REPLACEMENT : code;
}

static void add(struct vpc_buffer *out, uint32_t code)
{
    uint8_t octets[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = n; i > 1; i--, code >>= 6)
        octets[i - 1] = (uint8_t)(0x80 | (code & 0x3f));
    octets[0] = (uint8_t)(n == 1 ? code : (0xf00u >> n & 0xff) | code);
    vpc_buffer_add(out, octets, n);
}

static char *convert(const char *text, uint32_t (*change)(uint32_t code))
{
    struct vpc_buffer out = {0};
    size_t size;

    for (; *text; text += size) {
        uint32_t code = next(text, &size);

        add(&out, change ? change(code) : code);
    }
    vpc_buffer_fill(&out, 0, 1);
    return (char *)out.data;
}

char *vpc_clean_utf8(const char *text)
{
    return convert(text, NULL);
}

json_t *vpc_json_text(const char *text)
{
    char *good = vpc_clean_utf8(text ? text : "");
    json_t *json = json_string(good);

    free(good);
    return json;
}

char *vpc_clean(const char *text)
{
    return convert(text, visible);
}

void vpc_write_clean(const char *text, FILE *out)
{
    char *clean = vpc_clean(text);

    for (const char *at = clean; *at; at++) {
        if (*at == '\n')
            fputs("\u240a", out);
        else
            fputc(*at, out);
    }
    free(clean);
}

void vpc_write_xml(const char *text, FILE *out)
{
    static const char marks[] = "<>&\"\n\t";
    static const char *const written[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#10;", "&#9;"};
    char *clean = vpc_clean(text);

    for (const char *at = clean; *at; at++) {
        const char *mark = strchr(marks, *at);

        if (mark)
            fputs(written[mark - marks], out);
        else
            fputc(*at, out);
    }
    free(clean);
}
