/* SPDX-License-Identifier: MIT */
/* The steps about programs that wait for the ready event from outside of the subject. */
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

#define WAITING (-1)

struct vpc_waiter {
    struct vpc_waiter *next;
    char *label;
    int id;
    int status;     /* its exit status, or WAITING */
    uint64_t limit; /* until which it must not give up */
    uint64_t ended;
};

static struct vpc_waiter *waiter_of(struct vpc_run *run, const char *label)
{
    struct vpc_waiter *waiter = run->waiters;

    while (waiter && strcmp(waiter->label, label) != 0)
        waiter = waiter->next;
    return waiter;
}

enum vpc_outcome vpc_step_waiter_wait(struct vpc_run *run, const struct vpc_step *step)
{
    uint64_t limit = vpc_span_of(run, step->during);
    struct vpc_waiter *waiter;
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    if (waiter_of(run, step->label))
        return vpc_say(run, VPC_BROKEN, "there is a waiter%s%s already: give this one a label",
                       *step->label ? ":" : "", step->label);
    if (run->ops->waiter_start == NULL)
        return vpc_say(run, VPC_BROKEN, "this backend has no ready event: backends socket qemu");
    waiter = vpc_alloc(sizeof(*waiter));
    *waiter = (struct vpc_waiter){run->waiters, vpc_copy(step->label), ++run->next_id,
                                  WAITING,      vpc_now(run) + limit,  0};
    run->waiters = waiter;
    if (!run->ops->waiter_start(run->backend, waiter->id, limit, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    free(error);
    return outcome;
}

/* Sets *status to what has become of the step's waiter. */
static enum vpc_outcome look(struct vpc_run *run, const struct vpc_step *step, int *status)
{
    struct vpc_waiter *waiter = waiter_of(run, step->label);

    if (waiter == NULL)
        return vpc_say(run, VPC_BROKEN, "no waiter%s%s was started", *step->label ? ":" : "",
                       step->label);
    if (waiter->status == WAITING) {
        waiter->status = run->ops->waiter_ended(run->backend, waiter->id);
        waiter->ended = vpc_now(run);
    }
    *status = waiter->status;
    if (*status > 0 && waiter->ended < waiter->limit)
        return vpc_say(run, VPC_WRONG, "it gave up with status %d, %llu ms too early", *status,
                       (unsigned long long)(waiter->limit - waiter->ended));
    return VPC_DONE;
}

static enum vpc_outcome expect(struct vpc_run *run, const struct vpc_step *step, bool ready)
{
    int status = WAITING;
    enum vpc_outcome outcome = look(run, step, &status);

    if (outcome != VPC_DONE)
        return outcome;
    if (status == WAITING)
        return vpc_say(run, VPC_PENDING, "it still waits");
    if ((status == 0) == ready)
        return VPC_DONE;
    return vpc_say(run, VPC_WRONG, "it ended with status %d", status);
}

enum vpc_outcome vpc_step_waiter_ready(struct vpc_run *run, const struct vpc_step *step)
{
    return expect(run, step, true);
}

enum vpc_outcome vpc_step_waiter_timeout(struct vpc_run *run, const struct vpc_step *step)
{
    return expect(run, step, false);
}

enum vpc_outcome vpc_step_waiter_none(struct vpc_run *run, const struct vpc_step *step)
{
    int status = WAITING;
    enum vpc_outcome outcome = look(run, step, &status);

    if (outcome != VPC_DONE)
        return outcome;
    return status == WAITING ? VPC_PENDING
                             : vpc_say(run, VPC_WRONG, "it ended with status %d", status);
}

void vpc_waiters_forget(struct vpc_run *run)
{
    while (run->waiters) {
        struct vpc_waiter *next = run->waiters->next;

        free(run->waiters->label);
        free(run->waiters);
        run->waiters = next;
    }
}
