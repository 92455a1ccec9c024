/* SPDX-License-Identifier: MIT */
/* vpc-conform shrink FOLDER: of a failure's folder (report/failure.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "files.h"
#include "report/failure.h"
#include "verdicts/prepare.h"
#include "verdicts/shrink.h"

struct work {
    struct conform_settings *settings;
    struct vpc_failure failure;
    const char *folder;
    char *text;                /* of the script */
    struct vpc_script *script; /* the same */
    struct vpc_result result;  /* of the run that shrinking starts from */
    struct vpc_shrink shrink;
    struct vpc_implementation *reference; /* the one beside the scenarios, when none was named */
};

static void show(const struct vpc_shrink *shrink, size_t lines)
{
    fprintf(stderr, "\r\033[K%zu tries, %zu lines", shrink->tries, lines);
}

/* Reads all that is needed; false: *error. */
static bool load(struct work *work, char **error)
{
    struct vpc_suite *suite = &work->settings->suite;
    struct vpc_suite_run *run = &work->shrink.run;

    if (!vpc_failure_load(work->folder, &work->failure, error))
        return false;
    if (!vpc_backend_by_name(work->failure.backend, &run->backend) ||
        !vpc_split_by_name(work->failure.split, &run->split))
        *error = vpc_format("%s/run.json: no backend or split is called so", work->folder);
    else if (vpc_add_implementation(suite, work->failure.implementation, error))
        run->implementation = suite->implementations[suite->implementation_count - 1];
    if (*error)
        return false;
    conform_say_fences(suite);
    suite->seed = work->failure.seed;
    work->text = vpc_file_read(work->failure.script);
    work->script = vpc_script_load(work->failure.script, suite->table, suite->spec, error);
    return work->script != NULL;
}

static bool fails_as_before(struct work *work)
{
    vpc_result_clear(&work->result);
    vpc_suite_try(&work->settings->suite, &work->shrink.run, work->script, &work->result);
    return work->result.verdict == work->failure.verdict &&
           strcmp(work->result.requirement ? work->result.requirement : "",
                  work->failure.requirement) == 0;
}

/* In-process and whole if it fails there too: that is quick, and simple to look at. */
static bool choose_run(struct work *work)
{
    struct vpc_suite_run *run = &work->shrink.run, first = *run;
    const struct vpc_backend_ops *backends[] = {&vpc_backend_inproc, first.backend};
    enum vpc_split splits[] = {VPC_SPLIT_WHOLE, first.split};

    for (size_t b = 0; b < 2; b++) {
        if (!vpc_can_run(run->implementation, backends[b]) ||
            !(work->script->backends & backends[b]->bit))
            continue;
        run->backend = backends[b];
        for (size_t s = 0; s < 2; s++) {
            run->split = splits[s];
            if (fails_as_before(work))
                return true;
        }
    }
    return false;
}

/* ---- who must pass -------------------------------------------------------------------------------------------------- */

static bool passes(struct work *work, const struct vpc_implementation *good)
{
    struct vpc_suite_run run = work->shrink.run;
    struct vpc_result result;
    bool pass;

    if (!vpc_can_run(good, run.backend) || run.backend->prepare)
        return false;
    run.implementation = good;
    vpc_suite_try(&work->settings->suite, &run, work->script, &result);
    pass = vpc_verdict_good(result.verdict);
    vpc_result_clear(&result);
    return pass;
}

/* The reference of that role, unless it is the one that fails. */
static const struct vpc_implementation *find_reference(struct work *work)
{
    const struct vpc_implementation *failing = work->shrink.run.implementation;
    char *error = NULL;
    char *path = vpc_format("%s/../implementations/reference-%s.ini", work->settings->scenarios,
                            failing->role == VPC_FROM_HOST ? "host" : "guest");

    work->reference = access(path, R_OK) == 0 ? vpc_implementation_load(path, &error) : NULL;
    free(error);
    free(path);
    return work->reference && strcmp(work->reference->name, failing->name) != 0 ? work->reference
                                                                                : NULL;
}

