/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int vpc_output_end(const char *program, int status)
{
    bool good = !ferror(stdout);
    int error = 0;

    if (fflush(stdout) != 0)
        error = errno;
    if (fclose(stdout) != 0 && !error)
        error = errno;
    if (good && !error)
        return status;
    fprintf(stderr, "%s: standard output can not be written%s%s\n", program, error ? ": " : "",
            error ? strerror(error) : "");
    return status ? status : EXIT_FAILURE;
}

/* The first and the last of each range. */
static const uint32_t hidden[][2] = {
    {0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c},    {0x180e, 0x180e},
    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},    {0xfff0, 0xfffb},
    {0xfffe, 0xffff}, {0xe000, 0xf8ff}, {0xd800, 0xdfff}, {0xe0000, 0x10ffff},
};

bool vpc_is_hidden(uint32_t code)
{
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (hidden[i][0] <= code && code <= hidden[i][1])
            return true;
    return false;
}

uint32_t vpc_character(const char *text, size_t n, size_t *size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    size_t length = at[0] < 0x80    ? 1
                    : at[0] >= 0xf0 ? 4
                    : at[0] >= 0xe0 ? 3
                    : at[0] >= 0xc0 ? 2
                                    : 0;
    uint32_t code = length > 1 ? at[0] & (0x7fu >> length) : at[0];

    *size = 1;
    if (length == 0 || length > n || at[0] >= 0xf8)
        return UINT32_MAX;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return UINT32_MAX;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return UINT32_MAX;
    *size = length;
    return code;
}

/* JSON writes a character beyond the first 65536 as a pair of surrogates. */
static void print_hidden(FILE *out, uint32_t code)
{
    if (code < 0x10000)
        fprintf(out, "\\u%04X", (unsigned)code);
    else
        fprintf(out, "\\u%04X\\u%04X", (unsigned)(0xd7c0 + (code >> 10)),
                (unsigned)(0xdc00 + (code & 0x3ff)));
}

void vpc_print_visible(FILE *out, const char *text, size_t n)
{
    for (size_t size; n > 0; text += size, n -= size) {
        uint32_t code = vpc_character(text, n, &size);

        if (code == UINT32_MAX)
            fprintf(out, "\\x%02X", (unsigned)(unsigned char)*text);
        else if (vpc_is_hidden(code))
            print_hidden(out, code);
        else
            fwrite(text, 1, size, out);
    }
}

char *vpc_visible(const char *text)
{
    char *made = NULL;
    size_t size;
    FILE *out = open_memstream(&made, &size);

    if (out == NULL)
        return NULL;
    vpc_print_visible(out, text, strlen(text));
    if (fclose(out) == 0)
        return made;
    free(made);
    return NULL;
}
