/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: *.vpcs files, read whole and checked before anything runs.  LANGUAGE.md is their manual.
 *
 * Ownership: vpc_script_load() gives a script that the caller frees with vpc_script_free(); all texts are
 * parts of it.  A repeat has its steps as often as it says, so a suite's steps are large; each run is a copy
 * of the process that holds them.  Between runs a script can be folded: it has the text of its file then, and
 * no steps.  Errors are one line "FILE:LINE:COLUMN: expected ...", which the caller frees.
 */
#ifndef VPC_CONFORM_SCRIPT_H
#define VPC_CONFORM_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "document/spec.h"
#include "document/table.h"

/* What one step sends or asks for at most: octets, requests. */
#define VPC_OCTETS_MAX   (64u << 20)
#define VPC_REQUESTS_MAX 100000u

/* The feature that `pipe taken` needs, with processes only. */
#define VPC_TWO_MACHINES "two-machines"
/* With which a host endpoint is told of its machine. */
#define VPC_MACHINE_EVENTS "machine-events"

enum vpc_backend_bit { VPC_INPROC = 1, VPC_SOCKET = 2, VPC_QEMU = 4, VPC_ANY_BACKEND = 7 };

/* What a line does: VPC_OP_SESSION, VPC_OP_BUS_UP ... as steps.def lists them. */
enum vpc_op {
    VPC_OP_NONE,
#define VPC_OPERATION(op, ...) VPC_OP_##op,
#define VPC_SETTING            VPC_OPERATION
#define VPC_BLOCK              VPC_OPERATION
#define VPC_STEP               VPC_OPERATION
#include "script/steps.def"
#undef VPC_OPERATION
    VPC_OP_COUNT,
};

struct vpc_form;

/* What a value is; all but VARIABLE is known when the script is read. */
enum vpc_value_kind {
    VPC_VALUE_WORD, /* the text as it stands */
    VPC_VALUE_TEXT, /* in quotes; it may hold NULs */
    VPC_VALUE_NUMBER,
    VPC_VALUE_VARIABLE, /* what it has when the step is performed, if it has something */
    VPC_VALUE_ANY,      /* `*` */
    VPC_VALUE_ABSENT,   /* `absent` */
};

/* What NAME of a NAME=VALUE is, if the step is not one that takes any name. */
enum vpc_key {
    VPC_KEY_OTHER, /* a word without a name, or what only its own step knows */
    VPC_KEY_FIELD, /* of the step's message */
    VPC_KEY_TEXT,
    VPC_KEY_BYTES,
    VPC_KEY_PATTERN,
    VPC_KEY_FROM,
    VPC_KEY_CHANNEL,
    VPC_KEY_PREAMBLE,
    VPC_KEY_CUT,
    VPC_KEY_FRAME,
    VPC_KEY_BEHIND,
    VPC_KEY_SHARE,
    VPC_KEY_MAGIC, /* of the header, as the next three */
    VPC_KEY_TYPE,
    VPC_KEY_FLAGS,
    VPC_KEY_LENGTH,
    VPC_KEY_SESSION, /* of the seal, as the next */
    VPC_KEY_NUMBER,
    VPC_KEY_COUNT,
};

struct vpc_arg {
    char *key;   /* NULL: a word of its own */
    char *value; /* without quotes, escapes resolved */
    size_t size; /* of value; a text may hold NULs */
    bool quoted;
    bool differs; /* written with != */
    int column;
    enum vpc_value_kind kind;
    /* of a NUMBER; of a VARIABLE: what is added, a negative number as its complement */
    uint64_t number;
    size_t variable; /* of a VARIABLE: its place in the script's list */
    bool sum;        /* $NAME+N or $NAME-N: compares, but never sets the variable */
    json_t *json;    /* of a step that takes any name: the value, unless it is a VARIABLE */
    enum vpc_key name;
    const struct vpc_field *field; /* of a FIELD */
};

#define VPC_SPAN_TIMERS 4

/* A length of time: a sum of what is certain and of timers. */
struct vpc_span {
    int64_t ms;
    size_t count; /* of timers */
    struct {
        const struct vpc_setting *timer;
        int sign;
    } timers[VPC_SPAN_TIMERS];
};

