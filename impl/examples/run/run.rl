/* SPDX-License-Identifier: MIT */
/* What vpc-run and vpc-rund say to each other, and in which order.  The octets are those of ../talk/talk.rl. */
#include "run.h"

static const struct talk_kind request_kinds[] = {
    {'u', "user", 0, TALK_TEXT, RUN_USER_MAX},  /* who shall run it; empty: whom the first rule names */
    {'w', "word", 0, TALK_DATA, RUN_WORD_MAX},  /* the command and its arguments, one by one */
    {'g', "go", 0, TALK_PLAIN, 0},
    {'i', "in", 0, TALK_DATA, TALK_DATA_MAX},   /* standard input, never more than there is room for */
    {'z', "eof", 0, TALK_PLAIN, 0},             /* its end */
    {'s', "signal", 1, TALK_PLAIN, 0},
    {0, NULL, 0, TALK_PLAIN, 0},
};

static const struct talk_kind answer_kinds[] = {
    {'h', "hello", 1, TALK_PLAIN, 0},           /* the version */
    {'r', "refused", 0, TALK_TEXT, 128},        /* why it does not run */
    {'f', "failed", 1, TALK_PLAIN, 0},          /* errno of execve() */
    {'s', "started", 0, TALK_PLAIN, 0},
    {'m', "room", 1, TALK_PLAIN, 0},            /* so many octets more of standard input may come */
    {'c', "closed", 0, TALK_PLAIN, 0},          /* the command does not read any more */
    {'o', "out", 0, TALK_DATA, TALK_DATA_MAX},
    {'e', "err", 0, TALK_DATA, TALK_DATA_MAX},
    {'x', "exited", 1, TALK_PLAIN, 0},          /* its status */
    {'k', "killed", 1, TALK_PLAIN, 0},          /* by this signal */
    {0, NULL, 0, TALK_PLAIN, 0},
};

%%{
    machine run_request;
    alphtype char;
    main := 'u' 'w'{1,64} 'g' ( 'i' | 's' )* ( 'z' 's'* )?;
    write data nofinal;
}%%

static bool request_step(int *state, char letter)
{
    const char *p = &letter, *pe = p + (letter != 0);
    int cs = *state;

    if (letter == 0) {
        %% write init;
    }
    %% write exec;
    *state = cs;
    return cs != run_request_error;
}

%%{
    machine run_answer;
    alphtype char;
    main := 'h' ( 'r' | 'f' | 's' ( 'm' | 'c' | 'o' | 'e' )* ( 'x' | 'k' ) );
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
    return cs != run_answer_error;
}

const struct talk_grammar run_request = {request_kinds, request_step};
const struct talk_grammar run_answer = {answer_kinds, answer_step};
