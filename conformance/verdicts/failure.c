/* SPDX-License-Identifier: MIT */
/* See failure.h. */
#include "verdicts/failure.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clean.h"
#include "report/report.h"
#include "verdicts/attempt.h"

/* ---- small files -------------------------------------------------------------------------------------------------- */

/* Closes a file that was written; false with errno when a part of it is not there. */
static bool close_written(FILE *file)
{
    bool bad = ferror(file) != 0;

    errno = bad ? ENOSPC : 0;
    return fclose(file) == 0 && !bad;
}

static bool copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "re"), *out = in ? fopen(to, "we") : NULL;
    char part[8192];
    size_t n;
    bool good = in == NULL || out != NULL; /* what is not there need not be copied */

    while (out && (n = fread(part, 1, sizeof(part), in)) > 0)
        fwrite(part, 1, n, out);
    if (in)
        fclose(in);
    if (out)
        good = close_written(out);
    return good;
}

static bool copy_into(const char *folder, const char *dir, const char *name)
{
    char *from = vpc_format("%s/%s", dir, name), *to = vpc_format("%s/%s", folder, name);
    bool good = copy_file(from, to);

    free(from);
    free(to);
    return good;
}

static FILE *open_in(const char *folder, const char *name)
{
    char *path = vpc_format("%s/%s", folder, name);
    FILE *file = fopen(path, "we");

    free(path);
    return file;
}

/* ---- what is written ---------------------------------------------------------------------------------------------- */

static void write_quoted(const char *word, FILE *out)
{
    fputs(" '", out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

static bool write_repeat(const struct vpc_suite *suite, const struct vpc_suite_run *run)
{
    char *cwd = getcwd(NULL, 0), *path = vpc_format("%s/repeat.sh", run->folder);
    FILE *file = fopen(path, "we");
    bool good = file != NULL;

    if (file) {
        fputs("#!/bin/sh\n# Does this run again.\nscript=$(cd \"$(dirname \"$0\")\" && pwd)\ncd",
              file);
        write_quoted(cwd ? cwd : ".", file);
        fputs(" || exit 70\nexec", file);
        write_quoted(suite->program, file);
        fputs(" run --implementation", file);
        write_quoted(run->implementation->path, file);
        fprintf(file, " --backend %s --split %s --seed %llu", run->backend->name,
                vpc_split_name(run->split), (unsigned long long)suite->seed);
        fprintf(file, " --limit %d", suite->limit_ms / 1000);
        if (run->initrd) {
            fputs(" --guest-dir", file);
            write_quoted(suite->guest_dir, file);
        }
        fprintf(file, " --out \"$script/again\" \"$@\" \"$script/%s.vpcs\"\n", run->script->name);
        fchmod(fileno(file), 0755);
        good = close_written(file);
    }
    free(path);
    free(cwd);
    return good;
}

static bool write_json(const struct vpc_suite *suite, const struct vpc_suite_run *run)
{
    char *path = vpc_format("%s/run.json", run->folder);
    json_t *json = vpc_report_run_json(run);
    char *script = vpc_format("%s.vpcs", run->script->name);
    bool good;

    json_object_set_new(json, "seed", json_integer((json_int_t)suite->seed));
    json_object_set_new(json, "descriptor", vpc_json_text(run->implementation->path));
    json_object_set_new(json, "script", vpc_json_text(script));
    good = json_dump_file(json, path, JSON_INDENT(1)) == 0;
    json_decref(json);
    free(script);
    free(path);
    return good;
}

static bool write_text(const struct vpc_suite *suite, const struct vpc_suite_run *run)
{
    FILE *file = open_in(run->folder, "result.txt");

    if (file == NULL)
        return false;
    vpc_report_detail(suite, run, file);
    return close_written(file);
}

/* ---- the folder --------------------------------------------------------------------------------------------------- */

/* A name as a folder may have it; the implementation's number in front keeps those apart that come to the same. */
static char *folder_of(const struct vpc_suite *suite, const struct vpc_suite_run *run)
{
    char *name = vpc_copy_n(run->implementation->name, 60), *path;

    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? *at : '-';
    path = vpc_format("%s/%s", suite->out, name);
    free(name);
    return path;
}

static bool make(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

static bool make_folder(const struct vpc_suite *suite, struct vpc_suite_run *run)
{
    char *parent = folder_of(suite, run);
    bool good;

    run->folder = vpc_format("%s/%s.%s.split-%s", parent, run->script->name, run->backend->name,
                             vpc_split_name(run->split));
    good = make(suite->out) && make(parent);
    if (good) {
        vpc_remove_tree(run->folder);
        good = mkdir(run->folder, 0777) == 0;
    }
    free(parent);
    return good;
}

static bool fill(const struct vpc_suite *suite, const struct vpc_suite_run *run, const char *dir)
{
    static const char *const kept[] = {"trace.txt", "trace.pcapng", "trace.pcapng.old",
                                       "subject.log", "subject.out"};
    char *script = vpc_format("%s/%s.vpcs", run->folder, run->script->name);
    bool good = copy_file(run->script->path, script);

    for (size_t i = 0; good && i < sizeof(kept) / sizeof(kept[0]); i++)
        good = copy_into(run->folder, dir, kept[i]);
    free(script);
    return good && write_repeat(suite, run) && write_json(suite, run) && write_text(suite, run);
}

bool vpc_failure_keep(struct vpc_suite *suite, struct vpc_suite_run *run, const char *dir)
{
    bool good = make_folder(suite, run) && fill(suite, run, dir);

    if (!good && suite->trouble == NULL)
        suite->trouble =
            vpc_format("%s: the failure can not be kept: %s; make room, or name another folder "
                       "with --out",
                       run->folder, strerror(errno));
    return good;
}

/* ---- and back ----------------------------------------------------------------------------------------------------- */

bool vpc_failure_load(const char *folder, struct vpc_failure *failure, char **error)
{
    char *path = vpc_format("%s/run.json", folder);
    json_error_t why;
    json_t *json = json_load_file(path, 0, &why);
    const char *script = "", *implementation = "", *backend = "", *split = "", *requirement = "",
               *verdict = "";
    json_int_t seed = 0;
    bool good = json && json_unpack_ex(json, &why, 0, "{s:s, s:s, s:s, s:s, s:s, s:s, s:I}",
                                       "script", &script, "descriptor", &implementation, "backend",
                                       &backend, "split", &split, "requirement", &requirement,
                                       "verdict", &verdict, "seed", &seed) == 0;

    *failure = (struct vpc_failure){.seed = (uint64_t)seed};
    if (!good)
        *error = vpc_format("%s: %s", path, why.text);
    else if (!vpc_verdict_of(verdict, &failure->verdict))
        *error = vpc_format("%s: %s is no verdict", path, verdict);
    failure->script = vpc_format("%s/%s", folder, script);
    failure->implementation = vpc_copy(implementation);
    failure->backend = vpc_copy(backend);
    failure->split = vpc_copy(split);
    failure->requirement = vpc_copy(requirement);
    json_decref(json);
    free(path);
    if (*error)
        vpc_failure_clear(failure);
    return *error == NULL;
}

void vpc_failure_clear(struct vpc_failure *failure)
{
    free(failure->script);
    free(failure->implementation);
    free(failure->backend);
    free(failure->split);
    free(failure->requirement);
    *failure = (struct vpc_failure){0};
}
