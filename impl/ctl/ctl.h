/* SPDX-License-Identifier: MIT */
/*
 * vpcctl's parts: each command is a function that gets what the command line said and answers the
 * exit status. Conventions are those of lib/vpc.h.
 */
#ifndef VPC_CTL_H
#define VPC_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "vpc_control.h"

/* What no HRESULT names; the others stand in ctl_status(). */
enum {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
};

enum {
    CTL_LINGER_MS = 500,
};

struct ctl {
    const char *command;
    const char *runtime_dir; /* NULL: the default */
    const char *socket;      /* --socket */
    const char *tag;         /* --tag */
    const char *explain;     /* --explain */
    const char *file;        /* --file */
    int64_t timeout_ms;      /* --timeout; VPC_FOREVER without it */
    int64_t linger_ms;       /* --linger */
    bool json, follow;
    const char *remove; /* --remove */
    bool list, wait_until_ready, refuse_when_full;
    const char *port;  /* connect :PORT, without the colon; pipe is a name of its own then */
    bool xml;          /* --xml */
    bool colour;       /* standard output is a terminal */
    bool progress;     /* standard error is */
    const char *vm;    /* NULL: an option took its place */
    const char *pipe;  /* the full name, for the commands that take PIPE */
    char *const *args; /* what stands behind VM and PIPE */
    int count;         /* of args */
};

/* The exit status for a result; vpcctl(1) has the table. */
int ctl_status(vpc_hresult result);

/* What the command line calls the endpoint, for messages. */
const char *ctl_where(const struct ctl *c);
/* Connects to the endpoint that the command line names; says why not. */
int ctl_open(const struct ctl *c, vpc_virtual_machine **vm);
/* Says that a call failed, on standard error, and with --json on standard output; the exit status
 * for it. */
int ctl_failed(const struct ctl *c, const vpc_virtual_machine *vm, vpc_hresult result,
               const json_t *error);
/* Prints a value as JSON in one line; what a terminal would obey is escaped in it. */
void ctl_print_json(const json_t *value);
/* Prints a path: as it is for a script, visible (output.h) for a terminal. */
void ctl_print_path(const struct ctl *c, const char *path);
/* "vpcctl: COMMAND: text" on standard error, the text visible (output.h). */
void ctl_complain(const struct ctl *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* vm.c */
int ctl_list(const struct ctl *c);
int ctl_show(const struct ctl *c);
int ctl_stat(const struct ctl *c);
int ctl_devices(const struct ctl *c);

/* wait_ready.c */
int ctl_wait_ready(const struct ctl *c);

/* channel.c */
int ctl_set_tag(const struct ctl *c);
int ctl_start(const struct ctl *c);
int ctl_stop(const struct ctl *c);
int ctl_pipe_path(const struct ctl *c);
/* StartCommunicationChannel of the command's pipe with the port; *answer is as of vpc_control(). */
vpc_hresult ctl_start_channel(const struct ctl *c, vpc_virtual_machine *vm, const char *port,
                              json_t **answer);

/* forward.c */
int ctl_forward(const struct ctl *c);

/* events.c */
int ctl_events(const struct ctl *c);

/* connect.c */
int ctl_connect(const struct ctl *c);

#endif
