/* SPDX-License-Identifier: MIT */
/*
 * The memory of the endpoints under test (and of jansson), counted, and made to fail.  A program that links
 * heap.o wraps malloc, calloc, realloc, strdup and free of the objects that it links.
 *
 * Jansson's parser is one request, that fails as a whole: 2.14 passes over what it has no memory for within a
 * token, and then writes beyond the block that it took for the rest.
 */
#ifndef VPC_CORE_TESTS_HEAP_H
#define VPC_CORE_TESTS_HEAP_H

#include <stddef.h>

/* Jansson too, from now on. */
void heap_begin(void);
/* Blocks that are in use. */
size_t heap_blocks(void);
/* The n-th request from now on fails (1: the next), and with `for_good` all after it; 0: none fails. */
void heap_fail_at(unsigned n, int for_good);
/* While paused, requests neither count nor fail. */
void heap_pause(int paused);
/* How many requests there were since heap_fail_at(). */
unsigned heap_requests(void);

#endif
