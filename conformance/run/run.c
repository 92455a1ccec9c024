/* SPDX-License-Identifier: MIT */
/*
 * The run: steps one after another, and what must go on meanwhile.
 *
 * A step is called until it is done, wrong, or its time is over; between two calls vpc_run_pump() lets the backend go on to the
 * next thing seen, and gives it what the tester has to send.  Steps that hold (silence, none, wait) are right when their
 * time is over and nothing was wrong until then.  After each step the monitor and the subject's life are looked at: a
 * breach or a crash is a fail, whatever the step says.
 */
#include "run/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alter/alter.h"
#include "clock.h"
#include "script/script_forms.h"

#define DEFAULT_LIMIT_MS 5000
#define SLICE_MS         20  /* of real time, after which a step is asked again */
#define STALL_MS         400 /* of the harness itself, from which on a missed limit tells nothing */
#define OVERSLEPT_MS     50  /* from which on what was not to come may have come in its own time */
#define LOOKS_ON         4   /* times its limit that a spinning subject is looked at beyond that */
#define EDGE             4096 /* octets at either end of a burst */
#define TRACE_LINES      200  /* of the end of a trace, in a result */

static vpc_step_fn *const functions[VPC_OP_COUNT] = {
#define VPC_STEP(op, name, ...) [VPC_OP_##op] = vpc_step_##name,
#include "script/steps.def"
};

enum vpc_outcome vpc_say(struct vpc_run *run, enum vpc_outcome outcome, const char *format, ...)
{
    va_list args;

    free(run->got);
    va_start(args, format);
    run->got = vpc_format_list(format, args);
    va_end(args);
    return outcome;
}

uint64_t vpc_now(struct vpc_run *run)
{
    return run->ops->now(run->backend);
}

/* ---- going on ---------------------------------------------------------------------------------------------------------- */

size_t vpc_split_piece(enum vpc_split split, bool real_time, uint64_t random, size_t sent,
                       size_t left)
{
    bool middle = real_time && sent >= EDGE && left > EDGE;

    switch (split) {
    case VPC_SPLIT_ONE:
        return middle ? (left - EDGE < 1009 ? left - EDGE : 1009) : 1;
    case VPC_SPLIT_RANDOM:
        return 1 + random % 97 % left;
    case VPC_SPLIT_LARGEST:
        return left < 65536 ? left : 65536;
    default:
        return left;
    }
}

static size_t piece(struct vpc_run *run, size_t sent, size_t left)
{
    uint64_t random = run->config->split == VPC_SPLIT_RANDOM ? vpc_tester_random(&run->tester) : 0;

    return vpc_split_piece(run->config->split, run->ops->real_time, random, sent, left);
}

void vpc_run_flush(struct vpc_run *run)
{
    uint64_t started = vpc_real_ms(), took;

    while (run->bus_up && vpc_buffer_size(&run->tester.out) > 0) {
        struct vpc_buffer out = run->tester.out;
        size_t size = vpc_buffer_size(&out), sent = 0;

        run->tester.out = run->spare;
        run->spare = (struct vpc_buffer){0};
        while (sent < size && run->bus_up) {
            size_t n = piece(run, sent, size - sent);

            vpc_record_octets(run->record, run->tester.role, vpc_buffer_head(&out) + sent, n,
                              vpc_now(run) - run->trace->start);
            run->ops->bus_send(run->backend, vpc_buffer_head(&out) + sent, n);
            sent += n;
        }
        if (run->ops->bus_flush)
            run->ops->bus_flush(run->backend);
        vpc_buffer_free(&run->spare);
        run->spare = out;
        vpc_buffer_clear(&run->spare);
    }
    took = vpc_real_ms() - started;
    if (run->ops->real_time && took > STALL_MS)
        run->longest_stall = took;
}

