/* SPDX-License-Identifier: MIT */
/* vpc-conform new NAME --role host|guest: a description to fill in, and an adapter for an endpoint without I/O. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "document/embedded.h"

/* Writes a template with %NAME% replaced; what is there already stays. */
static bool write_template(const char *path, const char *template, const char *name, char **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    const char *mark;
    bool good = file != NULL;

    for (; file && (mark = strstr(template, "%NAME%")) != NULL; template = mark + 6)
        fprintf(file, "%.*s%s", (int)(mark - template), template, name);
    if (file) {
        fputs(template, file);
        good = !ferror(file);
        good = fclose(file) == 0 && good;
    }
    if (!good)
        *error = vpc_format("%s: can not be written: %s", path, strerror(errno));
    return good;
}

static bool plain(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
            return false;
    return *name != '\0' && *name != '-';
}

int vpc_verb_new(struct conform_settings *settings, char **words)
{
    const char *name = words[0];
    bool host = settings->role == VPC_FROM_HOST;
    char *error = NULL, *descriptor, *adapter;

    if (name == NULL || words[1] || !plain(name) || settings->role == 0)
        return vpc_complain(vpc_copy(
            "new needs a NAME of letters, digits, - and _, and --role host or --role guest"));
    descriptor = vpc_format("%s.ini", name);
    adapter = vpc_format("%s-adapter.c", name);
    if (write_template(descriptor, host ? vpc_embedded_new_host : vpc_embedded_new_guest, name,
                       &error) &&
        write_template(adapter, vpc_embedded_new_adapter, name, &error))
        printf("%s   describes your endpoint; fill in how it is started\n"
               "%s   is for an endpoint without I/O; throw it away if yours is a program\n"
               "then: %s run --implementation %s --backend socket\n",
               descriptor, adapter, settings->suite.program, descriptor);
    free(descriptor);
    free(adapter);
    return error ? vpc_complain(error) : VPC_EXIT_PASS;
}
