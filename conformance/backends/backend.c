/* SPDX-License-Identifier: MIT */
#include "backends/backend.h"

#include <stdlib.h>

#include "memory.h"

char *vpc_options(const struct vpc_implementation *implementation, const struct vpc_arg *options,
                  size_t count)
{
    char *all = vpc_copy("");

    for (size_t i = 0; i < count; i++) {
        const char *pairs[] = {"name", options[i].key, "value", options[i].value, NULL};
        const char *unknown;
        char *one = vpc_expand(implementation->option, pairs, &unknown);
        char *longer = vpc_format("%s %s", all, one ? one : "");

        free(one);
        free(all);
        all = longer;
    }
    return all;
}
