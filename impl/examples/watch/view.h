/* SPDX-License-Identifier: MIT */
/* What vpc-watch shows: a table on a terminal, lines elsewhere and in its log, or JSON. */
#ifndef VIEW_H
#define VIEW_H

#include <stdio.h>

#include "watch.h"

enum rule {
    RULE_NONE,
    RULE_FREE_PERCENT, /* `least` percent are free */
    RULE_FREE_OCTETS,  /* `least` octets are free */
    RULE_PRESENT,
    RULE_ABSENT,
};

/* A disk or a file: what was asked, and what the guest said last. */
struct item {
    char kind; /* 'd', 'f' */
    char path[WATCH_PATH_MAX + 1];
    enum rule rule;
    double least;

    bool crossed, present;
    int error; /* the guest's errno, or 0 */
    uint64_t size, free;
};

struct report {
    const char *vm;
    double load[3], max_load; /* max_load: negative if there is none */
    bool load_crossed;
    unsigned count;
    struct item items[WATCH_ITEMS_MAX];
};

struct view {
    bool json, table;
    FILE *log; /* or NULL */
};

/* The most that is free of a disk, in percent; of one without room 0. */
double view_percent(const struct item *item);
void view_report(const struct view *view, const struct report *report);
/* That the guest has gone or come back, and why, if not NULL. */
void view_state(const struct view *view, const char *vm, const char *state, const char *why);

#endif
