/* SPDX-License-Identifier: MIT */
/* What a guest's jobs and the host say to each other, and in which order.  The octets are those of ../talk/talk.rl. */
#include "print.h"

static const struct talk_kind jobs_kinds[] = {
    {'h', "hello", 1, TALK_PLAIN, 0},                /* the version, once */
    {'j', "job", 3, TALK_PLAIN, 0},                  /* its number in its queue; copies; what no other job has */
    {'q', "queue", 0, TALK_TEXT, PRINT_TEXT_MAX},
    {'u', "user", 0, TALK_TEXT, PRINT_TEXT_MAX},
    {'t', "title", 0, TALK_TEXT, PRINT_TEXT_MAX},
    {'d', "data", 0, TALK_DATA, TALK_DATA_MAX},
    {'e', "end", 2, TALK_PLAIN, 0},                  /* how many octets; print_digest() */
    {0, NULL, 0, TALK_PLAIN, 0},
};

static const struct talk_kind answer_kinds[] = {
    {'k', "kept", 1, TALK_PLAIN, 0},                 /* the job of this number is where it shall be */
    {'n', "not", 1, TALK_PLAIN, 0},                  /* it is not; errno */
    {0, NULL, 0, TALK_PLAIN, 0},
};

%%{
    machine print_jobs;
    alphtype char;
    main := 'h' ( 'j' 'q' 'u' 't' 'd'* 'e' )*;
    write data nofinal;
}%%

static bool jobs_step(int *state, char letter)
{
    const char *p = &letter, *pe = p + (letter != 0);
    int cs = *state;

    if (letter == 0) {
        %% write init;
    }
    %% write exec;
    *state = cs;
    return cs != print_jobs_error;
}

%%{
    machine print_answer;
    alphtype char;
    main := ( 'k' | 'n' )*;
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
    return cs != print_answer_error;
}

const struct talk_grammar print_jobs = {jobs_kinds, jobs_step};
const struct talk_grammar print_answer = {answer_kinds, answer_step};

uint64_t print_digest(uint64_t digest, const void *octets, size_t n)
{
    const unsigned char *at = octets;

    for (size_t i = 0; i < n; i++)
        digest = (digest ^ at[i]) * 0x100000001b3u;
    return digest;
}
