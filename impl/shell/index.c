/* SPDX-License-Identifier: MIT */
#include "index.h"

#include <stdlib.h>

/* Numbers are given one after the other: they spread by themselves. */
static struct vpc_index_entry **place_of(const struct vpc_index *index, uint32_t number)
{
    struct vpc_index_entry **places =
        index->places != NULL ? index->places : (struct vpc_index_entry **)(uintptr_t)index->few;

    return &places[number & (index->size - 1)];
}

static void link_in(struct vpc_index_entry **place, struct vpc_index_entry *entry)
{
    entry->next = *place;
    entry->at = place;
    if (entry->next != NULL)
        entry->next->at = &entry->next;
    *place = entry;
}

void vpc_index_init(struct vpc_index *index)
{
    *index = (struct vpc_index){.size = VPC_INDEX_FIRST};
}

void vpc_index_free(struct vpc_index *index)
{
    free(index->places);
    vpc_index_init(index);
}

static void grow(struct vpc_index *index)
{
    struct vpc_index wider = {.size = index->size * 2, .used = index->used};

    wider.places = calloc(wider.size, sizeof(struct vpc_index_entry *));
    if (wider.places == NULL)
        return;
    for (size_t i = 0; i < index->size; i++) {
        struct vpc_index_entry *next, *entry = *place_of(index, (uint32_t)i);

        for (; entry != NULL; entry = next) {
            next = entry->next;
            link_in(place_of(&wider, entry->number), entry);
        }
    }
    free(index->places);
    index->places = wider.places;
    index->size = wider.size;
}

void vpc_index_put(struct vpc_index *index, struct vpc_index_entry *entry, uint32_t number)
{
    if (index->used >= index->size)
        grow(index);
    entry->number = number;
    link_in(place_of(index, number), entry);
    index->used++;
}

void vpc_index_take(struct vpc_index *index, struct vpc_index_entry *entry)
{
    if (entry->at == NULL)
        return;
    *entry->at = entry->next;
    if (entry->next != NULL)
        entry->next->at = entry->at;
    entry->at = NULL;
    index->used--;
}

struct vpc_index_entry *vpc_index_find(const struct vpc_index *index, uint32_t number)
{
    struct vpc_index_entry *entry = *place_of(index, number);

    while (entry != NULL && entry->number != number)
        entry = entry->next;
    return entry;
}