void vpc_run_pump(struct vpc_run *run, uint64_t until)
{
    uint64_t due = vpc_tester_deadline(&run->tester), started = vpc_real_ms(), took;

    vpc_run_flush(run);
    due = due < until ? due : until;
    if (run->ops->real_time && due > vpc_now(run) + SLICE_MS)
        due = vpc_now(run) + SLICE_MS;
    run->ops->step(run->backend, due);
    conform_load_look(&run->load);
    took = vpc_real_ms() - started;
    if (run->ops->real_time && took > STALL_MS && vpc_now(run) > due + STALL_MS)
        run->longest_stall = took;
    if (run->ops->real_time && vpc_now(run) > due + run->overslept)
        run->overslept = vpc_now(run) - due;
    run->trace->now = vpc_now(run);
    vpc_tester_clock(&run->tester, run->trace->now);
    vpc_run_flush(run);
}

bool vpc_run_dead(const struct vpc_run *run)
{
    return run->broken != NULL || run->crash != NULL || run->monitor.breach.requirement != NULL;
}

bool vpc_run_connect(struct vpc_run *run)
{
    const struct vpc_implementation *implementation = run->config->implementation;
    uint64_t limit = vpc_now(run) + vpc_implementation_pixit(implementation, "start_ms", 10000);

    conform_load_begin(&run->load, run->backend);
    run->comes_by =
        run->ops->real_time && !vpc_implementation_has(implementation, "control") ? limit : 0;
    run->progress->first = true;
    while (vpc_implementation_has(implementation, "control")) {
        if (vpc_run_dead(run) || vpc_client_of(run, "", true) != NULL)
            return true;
        if (vpc_now(run) >= limit) {
            run->starved = conform_load_excuse(&run->load);
            vpc_say(
                run, VPC_WRONG, "its control socket can not be connected within %llu ms",
                (unsigned long long)vpc_implementation_pixit(implementation, "start_ms", 10000));
            return false;
        }
        vpc_run_pump(run, limit);
    }
    return true;
}

/* ---- one step ------------------------------------------------------------------------------------------------------------- */

/* A timer has the value of the script's option, else of the descriptor, else its default. */
static uint64_t timer_of(const void *user, const struct vpc_setting *timer)
{
    const struct vpc_run *run = user;
    const struct vpc_script *script = run->config->script;
    uint64_t ms = vpc_implementation_pixit(run->config->implementation, timer->name, timer->value);

    for (size_t i = 0; i < script->option_count; i++)
        if (strcmp(script->options[i].key, timer->name) == 0)
            ms = strtoull(script->options[i].value, NULL, 10);
    return ms;
}

uint64_t vpc_span_of(const struct vpc_run *run, const struct vpc_span *span)
{
    return vpc_span_ms(span, timer_of, run);
}

static uint64_t limit_of(struct vpc_run *run, const struct vpc_step *step, bool holds)
{
    const struct vpc_span *span = holds ? step->during : step->within;
    uint64_t ms = holds ? 0 : DEFAULT_LIMIT_MS, limit;

    if (span)
        ms = vpc_span_of(run, span);
    limit = vpc_now(run) + ms;
    if (holds)
        return limit;
    limit = run->comes_by > limit ? run->comes_by : limit;
    if (run->ops->real_time)
        limit += vpc_implementation_pixit(run->config->implementation, "slack_ms", 200);
    return limit;
}

bool vpc_run_holds(const struct vpc_step *step)
{
    return step->form->flags & VPC_HOLDS;
}

void vpc_progress_clear(struct conform_progress *progress)
{
    vpc_buffer_free(&progress->want);
    *progress = (struct conform_progress){0};
}

void vpc_run_begin(struct vpc_run *run, struct conform_progress *progress,
                   const struct vpc_step *step)
{
    vpc_progress_clear(progress);
    *progress = (struct conform_progress){
        .step = step,
        .first = true,
        .start = vpc_now(run),
        .limit = limit_of(run, step, vpc_run_holds(step)),
    };
    vpc_trace_add(run->trace, "%d: %s", step->line, step->text);
    if (run->config->line)
        *run->config->line = step->line;
}

/* What was found when the time of a silence was over already says nothing about that time: the harness overslept. */
static bool looked_too_late(const struct vpc_run *run, const struct conform_progress *progress)
{
    return run->ops->real_time && !progress->first && vpc_run_holds(progress->step) &&
           progress->step->op != VPC_OP_IDLE && run->trace->now > progress->limit;
}

