/* SPDX-License-Identifier: MIT */
/*
 * The commands of a description: parted into words as a shell parts them, then filled in.
 *
 * A word is a word before it is filled in, so that a value with a space in it, or with a quote, stays one.
 * 'X' and "X" keep their spaces together; a backslash, but within '', takes the next character as it is.
 * %{NAME} is filled in within quotes too.  A value that is a list is a word of its own in the template, and
 * as many words as it has.
 *
 * Ownership: lists of words end with NULL and are the caller's to free with vpc_words_free().  Errors are one
 * line without a file's name, the caller's to free.
 */
#ifndef VPC_CONFORM_WORDS_H
#define VPC_CONFORM_WORDS_H

/* A placeholder's value: a text, or a list of words.  A list of values ends with one without a name. */
struct vpc_value {
    const char *name;
    const char *text;
    char *const *words;
};

/* NULL with *error when a quote has no end. */
char **vpc_words_split(const char *text, char **error);
/* One text filled in; a list is no value for it.  NULL with *error when a placeholder is unknown. */
char *vpc_fill(const char *text, const struct vpc_value *values, char **error);
/* Splits, and fills in each word. */
char **vpc_words_fill(const char *text, const struct vpc_value *values, char **error);
/* The first list with copies of the words of the second (NULL: none) behind it; the first may be NULL and is
   no more. */
char **vpc_words_join(char **words, const char *const *more);
void vpc_words_free(char **words);

#endif
