/* SPDX-License-Identifier: MIT */
/* Log entries for people; the conventions are those of vpc.h. */
#ifndef VPC_LOG_LINE_H
#define VPC_LOG_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Prints the log entry `text` (a JSON object, n octets) in one line: time of day, level, id and
 * name, message, and the entry's other fields.  What is no JSON object is printed as it is, but all of it as
 * vpc_print_visible() does: entries hold what strangers have said.
 */
void vpc_log_line_print(FILE *out, const char *text, size_t n, bool colour);

/*
 * Calls `take` for each field of the entry that is neither in the catalogue's sentence nor at its head, with
 * the value as text; `text` is read during the call only.
 */
void vpc_log_line_fields(json_t *entry, void (*take)(void *user, const char *key, const char *text),
                         void *user);

/* "NAME: message field=value ...": writes at most `size` octets with the NUL to `out`; what does not fit is
   left out. */
void vpc_log_line_text(json_t *entry, char *out, size_t size);

/* The member as text, "" when there is none. */
const char *vpc_log_line_member(const json_t *entry, const char *key);

#endif
