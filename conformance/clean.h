/* SPDX-License-Identifier: MIT */
/*
 * Texts of strangers, made fit for a terminal, XML or a page.
 *
 * Names of implementations, entries of logs and whatever a subject says may hold any octets: markup, escape
 * sequences, characters that turn the direction of writing, no UTF-8 at all.  Every report passes them
 * through here.
 *
 * Ownership: what is returned is the caller's to free.
 */
#ifndef VPC_CONFORM_CLEAN_H
#define VPC_CONFORM_CLEAN_H

#include <jansson.h>
#include <stdio.h>

/* Well-formed UTF-8: an octet that can not stand where it stands becomes U+FFFD. */
char *vpc_clean_utf8(const char *text);
/* vpc_clean_utf8() as a JSON string, the caller's reference; NULL gives "". */
json_t *vpc_json_text(const char *text);
/* vpc_clean_utf8(), and every control and formatting character but newline and tab made visible: U+001B is
   shown as U+241B. */
char *vpc_clean(const char *text);
/* vpc_clean(), written in one line: a newline is shown as U+240A. */
void vpc_write_clean(const char *text, FILE *out);
/* vpc_clean(), and the characters of markup as XML wants them, in an attribute as well. */
void vpc_write_xml(const char *text, FILE *out);

#endif
