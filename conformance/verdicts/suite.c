/* SPDX-License-Identifier: MIT */
/*
 * The suite: what is run, and what it comes to.
 *
 * Each run is a child process (attempt.h).  What may never happen: a child or a grandchild that outlives its run, so each
 * child leads a process group, and the group is killed when the run is over.
 */
#include "verdicts/suite.h"

#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/witness.h"
#include "files.h"
#include "verdicts/attempt.h"
#include "verdicts/meter.h"
#include "verdicts/prepare.h"

#define RUN_LIMIT_MS 120000
#define ENDING       ".vpcs"

const char *vpc_split_name(enum vpc_split split)
{
    static const char *const names[VPC_SPLITS] = {"whole", "1", "random", "largest"};

    return names[split];
}

/* ---- scenarios ---------------------------------------------------------------------------------------------------- */

static bool add_file(struct vpc_suite *suite, const char *path, char **error)
{
    struct vpc_script *script;

    for (size_t i = 0; i < suite->script_count; i++)
        if (strcmp(suite->scripts[i]->path, path) == 0)
            return true;
    script = vpc_script_load(path, suite->table, suite->spec, error);
    if (script == NULL)
        return false;
    if (suite->folds)
        vpc_script_fold(script);
    for (size_t i = 0; i < suite->script_count && *error == NULL; i++)
        if (suite->scripts[i]->role == script->role &&
            strcmp(suite->scripts[i]->name, script->name) == 0)
            *error =
                vpc_format("%s:1: expected a name of its own: %s has the same name and subject",
                           path, suite->scripts[i]->path);
    suite->scripts =
        vpc_grow_by_one(suite->scripts, suite->script_count, sizeof(struct vpc_script *));
    suite->scripts[suite->script_count++] = script;
    return *error == NULL;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_scenario(const FTSENT *entry)
{
    size_t n = strlen(entry->fts_name), ending = strlen(ENDING);

    return n > ending && strcmp(entry->fts_name + n - ending, ENDING) == 0;
}

/* The name, or the path below the folder, each without the ending. */
static bool fits(const FTSENT *entry, size_t folder_size, const char *pattern)
{
    const char *texts[] = {entry->fts_name, entry->fts_path + folder_size};
    bool found = false;

    for (size_t i = 0; i < 2 && !found; i++) {
        const char *text = texts[i] + strspn(texts[i], "/");
        char *name = vpc_copy_n(text, strlen(text) - strlen(ENDING));

        found = fnmatch(pattern, name, 0) == 0;
        free(name);
    }
    return found;
}

/* Adds what fits of the tree; the file that path itself names is a scenario whatever it is called. */
static bool add_tree(struct vpc_suite *suite, const char *path, const char *pattern, char **error)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_LOGICAL, by_name);
    FTSENT *entry;
    bool good = tree != NULL;

    while (good && (entry = fts_read(tree)) != NULL) {
        bool named = entry->fts_level == 0;

        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR) {
            *error =
                vpc_format("%s: can not be read: %s", entry->fts_path, strerror(entry->fts_errno));
            good = false;
        } else if (entry->fts_info == FTS_DEFAULT && named) {
            *error = vpc_format("%s: can not be read: %s", path, vpc_file_words(EINVAL));
            good = false;
        } else if (entry->fts_info == FTS_F && (named || is_scenario(entry)) &&
                   (pattern == NULL || fits(entry, strlen(path), pattern))) {
            good = add_file(suite, entry->fts_path, error);
        }
    }
    if (tree)
        fts_close(tree);
    return good;
}

bool vpc_suite_add(struct vpc_suite *suite, const char *path, char **error)
{
    return add_tree(suite, path, NULL, error);
}

bool vpc_suite_add_matching(struct vpc_suite *suite, const char *folder, const char *pattern,
                            char **error)
{
    size_t before = suite->script_count;

    if (!add_tree(suite, folder, pattern, error))
        return false;
    if (suite->script_count == before)
        *error = vpc_format("%s: no such file or folder, and no new scenario in %s is called so",
                            pattern, folder);
    return *error == NULL;
}

static bool covers(const struct vpc_script *script, const char *pattern)
{
    for (size_t i = 0; i < script->cover_count; i++)
        if (fnmatch(pattern, script->covers[i], 0) == 0)
            return true;
    return false;
}

void vpc_suite_keep_covering(struct vpc_suite *suite, const char *pattern)
{
    size_t kept = 0;

    for (size_t i = 0; i < suite->script_count; i++) {
        if (covers(suite->scripts[i], pattern))
            suite->scripts[kept++] = suite->scripts[i];
        else
            vpc_script_free(suite->scripts[i]);
    }
    suite->script_count = kept;
}

/* ---- the plan ----------------------------------------------------------------------------------------------------- */

