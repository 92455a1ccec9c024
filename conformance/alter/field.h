/* SPDX-License-Identifier: MIT */
/*
 * The fields that the specification knows: of each message, answer, event and entry, of each request and
 * setting.
 *
 * The list is made of spec/ alone (messages.json, events.json, control.schema.json, section 10), once for
 * each role of the subject, and only read after that.
 *
 * Ownership: vpc_fields_load() gives a list that vpc_fields_free() frees; its texts are parts of it.
 * Nothing may be NULL.
 */
#ifndef VPC_CONFORM_FIELD_H
#define VPC_CONFORM_FIELD_H

#include "document/spec.h"
#include "document/table.h"

/* Where a field stands, as seen from the subject. */
enum vpc_place {
    VPC_SAID_FRAME,    /* in what it sends on the bus */
    VPC_HEARD_FRAME,   /* in what it receives there */
    VPC_SAID_ENTRY,    /* in an entry of its log */
    VPC_SAID_EVENT,    /* in an event of the control socket */
    VPC_SAID_ANSWER,   /* in an answer, or the greeting */
    VPC_HEARD_REQUEST, /* in a request */
    VPC_HEARD_SETTING, /* in the settings that it is started with, or its defaults */
    VPC_PLACE_COUNT,
};

struct vpc_field_at {
    enum vpc_place place;
    enum vpc_role_bit role; /* of the subject */
    char *of; /* a message, an entry's id, an event, a command, "error", "greeting", "setting" */
    char *name;
    bool reserved; /* to be sent as zero, and not to be looked at */
};

struct vpc_fields {
    struct vpc_field_at *list;
    size_t count;
};

struct vpc_fields *vpc_fields_load(const struct vpc_table *table, const struct vpc_spec *spec);
void vpc_fields_free(struct vpc_fields *fields);
/* Its index, or fields->count when there is none. */
size_t vpc_fields_find(const struct vpc_fields *fields, enum vpc_place place,
                       enum vpc_role_bit role, const char *of, const char *name);
/* "said", "heard", "logged" ...: one word, as reports and reasons have it. */
const char *vpc_place_name(enum vpc_place place);

#endif
