/* SPDX-License-Identifier: MIT */
/*
 * What the command line and the configuration file say, the first before the second.  Texts live as long as
 * the settings.
 */
#ifndef VPC_SETTINGS_H
#define VPC_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

struct vpc_settings {
    const struct vpc_daemon *daemon;
    const char *config; /* the configuration file; NULL: none */
    /* NULL: not said */
    const char *vm, *bus, *qmp, *runtime_dir, *group, *tag, *log, *control, *journal, *trace;
    const char *forward_dir;
    uint64_t log_limit, trace_limit; /* octets */
    json_t *options;                 /* the endpoint's own */
    json_t *forwards;                /* of a host, as vpc_forwards_start() takes them */
    bool verbose, no_sandbox;
    json_t *file; /* keeps the texts of the configuration file */
};

enum vpc_settings_result {
    VPC_SETTINGS_RUN,  /* nothing is wrong: go on */
    VPC_SETTINGS_TOLD, /* what was asked for (--help, --version) is told: there is nothing to run */
    VPC_SETTINGS_WRONG, /* something is wrong, and was said on stderr */
};

/* Reads both. */
enum vpc_settings_result vpc_settings_read(struct vpc_settings *s, const struct vpc_daemon *daemon,
                                           int argc, char **argv);
void vpc_settings_free(struct vpc_settings *s);
/* Says which settings of `now` only a new start can change, and that it did not happen. */
void vpc_settings_compare(const struct vpc_settings *first, const struct vpc_settings *now);
/* "PROGRAM: WHAT: ARGUMENT" on stderr; VPC_SETTINGS_WRONG. */
enum vpc_settings_result vpc_usage_error(const struct vpc_daemon *daemon, const char *what,
                                         const char *argument);

#endif
