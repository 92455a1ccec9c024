/* SPDX-License-Identifier: MIT */
/* vpc-conform steps: the lines that a scenario may have, for whoever writes one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "memory.h"
#include "script/script_forms.h"

static void print_form(const struct vpc_form *form, const char *who)
{
    char *keys = vpc_form_keys(form), arrow[] = {' ', form->direction, '\0'};

    printf("%s%s%s%s: %s\n", who, form->direction ? arrow : "", form->verb ? " " : "",
           form->verb ? form->verb : "", form->meaning);
    if (*form->words)
        printf("    %s\n", form->words);
    if (form->flags & VPC_TAKES_MESSAGE)
        printf("    NAME=VALUE of the message's fields%s%s\n", *keys ? ", and of " : "", keys);
    else if (form->keys == NULL || *keys)
        printf("    NAME=VALUE%s%s\n", *keys ? " of " : "", keys);
    free(keys);
}

/* Those that begin with the word, or all; how many. */
static size_t print_forms(const char *word)
{
    const struct vpc_form *form;
    size_t count = 0;

    for (size_t i = 0; (form = vpc_form_at(i)) != NULL; i++) {
        if (word && !vpc_form_is_of(form, word))
            continue;
        print_form(form, word ? word : *form->who ? form->who : "pipe, tcp");
        count++;
    }
    return count;
}

int vpc_verb_steps(struct conform_settings *settings, char **words)
{
    (void)settings;
    if (*words == NULL)
        print_forms(NULL);
    for (; *words; words++) {
        if (print_forms(*words) == 0) {
            char *expected = vpc_form_first_words();
            int code = vpc_complain(vpc_format("%s: expected %s", *words, expected));

            free(expected);
            return code;
        }
    }
    return VPC_EXIT_PASS;
}
