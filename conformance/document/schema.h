/* SPDX-License-Identifier: MIT */
/*
 * What the control socket and the event log say, against spec/control.schema.json.
 *
 * Of JSON Schema this knows what that file uses of a value: type, const, enum, minimum, maximum,
 * minLength, maxLength, pattern, properties, required, items, anyOf, $ref. Members that the schema does
 * not know are passed over, as the specification asks of a client.
 *
 * Ownership: vpc_schema_load() gives a value that the caller frees with json_decref().
 */
#ifndef VPC_CONFORM_SCHEMA_H
#define VPC_CONFORM_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

json_t *vpc_schema_load(void);
/*
 * Whether the value is as `$defs/PLACE` says ("failure", "returns/start"); a place that there is none of
 * says nothing, so all is right. False: text names the member and what is wrong with it.
 */
bool vpc_schema_fits(const json_t *schema, const char *place, const json_t *value, char *text,
                     size_t size);
/* Whether there is a place of that name. */
bool vpc_schema_has(const json_t *schema, const char *place);
/* Whether anything in it has this member. */
bool vpc_schema_knows(const json_t *schema, const char *member);
/* Whether what is at this place has this member; where it has one of some texts, it can be this one, unless that is NULL. */
bool vpc_schema_takes(const json_t *schema, const char *place, const char *member,
                      const char *text);

#endif
