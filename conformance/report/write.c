/* SPDX-License-Identifier: MIT */
/* A report as a file. */
#include <errno.h>
#include <string.h>

#include "report/report.h"

bool vpc_report_write(const struct vpc_suite *suite, vpc_report_fn *fn, const char *path,
                      char **error)
{
    bool standard = strcmp(path, "-") == 0, bad;
    FILE *out = standard ? stdout : fopen(path, "we");

    if (out) {
        errno = 0;
        fn(suite, out);
        bad = fflush(out) != 0 || ferror(out);
        if (!standard && fclose(out) != 0)
            bad = true;
        if (!bad)
            return true;
    }
    *error =
        vpc_format("%s: the report can not be written: %s", standard ? "standard output" : path,
                   errno ? strerror(errno) : "a part of it is lost");
    return false;
}