static void add_run(struct vpc_suite *suite, const struct vpc_script *script, size_t which,
                    const struct vpc_backend_ops *backend, enum vpc_split split)
{
    struct vpc_implementation *implementation = suite->implementations[which];
    struct vpc_suite_run *run;

    suite->runs = vpc_grow_by_one(suite->runs, suite->run_count, sizeof(*suite->runs));
    run = &suite->runs[suite->run_count++];
    *run = (struct vpc_suite_run){
        .script = script, .implementation = implementation, .backend = backend, .split = split};
    if (backend->prepare) {
        run->initrd = suite->prepared[which].initrd;
        run->broken = suite->prepared[which].error;
    }
    run->expectation = vpc_expectation_of(&suite->expectations, script->name, implementation->name);
    if (run->expectation)
        run->expectation->runs++;
}

static void plan_one(struct vpc_suite *suite, const struct vpc_backend_ops *backend, size_t which,
                     size_t *planned)
{
    for (size_t split = 0; split < suite->split_count; split++) {
        for (size_t s = 0; s < suite->script_count; s++) {
            if (suite->scripts[s]->role != suite->implementations[which]->role ||
                !(suite->scripts[s]->backends & backend->bit))
                continue;
            if (suite->shards == 0 || *planned % suite->shards == suite->shard - 1)
                add_run(suite, suite->scripts[s], which, backend, suite->splits[split]);
            ++*planned;
        }
    }
}

static void plan(struct vpc_suite *suite)
{
    size_t planned = 0;

    if (suite->split_count == 0)
        suite->splits[suite->split_count++] = VPC_SPLIT_WHOLE;
    for (size_t b = 0; b < suite->backend_count; b++)
        for (size_t i = 0; i < suite->implementation_count; i++)
            plan_one(suite, suite->backends[b], i, &planned);
}

/* ---- how many at once -------------------------------------------------------------------------------------------- */

static size_t place_of(const struct vpc_backend_ops *backend)
{
    return (size_t)ffs((int)backend->bit) - 1;
}

size_t vpc_suite_jobs(const struct vpc_suite *suite, const struct vpc_backend_ops *backend)
{
    size_t own = suite->backend_jobs[place_of(backend)], all = suite->jobs ? suite->jobs : 1;

    return own ? own : all;
}

void vpc_suite_set_jobs(struct vpc_suite *suite, const struct vpc_backend_ops *backend, size_t jobs)
{
    suite->backend_jobs[place_of(backend)] = jobs;
}

size_t vpc_suite_most_jobs(const struct vpc_suite *suite)
{
    size_t most = 1;

    for (size_t i = 0; i < suite->backend_count; i++) {
        size_t jobs = vpc_suite_jobs(suite, suite->backends[i]);

        most = jobs > most ? jobs : most;
    }
    return most;
}

/* ---- the runs ----------------------------------------------------------------------------------------------------- */

static void not_run(struct vpc_suite_run *run, enum vpc_verdict verdict, char *why)
{
    run->result = (struct vpc_result){.verdict = verdict, .got = why};
}

static char *missing_feature(const struct vpc_suite_run *run)
{
    if (!vpc_can_run(run->implementation, run->backend))
        return vpc_format("the descriptor has nothing for %s", run->backend->name);
    for (size_t i = 0; i < run->script->need_count; i++) {
        const char *need = run->script->needs[i];

        if (run->backend->pipe_taken && strcmp(need, VPC_TWO_MACHINES) == 0)
            continue;
        if (!vpc_implementation_has(run->implementation, need))
            return vpc_copy(need);
        if (run->backend->real_time && run->implementation->monitor == NULL &&
            strcmp(need, VPC_MACHINE_EVENTS) == 0)
            return vpc_copy("machine-events: monitor in [process]");
    }
    return NULL;
}

/* False when there is nothing to wait for. */
static bool begin(struct vpc_suite *suite, struct vpc_jobs *jobs, struct vpc_suite_run *run)
{
    char *missing = missing_feature(run), *error = NULL;

    if (missing)
        not_run(run, VPC_NOT_SUPPORTED, missing);
    else if (run->broken)
        not_run(run, VPC_HARNESS_ERROR, vpc_copy(run->broken));
    else if (vpc_attempt_start(suite, jobs, run, &error))
        return true;
    else
        not_run(run, VPC_HARNESS_ERROR, error);
    return false;
}

/* A machine that has run short tells nothing of the subject. */
static void excuse(struct vpc_attempt *attempt)
{
    struct vpc_result *result = &attempt->run->result;
    bool bad = result->verdict == VPC_FAIL || result->verdict == VPC_INCONCLUSIVE;
    char *why = bad ? conform_witness_excuse(&attempt->witness, result->got) : NULL, *got;

    if (why == NULL)
        return;
    result->verdict = VPC_INCONCLUSIVE;
    got = vpc_format("%s (%s)", why, result->got ? result->got : "nothing");
    free(result->got);
    result->got = got;
    free(why);
}

/* What a busy machine held up is run once more when nothing else of ours runs; what it comes to then, it stays. */
static bool comes_again(struct vpc_suite_run *run)
{
    if (run->result.verdict != VPC_INCONCLUSIVE || !run->backend->real_time || run->again)
        return false;
    run->again = true;
    vpc_result_clear(&run->result);
    return true;
}

