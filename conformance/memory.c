/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *or_die(void *memory)
{
    if (memory == NULL) {
        fputs("vpc-conform: no memory\n", stderr);
        _exit(VPC_EXIT_HARNESS);
    }
    return memory;
}

void *vpc_alloc(size_t size)
{
    return or_die(calloc(1, size));
}

void *vpc_grow(void *old, size_t count, size_t size)
{
    return or_die(reallocarray(old, count, size));
}

void *vpc_grow_by_one(void *old, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0;

    return full ? vpc_grow(old, count == 0 ? 1 : 2 * count, size) : old;
}

char *vpc_copy(const char *text)
{
    return text ? or_die(strdup(text)) : NULL;
}

char *vpc_copy_n(const char *text, size_t n)
{
    return or_die(strndup(text, n));
}

char *vpc_format_list(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    return or_die(text);
}

char *vpc_format(const char *format, ...)
{
    char *text;
    va_list args;

    va_start(args, format);
    text = vpc_format_list(format, args);
    va_end(args);
    return text;
}

static void make_room(struct vpc_buffer *buffer, size_t n)
{
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    if (buffer->room - buffer->end >= n)
        return;
    if (buffer->start > 0 && buffer->start >= vpc_buffer_size(buffer)) {
        memmove(buffer->data, buffer->data + buffer->start, vpc_buffer_size(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->room - buffer->end < n) {
        buffer->room = (buffer->end + n) * 2;
        buffer->data = vpc_grow(buffer->data, buffer->room, 1);
    }
}

void vpc_buffer_add(struct vpc_buffer *buffer, const void *octets, size_t n)
{
    if (n == 0)
        return;
    make_room(buffer, n);
    memcpy(buffer->data + buffer->end, octets, n);
    buffer->end += n;
}

void vpc_buffer_fill(struct vpc_buffer *buffer, uint8_t octet, size_t n)
{
    if (n == 0)
        return;
    make_room(buffer, n);
    memset(buffer->data + buffer->end, octet, n);
    buffer->end += n;
}

uint8_t *vpc_buffer_room(struct vpc_buffer *buffer, size_t n)
{
    make_room(buffer, n);
    return buffer->data + buffer->end;
}

void vpc_buffer_filled(struct vpc_buffer *buffer, size_t n)
{
    buffer->end += n;
}

void vpc_buffer_drop(struct vpc_buffer *buffer, size_t n)
{
    buffer->start += n;
}

void vpc_buffer_cut(struct vpc_buffer *buffer, size_t n)
{
    buffer->end = buffer->start + n;
}

void vpc_buffer_clear(struct vpc_buffer *buffer)
{
    buffer->start = buffer->end = 0;
}

/* Padding comes by the hundred thousand: most of it is compared many octets at a time. */
static size_t run_of(const uint8_t *head, size_t size, uint8_t octet)
{
    enum { STRIDE = 128 };
    size_t n = 0;

    while (n < size && n < STRIDE && head[n] == octet)
        n++;
    while (n >= STRIDE && size - n >= STRIDE && memcmp(head, head + n, STRIDE) == 0)
        n += STRIDE;
    while (n < size && head[n] == octet)
        n++;
    return n;
}

size_t vpc_buffer_drop_run(struct vpc_buffer *buffer, uint8_t octet)
{
    size_t n = run_of(vpc_buffer_head(buffer), vpc_buffer_size(buffer), octet);

    vpc_buffer_drop(buffer, n);
    return n;
}

size_t vpc_buffer_add_behind_run(struct vpc_buffer *buffer, const void *octets, size_t n,
                                 uint8_t octet)
{
    size_t passed = vpc_buffer_size(buffer) == 0 ? run_of(octets, n, octet) : 0;

    vpc_buffer_add(buffer, (const uint8_t *)octets + passed, n - passed);
    return passed;
}

char *vpc_buffer_line(struct vpc_buffer *buffer)
{
    size_t size = vpc_buffer_size(buffer);
    const char *head = (const char *)vpc_buffer_head(buffer);
    const char *end = size ? memchr(head, '\n', size) : NULL;
    char *line;

    if (end == NULL)
        return NULL;
    line = vpc_copy_n(head, (size_t)(end - head));
    vpc_buffer_drop(buffer, (size_t)(end - head) + 1);
    return line;
}

void vpc_buffer_free(struct vpc_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct vpc_buffer){0};
}
