/* SPDX-License-Identifier: MIT */
/* The steps about the subject as a whole, and about time. */
#include <stdlib.h>

#include "run.h"

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
