/* SPDX-License-Identifier: MIT */
/*
 * The suite.
 *
 * Each run is forked: the child writes its result as one JSON object into a pipe; the parent waits for it with a limit in
 * real time.  A child that ends without a result crashed: it is the subject's fault if the subject's code ran in it (the
 * shared flag in_subject), else the harness's.  What may never happen: a child or a grandchild that outlives its run, so
 * each child leads a process group, and the group is killed when the run is over.
 */
#include "suite.h"

#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_LIMIT_MS 120000

const char *vpc_split_name(enum vpc_split split)
{
    static const char *const names[] = {"whole", "1", "random", "largest"};

    return names[split];
}

const char *vpc_verdict_name(enum vpc_verdict verdict)
{
    static const char *const names[] = {"pass", "FAIL", "inconclusive", "not supported",
                                        "HARNESS ERROR"};

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

bool vpc_suite_add(struct vpc_suite *suite, const char *path, char **error)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_LOGICAL, by_name);
    FTSENT *entry;
    bool good = tree != NULL;

    while (good && (entry = fts_read(tree)) != NULL) {
        size_t n = strlen(entry->fts_name);
        bool named = entry->fts_level == 0;

        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR) {
            *error =
                vpc_format("%s: can not be read: %s", entry->fts_path, strerror(entry->fts_errno));
            good = false;
        } else if (entry->fts_info == FTS_F &&
                   (named || (n > 5 && strcmp(entry->fts_name + n - 5, ".vpcs") == 0))) {
            good = add_file(suite, entry->fts_path, error);
        }
    }
    if (tree)
        fts_close(tree);
    return good;
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

static _Noreturn void child(const struct vpc_suite *suite, const struct vpc_suite_run *run,
                            const char *dir, int fd, volatile int *in_subject)
{
    struct vpc_run_config config = {
        .script = run->script,
        .table = suite->table,
        .spec = suite->spec,
        .implementation = run->implementation,
        .backend = run->backend,
        .split = suite->split,
        .seed = suite->seed,
        .dir = dir,
        .build = suite->build,
        .guest_dir = suite->guest_dir,
        .initrd = run->initrd,
        .in_subject = in_subject,
    };
    char *trace = vpc_format("%s/trace.txt", dir);
    struct vpc_result result;
    FILE *file;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    file = fopen(trace, "we");
    vpc_run(&config, &result, file);
    if (file)
        fclose(file);
    send_result(fd, &result);
    vpc_result_clear(&result);
    free(trace);
    _exit(0);
}

static uint64_t real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads until the child closes the pipe; false when the time is over. */
static bool read_all(int fd, struct vpc_buffer *text)
{
    uint64_t end = real_ms() + RUN_LIMIT_MS;

    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        uint64_t now = real_ms();
        char part[4096];
        ssize_t n;

        if (now >= end)
            return false;
        if (poll(&wait, 1, (int)(end - now)) <= 0)
            continue;
        n = read(fd, part, sizeof(part));
        if (n == 0)
            return true;
        if (n > 0)
            vpc_buffer_add(text, part, (size_t)n);
        else if (errno != EINTR)
            return true;
    }
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

static void run_child(const struct vpc_suite *suite, struct vpc_suite_run *run, const char *dir,
                      volatile int *in_subject)
{
    struct vpc_buffer text = {0};
    int fds[2], status = 0;
    bool in_time;
    pid_t pid;

    *in_subject = 0;
    fflush(NULL);
    if (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        run->result = (struct vpc_result){.verdict = VPC_HARNESS_ERROR,
                                          .got = vpc_format("fork: %s", strerror(errno))};
        return;
    }
    if (pid == 0) {
        close(fds[0]);
        child(suite, run, dir, fds[1], in_subject);
    }
    setpgid(pid, pid);
    close(fds[1]);
    in_time = read_all(fds[0], &text);
    close(fds[0]);
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    kill(-pid, SIGKILL);
    if (!take_result(&text, &run->result))
        judge_end(&run->result, status, in_time, *in_subject);
    vpc_buffer_free(&text);
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

static void run_one(const struct vpc_suite *suite, struct vpc_suite_run *run,
                    volatile int *in_subject)
{
    char *missing = missing_feature(run);
    const char *base = getenv("TMPDIR");
    char *dir;

    if (missing) {
        run->result.verdict = VPC_NOT_SUPPORTED;
        run->result.got = missing;
        return;
    }
    dir = vpc_format("%s/vpc-conform-XXXXXX", base ? base : "/tmp");
    if (mkdtemp(dir) == NULL) {
        run->result.verdict = VPC_HARNESS_ERROR;
        run->result.got = vpc_format("%s: %s", dir, strerror(errno));
    } else {
        run_child(suite, run, dir, in_subject);
        if (run->result.verdict != VPC_PASS)
            keep_failure(suite, run, dir);
        remove_tree(dir);
    }
    free(dir);
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
                            suite->initrds[i]);
}

/* The images of the guests, once for all runs. */
static bool make_images(struct vpc_suite *suite, char **error)
{
    bool qemu = false;

    for (size_t b = 0; b < suite->backend_count; b++)
        qemu |= suite->backends[b]->bit == VPC_QEMU;
    for (size_t i = 0; qemu && i < suite->implementation_count && i < 8; i++) {
        suite->initrds[i] = vpc_machine_image(suite->implementations[i], suite->build,
                                              suite->guest_dir, suite->guest_image, error);
        if (suite->initrds[i] == NULL)
            return false;
    }
    return true;
}

bool vpc_suite_run(struct vpc_suite *suite, char **error)
{
    volatile int *in_subject =
        mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (!make_images(suite, error))
        return false;
    plan(suite);
    for (size_t i = 0; i < suite->run_count; i++) {
        if (suite->progress)
            fprintf(stderr, "\r\033[K%zu/%zu %s %s", i + 1, suite->run_count,
                    suite->runs[i].backend->name, suite->runs[i].script->name);
        run_one(suite, &suite->runs[i], in_subject);
    }
    if (suite->progress)
        fputs("\r\033[K", stderr);
    munmap((void *)in_subject, sizeof(int));
    return true;
}

void vpc_suite_free(struct vpc_suite *suite)
{
    for (size_t i = 0; i < suite->run_count; i++) {
        vpc_result_clear(&suite->runs[i].result);
        free(suite->runs[i].folder);
    }
    for (size_t i = 0; i < suite->script_count; i++)
        vpc_script_free(suite->scripts[i]);
    for (size_t i = 0; i < 8; i++)
        free(suite->initrds[i]);
    for (size_t i = 0; i < suite->implementation_count; i++)
        vpc_implementation_free(suite->implementations[i]);
    free(suite->runs);
    free(suite->scripts);
    free(suite->implementations);
}
