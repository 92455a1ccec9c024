/* SPDX-License-Identifier: MIT */
/*
 * The octets of a message, and what is done with them.
 *
 *     load 52 58 59\n                 a name and numbers
 *     out :5\nhello                   and a body, whose length stands behind the colon
 */
#include <string.h>

#include "talk.h"

%%{
    machine talk_octets;
    alphtype unsigned char;

    action letter { talk->name[talk->name_size++] = (char)fc; }
    action zero { talk->number = 0; }
    action digit { talk->number = talk->number * 10 + (uint64_t)(fc - '0'); }
    action number { talk->message.numbers[talk->count++] = talk->number; }
    action length { talk->left = (size_t)talk->number; talk->body = true; }
    action head_ends {
        verdict = head_ends(talk);
        if (verdict != TALK_MORE)
            fbreak;
        if (body_is_text(talk))
            fgoto text;
        fgoto data;
    }
    action octet {
        talk->message.data[talk->message.size++] = fc;
        if (--talk->left == 0) {
            verdict = TALK_WHOLE;
            fbreak;
        }
    }

    # Numbers stay below 2^64, lengths near the size of the buffer; neither has a zero in front.
    number = '0' | [1-9] digit{0,18};
    length = '0' | [1-9] digit{0,4};

    head = [a-z]{1,15} $letter
           ( ' ' number >zero $digit %number ){0,4}
           ( ' :' length >zero $digit %length )?
           '\n' @head_ends;

    text := ( any - ( 0..0x1f | 0x7f ) )* $octet;
    data := any* $octet;
    main := head;

    write data nofinal;
}%%

static bool body_is_text(const struct talk *talk)
{
    return talk->kind->body == TALK_TEXT;
}

/* The table says which heads there are, the grammar which may come now.  A body of no octets is whole at once. */
static enum talk_taken head_ends(struct talk *talk)
{
    const struct talk_kind *kind = talk->grammar->kinds;

    talk->name[talk->name_size] = '\0';
    while (kind->name != NULL && strcmp(kind->name, talk->name) != 0)
        kind++;
    if (kind->name == NULL || talk->count != kind->numbers || talk->body != (kind->body != TALK_PLAIN) ||
        talk->left > kind->size_max || !talk->grammar->step(&talk->order, kind->letter))
        return TALK_WRONG;
    talk->kind = kind;
    talk->message.kind = kind->letter;
    return talk->left == 0 ? TALK_WHOLE : TALK_MORE;
}

static void next_message(struct talk *talk)
{
    int cs;

    %% write init;
    talk->cs = cs;
    talk->name_size = talk->left = 0;
    talk->count = 0;
    talk->body = talk->whole = false;
    talk->message.size = 0;
}

void talk_begin(struct talk *talk, int fd, const struct talk_grammar *grammar)
{
    talk->fd = fd;
    talk->grammar = grammar;
    grammar->step(&talk->order, 0);
    talk->wrong = false;
    talk->at = talk->end = 0;
    next_message(talk);
}

static enum talk_taken step(struct talk *talk, const unsigned char *octets, size_t n, size_t *used)
{
    const unsigned char *p = octets, *pe = octets + n;
    enum talk_taken verdict = TALK_MORE;
    int cs = talk->cs;

    %% write exec;
    talk->cs = cs;
    *used = (size_t)(p - octets);
    return cs == talk_octets_error ? TALK_WRONG : verdict;
}

enum talk_taken talk_take(struct talk *talk, const unsigned char *octets, size_t n, size_t *used)
{
    *used = 0;
    if (talk->wrong)
        return TALK_WRONG;
    if (talk->whole)
        next_message(talk);
    enum talk_taken taken = step(talk, octets, n, used);

    talk->wrong = taken == TALK_WRONG;
    talk->whole = taken == TALK_WHOLE;
    if (talk->whole)
        talk->message.data[talk->message.size] = '\0';
    return taken;
}
