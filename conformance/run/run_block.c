/* SPDX-License-Identifier: MIT */
/*
 * Blocks of a run: alternatives, and steps in any order.
 *
 * Several steps are tried beside each other, each with its own progress.  Of alternatives the first steps are tried; the
 * first that is right decides, and its alternative goes on as any steps do.  What is wrong for one step of an unordered
 * block may be right for another, so that block is wrong only when every step that is left says so, or when a step's time
 * is over.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

struct attempt {
    const struct vpc_step *part; /* either or or, for an alternative */
    const struct vpc_step *step;
    size_t at; /* of the step, in the script */
    bool over; /* an alternative that was wrong; a step of an unordered block that was right */
    struct conform_progress progress;
    char *got;
};

static bool is_late(struct vpc_run *run, const struct attempt *attempt)
{
    return vpc_now(run) >= attempt->progress.limit;
}

static enum vpc_outcome call(struct vpc_run *run, struct attempt *attempt)
{
    enum vpc_outcome outcome = vpc_run_call(run, &attempt->progress);

    if (outcome == VPC_PENDING && is_late(run, attempt) && vpc_run_holds(attempt->step))
        outcome = VPC_DONE;
    if (outcome == VPC_WRONG || outcome == VPC_PENDING) {
        free(attempt->got);
        attempt->got = vpc_copy(run->got);
    }
    return outcome;
}

static void forget(struct attempt *attempts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vpc_progress_clear(&attempts[i].progress);
        free(attempts[i].got);
    }
    free(attempts);
}

static void wait(struct vpc_run *run, const struct attempt *attempts, size_t count)
{
    uint64_t until = UINT64_MAX;

    for (size_t i = 0; i < count; i++)
        if (!attempts[i].over && attempts[i].progress.limit < until)
            until = attempts[i].progress.limit;
    vpc_run_pump(run, until);
}

static enum vpc_outcome say_got(struct vpc_run *run, enum vpc_outcome outcome,
                                const struct attempt *attempt)
{
    return vpc_say(run, outcome, "line %d: %s", attempt->step->line,
                   attempt->got ? attempt->got : "nothing");
}

/* ---- either ------------------------------------------------------------------------------------------------------------- */

static size_t alternatives(const struct vpc_run *run, size_t at, struct attempt **attempts)
{
    const struct vpc_step *steps = run->config->script->steps;
    size_t count = 0, end = steps[at].end;

    *attempts = NULL;
    for (; at != end; at = steps[at].next) {
        *attempts = vpc_grow_by_one(*attempts, count, sizeof(**attempts));
        (*attempts)[count++] =
            (struct attempt){.part = &steps[at], .step = &steps[at + 1], .at = at + 1};
    }
    return count;
}

/* One look at each: DONE with *taken set, WRONG or PENDING when none is left. */
static enum vpc_outcome look(struct vpc_run *run, struct attempt *attempts, size_t count,
                             const struct attempt **taken)
{
    size_t left = 0;
    enum vpc_outcome last = VPC_WRONG;

    for (size_t i = 0; i < count; i++) {
        struct attempt *one = &attempts[i];
        enum vpc_outcome outcome;

        if (one->over)
            continue;
        outcome = call(run, one);
        *taken = one;
        if (outcome == VPC_DONE || outcome == VPC_BROKEN || vpc_run_dead(run))
            return outcome;
        one->over = outcome == VPC_WRONG || is_late(run, one);
        left += !one->over;
        last = outcome;
    }
    *taken = NULL;
    if (left > 0)
        return VPC_PENDING;
    say_got(run, last, &attempts[0]);
    return last == VPC_PENDING ? VPC_PENDING : VPC_WRONG;
}

enum vpc_outcome vpc_run_either(struct vpc_run *run, size_t *at)
{
    struct attempt *attempts;
    size_t count = alternatives(run, *at, &attempts), left = count;
    const struct attempt *taken = NULL;
    enum vpc_outcome outcome = VPC_PENDING;

    for (size_t i = 0; i < count; i++)
        vpc_run_begin(run, &attempts[i].progress, attempts[i].step);
    while (left > 0) {
        outcome = look(run, attempts, count, &taken);
        if (outcome != VPC_PENDING || vpc_run_dead(run))
            break;
        left = 0;
        for (size_t i = 0; i < count; i++)
            left += !attempts[i].over;
        if (left > 0)
            wait(run, attempts, count);
    }
    if (outcome == VPC_DONE && taken) {
        vpc_trace_add(run->trace, "the alternative of line %d", taken->part->line);
        if (taken->part->non_strict && run->lenient == NULL)
            run->lenient = taken->part;
        *at = taken->at + 1;
    }
    forget(attempts, count);
    return outcome;
}

/* ---- unordered ---------------------------------------------------------------------------------------------------------- */

/* One look at each: DONE when all were right, WRONG when none that is left will be, PENDING with *in_time else. */
static enum vpc_outcome look_at_all(struct vpc_run *run, struct attempt *attempts, size_t count,
                                    bool *in_time)
{
    const struct attempt *late = NULL, *wrong = NULL;
    size_t left = 0, wrongs = 0, done = 0;

    for (size_t i = 0; i < count; i++) {
        struct attempt *one = &attempts[i];
        enum vpc_outcome outcome = one->over ? VPC_DONE : call(run, one);

        if (outcome == VPC_BROKEN || vpc_run_dead(run))
            return outcome;
        done += outcome == VPC_DONE && !one->over;
        one->over = outcome == VPC_DONE;
        left += !one->over;
        wrongs += outcome == VPC_WRONG;
        if (outcome == VPC_WRONG && wrong == NULL)
            wrong = one;
        if (!one->over && late == NULL && is_late(run, one))
            late = one;
    }
    if (left == 0)
        return VPC_DONE;
    if (done > 0) /* what was wrong stood behind what it took */
        return look_at_all(run, attempts, count, in_time);
    if (wrongs == left)
        return say_got(run, VPC_WRONG, wrong);
    *in_time = late == NULL;
    return late ? say_got(run, VPC_PENDING, late) : VPC_PENDING;
}

enum vpc_outcome vpc_run_unordered(struct vpc_run *run, size_t *at)
{
    const struct vpc_step *steps = run->config->script->steps;
    size_t count = steps[*at].end - *at - 1;
    struct attempt *attempts = vpc_alloc(count * sizeof(*attempts));
    enum vpc_outcome outcome;
    bool in_time = true;

    for (size_t i = 0; i < count; i++) {
        attempts[i] = (struct attempt){.step = &steps[*at + 1 + i], .at = *at + 1 + i};
        vpc_run_begin(run, &attempts[i].progress, attempts[i].step);
    }
    for (;;) {
        outcome = look_at_all(run, attempts, count, &in_time);
        if (outcome != VPC_PENDING || !in_time || vpc_run_dead(run))
            break;
        wait(run, attempts, count);
    }
    *at = steps[*at].end + 1;
    forget(attempts, count);
    return outcome;
}
