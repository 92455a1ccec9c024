/* SPDX-License-Identifier: MIT */
/* The device URI of the backend: uri.rl is its grammar. */
#ifndef URI_H
#define URI_H

#include <stdbool.h>

enum {
    URI_PATH_SIZE = 108, /* of a Unix socket */
};

struct uri {
    char path[URI_PATH_SIZE]; /* of vpc-printd's socket; "" or "/": where it is usually */
    unsigned wait_s;
};

/* wait_s stays as it is when the URI does not tell it. */
bool uri_read(struct uri *uri, const char *text);

#endif
