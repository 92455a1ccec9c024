/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t n);
void __real_free(void *block);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t n);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);
json_t *__real_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error);
json_t *__wrap_json_loads(const char *text, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error);

static struct {
    size_t blocks;
    unsigned requests, fail_at;
    int for_good;
    bool parsing, paused;
} heap;

static int fails(void)
{
    if (heap.parsing || heap.paused)
        return 0;
    heap.requests++;
    return heap.fail_at != 0 &&
           (heap.requests == heap.fail_at || (heap.for_good && heap.requests > heap.fail_at));
}

static void *counted(void *block)
{
    heap.blocks += block != NULL;
    return block;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t n)
{
    if (block == NULL)
        return __wrap_malloc(n);
    return fails() ? NULL : __real_realloc(block, n);
}

char *__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = __wrap_malloc(n);

    return copy != NULL ? memcpy(copy, text, n) : NULL;
}

void __wrap_free(void *block)
{
    heap.blocks -= block != NULL;
    __real_free(block);
}

json_t *__wrap_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error)
{
    json_t *value;

    if (fails())
        return NULL;
    heap.parsing = true;
    value = __real_json_loadb(text, n, flags, error);
    heap.parsing = false;
    return value;
}

json_t *__wrap_json_loads(const char *text, size_t flags, json_error_t *error)
{
    if (error != NULL)
        *error = (json_error_t){.text = "no memory"};
    return __wrap_json_loadb(text, strlen(text), flags, error);
}

void heap_begin(void)
{
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

size_t heap_blocks(void)
{
    return heap.blocks;
}

void heap_fail_at(unsigned n, int for_good)
{
    heap.requests = 0;
    heap.fail_at = n;
    heap.for_good = for_good;
}

void heap_pause(int paused)
{
    heap.paused = paused != 0;
}

unsigned heap_requests(void)
{
    return heap.requests;
}
