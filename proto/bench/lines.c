/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include "streams.h"

#include <stdlib.h>

#define LINE 64u
#define PAIR                                                                                       \
    (4 * LINE)     /* of which the first three have to do with bytes: receiving, both, sending */
#define TOUCHED 6u /* for each chunk */

void lines_make(struct lines *lines, unsigned pairs, size_t buffer)
{
    size_t session = pairs * (PAIR + 2 * buffer);
    void **before = NULL;

    lines->block = must_allocate(2 * session + LINE);
    for (size_t i = 0; i < pairs; i++) {
        unsigned char *host = lines->block + i * PAIR, *guest = host + session;
        unsigned char *host_rings = lines->block + pairs * PAIR + i * 2 * buffer;
        unsigned char *guest_rings = host_rings + session;
        unsigned char *const touched[TOUCHED] = {host + LINE, host + 2 * LINE, host_rings + buffer,
                                                 guest,       guest + LINE,    guest_rings};

        if (i == 0)
            lines->at = (void **)(void *)touched[0];
        for (unsigned j = 0; j < TOUCHED; j++) {
            if (before != NULL)
                *before = touched[j];
            before = (void **)(void *)touched[j];
        }
    }
    *before = lines->at;
}

void lines_free(struct lines *lines)
{
    free(lines->block);
}

void lines_touch(void *state)
{
    struct lines *lines = state;
    void **at = lines->at;

    for (unsigned i = 0; i < TOUCHED; i++) {
        at[1] = at;
        at = *at;
    }
    lines->at = at;
}
