/* SPDX-License-Identifier: MIT */
/*
 * What the control socket and the event log say, against spec/control.schema.json.
 *
 * Of JSON Schema this knows what that file uses of a value: type, const, enum, minimum, maximum,
 * minLength, maxLength, pattern, properties, required, items, anyOf, $ref. Members that the schema does
 * not know are passed over, as the specification asks of a client.
 *
 * Each line of a run is looked at, so the schema is read and its patterns are compiled once, by
 * vpc_schema_load().
 * Ownership: that gives a schema that the caller frees with vpc_schema_free().
 */
#ifndef VPC_CONFORM_SCHEMA_H
#define VPC_CONFORM_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct vpc_schema;

/* Ends the program where the schema, which is a part of it, has a pattern that can not be compiled. */
struct vpc_schema *vpc_schema_load(void);
void vpc_schema_free(struct vpc_schema *schema); /* NULL is none */
/*
 * Whether the value is as `$defs/PLACE` says ("failure", "returns/start"); a place that there is none of
 * says nothing, so all is right. NULL: there is no such value. False: text names the member and what is
 * wrong with it.
 */
bool vpc_schema_fits(const struct vpc_schema *schema, const char *place, const json_t *value,
                     char *text, size_t size);
/* Whether there is a place of that name. */
bool vpc_schema_has(const struct vpc_schema *schema, const char *place);
/* Whether anything in it has this member. */
bool vpc_schema_knows(const struct vpc_schema *schema, const char *member);
/* Whether what is at this place has this member; where it has one of some texts, it can be this one, unless
   that is NULL. */
bool vpc_schema_takes(const struct vpc_schema *schema, const char *place, const char *member,
                      const char *text);

#endif
