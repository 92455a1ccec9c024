/* SPDX-License-Identifier: MIT */
/* What vpc-run and vpc-rund say to each other: run.rl has the order. */
#ifndef RUN_H
#define RUN_H

#include "../talk/talk.h"

#define RUN_PORT "1012"

enum {
    RUN_VERSION = 1,
    RUN_USER_MAX = 63,
    RUN_WORDS_MAX = 64,
    RUN_WORD_MAX = 4096,
    RUN_ROOM = 65536, /* standard input that the guest keeps for a command that does not read */
    RUN_LIMIT_MS =
        10000, /* for the request, and for the other side to take a message of the start */
};

extern const struct talk_grammar run_request, run_answer;

#endif
