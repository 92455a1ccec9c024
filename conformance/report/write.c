/* SPDX-License-Identifier: MIT */
/* A report as a file. */
#include <errno.h>
#include <string.h>

#include "files.h"
#include "report/report.h"

struct writing {
    const struct vpc_suite *suite;
    vpc_report_fn *fn;
};

static void write_report(FILE *out, const void *user)
{
    const struct writing *writing = user;

    writing->fn(writing->suite, out);
}

bool vpc_report_write(const struct vpc_suite *suite, vpc_report_fn *fn, const char *path,
                      char **error)
{
    const struct writing writing = {suite, fn};

    if (vpc_file_write(path, write_report, &writing))
        return true;
    *error = vpc_format("%s: the report can not be written: %s",
                        strcmp(path, "-") == 0 ? "standard output" : path, vpc_file_words(errno));
    return false;
}
