/* SPDX-License-Identifier: MIT */
/* What vpc-watch asks of vpc-watchd, and what that reports: watch.rl has the order. */
#ifndef WATCH_H
#define WATCH_H

#include "../talk/talk.h"

#define WATCH_PORT "1011"

enum {
    WATCH_VERSION = 1,
    WATCH_ITEMS_MAX = 32,
    WATCH_PATH_MAX = 1024,
    WATCH_EVERY_MAX = 3600,
    WATCH_LIMIT_MS = 10000, /* for the question, and for one report to be taken */
};

extern const struct talk_grammar watch_question, watch_answer;

#endif
