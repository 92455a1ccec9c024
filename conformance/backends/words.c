/* SPDX-License-Identifier: MIT */
#include "backends/words.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define BETWEEN " \t\r\n"

static size_t count_of(char *const *words)
{
    size_t count = 0;

    while (words && words[count])
        count++;
    return count;
}

/* Takes over the word. */
static char **add_word(char **words, char *word)
{
    size_t count = count_of(words);

    words = vpc_grow(words, count + 2, sizeof(*words));
    words[count] = word;
    words[count + 1] = NULL;
    return words;
}

char **vpc_words_join(char **words, const char *const *more)
{
    if (words == NULL) {
        words = vpc_alloc(sizeof(*words));
        words[0] = NULL;
    }
    for (; more && *more; more++)
        words = add_word(words, vpc_copy(*more));
    return words;
}

void vpc_words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

static char *finished(struct vpc_buffer *buffer)
{
    vpc_buffer_fill(buffer, 0, 1);
    return (char *)buffer->data;
}

/* ---- splitting -------------------------------------------------------------------------------------------------------- */

/* Takes the word at *at, behind which it then stands; NULL when a quote has no end. */
static char *take_word(const char **at)
{
    struct vpc_buffer word = {0};
    char quote = 0;

    for (; **at && (quote || !strchr(BETWEEN, **at)); ++*at) {
        char c = **at;

        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? 0 : c;
            continue;
        }
        if (c == '\\' && quote != '\'' && (*at)[1])
            c = *++*at;
        vpc_buffer_add(&word, &c, 1);
    }
    if (quote == 0)
        return finished(&word);
    vpc_buffer_free(&word);
    return NULL;
}

char **vpc_words_split(const char *text, char **error)
{
    char **words = vpc_words_join(NULL, NULL), *word;

    for (const char *at = text + strspn(text, BETWEEN); *at; at += strspn(at, BETWEEN)) {
        word = take_word(&at);
        if (word == NULL) {
            *error = vpc_format("a quote has no end: %s", text);
            vpc_words_free(words);
            return NULL;
        }
        words = add_word(words, word);
    }
    return words;
}

/* ---- filling in ------------------------------------------------------------------------------------------------------- */

/* How long the placeholder at the beginning of the text is; 0: there is none. */
static size_t placeholder(const char *text)
{
    const char *end = strncmp(text, "%{", 2) == 0 ? strchr(text, '}') : NULL;

    return end ? (size_t)(end - text) + 1 : 0;
}

static const struct vpc_value *value_of(const struct vpc_value *values, const char *text, size_t n)
{
    for (; values->name; values++)
        if (strlen(values->name) == n - 3 && strncmp(values->name, text + 2, n - 3) == 0)
            return values;
    return NULL;
}

static char *why_not(const struct vpc_value *values, const struct vpc_value *found,
                     const char *text, size_t n)
{
    char *why, *known = NULL;

    if (found)
        return vpc_format("%.*s is several words: write it as a word of its own", (int)n, text);
    for (; values->name; values++) {
        char *longer = vpc_format("%s%s%s", known ? known : "", known ? ", " : "", values->name);

        free(known);
        known = longer;
    }
    why = vpc_format("an unknown placeholder: %.*s; known are %s", (int)n, text,
                     known ? known : "none");
    free(known);
    return why;
}

char *vpc_fill(const char *text, const struct vpc_value *values, char **error)
{
    struct vpc_buffer out = {0};

    while (*text) {
        size_t n = placeholder(text);
        const struct vpc_value *value = n ? value_of(values, text, n) : NULL;
        const char *octets = n ? (value ? value->text : NULL) : text;

        if (octets == NULL) {
            *error = why_not(values, value, text, n);
            vpc_buffer_free(&out);
            return NULL;
        }
        vpc_buffer_add(&out, octets, n ? strlen(octets) : 1);
        text += n ? n : 1;
    }
    return finished(&out);
}

/* The list that the whole word stands for, or NULL. */
static char *const *list_of(const char *word, const struct vpc_value *values)
{
    size_t n = placeholder(word);
    const struct vpc_value *value = n && word[n] == '\0' ? value_of(values, word, n) : NULL;

    return value ? value->words : NULL;
}

char **vpc_words_fill(const char *text, const struct vpc_value *values, char **error)
{
    char **template = vpc_words_split(text, error), **words = vpc_words_join(NULL, NULL);

    for (size_t i = 0; template && template[i] && *error == NULL; i++) {
        char *const *list = list_of(template[i], values);
        char *word = list ? NULL : vpc_fill(template[i], values, error);

        if (list)
            words = vpc_words_join(words, (const char *const *)list);
        else if (word)
            words = add_word(words, word);
    }
    vpc_words_free(template);
    if (*error == NULL)
        return words;
    vpc_words_free(words);
    return NULL;
}
