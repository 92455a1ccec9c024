/* SPDX-License-Identifier: MIT */
/* See attempt.h. */
#include "verdicts/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "backends/sandbox.h"
#include "clean.h"

/* ---- results between child and parent ----------------------------------------------------------------------------- */

#define TEXT_SHOWN                                                                                 \
    (1u << 18) /* octets of one text of a result; six take as many places in JSON at most */
_Static_assert(6ull * 6 * (TEXT_SHOWN + 64) < VPC_JOB_TEXT_MAX, "no honest result is too long");

/* Of what a subject made endless the begin is enough. */
static char *bounded(const char *text)
{
    size_t size = strlen(text);

    return size <= TEXT_SHOWN ? vpc_copy(text)
                              : vpc_format("%.*s... (%zu octets)", (int)TEXT_SHOWN, text, size);
}

static json_t *bounded_json(const char *text)
{
    char *some = bounded(text ? text : "");
    json_t *json = vpc_json_text(some);

    free(some);
    return json;
}

static bool write_all(int fd, const char *octets, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, octets, n);

        if (put < 0 && errno != EINTR)
            return false;
        octets += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* In one piece: jansson would write each word by itself, a system call here and three in whoever reads. */
static void send_result(int fd, const struct vpc_result *result)
{
    char *text;
    json_t *json =
        json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:I}", "verdict", (int)result->verdict,
                  "line", result->line, "step", bounded_json(result->step), "expected",
                  bounded_json(result->expected), "got", bounded_json(result->got), "requirement",
                  bounded_json(result->requirement), "trace", bounded_json(result->trace), "ms",
                  (json_int_t)result->ms);

    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL || !write_all(fd, text, strlen(text)))
        _exit(VPC_EXIT_HARNESS); /* no result is a harness error */
    free(text);
}