struct vpc_step {
    enum vpc_op op;
    const struct vpc_form *form;
    int line;
    char *text;                            /* the line as it stands in the file */
    char *who;                             /* bus, api, pipe ... */
    char *label;                           /* of `pipe:LABEL`; "" when there is none */
    char direction;                        /* '>', '<' or 0 */
    const struct conform_message *message; /* of a bus step, or NULL */
    struct vpc_arg *args;                  /* without the verb and the modifiers */
    size_t arg_count;
    /* The last argument of each name, or NULL; not of OTHER and FIELD. */
    const struct vpc_arg *keyed[VPC_KEY_COUNT];
    struct vpc_span *within; /* or NULL */
    struct vpc_span *during; /* also of a step of which the word is a length of time; or NULL */
    char *by;                /* the requirement that the step judges, or NULL */
    bool ignoring_credit;
    bool in_background;
    bool non_strict; /* of an alternative: what it allows is legal, but not as it should be */
    size_t next;     /* of either and or: where the next alternative, or the block's end, stands */
    size_t end;      /* of either, or and unordered: where the block's end stands */
    int column;
};

struct vpc_script_variable {
    char *name;
    bool set; /* by a step that was read */
};

struct vpc_script {
    char *path;
    char *name; /* the file's name without folder and ending */
    char *text; /* of the file */
    char *title;
    char **covers;
    size_t cover_count;
    int role;         /* of the subject: enum vpc_role_bit */
    bool not_started; /* `start subject` is a step */
    char **needs;     /* those of its steps too */
    size_t need_count;
    unsigned backends; /* enum vpc_backend_bit */
    char *because;     /* why not all of them, or NULL */
    struct vpc_arg *options;
    size_t option_count;
    int descriptors; /* as many as the subject may have open; 0: as the system says */
    struct vpc_step *steps;
    size_t step_count;
    struct vpc_script_variable *variables; /* enum vpc_known_variable come first */
    size_t variable_count;
};

/* What a session sets. */
enum vpc_known_variable {
    VPC_VARIABLE_SUBJECT_EPOCH,
    VPC_VARIABLE_TESTER_EPOCH,
    VPC_VARIABLE_SESSION_ID,
};

struct vpc_script *vpc_script_load(const char *path, const struct vpc_table *table,
                                   const struct vpc_spec *spec, char **error);
/* The same of a text in memory; path is for the messages only. */
struct vpc_script *vpc_script_parse(const char *path, const char *text,
                                    const struct vpc_table *table, const struct vpc_spec *spec,
                                    char **error);
void vpc_script_free(struct vpc_script *script);
/* Frees the steps. */
void vpc_script_fold(struct vpc_script *script);
/* A script of its own with the same text and all steps, the caller's. */
struct vpc_script *vpc_script_unfold(const struct vpc_script *script, const struct vpc_table *table,
                                     const struct vpc_spec *spec);

/* Whether it needs the feature. */
bool vpc_script_needs(const struct vpc_script *script, const char *feature);

/* What can be done to a virtual machine, NULL behind the last. */
extern const char *const vpc_vm_words[];

/* The number of a result that section 8 of VPCBUS.md names; false: it names none so. */
bool vpc_result_value(const char *name, uint32_t *value);

/* The argument of that name, or NULL. */
const struct vpc_arg *vpc_step_arg(const struct vpc_step *step, const char *key);

/* One line, split into words by the grammar in script.rl.  False: *column (from 1) and *expected tell why;
   NULL: none of the words that can stand first. */
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

/* A number of a script: decimal, or hexadecimal with 0x. */
bool vpc_number(const char *text, uint64_t *value);

/* A duration such as `500ms` or `heartbeat_late+1s`; false if it is none, or less than nothing with the
   timers' defaults. */
bool vpc_span_parse(const char *text, const struct vpc_spec *spec, struct vpc_span *span);
/* In milliseconds, with a timer's value as value() says; never less than 0. */
typedef uint64_t vpc_timer_fn(const void *user, const struct vpc_setting *timer);
uint64_t vpc_span_ms(const struct vpc_span *span, vpc_timer_fn *value, const void *user);

#endif
