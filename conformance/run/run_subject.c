/* SPDX-License-Identifier: MIT */
/* The steps about the subject as a whole, and about time. */
#include <stdlib.h>

#include "run/run.h"

enum vpc_outcome vpc_step_wait(struct vpc_run *run, const struct vpc_step *step)
{
    (void)run;
    (void)step;
    return VPC_PENDING;
}

enum vpc_outcome vpc_step_kill(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    run->killed = true;
    vpc_trace_add(run->trace, "kill subject");
    run->ops->kill(run->backend);
    for (struct vpc_client *client = run->clients; client; client = client->next)
        client->eof = true;
    run->event_client = 0;
    return VPC_DONE;
}

enum vpc_outcome vpc_step_restart(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    if (!run->killed)
        vpc_step_kill(run, step);
    run->killed = run->stopped = false;
    vpc_trace_add(run->trace, "start subject");
    if (!run->ops->start(run->backend, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    else if (!vpc_run_connect(run))
        outcome = VPC_WRONG;
    free(error);
    return outcome;
}

enum vpc_outcome vpc_step_start(struct vpc_run *run, const struct vpc_step *step)
{
    if (!run->killed)
        return vpc_say(run, VPC_BROKEN, "the subject runs already");
    return vpc_step_restart(run, step);
}

enum vpc_outcome vpc_step_stop(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    run->killed = true; /* its end is no crash */
    vpc_trace_add(run->trace, "stop subject");
    run->ops->stop(run->backend);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_stopped(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return run->stopped ? VPC_DONE : vpc_say(run, VPC_PENDING, "it still runs");
}

/* ---- time ----------------------------------------------------------------------------------------------------------- */

#define IDLE_SHARE 10 /* of one processor, in percent: far below a loop, far above a few timers */

static enum vpc_outcome busy_of(struct vpc_run *run, uint64_t *us)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    if (!run->ops->busy(run->backend, us, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    free(error);
    return outcome;
}

/* Holds; its last call, when its time is over, judges. */
enum vpc_outcome vpc_step_idle(struct vpc_run *run, const struct vpc_step *step)
{
    const struct vpc_arg *arg = vpc_step_arg(step, "share");
    uint64_t share = IDLE_SHARE, now = vpc_now(run), busy, used, passed;

    if (arg && !vpc_number_of(run, arg, &share))
        return VPC_BROKEN;
    if (run->first)
        return busy_of(run, &run->busy_mark) == VPC_DONE ? VPC_PENDING : VPC_BROKEN;
    if (now < run->step_limit)
        return VPC_PENDING;
    if (busy_of(run, &busy) != VPC_DONE)
        return VPC_BROKEN;
    used = busy - run->busy_mark;
    passed = (now - run->step_start) * 1000;
    vpc_trace_add(run->trace, "the subject used %llu ms of %llu ms",
                  (unsigned long long)used / 1000, (unsigned long long)passed / 1000);
    if (used * 100 <= passed * share)
        return VPC_DONE;
    return vpc_say(run, VPC_WRONG, "it used %llu ms of processor time in %llu ms",
                   (unsigned long long)used / 1000, (unsigned long long)passed / 1000);
}

static enum vpc_outcome set_clock(struct vpc_run *run, bool goes)
{
    if (run->ops->clock == NULL)
        return vpc_say(run, VPC_BROKEN, "real time can not be stopped: backends inproc");
    run->ops->clock(run->backend, goes);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_clock_stop(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return set_clock(run, false);
}

enum vpc_outcome vpc_step_clock_go(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return set_clock(run, true);
}

enum vpc_outcome vpc_step_refuses(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    for (size_t i = 0; i < step->arg_count && outcome == VPC_DONE; i++) {
        bool refused = false;

        if (!run->ops->refuses(run->backend, &step->args[i], &refused, &error))
            outcome = vpc_say(run, VPC_BROKEN, "%s", error);
        else if (!refused)
            outcome = vpc_say(run, VPC_WRONG, "it starts with %s=%s", step->args[i].key,
                              step->args[i].value);
    }
    free(error);
    return outcome;
}
