/* SPDX-License-Identifier: MIT */
/*
 * Reads the vectors (spec/vectors/README.md) for a test in C.  Needs jansson and nothing else; a fault of a file aborts.
 *
 * Ownership: vec_open() gives a reference of the caller's; what other functions take is borrowed from it.  struct
 * vec_octets owns its octets until vec_octets_free().
 */
#ifndef VPC_VECTORS_H
#define VPC_VECTORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Positions where a stream is split: each within this many octets from its start, where the inside of a run does not
 * count, and as many random ones as VEC_RANDOM_SPLITS behind. */
#define VEC_SPLITS        4096u
#define VEC_RUN_EDGE      20u /* octets at either edge of a run that do count: 16 octets of padding begin a HELLO */
#define VEC_RANDOM_SPLITS 16u

struct vec_octets {
    uint8_t *octets;
    size_t n;
    size_t *splits; /* where it is worth to be split, rising */
    size_t split_count;
};

static inline void vec_fail(const char *what, const char *where)
{
    fprintf(stderr, "vectors: %s: %s\n", what, where);
    abort();
}

/* The whole of a file of this directory, by its name without ".json". */
static inline json_t *vec_open(const char *directory, const char *name)
{
    char path[4096];
    json_error_t error;
    json_t *file;

    snprintf(path, sizeof(path), "%s/%s.json", directory, name);
    file = json_load_file(path, 0, &error);
    if (file == NULL)
        vec_fail(error.text, path);
    if (json_integer_value(json_object_get(file, "format")) != 1)
        vec_fail("not of format 1", path);
    if (json_array_size(json_object_get(file, "vectors")) == 0)
        vec_fail("no vectors", path);
    return file;
}

static inline const char *vec_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* A number, or a text of hexadecimal digits; 0 when there is none. */
static inline uint64_t vec_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_string(value))
        return strtoull(json_string_value(value), NULL, 16);
    return (uint64_t)json_integer_value(value);
}

/* Whether a list of texts holds this one. */
static inline bool vec_has(const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;

    json_array_foreach (list, i, one)
        if (strcmp(json_string_value(one), text) == 0)
            return true;
    return false;
}

static inline uint8_t vec_hex(const char *two)
{
    char text[3] = {two[0], two[1], '\0'};
    char *end;
    unsigned long value = strtoul(text, &end, 16);

    if (end != text + 2)
        vec_fail("not hexadecimal", two);
    return (uint8_t)value;
}

/* How many octets an item stands for; of a `pad_at_least` none, since there is no saying. */
static inline size_t vec_item_size(const json_t *item)
{
    if (json_is_string(item))
        return json_string_length(item) / 2;
    return (size_t)json_integer_value(json_object_get(item, "times"));
}

static inline void vec_add_item(struct vec_octets *out, const json_t *item)
{
    size_t n = vec_item_size(item);
    bool run = !json_is_string(item);

    for (size_t i = 0; i < n; i++) {
        bool inside = run && i >= VEC_RUN_EDGE && i + VEC_RUN_EDGE < n;

        out->octets[out->n] = run ? vec_hex(vec_text(item, "octet"))
                                  : vec_hex(json_string_value(item) + 2 * i);
        if (!inside && out->split_count < VEC_SPLITS)
            out->splits[out->split_count++] = out->n;
        out->n++;
    }
}

/* The octets of a list of items.  The seed chooses the random splits. */
static inline struct vec_octets vec_octets(const json_t *items, uint64_t seed)
{
    struct vec_octets out = {0};
    const json_t *item;
    size_t total = 0, i;

    json_array_foreach (items, i, item)
        total += vec_item_size(item);
    out.octets = malloc(total + 1);
    out.splits = malloc((VEC_SPLITS + VEC_RANDOM_SPLITS) * sizeof(*out.splits));
    if (out.octets == NULL || out.splits == NULL)
        vec_fail("no memory", "octets");
    json_array_foreach (items, i, item)
        vec_add_item(&out, item);
    for (i = 0; i < VEC_RANDOM_SPLITS && total > out.split_count; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out.splits[out.split_count++] = (size_t)(seed >> 33) % total;
    }
    return out;
}

static inline void vec_octets_free(struct vec_octets *octets)
{
    free(octets->octets);
    free(octets->splits);
    memset(octets, 0, sizeof(*octets));
}

#endif