static void finish(struct vpc_suite *suite, struct vpc_jobs *jobs, struct vpc_meter *meter)
{
    struct vpc_job_result end = {0};
    struct vpc_attempt *attempt;

    if (!vpc_jobs_next(jobs, &end))
        return;
    attempt = end.user;
    if (vpc_jobs_interrupted(jobs))
        not_run(attempt->run, VPC_HARNESS_ERROR, vpc_copy("interrupted"));
    else
        vpc_attempt_judge(attempt, &end);
    excuse(attempt);
    if (!comes_again(attempt->run)) {
        vpc_meter_ended(meter, attempt->run);
        if (attempt->run->result.verdict != VPC_PASS && suite->keep && !vpc_jobs_interrupted(jobs))
            suite->keep(suite, attempt->run, attempt->dir);
    }
    vpc_buffer_free(&end.text);
    vpc_attempt_end(attempt);
}

/* False when there is nothing to wait for. */
static bool begin_again(struct vpc_suite *suite, struct vpc_jobs *jobs, struct vpc_suite_run *run)
{
    if (!vpc_jobs_interrupted(jobs))
        return begin(suite, jobs, run);
    not_run(run, VPC_HARNESS_ERROR, vpc_copy("interrupted"));
    return false;
}

/* Those of them that told nothing. */
static void run_alone(struct vpc_suite *suite, struct vpc_jobs *jobs, size_t first,
                      struct vpc_meter *meter)
{
    for (size_t i = first; i < suite->run_count; i++)
        if (suite->runs[i].again && begin_again(suite, jobs, &suite->runs[i]))
            finish(suite, jobs, meter);
}

/* Runs those from first on; with first_failure those that have not begun when one was bad are struck from the plan. */
static void run_all(struct vpc_suite *suite, struct vpc_jobs *jobs, size_t first)
{
    size_t planned = suite->run_count, i;
    struct vpc_meter meter;

    vpc_meter_begin(&meter, suite);
    for (i = first; i < planned; i++) {
        struct vpc_suite_run *run = &suite->runs[i];

        while (vpc_jobs_running(jobs) >= vpc_suite_jobs(suite, run->backend))
            finish(suite, jobs, &meter);
        if (suite->first_failure && meter.bad)
            break;
        if (vpc_jobs_interrupted(jobs)) {
            not_run(run, VPC_HARNESS_ERROR, vpc_copy("interrupted"));
            continue;
        }
        vpc_meter_starts(&meter, run);
        if (!begin(suite, jobs, run))
            vpc_meter_ended(&meter, run);
    }
    suite->run_count = i;
    while (vpc_jobs_running(jobs) > 0)
        finish(suite, jobs, &meter);
    run_alone(suite, jobs, first, &meter);
    suite->ms = vpc_meter_end(&meter);
}

void vpc_suite_run(struct vpc_suite *suite)
{
    struct vpc_jobs *jobs;
    size_t first = suite->run_count;

    if (suite->limit_ms == 0)
        suite->limit_ms = RUN_LIMIT_MS;
    jobs = vpc_jobs_begin(vpc_suite_most_jobs(suite), suite->limit_ms);
    suite->groups = conform_groups_begin();
    vpc_prepare(suite, jobs);
    plan(suite);
    run_all(suite, jobs, first);
    suite->interrupted = vpc_jobs_interrupted(jobs);
    vpc_jobs_end(jobs);
    conform_groups_end(suite->groups);
    suite->groups = NULL;
}

void vpc_suite_try(struct vpc_suite *suite, const struct vpc_suite_run *like,
                   const struct vpc_script *script, struct vpc_result *result)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(1, suite->limit_ms);
    struct vpc_suite_run run = *like;
    struct vpc_job_result end = {0};
    struct vpc_attempt *attempt;
    char *error = NULL;

    run.script = script;
    attempt = vpc_attempt_start(suite, jobs, &run, &error);
    run.result = (struct vpc_result){.verdict = VPC_HARNESS_ERROR, .got = error};
    if (attempt && vpc_jobs_next(jobs, &end)) {
        vpc_attempt_judge(attempt, &end);
        vpc_attempt_end(attempt);
        vpc_buffer_free(&end.text);
    }
    *result = run.result;
    suite->interrupted = vpc_jobs_interrupted(jobs);
    vpc_jobs_end(jobs);
}

void vpc_suite_free(struct vpc_suite *suite)
{
    for (size_t i = 0; i < suite->run_count; i++) {
        vpc_result_clear(&suite->runs[i].result);
        free(suite->runs[i].folder);
    }
    for (size_t i = 0; i < suite->script_count; i++)
        vpc_script_free(suite->scripts[i]);
    vpc_prepare_forget(suite);
    for (size_t i = 0; i < suite->implementation_count; i++)
        vpc_implementation_free(suite->implementations[i]);
    vpc_expectations_free(&suite->expectations);
    free(suite->runs);
    free(suite->scripts);
    free(suite->implementations);
    free(suite->trouble);
}
