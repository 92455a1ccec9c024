/* SPDX-License-Identifier: MIT */
/*
 * The rules that every entry of an event log must keep, whatever a scenario asks for.
 *
 * Ownership: vpc_catalogue_load() gives a value that the caller frees with json_decref().
 */
#ifndef VPC_CONFORM_ENTRY_H
#define VPC_CONFORM_ENTRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "document/table.h"

/* The event catalogue, spec/events.json. */
json_t *vpc_catalogue_load(void);
/* Its event of that id, or NULL; the catalogue's. */
const json_t *vpc_catalogue_event(const json_t *catalogue, json_int_t id);
/* The same by its number or its name. */
const json_t *vpc_catalogue_named(const json_t *catalogue, const char *name);
/* Whether the name is one of a list of names of the catalogue; NULL is an empty list. */
bool vpc_catalogue_lists(const json_t *list, const char *name);
/* Whether an entry of this event, or of any when it is NULL, can have the field, at home or relayed. */
bool vpc_catalogue_has_field(const json_t *catalogue, const json_t *event, const char *field);
/* The requirement that the entry breaks, and why in text; NULL: none. */
const char *vpc_entry_breach(const json_t *catalogue, const json_t *entry, enum vpc_role_bit source,
                             const char *vm, char *text, size_t size);

#endif
