/* SPDX-License-Identifier: MIT */
/*
 * The suite.
 *
 * Each run is forked: the child writes its result as one JSON object into a pipe; the parent waits for it with a limit in
 * real time.  A child that ends without a result crashed: it is the subject's fault if the subject's code ran in it (the
 * shared flag in_subject), else the harness's.  What may never happen: a child or a grandchild that outlives its run, so
 * each child leads a process group, and the group is killed when the run is over.
 */
#include "verdicts/suite.h"

#include "verdicts/jobs.h"

#include <errno.h>
#include <fts.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_LIMIT_MS 120000

const char *vpc_split_name(enum vpc_split split)
{
    static const char *const names[] = {"whole", "1", "random", "largest"};

    return names[split];
}

const char *vpc_verdict_name(enum vpc_verdict verdict)
{
    static const char *const names[] = {"pass",         "non-strict",    "FAIL",
                                        "inconclusive", "not supported", "HARNESS ERROR"};

    return names[verdict];
}

void vpc_result_clear(struct vpc_result *result)
{
    free(result->step);
    free(result->expected);
    free(result->got);
    free(result->requirement);
    free(result->trace);
    *result = (struct vpc_result){0};
}

/* ---- scenarios ---------------------------------------------------------------------------------------------------------- */

static bool add_file(struct vpc_suite *suite, const char *path, char **error)
{
    struct vpc_script *script = vpc_script_load(path, suite->table, suite->spec, error);

    if (script == NULL)
        return false;
    suite->scripts = vpc_grow(suite->scripts, suite->script_count + 1, sizeof(struct vpc_script *));
    suite->scripts[suite->script_count++] = script;
    return true;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Adds the scenarios below path, or the one file; with a name, those of that name only. */
static bool add_tree(struct vpc_suite *suite, const char *path, const char *name, char **error)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_LOGICAL, by_name);
    FTSENT *entry;
    bool good = tree != NULL;

    while (good && (entry = fts_read(tree)) != NULL) {
        size_t n = strlen(entry->fts_name);
        bool given = entry->fts_level == 0;
        bool scenario =
            n > 5 && strcmp(entry->fts_name + n - 5, ".vpcs") == 0 &&
            (name == NULL || (n == strlen(name) + 5 && strncmp(entry->fts_name, name, n - 5) == 0));

        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR) {
            *error =
                vpc_format("%s: can not be read: %s", entry->fts_path, strerror(entry->fts_errno));
            good = false;
        } else if (entry->fts_info == FTS_F && (given || scenario)) {
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

bool vpc_suite_add_named(struct vpc_suite *suite, const char *folder, const char *name,
                         char **error)
{
    size_t before = suite->script_count;

    if (!add_tree(suite, folder, name, error))
        return false;
    if (suite->script_count == before)
        *error = vpc_format("%s: no such file, folder or scenario in %s", name, folder);
    return suite->script_count > before;
}

/* ---- results between child and parent ------------------------------------------------------------------------------------- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Texts may hold any octets; JSON takes UTF-8 only. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(or_empty(text));
    char *clean;

    if (json)
        return json;
    clean = vpc_copy(text);
    for (char *at = clean; *at; at++)
        if ((unsigned char)*at > 0x7e)
            *at = '?';
    json = json_string(clean);
    free(clean);
    return json;
}

static void send_result(int fd, const struct vpc_result *result)
{
    json_t *json = json_pack(
        "{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:I}", "verdict", (int)result->verdict, "line",
        result->line, "step", text_json(result->step), "expected", text_json(result->expected),
        "got", text_json(result->got), "requirement", text_json(result->requirement), "trace",
        text_json(result->trace), "ms", (json_int_t)result->ms);

    json_dumpfd(json, fd, JSON_COMPACT);
    json_decref(json);
}

static bool take_result(const struct vpc_buffer *text, struct vpc_result *result)
{
    json_t *json = text->end ? json_loadb((const char *)text->data, text->end, 0, NULL) : NULL;

    if (json == NULL)
        return false;
    result->verdict = (enum vpc_verdict)json_integer_value(json_object_get(json, "verdict"));
    result->line = (int)json_integer_value(json_object_get(json, "line"));
    result->ms = (uint64_t)json_integer_value(json_object_get(json, "ms"));
    result->step = vpc_copy(json_string_value(json_object_get(json, "step")));
    result->expected = vpc_copy(json_string_value(json_object_get(json, "expected")));
    result->got = vpc_copy(json_string_value(json_object_get(json, "got")));
    result->requirement = vpc_copy(json_string_value(json_object_get(json, "requirement")));
    result->trace = vpc_copy(json_string_value(json_object_get(json, "trace")));
    json_decref(json);
    return true;
}

/* ---- one run ------------------------------------------------------------------------------------------------------------------ */

/* A run that may be in a child process now. */
struct attempt {
    struct vpc_suite *suite;
    struct vpc_suite_run *run;
    char *dir;
    volatile int *in_subject; /* shared with the child */
};

static void run_in_child(void *user, int fd)
{
    const struct attempt *attempt = user;
    const struct vpc_suite *suite = attempt->suite;
    const struct vpc_suite_run *run = attempt->run;
    struct vpc_run_config config = {
        .script = run->script,
        .table = suite->table,
        .spec = suite->spec,
        .implementation = run->implementation,
        .backend = run->backend,
        .split = suite->split,
        .seed = suite->seed,
        .dir = attempt->dir,
        .build = suite->build,
        .guest_dir = suite->guest_dir,
        .initrd = run->initrd,
        .in_subject = attempt->in_subject,
    };
    char *trace = vpc_format("%s/trace.txt", attempt->dir);
    struct vpc_result result;
    FILE *file = fopen(trace, "we");

    vpc_run(&config, &result, file);
    if (file)
        fclose(file);
    send_result(fd, &result);
    vpc_result_clear(&result);
    free(trace);
}

static void judge_end(struct vpc_result *result, int status, bool in_time, bool in_subject)
{
    *result = (struct vpc_result){.verdict = in_subject ? VPC_FAIL : VPC_HARNESS_ERROR};
    result->expected = vpc_copy("a run that ends by itself");
    if (!in_time)
        result->got = vpc_format("no end within %d s", RUN_LIMIT_MS / 1000);
    else if (WIFSIGNALED(status))
        result->got =
            vpc_format("%s ended by signal %d (%s)", in_subject ? "the subject" : "the harness",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        result->got = vpc_format("%s ended with status %d",
                                 in_subject ? "the subject" : "the harness", WEXITSTATUS(status));
}

/* ---- folders ---------------------------------------------------------------------------------------------------------------------- */

static void remove_tree(const char *dir)
{
    char *const paths[] = {(char *)dir, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_PHYSICAL, NULL);
    FTSENT *entry;

    while (tree && (entry = fts_read(tree)) != NULL)
        if (entry->fts_info != FTS_D)
            remove(entry->fts_path);
    if (tree)
        fts_close(tree);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "re"), *out = in ? fopen(to, "we") : NULL;
    char part[8192];
    size_t n;

    while (out && (n = fread(part, 1, sizeof(part), in)) > 0)
        fwrite(part, 1, n, out);
    if (in)
        fclose(in);
    if (out)
        fclose(out);
}

static void copy_into(const char *folder, const char *dir, const char *name)
{
    char *from = vpc_format("%s/%s", dir, name);
    char *to = vpc_format("%s/%s", folder, name);

    copy_file(from, to);
    free(from);
    free(to);
}

static void write_how(const struct vpc_suite *suite, const struct vpc_suite_run *run,
                      const char *folder)
{
    char *path = vpc_format("%s/repeat.sh", folder);
    FILE *file = fopen(path, "we");

    if (file) {
        fprintf(file, "%s run --implementation %s --backend %s --split %s --seed %llu %s\n",
                suite->program, run->implementation->path, run->backend->name,
                vpc_split_name(suite->split), (unsigned long long)suite->seed, run->script->path);
        fclose(file);
    }
    free(path);
}

static void keep_failure(const struct vpc_suite *suite, struct vpc_suite_run *run, const char *dir)
{
    char *to;

    mkdir(suite->out, 0777);
    run->folder = vpc_format("%s/%s.%s.split-%s", suite->out, run->script->name, run->backend->name,
                             vpc_split_name(suite->split));
    remove_tree(run->folder);
    mkdir(run->folder, 0777);
    to = vpc_format("%s/scenario.vpcs", run->folder);
    copy_file(run->script->path, to);
    free(to);
    copy_into(run->folder, dir, "trace.txt");
    copy_into(run->folder, dir, "subject.log");
    copy_into(run->folder, dir, "subject.out");
    write_how(suite, run, run->folder);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------------- */

static char *missing_feature(const struct vpc_suite_run *run)
{
    const struct vpc_implementation *implementation = run->implementation;
    bool host = implementation->role == VPC_FROM_HOST;
    bool can[] = {implementation->object, implementation->command,
                  host ? implementation->command : implementation->guest_command};
    int bit = run->backend->bit == VPC_INPROC ? 0 : run->backend->bit == VPC_SOCKET ? 1 : 2;

    if (!can[bit])
        return vpc_format("the descriptor has nothing for %s", run->backend->name);
    for (size_t i = 0; i < run->script->need_count; i++)
        if (!vpc_implementation_has(implementation, run->script->needs[i]))
            return vpc_copy(run->script->needs[i]);
    return NULL;
}

static void add_run(struct vpc_suite *suite, const struct vpc_script *script,
                    const struct vpc_implementation *implementation,
                    const struct vpc_backend_ops *backend, const char *initrd)
{
    suite->runs = vpc_grow(suite->runs, suite->run_count + 1, sizeof(*suite->runs));
    suite->runs[suite->run_count++] = (struct vpc_suite_run){
        .script = script, .implementation = implementation, .backend = backend, .initrd = initrd};
}

static void plan(struct vpc_suite *suite)
{
    for (size_t b = 0; b < suite->backend_count; b++)
        for (size_t i = 0; i < suite->implementation_count; i++)
            for (size_t s = 0; s < suite->script_count; s++)
                if (suite->scripts[s]->role == suite->implementations[i]->role &&
                    suite->scripts[s]->backends & suite->backends[b]->bit)
                    add_run(suite, suite->scripts[s], suite->implementations[i], suite->backends[b],
                            suite->backends[b]->prepare ? suite->initrds[i] : NULL);
}

static char *make_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = vpc_format("%s/vpc-conform-XXXXXX", base ? base : "/tmp");

    if (mkdtemp(dir))
        return dir;
    free(dir);
    return NULL;
}

/* ---- what runs share ---------------------------------------------------------------------------------------------------- */

struct preparation {
    const struct vpc_suite *suite;
    const struct vpc_backend_ops *backend;
    const struct vpc_implementation *implementation;
    char *dir;
};

/* Says "+" and what was made, or "-" and why not. */
static void prepare_in_child(void *user, int fd)
{
    const struct preparation *preparation = user;
    const struct vpc_suite *suite = preparation->suite;
    struct vpc_backend_config config = {
        .implementation = preparation->implementation,
        .vm = VPC_SUBJECT_VM,
        .tag = VPC_SUBJECT_TAG,
        .dir = preparation->dir,
        .build = suite->build,
        .guest_dir = suite->guest_dir,
    };
    char *initrd = NULL, *error = NULL;
    bool good = preparation->backend->prepare(&config, suite->guest_image, &initrd, &error);

    dprintf(fd, "%s%s", good ? "+" : "-", good ? initrd : error);
    free(initrd);
    free(error);
}

static char *prepare_one(struct vpc_suite *suite, struct vpc_jobs *jobs,
                         const struct vpc_backend_ops *backend,
                         const struct vpc_implementation *implementation, char **error)
{
    struct preparation preparation = {suite, backend, implementation, make_dir()};
    struct vpc_job_result result = {0};
    char *said = NULL, *made = NULL;

    if (preparation.dir && vpc_jobs_start(jobs, prepare_in_child, &preparation) &&
        vpc_jobs_next(jobs, &result) && vpc_buffer_size(&result.text) > 0)
        said =
            vpc_copy_n((const char *)vpc_buffer_head(&result.text), vpc_buffer_size(&result.text));
    if (said && *said == '+')
        made = vpc_copy(said + 1);
    else if (said)
        *error = vpc_copy(said + 1);
    else
        *error =
            vpc_format("%s can not be prepared for %s: %s", implementation->path, backend->name,
                       vpc_jobs_interrupted(jobs) ? "interrupted" : strerror(errno));
    if (preparation.dir)
        remove_tree(preparation.dir);
    free(preparation.dir);
    vpc_buffer_free(&result.text);
    free(said);
    return made;
}

static bool prepare(struct vpc_suite *suite, struct vpc_jobs *jobs, char **error)
{
    for (size_t b = 0; b < suite->backend_count; b++) {
        for (size_t i = 0; suite->backends[b]->prepare && i < suite->implementation_count; i++) {
            suite->initrds =
                vpc_grow(suite->initrds, suite->initrd_count + 1, sizeof(*suite->initrds));
            suite->initrds[suite->initrd_count] =
                prepare_one(suite, jobs, suite->backends[b], suite->implementations[i], error);
            if (suite->initrds[suite->initrd_count] == NULL)
                return false;
            suite->initrd_count++;
        }
    }
    return true;
}

/* ---- the runs ------------------------------------------------------------------------------------------------------------- */

static void not_run(struct vpc_suite_run *run, enum vpc_verdict verdict, char *why)
{
    run->result = (struct vpc_result){.verdict = verdict, .got = why};
}

/* False when there is nothing to wait for. */
static bool begin_attempt(struct vpc_suite *suite, struct vpc_jobs *jobs, struct vpc_suite_run *run,
                          volatile int *in_subject)
{
    char *missing = missing_feature(run);
    struct attempt *attempt;

    if (missing) {
        not_run(run, VPC_NOT_SUPPORTED, missing);
        return false;
    }
    attempt = vpc_alloc(sizeof(*attempt));
    *attempt = (struct attempt){suite, run, make_dir(), in_subject};
    if (attempt->dir && vpc_jobs_start(jobs, run_in_child, attempt))
        return true;
    not_run(run, VPC_HARNESS_ERROR, vpc_format("a run can not be started: %s", strerror(errno)));
    if (attempt->dir)
        remove_tree(attempt->dir);
    free(attempt->dir);
    free(attempt);
    return false;
}

static void end_attempt(struct vpc_jobs *jobs)
{
    struct vpc_job_result end = {0};
    struct attempt *attempt;

    if (!vpc_jobs_next(jobs, &end))
        return;
    attempt = end.user;
    if (vpc_jobs_interrupted(jobs))
        not_run(attempt->run, VPC_HARNESS_ERROR, vpc_copy("interrupted"));
    else if (!take_result(&end.text, &attempt->run->result))
        judge_end(&attempt->run->result, end.status, end.in_time, *attempt->in_subject);
    if (attempt->run->result.verdict != VPC_PASS && !vpc_jobs_interrupted(jobs))
        keep_failure(attempt->suite, attempt->run, attempt->dir);
    remove_tree(attempt->dir);
    vpc_buffer_free(&end.text);
    free(attempt->dir);
    free(attempt);
}

static void show(const struct vpc_suite *suite, size_t i)
{
    if (suite->progress)
        fprintf(stderr, "\r\033[K%zu/%zu %s %s", i + 1, suite->run_count,
                suite->runs[i].backend->name, suite->runs[i].script->name);
}

static void run_all(struct vpc_suite *suite, struct vpc_jobs *jobs)
{
    volatile int *in_subject = mmap(NULL, (suite->run_count + 1) * sizeof(int),
                                    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t running = 0;

    for (size_t i = 0; i < suite->run_count; i++) {
        if (vpc_jobs_interrupted(jobs)) {
            not_run(&suite->runs[i], VPC_HARNESS_ERROR, vpc_copy("interrupted"));
            continue;
        }
        show(suite, i);
        running += begin_attempt(suite, jobs, &suite->runs[i], in_subject + i);
        for (; running > 0 && vpc_jobs_full(jobs); running--)
            end_attempt(jobs);
    }
    for (; running > 0; running--)
        end_attempt(jobs);
    if (suite->progress)
        fputs("\r\033[K", stderr);
    munmap((void *)in_subject, (suite->run_count + 1) * sizeof(int));
}

bool vpc_suite_run(struct vpc_suite *suite, char **error)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(suite->jobs ? suite->jobs : 1, RUN_LIMIT_MS);
    bool good = prepare(suite, jobs, error);

    if (good) {
        plan(suite);
        run_all(suite, jobs);
    }
    suite->interrupted = vpc_jobs_interrupted(jobs);
    vpc_jobs_end(jobs);
    return good;
}

void vpc_suite_free(struct vpc_suite *suite)
{
    for (size_t i = 0; i < suite->run_count; i++) {
        vpc_result_clear(&suite->runs[i].result);
        free(suite->runs[i].folder);
    }
    for (size_t i = 0; i < suite->script_count; i++)
        vpc_script_free(suite->scripts[i]);
    for (size_t i = 0; i < suite->initrd_count; i++)
        free(suite->initrds[i]);
    free(suite->initrds);
    for (size_t i = 0; i < suite->implementation_count; i++)
        vpc_implementation_free(suite->implementations[i]);
    free(suite->runs);
    free(suite->scripts);
    free(suite->implementations);
}
