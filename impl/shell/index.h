/* SPDX-License-Identifier: MIT */
/*
 * Things by their number, as many as there may be, each found in the same time.
 *
 * An entry lies in what it finds.  The table grows as it fills; when there is no memory for that it stays as it is, which
 * costs time and nothing else, so no function here fails.
 */
#ifndef VPC_INDEX_H
#define VPC_INDEX_H

#include <stddef.h>
#include <stdint.h>

enum {
    VPC_INDEX_FIRST = 64, /* places of the first table; a power of two, as all sizes are */
};

struct vpc_index_entry {
    uint32_t number;
    struct vpc_index_entry *next, **at; /* at: what points to it; NULL: it is in no index */
};

struct vpc_index {
    struct vpc_index_entry *few[VPC_INDEX_FIRST];
    struct vpc_index_entry **places; /* NULL: few */
    size_t size, used;
};

void vpc_index_init(struct vpc_index *index);
/* Frees the table; what is in it stays where it lies. */
void vpc_index_free(struct vpc_index *index);
void vpc_index_put(struct vpc_index *index, struct vpc_index_entry *entry, uint32_t number);
/* Does nothing for an entry that is in no index. */
void vpc_index_take(struct vpc_index *index, struct vpc_index_entry *entry);
/* NULL: there is none. */
struct vpc_index_entry *vpc_index_find(const struct vpc_index *index, uint32_t number);

#endif
