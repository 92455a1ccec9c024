/* SPDX-License-Identifier: MIT */
#include "report/left_out.h"

#include <stdlib.h>
#include <string.h>

static void add(struct vpc_left_outs *outs, const struct vpc_backend_ops *backend,
                const char *because, const struct vpc_script *script)
{
    struct vpc_left_out *one;
    size_t i = 0;

    while (i < outs->count &&
           (outs->list[i].backend != backend || strcmp(outs->list[i].because, because) != 0))
        i++;
    if (i == outs->count) {
        outs->list = vpc_grow_by_one(outs->list, outs->count, sizeof(*outs->list));
        outs->list[outs->count++] = (struct vpc_left_out){.backend = backend, .because = because};
    }
    one = &outs->list[i];
    one->scripts = vpc_grow_by_one(one->scripts, one->count, sizeof(struct vpc_script *));
    one->scripts[one->count++] = script;
}

static bool is_judged(const struct vpc_suite *suite, int role)
{
    for (size_t i = 0; i < suite->implementation_count; i++)
        if ((int)suite->implementations[i]->role == role)
            return true;
    return false;
}

void vpc_left_outs_of(const struct vpc_suite *suite, struct vpc_left_outs *outs)
{
    *outs = (struct vpc_left_outs){0};
    for (size_t i = 0; i < suite->script_count; i++) {
        const struct vpc_script *script = suite->scripts[i];

        if (!is_judged(suite, script->role)) {
            add(outs, NULL,
                script->role == VPC_FROM_HOST ? "no host is judged" : "no guest is judged", script);
            continue;
        }
        for (size_t b = 0; b < suite->backend_count; b++)
            if (!(script->backends & suite->backends[b]->bit))
                add(outs, suite->backends[b], script->because, script);
    }
}

void vpc_left_outs_free(struct vpc_left_outs *outs)
{
    for (size_t i = 0; i < outs->count; i++)
        free(outs->list[i].scripts);
    free(outs->list);
}
