/* SPDX-License-Identifier: MIT */
/*
 * A hash table whose entries lie in what it finds: nothing is allocated but its buckets, once, and an entry is taken out
 * without a search.  What has the same hash is told apart by who looks.
 */
#ifndef VPC_CORE_INDEX_H
#define VPC_CORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct vpc_entry {
    struct vpc_entry *next, **at; /* at: what points here; NULL: in no table */
};

struct vpc_index {
    struct vpc_entry **buckets; /* a power of two; free() gives them back */
    uint32_t mask;
};

/* For `room` entries with one or two in a bucket; false: no memory. */
static inline bool vpc_index_init(struct vpc_index *table, uint32_t room)
{
    uint32_t n = 8;

    while (n < room)
        n *= 2;
    table->mask = n - 1;
    table->buckets = calloc(n, sizeof(struct vpc_entry *));
    return table->buckets != NULL;
}

/* The first entry of those that may have this hash; the others follow by `next`. */
static inline struct vpc_entry *vpc_index_first(const struct vpc_index *table, uint32_t hash)
{
    return table->buckets[hash & table->mask];
}

static inline void vpc_index_add(struct vpc_index *table, uint32_t hash, struct vpc_entry *entry)
{
    struct vpc_entry **bucket = &table->buckets[hash & table->mask];

    *entry = (struct vpc_entry){.next = *bucket, .at = bucket};
    if (*bucket != NULL)
        (*bucket)->at = &entry->next;
    *bucket = entry;
}

/* Nothing, if it is in no table. */
static inline void vpc_entry_remove(struct vpc_entry *entry)
{
    if (entry->at == NULL)
        return;
    *entry->at = entry->next;
    if (entry->next != NULL)
        entry->next->at = entry->at;
    *entry = (struct vpc_entry){0};
}

#endif
