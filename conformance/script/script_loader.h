/* SPDX-License-Identifier: MIT */
/* What the files of the loader share: script.c knows lines, script_checks.c what each may be, script_blocks.c
   what goes around them. */
#ifndef VPC_CONFORM_SCRIPT_LOADER_H
#define VPC_CONFORM_SCRIPT_LOADER_H

#include "script/script.h"

#define VPC_STEPS_MAX 20000

/* A repeat that is being read for the number'th time. */
struct counter {
    struct counter *outer;
    const char *name; /* NULL: it has none */
    uint64_t number;
};

struct loader {
    struct vpc_script *script;
    const struct vpc_table *table;
    const struct vpc_spec *spec;
    int line;
    char *error;
    struct counter *counters; /* the innermost first */
    int repeats;              /* how many are open */
    int lines;                /* read so far, those of a repeat each time */
    enum vpc_op block;        /* either or unordered, while one is open; else VPC_OP_NONE */
    size_t opened;            /* where it stands among the steps */
    size_t part;              /* where its last alternative stands */
};

/* Notes what was expected at that column of the line, unless there is an error already; false. */
bool vpc_loader_wrong(struct loader *loader, int column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes one line that the grammar has split. */
bool vpc_loader_line(struct loader *loader, struct vpc_line *line, const char *text, size_t size);

/* Whether the argument is this word, without a name and quotes. */
bool vpc_is_word(const struct vpc_arg *arg, const char *word);
/* The argument as a length of time, of which there may be one; the step's. */
bool vpc_take_duration(struct loader *loader, const struct vpc_arg *arg, struct vpc_span **span);

/* script_checks.c: how many words there are and which names, then what the form's check says, and the
   subject's role. */
bool vpc_check_words(struct loader *loader, const struct vpc_step *step);
bool vpc_check_form(struct loader *loader, struct vpc_step *step);
bool vpc_check_role(struct loader *loader, struct vpc_step *step);
/* Adds to the script's needs what the step can't do without. */
void vpc_note_needs(struct vpc_script *script, const struct vpc_step *step);

/* script_values.c: what the arguments of a step are; its message is known. */
bool vpc_values_compile(struct loader *loader, struct vpc_step *step);
/* Whether the value is one that the argument's name can have; else the error is noted. */
bool vpc_value_fits(struct loader *loader, const struct vpc_arg *arg);
/* The variables that each script knows; a session sets them. */
void vpc_variables_begin(struct vpc_script *script);
void vpc_variables_of_session(struct vpc_script *script);

/* script_names.c: what steps.def names as the check of a step of the control socket or of the event log. */
bool vpc_check_command(struct loader *loader, struct vpc_step *step);
bool vpc_check_device(struct loader *loader, struct vpc_step *step);
bool vpc_check_forward(struct loader *loader, struct vpc_step *step);
bool vpc_check_return(struct loader *loader, struct vpc_step *step);
bool vpc_check_error(struct loader *loader, struct vpc_step *step);
bool vpc_check_greeting(struct loader *loader, struct vpc_step *step);
bool vpc_check_result(struct loader *loader, struct vpc_step *step);
bool vpc_check_event(struct loader *loader, struct vpc_step *step);
bool vpc_check_log(struct loader *loader, struct vpc_step *step);

/* Takes all lines of the file. */
bool vpc_blocks_parse(struct loader *loader, const char *text);
/* Looks whether a step fits the block in which it stands, and closes or opens one. */
bool vpc_block_step(struct loader *loader, struct vpc_step *step);
/* The line as messages show it, with the counters' values; freed by the caller. */
char *vpc_block_text(const struct loader *loader, const char *text, size_t size);

#endif
