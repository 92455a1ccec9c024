/* SPDX-License-Identifier: MIT */
/*
 * What the harness reads out of VPCBUS.md, the requirements and the settings of section 10, and what stands
 * beside it: the event catalogue and the schema of the control socket.
 *
 * Ownership: vpc_spec_load() gives a value that the caller frees with vpc_spec_free(); texts are parts of it.
 */
#ifndef VPC_CONFORM_SPEC_H
#define VPC_CONFORM_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpc_schema;

struct vpc_requirement {
    char *id;      /* FRM-3 */
    char *text;    /* the whole sentence or paragraph, lines joined */
    bool must;     /* it says MUST, or MUST NOT */
    char *section; /* the title of its section, without the number */
};

struct vpc_setting {
    char *name; /* heartbeat_late_ms */
    uint64_t value;
};

struct vpc_spec {
    struct vpc_requirement *requirements;
    size_t requirement_count;
    struct vpc_setting *settings;
    size_t setting_count;
    json_t *catalogue;          /* entry.h */
    struct vpc_schema *control; /* schema.h */
};

struct vpc_spec *vpc_spec_load(const char *document);
void vpc_spec_free(struct vpc_spec *spec);
/* NULL when there is none. */
const struct vpc_requirement *vpc_spec_requirement(const struct vpc_spec *spec, const char *id);
const struct vpc_setting *vpc_spec_setting(const struct vpc_spec *spec, const char *name);

#endif
