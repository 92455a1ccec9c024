/* SPDX-License-Identifier: MIT */
/* See topics.h. */
#include "report/topics.h"

#include <stdlib.h>
#include <string.h>

static size_t letters(const char *id)
{
    return strcspn(id, "-");
}

char *vpc_folder_of(const struct vpc_script *script)
{
    const char *end = strrchr(script->path, '/'), *start = end;

    if (end == NULL)
        return vpc_copy("./");
    while (start > script->path && start[-1] != '/')
        start--;
    return vpc_copy_n(start, (size_t)(end - start) + 1);
}

static bool known(const struct vpc_topics *topics, const char *name, bool folder)
{
    for (size_t i = 0; i < topics->count; i++)
        if (topics->list[i].folder == folder && strcmp(topics->list[i].name, name) == 0)
            return true;
    return false;
}

/* Takes the name. */
static void add(struct vpc_topics *topics, char *name, const char *title, bool folder)
{
    if (known(topics, name, folder)) {
        free(name);
        return;
    }
    topics->list = vpc_grow_by_one(topics->list, topics->count, sizeof(*topics->list));
    topics->list[topics->count++] =
        (struct vpc_topic){.name = name, .title = vpc_copy(title), .folder = folder};
}

static bool is_covered(const struct vpc_suite *suite, const char *id)
{
    struct vpc_topic topic = {.name = vpc_copy_n(id, letters(id))};
    bool found = false;

    for (size_t i = 0; i < suite->script_count && !found; i++)
        found = vpc_topic_has(&topic, suite->scripts[i]);
    free(topic.name);
    return found;
}

void vpc_topics_of(const struct vpc_suite *suite, struct vpc_topics *topics)
{
    const struct vpc_spec *spec = suite->spec;

    *topics = (struct vpc_topics){0};
    for (size_t i = 0; i < spec->requirement_count; i++) {
        const struct vpc_requirement *one = &spec->requirements[i];

        if (is_covered(suite, one->id))
            add(topics, vpc_copy_n(one->id, letters(one->id)), one->section, false);
    }
    for (size_t i = 0; i < suite->script_count; i++)
        add(topics, vpc_folder_of(suite->scripts[i]), "", true);
}

void vpc_topics_free(struct vpc_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        free(topics->list[i].name);
        free(topics->list[i].title);
    }
    free(topics->list);
    *topics = (struct vpc_topics){0};
}

bool vpc_topic_has(const struct vpc_topic *topic, const struct vpc_script *script)
{
    size_t n = strlen(topic->name);
    bool found = false;

    if (topic->folder) {
        char *folder = vpc_folder_of(script);

        found = strcmp(folder, topic->name) == 0;
        free(folder);
    }
    for (size_t i = 0; i < script->cover_count && !topic->folder && !found; i++)
        found = letters(script->covers[i]) == n && strncmp(script->covers[i], topic->name, n) == 0;
    return found;
}

struct vpc_tally vpc_tally_of(const struct vpc_suite *suite, const struct vpc_topic *topic,
                              const struct vpc_implementation *implementation)
{
    struct vpc_tally tally = {0};

    for (size_t i = 0; i < suite->run_count; i++) {
        const struct vpc_suite_run *run = &suite->runs[i];

        if ((implementation && run->implementation != implementation) ||
            (topic && !vpc_topic_has(topic, run->script)))
            continue;
        tally.verdicts[run->result.verdict]++;
        tally.standings[vpc_standing_of(run)]++;
        tally.runs += run->result.verdict != VPC_NOT_SUPPORTED;
        tally.good += vpc_verdict_good(run->result.verdict);
    }
    return tally;
}
