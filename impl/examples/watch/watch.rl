/* SPDX-License-Identifier: MIT */
/* What vpc-watch and vpc-watchd say to each other, and in which order.  The octets are those of ../talk/talk.rl. */
#include "watch.h"

/* The host asks once.  Disks and files are numbered from 0 in the order in which they were asked for. */
static const struct talk_kind question_kinds[] = {
    {'e', "every", 1, TALK_PLAIN, 0},             /* seconds from report to report */
    {'d', "disk", 0, TALK_TEXT, WATCH_PATH_MAX},  /* how much is free where this path is */
    {'f', "file", 0, TALK_TEXT, WATCH_PATH_MAX},  /* whether it is there */
    {'g', "go", 0, TALK_PLAIN, 0},
    {0, NULL, 0, TALK_PLAIN, 0},
};

/* The guest says its version first, then report after report. */
static const struct talk_kind answer_kinds[] = {
    {'h', "hello", 1, TALK_PLAIN, 0},
    {'l', "load", 3, TALK_PLAIN, 0},   /* over 1, 5 and 15 minutes, in hundredths */
    {'d', "disk", 3, TALK_PLAIN, 0},   /* its number; octets in all, and those that are free */
    {'f', "file", 2, TALK_PLAIN, 0},   /* its number; 1: it is there, 0: it is not */
    {'x', "failed", 2, TALK_PLAIN, 0}, /* the number of a disk or file; errno */
    {'e', "end", 0, TALK_PLAIN, 0},
    {0, NULL, 0, TALK_PLAIN, 0},
};

%%{
    machine watch_question;
    alphtype char;
    main := 'e' ( 'd' | 'f' ){0,32} 'g';
    write data nofinal;
}%%

static bool question_step(int *state, char letter)
{
    const char *p = &letter, *pe = p + (letter != 0);
    int cs = *state;

    if (letter == 0) {
        %% write init;
    }
    %% write exec;
    *state = cs;
    return cs != watch_question_error;
}

%%{
    machine watch_answer;
    alphtype char;
    main := 'h' ( 'l' ( 'd' | 'f' | 'x' ){0,32} 'e' )*;
    write data nofinal;
}%%

static bool answer_step(int *state, char letter)
{
    const char *p = &letter, *pe = p + (letter != 0);
    int cs = *state;

    if (letter == 0) {
        %% write init;
    }
    %% write exec;
    *state = cs;
    return cs != watch_answer_error;
}

const struct talk_grammar watch_question = {question_kinds, question_step};
const struct talk_grammar watch_answer = {answer_kinds, answer_step};
