/* SPDX-License-Identifier: MIT */
/*
 * The description of an implementation: one .ini file (implementations/ has examples).
 *
 * Ownership: vpc_implementation_load() gives a value that the caller frees with vpc_implementation_free(); texts are parts
 * of it.  Errors are one line "FILE:LINE: what is wrong", which the caller frees.
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
    char *name;
    int role;         /* enum vpc_role_bit */
    char *object;     /* [abi]: a shared object that exports vpc_endpoint_abi, or NULL */
    char *command;    /* [process]: how to start it, with placeholders, or NULL */
    char *control;    /* [process]: where its control socket is; default "%{control}" */
    char *wait_ready; /* [process]: a program that waits for the ready event, or NULL */
    char *adapter; /* [process]: what speaks for it (conformance/adapter/README.md), or NULL */
    char *option; /* [process]: how one setting is written; default "--option %{name}=%{value}" */
    char *guest_files;   /* [guest]: what to lay over the guest image, or NULL */
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

/* Replaces each %{NAME}; an unknown one gives NULL and *unknown (a part of text).  pairs ends with NULL: name, value ... */
char *vpc_expand(const char *text, const char *const *pairs, const char **unknown);

#endif
