/* SPDX-License-Identifier: MIT */
/* See failure.h. */
#include "report/failure.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/folder.h"
#include "clean.h"
#include "files.h"
#include "report/report.h"

#define COPY_MAX (20u << 20) /* octets of one file: a subject may have written any of them */

/* What the files of a folder are made of. */
struct failed {
    const struct vpc_suite *suite;
    const struct vpc_suite_run *run;
};

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

static void write_repeat(FILE *file, const void *user)
{
    const struct failed *failed = user;
    const struct vpc_suite *suite = failed->suite;
    const struct vpc_suite_run *run = failed->run;
    char *cwd = getcwd(NULL, 0);

    fputs("#!/bin/sh\n# Does this run again.\nscript=$(cd \"$(dirname \"$0\")\" && pwd)\ncd", file);
    write_quoted(cwd ? cwd : ".", file);
    fputs(" || exit 70\nexec", file);
    write_quoted(suite->program, file);
    fputs(" run --implementation", file);
    write_quoted(run->implementation->path, file);
    fprintf(file, " --backend %s --split %s --seed %llu", run->backend->name,
            vpc_split_name(run->split), (unsigned long long)suite->seed);
    fprintf(file, " --limit %d%s", suite->limit_ms / 1000, suite->sandbox ? " --sandbox=try" : "");
    if (run->initrd) {
        fputs(" --guest-dir", file);
        write_quoted(suite->guest_dir, file);
    }
    fprintf(file, " --out \"$script/again\" \"$@\" \"$script/%s.vpcs\"\n", run->script->name);
    fchmod(fileno(file), 0755);
    free(cwd);
}

static void write_json(FILE *file, const void *user)
{
    const struct failed *failed = user;
    const struct vpc_suite_run *run = failed->run;
    json_t *json = vpc_report_run_json(run);
    char *script = vpc_format("%s.vpcs", run->script->name);

    json_object_set_new(json, "seed", json_integer((json_int_t)failed->suite->seed));
    json_object_set_new(json, "descriptor", vpc_json_text(run->implementation->path));
    json_object_set_new(json, "script", vpc_json_text(script));
    json_dumpf(json, file, JSON_INDENT(1));
    json_decref(json);
    free(script);
}

static void write_text(FILE *file, const void *user)
{
    const struct failed *failed = user;

    vpc_report_detail(failed->suite, failed->run, file);
}

/* ---- the folder --------------------------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash;
}

/* A name as a folder may have it.  One that had to be changed gets its hash, so that "Ref X" and "Ref-X" stay apart. */
static char *folder_of(const struct vpc_suite *suite, const struct vpc_suite_run *run)
{
    const char *whole = run->implementation->name;
    char *name = vpc_copy_n(whole, 60), *path;

    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? *at : '-';
    if (strcmp(name, whole) == 0)
        path = vpc_format("%s/%s", suite->out, name);
    else
        path = vpc_format("%s/%s_%016llx", suite->out, name, (unsigned long long)hash_of(whole));
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

static bool write_in(const struct failed *failed, const char *name, vpc_write_fn *write)
{
    char *path = vpc_format("%s/%s", failed->run->folder, name);
    bool good = vpc_file_write(path, write, failed);

    free(path);
    return good;
}

static bool copy_in(const struct failed *failed, const char *from, const char *name)
{
    char *path = vpc_format("%s/%s", failed->run->folder, name);
    bool good = vpc_file_copy(from, path, COPY_MAX);

    free(path);
    return good;
}

static bool copy_script(const struct failed *failed)
{
    const struct vpc_script *script = failed->run->script;
    char *path = vpc_format("%s/%s.vpcs", failed->run->folder, script->name);
    char *text = vpc_file_read(script->path);
    bool good = text && vpc_file_write_text(path, text);

    free(text);
    free(path);
    return good;
}

static bool copy_kept(const struct failed *failed, const char *dir)
{
    static const char *const kept[] = {"trace.txt", "trace.pcapng", "trace.pcapng.old",
                                       "subject.log", "subject.out"};
    bool good = true;

    for (size_t i = 0; good && i < sizeof(kept) / sizeof(kept[0]); i++) {
        char *from = vpc_format("%s/%s", dir, kept[i]);

        good = copy_in(failed, from, kept[i]);
        free(from);
    }
    return good;
}

static bool fill(const struct failed *failed, const char *dir)
{
    return copy_script(failed) && copy_kept(failed, dir) &&
           write_in(failed, "repeat.sh", write_repeat) &&
           write_in(failed, "run.json", write_json) && write_in(failed, "result.txt", write_text);
}

bool vpc_failure_keep(struct vpc_suite *suite, struct vpc_suite_run *run, const char *dir)
{
    const struct failed failed = {suite, run};
    bool good = make_folder(suite, run) && fill(&failed, dir);

    if (!good && suite->trouble == NULL)
        suite->trouble =
            vpc_format("%s: the failure can not be kept: %s; make room, or name another folder "
                       "with --out",
                       run->folder, strerror(errno));
    return good;
}

/* ---- and back ----------------------------------------------------------------------------------------------------- */

static json_t *load_json(const char *path, json_error_t *why)
{
    FILE *file = vpc_file_open(path);
    json_t *json = file ? json_loadf(file, 0, why) : NULL;

    if (file == NULL)
        snprintf(why->text, sizeof(why->text), "%s", vpc_file_words(errno));
    else
        fclose(file);
    return json;
}

bool vpc_failure_load(const char *folder, struct vpc_failure *failure, char **error)
{
    char *path = vpc_format("%s/run.json", folder);
    json_error_t why;
    json_t *json = load_json(path, &why);
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
