/* SPDX-License-Identifier: MIT */
#include "file_name.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_MAX_PLAIN = 60,
    NAME_KEPT = 40,
};

static uint64_t fnv1a(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._-", c) != NULL);
}

void vpc_file_name(const char *text, char name[VPC_FILE_NAME_SIZE])
{
    size_t n = 0;
    const char *p = text;

    for (; *p && n <= NAME_MAX_PLAIN; p++)
        n += (size_t)snprintf(name + n, VPC_FILE_NAME_SIZE - n, is_plain(*p) ? "%c" : "%%%02X",
                              (unsigned)(unsigned char)*p);
    if (n > NAME_MAX_PLAIN)
        snprintf(name + NAME_KEPT, VPC_FILE_NAME_SIZE - NAME_KEPT, "~%016" PRIx64, fnv1a(text));
}

void vpc_brief_file_name(const char *text, char name[VPC_FILE_NAME_SIZE])
{
    snprintf(name, VPC_FILE_NAME_SIZE, "~%016" PRIx64, fnv1a(text));
}
