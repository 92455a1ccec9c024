/* SPDX-License-Identifier: MIT */
/*
 * Names from host programs: pipe names and their socket's file, ports.
 *
 * Input   two texts, parted by a newline; each may hold anything else.
 * Goal    A name is taken or refused without a look behind its end; a file name is one plain component that fits a Unix
 *         socket's path; names that differ only by case are one pipe, others are not; a port is its own decimal.
 */
#include "input.h"
#include "vpc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_SIZE 100u

static void require(int condition)
{
    if (!condition)
        abort();
}

/* 0 and the file's name, or an errno. */
static int file_of(const char *pipe, char file[FILE_SIZE])
{
    int error = vpc_pipe_file(pipe, file, FILE_SIZE);

    if (error != 0)
        return error;
    require(strlen(file) > 5 && strcmp(file + strlen(file) - 5, ".sock") == 0);
    for (const char *c = file; *c != '\0'; c++)
        require(isascii(*c) && (isalnum(*c) || strchr(".-_%~", *c) != NULL));
    require(memcmp(pipe, "\\\\.\\", 4) == 0 && strlen(pipe) > 9 && strlen(pipe) < VPC_PIPE_SIZE);
    require(vpc_pipe_file(pipe, file, 5) != 0); /* too small a buffer is told */
    vpc_pipe_file(pipe, file, FILE_SIZE);
    return 0;
}

static void swap_case(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 32);
        else if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + 32);
}

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int same_but_for_case(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b))
        a++, b++;
    return *a == *b;
}

static void check_port(const char *text)
{
    unsigned port = vpc_port(text);
    char decimal[16];
    char *end;
    long value = strtol(text, &end, 10);

    snprintf(decimal, sizeof(decimal), "%u", port);
    require(port <= 65535 && (port == 0 || strcmp(decimal, text) == 0));
    snprintf(decimal, sizeof(decimal), "%ld", value);
    if (value >= 1 && value <= 65535 && strcmp(decimal, text) == 0)
        require(port == (unsigned)value);
}

static char *text_of(const uint8_t *octets, size_t n)
{
    char *text = malloc(n + 1);

    memcpy(text, octets, n);
    text[n] = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = cut != NULL ? (size_t)(cut - data) : size;
    char *a = text_of(data, n), *b = text_of(data + (cut ? n + 1 : n), cut ? size - n - 1 : 0);
    char file_a[FILE_SIZE], file_b[FILE_SIZE];
    int error = file_of(a, file_a);

    if (error == 0 && file_of(b, file_b) == 0)
        require((strcmp(file_a, file_b) == 0) == same_but_for_case(a, b));
    check_port(a);
    check_port(b);
    swap_case(a);
    require(file_of(a, file_b) == error && (error != 0 || strcmp(file_a, file_b) == 0));
    free(a);
    free(b);
    return 0;
}
