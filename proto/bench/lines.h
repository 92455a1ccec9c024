/* SPDX-License-Identifier: MIT */
/*
 * Memory alone: the lines that a chunk from a host's pair to a guest's wants, read and written, and nothing
 * else done.
 *
 * Each of the two sessions wants two lines of the pair and, for a chunk of one line, one line of the ring.
 * (What several pairs share, a line of the table of ids for instance, is not counted.)  They lie as in the
 * sessions' memory: the pairs one behind the other, then the rings.
 */
#ifndef LINES_H
#define LINES_H

#include <stddef.h>

struct lines {
    unsigned char *block;
    void **at;
};

/* For so many pairs with rings of `buffer` octets.  Exits when there is no memory. */
void lines_make(struct lines *lines, unsigned pairs, size_t buffer);
void lines_free(struct lines *lines);
/* The lines of the next pair in turn, each found by the one before. */
void lines_touch(void *lines);

#endif
