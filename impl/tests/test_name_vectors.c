/* SPDX-License-Identifier: MIT */
/* The pipe names and ports of spec/vectors. */
#include <criterion/criterion.h>

#include "vpc.h"

#include "spec/vectors/vectors.h"

/* Names reach the library as texts; what holds a NUL can't be given to it. */
static char *text_of(const json_t *items)
{
    struct vec_octets octets = vec_octets(items, 1);
    char *text = NULL;

    octets.octets[octets.n] = '\0';
    if (strlen((char *)octets.octets) == octets.n)
        text = strdup((char *)octets.octets);
    vec_octets_free(&octets);
    return text;
}

static void check_pipe(const json_t *vector, const char *text)
{
    char file[256];
    bool valid = json_is_true(json_object_get(vector, "valid"));

    cr_assert_eq(vpc_pipe_file(text, file, sizeof(file)) == 0, valid, "%s", vec_text(vector, "id"));
}

static void check_same(const json_t *vector, const char *text)
{
    char *other = text_of(json_object_get(vector, "other"));
    char one_file[256], other_file[256];

    cr_assert_eq(vpc_pipe_file(text, one_file, sizeof(one_file)), 0);
    cr_assert_eq(vpc_pipe_file(other, other_file, sizeof(other_file)), 0);
    cr_assert_eq(strcmp(one_file, other_file) == 0, json_is_true(json_object_get(vector, "same")),
                 "%s", vec_text(vector, "id"));
    free(other);
}

static void check_port(const json_t *vector, const char *text)
{
    cr_assert_eq(vpc_port(text), vec_number(vector, "port"), "%s", vec_text(vector, "id"));
}

Test(name_vectors, all, .timeout = 20)
{
    json_t *file = vec_open(VPC_VECTORS, "names");
    const json_t *vector;
    size_t i;

    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        const char *kind = vec_text(vector, "kind");
        char *text = text_of(json_object_get(vector, "octets"));

        if (text == NULL)
            continue;
        if (strcmp(kind, "pipe") == 0)
            check_pipe(vector, text);
        else if (strcmp(kind, "same") == 0)
            check_same(vector, text);
        else
            check_port(vector, text);
        free(text);
    }
    json_decref(file);
}
