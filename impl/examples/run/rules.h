/* SPDX-License-Identifier: MIT */
/* Who may have which commands run: the lines of vpc-rund's settings, whose grammar is rules.rl. */
#ifndef RULES_H
#define RULES_H

#include <stdbool.h>
#include <stddef.h>

enum {
    RULES_MAX = 64,
    RULE_SIZE = 1024,
    RULE_WORDS_MAX = 32,
};

struct rule {
    char text[RULE_SIZE]; /* the words, each with a NUL */
    size_t size;
    unsigned count;
    const char *words[RULE_WORDS_MAX]; /* the user, the command, its arguments */
    bool more;                         /* any further arguments are allowed */
};

struct rules {
    unsigned count;
    struct rule rules[RULES_MAX];
};

/* The text of the settings: 0, or the number of the first line that is none of theirs. */
unsigned rules_read(struct rules *rules, const char *text, size_t n);
/* The first rule that lets a user ("": any) run the command, which is words[0] with its arguments, or NULL. */
const struct rule *rules_find(const struct rules *rules, const char *user, char *const *words,
                              unsigned count);

#endif
