/* SPDX-License-Identifier: MIT */
/*
 * The lines of vpc-rund's settings:
 *
 *     # a comment
 *     allow nobody /bin/df            without arguments
 *     allow backup /usr/bin/dump -0   with these
 *     allow app /usr/bin/app start *  with these and any more
 */
#include <string.h>

#include "rules.h"

%%{
    machine rules;
    alphtype unsigned char;

    action line { line++; rule = NULL; }
    action rule { rule = begin_rule(rules); if (rule == NULL) fbreak; }
    action word { if (!begin_word(rule)) fbreak; }
    action octet { if (!add_octet(rule, (char)fc)) fbreak; }
    action word_ends { if (!add_octet(rule, '\0')) { fhold; fbreak; } }
    action rule_ends { end_rule(rule); }

    blank = [ \t];
    graphic = any - ( 0..0x20 | 0x7f );
    word = graphic+ >word $octet %word_ends;
    command = ( '/' graphic* ) >word $octet %word_ends;
    allow = 'allow' %rule blank+ word blank+ command ( blank+ word )* blank* %rule_ends;

    main := ( blank* ( '#' [^\n]* | allow )? '\n' @line )*;

    write data noerror;
}%%

static struct rule *begin_rule(struct rules *rules)
{
    if (rules->count == RULES_MAX)
        return NULL;
    struct rule *rule = &rules->rules[rules->count++];

    memset(rule, 0, sizeof(*rule));
    return rule;
}

static bool begin_word(struct rule *rule)
{
    if (rule->count == RULE_WORDS_MAX)
        return false;
    rule->words[rule->count++] = rule->text + rule->size;
    return true;
}

static bool add_octet(struct rule *rule, char octet)
{
    if (rule->size == RULE_SIZE)
        return false;
    rule->text[rule->size++] = octet;
    return true;
}

/* A star at the end stands for any arguments. */
static void end_rule(struct rule *rule)
{
    rule->more = rule->count > 2 && strcmp(rule->words[rule->count - 1], "*") == 0;
    rule->count -= rule->more;
}

unsigned rules_read(struct rules *rules, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *pe = p + n;
    struct rule *rule = NULL;
    unsigned line = 1;
    int cs;

    rules->count = 0;
    %% write init;
    %% write exec;
    return p == pe && cs >= rules_first_final ? 0 : line;
}

static bool fits(const struct rule *rule, const char *user, char *const *words, unsigned count)
{
    unsigned wanted = rule->count - 1;

    if ((*user != '\0' && strcmp(rule->words[0], user) != 0) || count < wanted ||
        (count > wanted && !rule->more))
        return false;
    for (unsigned i = 0; i < wanted; i++)
        if (strcmp(rule->words[i + 1], words[i]) != 0)
            return false;
    return true;
}

const struct rule *rules_find(const struct rules *rules, const char *user, char *const *words,
                              unsigned count)
{
    for (unsigned i = 0; i < rules->count; i++)
        if (fits(&rules->rules[i], user, words, count))
            return &rules->rules[i];
    return NULL;
}
