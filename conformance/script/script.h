/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: *.vpcs files, read whole and checked before anything runs.  LANGUAGE.md is their manual.
 *
 * Ownership: vpc_script_load() gives a script that the caller frees with vpc_script_free(); all texts are parts of it.
 * Errors are one line "FILE:LINE:COLUMN: expected ...", which the caller frees.
 */
#ifndef VPC_CONFORM_SCRIPT_H
#define VPC_CONFORM_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document/spec.h"
#include "document/table.h"

enum vpc_backend_bit { VPC_INPROC = 1, VPC_SOCKET = 2, VPC_QEMU = 4, VPC_ANY_BACKEND = 7 };

/* What a line does.  The table in script_forms.c says how each is written. */
enum vpc_op {
    VPC_OP_COVERS,
    VPC_OP_SUBJECT_ROLE,
    VPC_OP_NEEDS,
    VPC_OP_BACKENDS,
    VPC_OP_DESCRIPTORS,
    VPC_OP_OPTION,
    VPC_OP_REPEAT,
    VPC_OP_EITHER,
    VPC_OP_OR,
    VPC_OP_UNORDERED,
    VPC_OP_END,
    VPC_OP_SESSION,
    VPC_OP_AUTO,
    VPC_OP_WAIT,
    VPC_OP_BUS_UP,
    VPC_OP_BUS_DOWN,
    VPC_OP_BUS_SILENT,
    VPC_OP_BUS_NONE,
    VPC_OP_BUS_PAUSE,
    VPC_OP_BUS_RESUME,
    VPC_OP_BUS_RAW,
    VPC_OP_BUS_PAD,
    VPC_OP_BUS_SEND,
    VPC_OP_BUS_EXPECT,
    VPC_OP_API_RAW,
    VPC_OP_API_PART,
    VPC_OP_API_SHUTDOWN,
    VPC_OP_API_CLOSE,
    VPC_OP_API_PAUSE,
    VPC_OP_API_RESUME,
    VPC_OP_API_SEND,
    VPC_OP_API_DEVICE,
    VPC_OP_API_NO_DEVICE,
    VPC_OP_API_RETURN,
    VPC_OP_API_ERROR,
    VPC_OP_API_GREETING,
    VPC_OP_API_NONE,
    VPC_OP_API_EOF,
    VPC_OP_API_EXPECT,
    VPC_OP_EVENT_NONE,
    VPC_OP_EVENT_EXPECT,
    VPC_OP_LOG_NONE,
    VPC_OP_LOG_EXPECT,
    VPC_OP_READY_SET,
    VPC_OP_READY_RESET,
    VPC_OP_PIPE_OPEN,
    VPC_OP_PIPE_REFUSED,
    VPC_OP_PIPE_DENY,
    VPC_OP_TCP_LISTEN,
    VPC_OP_TCP_UNLISTEN,
    VPC_OP_TCP_DEAF,
    VPC_OP_TCP_ACCEPTED,
    VPC_OP_TCP_NONE,
    VPC_OP_LOCAL_SEND,
    VPC_OP_LOCAL_EOF,
    VPC_OP_LOCAL_RESET_SEEN,
    VPC_OP_LOCAL_EXPECT,
    VPC_OP_LOCAL_SILENT,
    VPC_OP_LOCAL_SHUTDOWN,
    VPC_OP_LOCAL_CLOSE,
    VPC_OP_LOCAL_ABORT,
    VPC_OP_LOCAL_PAUSE,
    VPC_OP_LOCAL_RESUME,
    VPC_OP_KILL,
    VPC_OP_RESTART,
    VPC_OP_STOP,
    VPC_OP_STOPPED,
    VPC_OP_REFUSES,
    VPC_OP_START,
    VPC_OP_IDLE,
    VPC_OP_VM,
    VPC_OP_CLOCK_STOP,
    VPC_OP_CLOCK_GO,
    VPC_OP_WAITER_WAIT,
    VPC_OP_WAITER_READY,
    VPC_OP_WAITER_TIMEOUT,
    VPC_OP_WAITER_NONE,
    VPC_OP_COUNT,
};

struct vpc_arg {
    char *key;   /* NULL: a word of its own */
    char *value; /* without quotes, escapes resolved */
    size_t size; /* of value; a text may hold NULs */
    bool quoted;
    bool differs; /* written with != */
    int column;
};

struct vpc_step {
    enum vpc_op op;
    int line;
    char *text;                        /* the line as it stands in the file */
    char *who;                         /* bus, api, pipe ... */
    char *label;                       /* of `pipe:LABEL`; "" when there is none */
    char direction;                    /* '>', '<' or 0 */
    const struct vpc_message *message; /* of a bus step, or NULL */
    struct vpc_arg *args;              /* without the verb and the modifiers */
    size_t arg_count;
    char *within; /* durations, or NULL */
    char *during;
    char *by; /* the requirement that the step judges, or NULL */
    bool ignoring_credit;
    bool in_background;
    bool non_strict; /* of an alternative: what it allows is legal, but not as it should be */
    size_t next;     /* of either and or: where the next alternative, or the block's end, stands */
    size_t end;      /* of either, or and unordered: where the block's end stands */
    int column;
};

struct vpc_script {
    char *path;
    char *name; /* the file's name without folder and ending */
    char *title;
    char **covers;
    size_t cover_count;
    int role;         /* of the subject: enum vpc_role_bit */
    bool not_started; /* `start subject` is a step */
    char **needs;
    size_t need_count;
    unsigned backends; /* enum vpc_backend_bit */
    struct vpc_arg *options;
    size_t option_count;
    int descriptors; /* as many as the subject may have open; 0: as the system says */
    struct vpc_step *steps;
    size_t step_count;
};

struct vpc_script *vpc_script_load(const char *path, const struct vpc_table *table,
                                   const struct vpc_spec *spec, char **error);
/* The same of a text in memory; path is for the messages only. */
struct vpc_script *vpc_script_parse(const char *path, const char *text,
                                    const struct vpc_table *table, const struct vpc_spec *spec,
                                    char **error);
void vpc_script_free(struct vpc_script *script);

/* What can be done to a virtual machine, NULL behind the last. */
extern const char *const vpc_vm_words[];

/* The argument of that name, or NULL. */
const struct vpc_arg *vpc_step_arg(const struct vpc_step *step, const char *key);

/* What can stand first in a line, for messages. */
#define VPC_SCRIPT_WORDS                                                                           \
    "a step: session, auto, wait, bus, api, event, log, ready, pipe, tcp, start, kill, restart, "  \
    "stop, stopped, refuses, subject idle, clock, waiter, vm, a block: repeat, either, "           \
    "unordered, "                                                                                  \
    "end, or a setting: covers, subject, needs, backends, descriptors, option"

/* One line, split into words by the grammar in script.rl.  False: *column (from 1) and *expected tell why. */
struct vpc_line {
    char *who;
    char *label;
    char direction;
    struct vpc_arg *args;
    size_t arg_count;
};
bool vpc_line_parse(const char *text, size_t size, struct vpc_line *line, int *column,
                    const char **expected);
void vpc_line_clear(struct vpc_line *line);

/* A duration such as `500ms` or `heartbeat_late+1s`, in milliseconds.  timer() gives a timer's value or false. */
typedef bool vpc_timer_fn(const void *user, const char *name, uint64_t *ms);
bool vpc_duration(const char *text, vpc_timer_fn *timer, const void *user, uint64_t *ms);

#endif
