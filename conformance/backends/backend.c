/* SPDX-License-Identifier: MIT */
#include "backends/backend.h"

#include <stdlib.h>

#include "backends/words.h"
#include "memory.h"

char **conform_options(const struct vpc_implementation *implementation,
                       const struct vpc_arg *options, size_t count, char **error)
{
    char **all = vpc_words_join(NULL, NULL), *why = NULL;

    for (size_t i = 0; i < count && why == NULL; i++) {
        const struct vpc_value values[] = {{.name = "name", .text = options[i].key},
                                           {.name = "value", .text = options[i].value},
                                           {.name = NULL}};
        char **words = vpc_words_fill(implementation->option, values, &why);

        all = vpc_words_join(all, (const char *const *)words);
        vpc_words_free(words);
    }
    if (why == NULL)
        return all;
    *error = vpc_format("%s: option in [process]: %s", implementation->path, why);
    free(why);
    vpc_words_free(all);
    return NULL;
}