/* Some implementation must pass what is left, or it may be what no right one passes. */
static bool choose_good(struct work *work, char **error)
{
    const struct vpc_suite *suite = &work->settings->suite;
    bool named = suite->implementation_count > 1;
    const struct vpc_implementation *good =
        named ? suite->implementations[0] : find_reference(work);

    if (good && passes(work, good))
        work->shrink.good = good;
    else if (named)
        *error = vpc_format("%s does not pass %s itself; name one that does", good->path,
                            work->failure.script);
    else
        fputs("vpc-conform: the reference is not at hand or does not pass this either; so what is "
              "left may be a script that no "
              "implementation passes: name one that must, with --reference\n",
              stderr);
    return *error == NULL;
}

/* What a guest image holds is made once, as before a run. */
static bool prepare(struct work *work, char **error)
{
    struct vpc_suite *suite = &work->settings->suite;
    struct vpc_jobs *jobs = vpc_jobs_begin(1, suite->limit_ms);
    struct vpc_prepared *own;

    if (work->shrink.run.backend->prepare)
        suite->backends[suite->backend_count++] = work->shrink.run.backend;
    vpc_prepare(suite, jobs);
    own = &suite->prepared[suite->implementation_count - 1];
    work->shrink.run.initrd = own->initrd;
    if (own->error)
        *error = vpc_copy(own->error);
    vpc_jobs_end(jobs);
    return own->error == NULL;
}

static int write_result(struct work *work, const char *text)
{
    const struct vpc_suite_run *run = &work->shrink.run;
    char *path = vpc_format("%s/shrunk.vpcs", work->folder);
    bool good = vpc_file_write_text(path, text);

    if (good)
        printf("%s\n%s: %zu tries; again: %s run --implementation %s --backend %s --split %s "
               "--seed %llu %s\n",
               text, path, work->shrink.tries, work->settings->suite.program,
               run->implementation->path, run->backend->name, vpc_split_name(run->split),
               (unsigned long long)work->settings->suite.seed, path);
    else
        vpc_complain(vpc_format("%s: can not be written: %s", path, vpc_file_words(errno)));
    free(path);
    return good ? VPC_EXIT_PASS : VPC_EXIT_HARNESS;
}

static int shrink(struct work *work)
{
    struct vpc_suite *suite = &work->settings->suite;
    char *error = NULL, *text;
    int code;

    if (!load(work, &error) || !prepare(work, &error))
        return vpc_complain(error);
    if (!choose_run(work)) {
        vpc_complain(vpc_format("%s no longer fails so: %s, %s", work->failure.script,
                                vpc_verdict_name(work->result.verdict),
                                work->result.requirement ? work->result.requirement : ""));
        return VPC_EXIT_INCONCLUSIVE;
    }
    if (!choose_good(work, &error))
        return vpc_complain(error);
    work->shrink.suite = suite;
    work->shrink.path = work->failure.script;
    work->shrink.wanted = &work->result;
    work->shrink.progress = isatty(STDERR_FILENO) ? show : NULL;
    text = vpc_shrink_text(&work->shrink, work->text);
    if (work->shrink.progress)
        fputs("\r\033[K", stderr);
    code = suite->interrupted ? 128 + suite->interrupted : write_result(work, text);
    free(text);
    return code;
}

int vpc_verb_shrink(struct conform_settings *settings, char **words)
{
    struct work work = {.settings = settings, .folder = words[0]};
    int code;

    if (words[0] == NULL || words[1] != NULL)
        return vpc_complain(vpc_copy("shrink needs one FOLDER of a failure"));
    if (settings->suite.limit_ms == 0)
        settings->suite.limit_ms = 120000;
    if (!conform_sandbox_suffices(settings))
        return VPC_EXIT_HARNESS;
    code = shrink(&work);
    vpc_result_clear(&work.result);
    vpc_failure_clear(&work.failure);
    if (work.script)
        vpc_script_free(work.script);
    if (work.reference)
        vpc_implementation_free(work.reference);
    free(work.text);
    return code;
}
