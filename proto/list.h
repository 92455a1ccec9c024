/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists whose links lie in what they list: nothing is allocated, and a link is taken out without a search.
 *
 * A head is a link of its own, that vpc_list_init() joins to itself.  A link is in at most one list; one that is in none
 * is all zero.
 */
#ifndef VPC_LIST_H
#define VPC_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct vpc_link {
    struct vpc_link *next, *prev; /* both NULL: in no list */
};

static inline void vpc_list_init(struct vpc_link *head)
{
    head->next = head->prev = head;
}

static inline bool vpc_list_empty(const struct vpc_link *head)
{
    return head->next == head;
}

static inline bool vpc_list_has(const struct vpc_link *link)
{
    return link->next != NULL;
}

/* At the end of the list, unless it is in one already. */
static inline void vpc_list_append(struct vpc_link *head, struct vpc_link *link)
{
    if (vpc_list_has(link))
        return;
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

static inline void vpc_list_remove(struct vpc_link *link)
{
    if (!vpc_list_has(link))
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

/* What the link lies in. */
#define VPC_LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
