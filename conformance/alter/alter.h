/* SPDX-License-Identifier: MIT */
/*
 * One run in which one field is wrong: a subject that says it wrong, or hears it wrong.
 *
 * The alteration stands between a backend and the run, so the run judges a subject that is right but for
 * this field. What it changes it changes wherever it occurs in the run. Without a field it changes
 * nothing and only notes which occur.
 *
 * Ownership: an altering is the caller's and outlives the run; vpc_altering_end() frees what the run left
 * in it.
 */
#ifndef VPC_CONFORM_ALTER_H
#define VPC_CONFORM_ALTER_H

#include <jansson.h>

#include "alter/field.h"
#include "backends/backend.h"
#include "codec/codec.h"

enum vpc_change {
    VPC_MORE,     /* a number that is one higher */
    VPC_LESS,     /* or lower */
    VPC_SECONDS,  /* a time in seconds, where it should be in milliseconds */
    VPC_OTHER,    /* another text, or other octets */
    VPC_EMPTY,    /* a text without a character */
    VPC_RETYPED,  /* in JSON: a number as text, a text as null */
    VPC_LEFT_OUT, /* in JSON: the member is missing */
    VPC_CHANGE_COUNT,
};

/* As reports and reasons have it: one word. */
const char *vpc_change_name(enum vpc_change change);

struct vpc_altering {
    const struct vpc_fields *fields;
    const struct vpc_table *table;
    const struct vpc_spec *spec;
    size_t field; /* which of them is wrong; fields->count: none */
    enum vpc_change change;
    unsigned char *seen; /* of each field, a bit for each change that is possible; or NULL */
    /* ---- the run's own */
    enum vpc_role_bit role;
    struct vpc_backend_ops ops; /* of the backend, with what is altered in front */
    const struct vpc_backend_ops *inner;
    vpc_sink_fn *sink;
    void *user;
    struct vpc_decoder said, heard;
    struct vpc_buffer said_octets, heard_octets; /* of which the decoder has not made up its mind */
    json_t *commands;                            /* of requests, by client and id */
    struct vpc_arg *settings;
    size_t setting_count;
};

/* The backend of the config, with the altering before it; as vpc_backend_ops.create. */
struct vpc_backend *vpc_altered_create(struct vpc_altering *altering,
                                       const struct vpc_backend_ops *ops,
                                       const struct vpc_backend_config *config, char **error);
void vpc_altering_end(struct vpc_altering *altering);

#endif