enum vpc_outcome vpc_run_call(struct vpc_run *run, struct conform_progress *progress)
{
    enum vpc_outcome outcome;

    run->progress = progress;
    outcome = functions[progress->step->op](run, progress->step);
    if (outcome == VPC_WRONG && looked_too_late(run, progress))
        outcome = VPC_DONE;
    progress->first = false;
    run->progress = &run->own;
    vpc_run_flush(run);
    return outcome;
}

/*
 * Its time is over, and the machine held somebody up.  A subject that spins can't have had enough of a busy processor by
 * then, and would never be found faulty: it is given the time to have it.  Whatever it does in that time comes too late,
 * and the machine is to blame.
 */
static enum vpc_outcome look_on(struct vpc_run *run, struct conform_progress *progress)
{
    uint64_t until = progress->limit + LOOKS_ON * (progress->limit - progress->start);
    uint64_t excuse = conform_load_excuse(&run->load), held_up = 0;
    enum vpc_outcome outcome = VPC_PENDING;

    while (excuse && outcome == VPC_PENDING && !vpc_run_dead(run) && vpc_now(run) < until &&
           conform_load_spins(&run->load)) {
        held_up = excuse;
        vpc_run_pump(run, until);
        outcome = vpc_run_call(run, progress);
        excuse = conform_load_excuse(&run->load);
    }
    if (held_up) /* in so much more time a stall of the harness is none */
        run->longest_stall = excuse || outcome != VPC_PENDING ? held_up : 0;
    return VPC_PENDING;
}

static enum vpc_outcome perform(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_progress *progress = &run->own;

    vpc_run_begin(run, progress, step);
    for (;;) {
        enum vpc_outcome outcome = vpc_run_call(run, progress);

        if (outcome != VPC_PENDING || vpc_run_dead(run))
            return outcome;
        if (vpc_now(run) >= progress->limit)
            return vpc_run_holds(step) ? VPC_DONE : look_on(run, progress);
        vpc_run_pump(run, progress->limit);
    }
}

/* Performs the step, or block, at *at, which is then the next. */
static enum vpc_outcome perform_at(struct vpc_run *run, size_t *at)
{
    const struct vpc_step *step = &run->config->script->steps[*at];

    conform_load_begin(&run->load, run->backend);
    run->longest_stall = 0;
    run->overslept_before = run->overslept;
    run->overslept = 0;
    switch (step->op) {
    case VPC_OP_EITHER:
        return vpc_run_either(run, at);
    case VPC_OP_UNORDERED:
        return vpc_run_unordered(run, at);
    case VPC_OP_OR: /* the alternative that was taken ends here */
        *at = step->end + 1;
        return VPC_DONE;
    case VPC_OP_END:
        ++*at;
        return VPC_DONE;
    default:
        ++*at;
        return perform(run, step);
    }
}

/* ---- the verdict ------------------------------------------------------------------------------------------------------------ */

char *vpc_requirements_of(const struct vpc_script *script, const struct vpc_step *step)
{
    char *all = vpc_copy(step && step->by ? step->by : "");

    for (size_t i = 0; !(step && step->by) && i < script->cover_count; i++) {
        char *more = vpc_format("%s%s%s", all, i ? " " : "", script->covers[i]);

        free(all);
        all = more;
    }
    return all;
}

/* How long the harness itself or the subject stood still, when that may be why the step went wrong; else 0. */
static uint64_t held_up_for(struct vpc_run *run, const struct vpc_step *step,
                            enum vpc_outcome outcome)
{
    uint64_t overslept =
        run->overslept > run->overslept_before ? run->overslept : run->overslept_before;

    if (outcome == VPC_PENDING)
        return run->longest_stall ? run->longest_stall : conform_load_excuse(&run->load);
    if (outcome != VPC_WRONG || !vpc_run_holds(step) || run->starved)
        return outcome == VPC_WRONG ? run->starved : 0;
    return overslept > OVERSLEPT_MS ? overslept : conform_load_excuse(&run->load);
}

/* 0: it was not held up. */
static void excuse(struct vpc_result *result, uint64_t held_up)
{
    char *got = result->got;

    if (held_up == 0)
        return;
    result->verdict = VPC_INCONCLUSIVE;
    result->got = vpc_format("the machine held up the run for %llu ms (%s)",
                             (unsigned long long)held_up, got);
    free(got);
}

