/* SPDX-License-Identifier: MIT */
/* Every form that a line of a scenario may have. */
#ifndef VPC_CONFORM_SCRIPT_FORMS_H
#define VPC_CONFORM_SCRIPT_FORMS_H

#include "script/script.h"

struct vpc_form {
    const char *who;
    char direction;
    const char *verb; /* NULL: the words are not a verb */
    enum vpc_op op;
    size_t min_words; /* behind the verb */
    size_t max_words;
    const char *words; /* what they are, for messages */
    const char *keys;  /* which NAME=VALUE it takes; "*": any */
};

#define VPC_VM_EXPECTED "pause, resume, reset, kill, save or restore"

/* Each form in turn; NULL behind the last.  A form without a who is one of pipe and of tcp. */
const struct vpc_form *vpc_form_at(size_t index);
/* The form of a line, or NULL. */
const struct vpc_form *vpc_form_of(const struct vpc_line *line);
/* What could stand in a line that has no form, for people; freed by the caller. */
char *vpc_form_expected(const struct vpc_line *line, int *column);

#endif