static bool take_result(const struct vpc_buffer *text, struct vpc_result *result)
{
    json_t *json = text->end ? json_loadb((const char *)text->data, text->end, 0, NULL) : NULL;

    json_int_t verdict = json_integer_value(json_object_get(json, "verdict"));

    if (json == NULL || verdict < 0 || verdict >= VPC_VERDICT_COUNT) {
        json_decref(json);
        return false;
    }
    result->verdict = (enum vpc_verdict)verdict;
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

/* ---- one run ------------------------------------------------------------------------------------------------------ */

/* Zeroed memory that the next child shares with us; NULL with errno. */
static volatile struct vpc_running *shared(void)
{
    void *memory = mmap(NULL, sizeof(struct vpc_running), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* No child from now on gets it. */
static bool keep_to_us(volatile struct vpc_running *running)
{
    return madvise((void *)running, sizeof(*running), MADV_DONTFORK) == 0;
}

/* Into the sandbox, or the result says why not. */
static bool enter(const struct vpc_attempt *attempt, struct vpc_result *result)
{
    int error = conform_sandbox_enter(attempt->suite->sandbox, &attempt->folder);

    if (error == 0)
        return true;
    *result = (struct vpc_result){.verdict = VPC_HARNESS_ERROR};
    result->expected = vpc_copy("a run in the sandbox");
    result->got = vpc_format("%s can not be shut in: %s", attempt->dir, strerror(error));
    return false;
}

static struct vpc_run_config config_of(const struct vpc_attempt *attempt,
                                       const struct vpc_script *script)
{
    const struct vpc_suite *suite = attempt->suite;
    const struct vpc_suite_run *run = attempt->run;

    return (struct vpc_run_config){
        .script = script,
        .table = suite->table,
        .spec = suite->spec,
        .implementation = run->implementation,
        .backend = run->backend,
        .split = run->split,
        .seed = suite->seed,
        .sandbox = suite->sandbox,
        .group = attempt->group.procs,
        .dir = attempt->dir,
        .own = attempt->folder.own,
        .build = suite->build,
        .guest_dir = suite->guest_dir,
        .launcher = suite->launcher,
        .initrd = run->initrd,
        .in_subject = &attempt->running->in_subject,
        .line = &attempt->running->line,
    };
}

static void run_in_child(void *user, int fd)
{
    const struct vpc_attempt *attempt = user;
    const struct vpc_suite *suite = attempt->suite;
    struct vpc_script *script = vpc_script_unfold(attempt->run->script, suite->table, suite->spec);
    struct vpc_run_config config = config_of(attempt, script);
    char *trace = vpc_format("%s/trace.txt", attempt->dir);
    struct vpc_result result;
    FILE *file = fopen(trace, "we");

    if (script == NULL || !keep_to_us(attempt->running))
        _exit(VPC_EXIT_HARNESS);
    if (enter(attempt, &result))
        vpc_run(&config, &result, file);
    if (file)
        fclose(file);
    send_result(fd, &result);
    vpc_result_clear(&result);
    vpc_script_free(script);
    free(trace);
}

struct vpc_attempt *vpc_attempt_start(struct vpc_suite *suite, struct vpc_jobs *jobs,
                                      struct vpc_suite_run *run, char **error)
{
    struct vpc_attempt *attempt = vpc_alloc(sizeof(*attempt));

    *attempt = (struct vpc_attempt){.suite = suite, .run = run, .running = shared()};
    conform_group_begin(&attempt->group, suite->groups);
    if (vpc_folder_begin(&attempt->folder, error)) {
        attempt->dir = attempt->folder.path;
        conform_witness_begin(&attempt->witness, attempt->dir);
        if (attempt->running && vpc_jobs_start(jobs, run_in_child, attempt) &&
            keep_to_us(attempt->running))
            return attempt;
        *error = vpc_format("a run can not be started: %s", strerror(errno));
    }
    vpc_attempt_end(attempt);
    return NULL;
}

/* The step that went on, of which the script knows the rest. */
static void blame_line(struct vpc_attempt *attempt, int line)
{
    const struct vpc_suite *suite = attempt->suite;
    struct vpc_result *result = &attempt->run->result;
    struct vpc_script *script = vpc_script_unfold(attempt->run->script, suite->table, suite->spec);

    result->line = line;
    for (size_t i = 0; script && i < script->step_count; i++) {
        const struct vpc_step *step = &script->steps[i];

        if (step->line != line || result->step)
            continue;
        result->step = vpc_copy(step->text);
        result->requirement = vpc_requirements_of(script, step);
    }
    if (script)
        vpc_script_free(script);
}

static void judge_late(struct vpc_attempt *attempt, uint64_t held_up, const char *who)
{
    struct vpc_result *result = &attempt->run->result;
    int s = attempt->suite->limit_ms / 1000;

    if (held_up) {
        result->verdict = VPC_INCONCLUSIVE;
        result->got = vpc_format("the machine held up the run for %llu ms (no end within %d s, %s "
                                 "at work)",
                                 (unsigned long long)held_up, s, who);
    } else {
        result->got = vpc_format("no end within %d s, %s at work", s, who);
    }
}

static void judge_end(struct vpc_attempt *attempt, const struct vpc_job_result *end)
{
    struct vpc_result *result = &attempt->run->result;
    bool in_subject = attempt->running->in_subject;
    const char *who = in_subject ? "the subject" : "the harness";

    *result = (struct vpc_result){.verdict = in_subject ? VPC_FAIL : VPC_HARNESS_ERROR};
    blame_line(attempt, attempt->running->line);
    result->expected = vpc_copy("a run that ends by itself");
    if (!end->in_time)
        judge_late(attempt, end->held_up, who);
    else if (end->too_long)
        result->got = vpc_format("more than the %u octets that a result may have, %s at work",
                                 VPC_JOB_TEXT_MAX, who);
    else if (WIFSIGNALED(end->status))
        result->got = vpc_format("%s ended by signal %d (%s)", who, WTERMSIG(end->status),
                                 strsignal(WTERMSIG(end->status)));
    else
        result->got = vpc_format("%s ended with status %d", who, WEXITSTATUS(end->status));
}

static void note_full(struct vpc_result *result)
{
    char *got = vpc_format("%s (its processes used up the %llu MiB of a run's control group)",
                           result->got ? result->got : "nothing", VPC_GROUP_MEMORY >> 20);

    free(result->got);
    result->got = got;
}

void vpc_attempt_judge(struct vpc_attempt *attempt, const struct vpc_job_result *end)
{
    vpc_folder_restore(&attempt->folder);
    if (!vpc_job_has_spoken(end) || !take_result(&end->text, &attempt->run->result))
        judge_end(attempt, end);
    if (attempt->run->result.verdict == VPC_FAIL && conform_group_was_full(&attempt->group))
        note_full(&attempt->run->result);
}

void vpc_attempt_end(struct vpc_attempt *attempt)
{
    conform_group_end(&attempt->group);
    vpc_folder_end(&attempt->folder);
    if (attempt->running)
        munmap((void *)attempt->running, sizeof(*attempt->running));
    free(attempt);
}
