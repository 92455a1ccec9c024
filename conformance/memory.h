/* SPDX-License-Identifier: MIT */
/*
 * Memory of the harness.  The harness is a program of its own and not a library: where there is no memory it
 * ends with the exit code of a harness error (70), so none of these returns NULL.
 *
 * Ownership: what is returned is the caller's and is freed with free() or vpc_buffer_free().
 */
#ifndef VPC_CONFORM_MEMORY_H
#define VPC_CONFORM_MEMORY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VPC_EXIT_HARNESS 70

void *vpc_alloc(size_t size); /* zeroed */
void *vpc_grow(void *old, size_t count, size_t size);
/* Room for one element more, of a list that only this function ever made longer: it doubles at each power of
   two. */
void *vpc_grow_by_one(void *old, size_t count, size_t size);
char *vpc_copy(const char *text); /* NULL gives NULL */
char *vpc_copy_n(const char *text, size_t n);
char *vpc_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *vpc_format_list(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* A queue of octets: written at the end, read at the front. */
struct vpc_buffer {
    uint8_t *data; /* the first unread octet is data[start] */
    size_t start;
    size_t end;
    size_t room;
};

/* Puts n octets, copies of these or all of that value, behind the last. */
void vpc_buffer_add(struct vpc_buffer *buffer, const void *octets, size_t n);
void vpc_buffer_fill(struct vpc_buffer *buffer, uint8_t octet, size_t n);
/* Room for n octets behind the last, of which vpc_buffer_filled() says how many were put there. */
uint8_t *vpc_buffer_room(struct vpc_buffer *buffer, size_t n);
void vpc_buffer_filled(struct vpc_buffer *buffer, size_t n);
/* Takes the first n octets away, of which there must be so many. */
void vpc_buffer_drop(struct vpc_buffer *buffer, size_t n);
/* Drops all but the first n octets. */
void vpc_buffer_cut(struct vpc_buffer *buffer, size_t n);
void vpc_buffer_clear(struct vpc_buffer *buffer);
/* Drops the octets of that value at the front; how many they were. */
size_t vpc_buffer_drop_run(struct vpc_buffer *buffer, uint8_t octet);
/* As vpc_buffer_add() and, if the queue was empty, vpc_buffer_drop_run(): what would be dropped is not copied
   first. */
size_t vpc_buffer_add_behind_run(struct vpc_buffer *buffer, const void *octets, size_t n,
                                 uint8_t octet);
/* Takes the first whole line out, without its newline; NULL if there is none. */
char *vpc_buffer_line(struct vpc_buffer *buffer);
void vpc_buffer_free(struct vpc_buffer *buffer);

static inline size_t vpc_buffer_size(const struct vpc_buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline const uint8_t *vpc_buffer_head(const struct vpc_buffer *buffer)
{
    return buffer->data ? buffer->data + buffer->start : NULL;
}

#endif
