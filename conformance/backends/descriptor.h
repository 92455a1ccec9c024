/* SPDX-License-Identifier: MIT */
/*
 * The description of an implementation: one .ini file (implementations/ has examples).
 *
 * A line is [section], NAME = VALUE, or a comment behind ; or #, and may be of any length; a line that begins
 * with a space goes on with the value of the line before.  What stands behind a space and ; is a comment too.
 * A name that has a list, files or features, may stand several times.  Commands are split into words, then
 * filled in (words.h).  Whatever is relative in it is so to the folder of the file: the implementation's
 * programs are started there.
 *
 * Ownership: vpc_implementation_load() gives a value that the caller frees with vpc_implementation_free();
 * texts are parts of it.  Errors are one line "FILE:LINE: what is wrong", which the caller frees.
 */
#ifndef VPC_CONFORM_DESCRIPTOR_H
#define VPC_CONFORM_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpc_pixit {
    char *name;
    uint64_t value;
};

struct vpc_implementation {
    char *path;
    char *folder; /* in which it is: an absolute path */
    char *name;
    int role;         /* enum vpc_role_bit */
    char *object;     /* [abi]: a shared object that exports vpc_endpoint_abi, or NULL */
    char *command;    /* [process]: how to start it, with placeholders, or NULL */
    char *control;    /* [process]: where its control socket is; default "%{control}" */
    char *wait_ready; /* [process]: a program that waits for the ready event, or NULL */
    char *
        monitor; /* [process]: words of its command that tell it the monitor, %{monitor}, or NULL */
    char *adapter; /* [process]: what speaks for it (conformance/adapter/README.md), or NULL */
    char *option;  /* [process]: how one setting is written; default "--option %{name}=%{value}" */
    char *guest_files;   /* [guest]: a list, what to lay over the guest image, or NULL */
    char *guest_command; /* [guest]: how the puppet starts it, or NULL */
    char *features;      /* [pics]: a list with spaces; "" when there is none */
    struct vpc_pixit *pixit;
    size_t pixit_count;
};

struct vpc_implementation *vpc_implementation_load(const char *path, char **error);
void vpc_implementation_free(struct vpc_implementation *implementation);
bool vpc_implementation_has(const struct vpc_implementation *implementation, const char *feature);
/* The [pixit] value, or otherwise. */
uint64_t vpc_implementation_pixit(const struct vpc_implementation *implementation, const char *name,
                                  uint64_t otherwise);

/* The features that a description may claim and a scenario may need; ends with NULL. */
extern const char *const vpc_features[];
/* NULL when each word of the list is one, else what is wrong, the caller's to free. */
char *vpc_features_wrong(const char *list);

/* The path, made absolute: a relative one begins in the description's folder. */
char *vpc_implementation_path(const struct vpc_implementation *implementation, const char *path);
/* The file of object in [abi], build filled in; NULL: *error. */
char *vpc_implementation_object(const struct vpc_implementation *implementation, const char *build,
                                char **error);

#endif
