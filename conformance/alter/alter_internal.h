/* SPDX-License-Identifier: MIT */
/* What the files of the alteration share. */
#ifndef VPC_CONFORM_ALTER_INTERNAL_H
#define VPC_CONFORM_ALTER_INTERNAL_H

#include "alter/alter.h"

/* The field that is wrong, if it stands in such a place; else NULL. */
const struct vpc_field_at *vpc_altered_field(const struct vpc_altering *altering,
                                             enum vpc_place place);
/* alter_frame.c: the bus began anew; octets of one direction (SAID or HEARD), with what is altered, are
 * added to out. */
void vpc_alter_begin_bus(struct vpc_altering *altering);
void vpc_alter_end_bus(struct vpc_altering *altering);
void vpc_alter_octets(struct vpc_altering *altering, enum vpc_place place, const void *octets,
                      size_t n, struct vpc_buffer *out);
/* alter_json.c: a line of the subject, or one to it; NULL: nothing of it is to be altered, else freed by
 * the caller. */
char *vpc_alter_entry(struct vpc_altering *altering, const char *line, size_t n);
char *vpc_alter_said_line(struct vpc_altering *altering, int client, const char *line, size_t n);
char *vpc_alter_request(struct vpc_altering *altering, int client, const char *line, size_t n);

#endif
