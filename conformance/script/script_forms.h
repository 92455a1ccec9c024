/* SPDX-License-Identifier: MIT */
/* Every form that a line of a scenario may have. */
#ifndef VPC_CONFORM_SCRIPT_FORMS_H
#define VPC_CONFORM_SCRIPT_FORMS_H

#include "script/script.h"

enum vpc_form_kind { VPC_KIND_SETTING, VPC_KIND_BLOCK, VPC_KIND_STEP };

enum vpc_form_flag {
    VPC_HOLDS = 1,
    VPC_SILENCE = 2,
    VPC_TAKES_MESSAGE = 4,
    VPC_ASKS_BYTES = 8,
};

/* A row of steps.def, where the columns are told. */
struct vpc_form {
    enum vpc_form_kind kind;
    const char *who;
    char direction;
    const char *verb; /* NULL: the words are not a verb */
    enum vpc_op op;
    size_t min_words; /* behind the verb */
    size_t max_words;
    const char *words;       /* what they are, for messages */
    const char *const *keys; /* which NAME=VALUE it takes, NULL behind the last; NULL: any */
    unsigned flags;          /* enum vpc_form_flag */
    const char *meaning;
};

/* Each form in turn; NULL behind the last.  A form without a who is one of pipe and of tcp. */
const struct vpc_form *vpc_form_at(size_t index);
/* Whether lines of this form begin with this word. */
bool vpc_form_is_of(const struct vpc_form *form, const char *who);
/* The form of a line, or NULL. */
const struct vpc_form *vpc_form_of(const struct vpc_line *line);
/* Whether a line of this form may have NAME=VALUE with this name, fields of a message apart. */
bool vpc_form_takes(const struct vpc_form *form, const char *key);
/* The names that it takes, for people; freed by the caller. */
char *vpc_form_keys(const struct vpc_form *form);
/* What could stand first in a line, for people; freed by the caller. */
char *vpc_form_first_words(void);
/* What could stand in a line that has no form, for people; freed by the caller. */
char *vpc_form_expected(const struct vpc_line *line, int *column);

#endif
