/* SPDX-License-Identifier: MIT */
/* Log entries for people; the conventions are those of vpc.h. */
#ifndef VPC_LOG_LINE_H
#define VPC_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Prints the log entry `text` (a JSON object, n octets) in one line: time of day, level, id and
 * name, message, and the entry's other fields.  What is no JSON object is printed as it is.
 */
void vpc_log_line_print(FILE *out, const char *text, size_t n, bool colour);

#endif
