/* SPDX-License-Identifier: MIT */
/*
 * Topics: the runs sorted by what they are about.
 *
 * A topic is a group of requirements (the letters of their ids: FRM, SES), or a folder of scenarios.  A run
 * belongs to the topics of all requirements that its scenario covers, and to that of its folder.
 *
 * Ownership: vpc_topics_of() gives a value that vpc_topics_free() frees.
 */
#ifndef VPC_CONFORM_TOPICS_H
#define VPC_CONFORM_TOPICS_H

#include "verdicts/suite.h"

struct vpc_topic {
    char *name;  /* FRM; host/ */
    char *title; /* of the document's section, or "" */
    bool folder;
};

struct vpc_topics {
    struct vpc_topic *list; /* requirements in the order of the document, then folders */
    size_t count;
};

/* How the runs of one topic ended. */
struct vpc_tally {
    size_t runs; /* that were run: without those not supported */
    size_t good; /* pass and non-strict */
    size_t verdicts[VPC_VERDICT_COUNT];
    size_t standings[VPC_STANDING_BAD + 1];
};

void vpc_topics_of(const struct vpc_suite *suite, struct vpc_topics *topics);
void vpc_topics_free(struct vpc_topics *topics);
bool vpc_topic_has(const struct vpc_topic *topic, const struct vpc_script *script);
/* The runs of one implementation (NULL: of all) in one topic (NULL: in all). */
struct vpc_tally vpc_tally_of(const struct vpc_suite *suite, const struct vpc_topic *topic,
                              const struct vpc_implementation *implementation);
/* The folder that a scenario's file is in, as "host/"; freed by the caller. */
char *vpc_folder_of(const struct vpc_script *script);

#endif