static void blame_step(struct vpc_run *run, struct vpc_result *result, const struct vpc_step *step,
                       enum vpc_outcome outcome)
{
    result->line = step->line;
    result->step = vpc_copy(step->text);
    result->requirement = vpc_requirements_of(run->config->script, step);
    result->expected = vpc_copy(step->text);
    result->got = vpc_format("%s%s", outcome == VPC_PENDING ? "within the time limit: " : "",
                             run->got ? run->got : "nothing");
    result->verdict = outcome == VPC_BROKEN ? VPC_HARNESS_ERROR : VPC_FAIL;
    excuse(result, held_up_for(run, step, outcome));
}

static void blame_subject(struct vpc_run *run, struct vpc_result *result,
                          const struct vpc_step *step)
{
    const struct vpc_breach *breach = &run->monitor.breach;

    result->verdict = run->broken ? VPC_HARNESS_ERROR : VPC_FAIL;
    result->line = step ? step->line : 0;
    result->step = vpc_copy(step ? step->text : "(after the last step)");
    if (run->broken) {
        result->expected = vpc_copy("a machine that goes on");
        result->got = vpc_copy(run->broken);
    } else if (breach->requirement) {
        result->requirement = vpc_copy(breach->requirement);
        result->expected = vpc_copy("a trace that keeps the rules, at every step");
        result->got = vpc_copy(breach->text);
    } else {
        result->requirement = vpc_requirements_of(run->config->script, step);
        result->expected = vpc_copy("an endpoint that goes on");
        result->got = vpc_copy(run->crash);
    }
}

/* All steps were right, but the subject took an alternative that it should not. */
static void note_lenience(struct vpc_run *run, struct vpc_result *result)
{
    result->verdict = VPC_NON_STRICT;
    result->line = run->lenient->line;
    result->step = vpc_copy(run->lenient->text);
    result->requirement = vpc_requirements_of(run->config->script, run->lenient);
    result->expected = vpc_copy("an alternative that is not marked non-strict");
    result->got = vpc_format("the one in line %d", run->lenient->line);
}

void vpc_run_steps(struct vpc_run *run, struct vpc_result *result)
{
    const struct vpc_script *script = run->config->script;
    const struct vpc_step *step = NULL;

    for (size_t at = 0; at < script->step_count;) {
        enum vpc_outcome outcome;

        step = &script->steps[at];
        outcome = perform_at(run, &at);
        if (vpc_run_dead(run)) {
            blame_subject(run, result, step);
            return;
        }
        if (outcome != VPC_DONE) {
            blame_step(run, result, step, outcome);
            return;
        }
    }
    vpc_run_pump(run, vpc_now(run) + 20);
    vpc_monitor_close(&run->monitor);
    if (vpc_run_dead(run))
        blame_subject(run, result, NULL);
    else if (run->lenient)
        note_lenience(run, result);
}

static void write_trace(struct vpc_run *run, struct vpc_result *result, FILE *file)
{
    size_t size;
    FILE *text = open_memstream(&result->trace, &size);

    if (text) {
        vpc_trace_write(run->trace, text, TRACE_LINES);
        fclose(text);
    }
    if (file)
        vpc_trace_write(run->trace, file, SIZE_MAX);
}

static void set_up(struct vpc_run *run, const struct vpc_run_config *config)
{
    enum vpc_role_bit subject = (enum vpc_role_bit)config->script->role;

    *run = (struct vpc_run){.config = config, .ops = config->backend, .ready = -1};
    run->progress = &run->own;
    run->variables = vpc_alloc(config->script->variable_count * sizeof(*run->variables));
    run->trace = vpc_trace_begin();
    vpc_monitor_begin(&run->monitor, config->table, subject);
    vpc_tester_begin(&run->tester, config->table,
                     subject == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST, &run->monitor,
                     run->trace, config->seed);
    run->tester.on_frame = vpc_judge_frame_time;
    run->tester.user = run;
}

