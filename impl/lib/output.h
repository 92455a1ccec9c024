/* SPDX-License-Identifier: MIT */
/* What programs print; the conventions are those of vpc.h. */
#ifndef VPC_OUTPUT_H
#define VPC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Ends standard output at a program's end.  What was printed and could not be written was not said: that is
 * told on standard error, and a status of 0 becomes 1.  Answers the status.
 */
int vpc_output_end(const char *program, int status);

/* Whether a character is not seen, or changes how others are seen: controls (newline and tab too), those of C1,
   those that turn the direction of writing, and the like. */
bool vpc_is_hidden(uint32_t code);
/* The character at the front of n octets (1 or more) of UTF-8, and how many it has; an octet that can not stand
   there is one, UINT32_MAX. */
uint32_t vpc_character(const char *text, size_t n, size_t *size);
/*
 * Text that others wrote, fit for a terminal: a hidden character as \uXXXX, as JSON has it (so JSON text means
 * what it meant), an octet that is no UTF-8 as \xXX.  vpc_visible()'s is freed by the caller; NULL: no memory.
 */
void vpc_print_visible(FILE *out, const char *text, size_t n);
char *vpc_visible(const char *text);

#endif