/* In-process the run's own clock is all that there is, and equal runs have equal records. */
static void begin_record(struct vpc_run *run)
{
    const struct vpc_run_config *config = run->config;
    char *path = vpc_format("%s/trace.pcapng", config->own ? config->own : config->dir);
    char *description = vpc_format("%s of %s", config->script->name, config->implementation->name);
    struct timespec now = {0};

    if (run->ops->real_time)
        clock_gettime(CLOCK_REALTIME, &now);
    run->record = vpc_record_open(path, config->table, run->monitor.subject, description,
                                  (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    if (run->record == NULL)
        vpc_trace_add(run->trace, "%s can not be written: %s", path, strerror(errno));
    free(description);
    free(path);
}

static void end_record(struct vpc_run *run)
{
    int error = vpc_record_close(run->record);

    if (error)
        vpc_trace_add(run->trace, "the record of the bus is not whole: %s", strerror(error));
}

static struct vpc_backend_config backend_config(struct vpc_run *run)
{
    const struct vpc_run_config *config = run->config;

    return (struct vpc_backend_config){
        .implementation = config->implementation,
        .vm = vpc_vm_of(config),
        .tag = VPC_SUBJECT_TAG,
        .descriptors = config->script->descriptors,
        .watched = vpc_script_needs(config->script, VPC_MACHINE_EVENTS),
        .options = config->script->options,
        .option_count = config->script->option_count,
        .dir = config->dir,
        .own = config->own,
        .beside = config->beside,
        .build = config->build,
        .guest_dir = config->guest_dir,
        .launcher = config->launcher,
        .initrd = config->initrd,
        .sandbox = config->sandbox,
        .group = config->group,
        .seed = config->seed,
        .in_subject = config->in_subject,
        .sink = vpc_on_seen,
        .user = run,
    };
}

static bool start(struct vpc_run *run, char **error)
{
    const struct vpc_run_config *config = run->config;
    struct vpc_backend_config backend = backend_config(run);

    run->backend = config->altering
                       ? vpc_altered_create(config->altering, run->ops, &backend, error)
                       : run->ops->create(&backend, error);
    if (run->backend == NULL)
        return false;
    run->ops = run->backend->ops;
    run->trace->now = run->trace->start = vpc_now(run);
    if (config->beside == NULL)
        begin_record(run);
    run->killed = config->script->not_started;
    return config->script->not_started || run->ops->start(run->backend, error);
}

const char *vpc_vm_of(const struct vpc_run_config *config)
{
    return config->vm ? config->vm : VPC_SUBJECT_VM;
}

bool vpc_run_open(struct vpc_run *run, const struct vpc_run_config *config, char **error)
{
    set_up(run, config);
    return start(run, error) && (config->script->not_started || vpc_run_connect(run));
}

static void end_subject(struct vpc_run *run)
{
    vpc_other_end(run->other);
    run->other = NULL;
    vpc_waiters_forget(run);
    if (run->backend)
        run->ops->destroy(run->backend);
    run->backend = NULL;
}

void vpc_run_close(struct vpc_run *run)
{
    end_subject(run);
    end_record(run);
    vpc_tester_end(&run->tester);
    vpc_buffer_free(&run->spare);
    vpc_monitor_end(&run->monitor);
    vpc_trace_end(run->trace);
    vpc_run_forget(run);
}

void vpc_run(const struct vpc_run_config *config, struct vpc_result *result, FILE *trace_file)
{
    struct vpc_run run;
    char *error = NULL;
    uint64_t started = vpc_real_ms();

    *result = (struct vpc_result){.verdict = VPC_PASS};
    if (vpc_run_open(&run, config, &error)) {
        vpc_run_steps(&run, result);
    } else {
        result->verdict = error ? VPC_HARNESS_ERROR : VPC_FAIL;
        result->expected = vpc_copy("a subject that starts");
        result->got = vpc_copy(error ? error : run.got);
        excuse(result, error ? 0 : run.starved);
    }
    free(error);
    end_subject(&run); /* which may crash at that */
    if (result->verdict == VPC_PASS && vpc_run_dead(&run))
        blame_subject(&run, result, NULL);
    write_trace(&run, result, trace_file);
    vpc_run_close(&run);
    result->ms = vpc_real_ms() - started;
}
